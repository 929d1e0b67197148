"""Worked cases of the protocol as questions with the answers that a person worked out.

Two sources: the 24 cases of `tests/data/cases` and our own of `tests/data/worked`. An own case is
`facts` and the moments at which they are `asked`; each of these names every blocking rule under
its effect (`hold`, `review`, `stop`), and where it says so the rules that only inform (`info`),
the rules that nearly fire and do not (`near`), the earliest day, the plan verdict, what is due.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from protocol_asking import BAG, PROTOCOL, moment

from shared.protocol import Decision, Effect, Fact, Gate, Protocol, When, decide
from shared.protocol import parse_facts_document as read_document

DATA = Path(__file__).parents[2] / "data"
_WORD = {"hold": Effect.HOLD, "review": Effect.REVIEW, "stop": Effect.CONTRAINDICATED}
_ASKED = {
    *("gate", "at", "as_of", "facts", "assume", "bag", "earliest", "info", "near", "plan"),
    *("due", "valid_until", "next_go", *_WORD),
}
_CASE = {"id", "gate", "facts", "asked", "assume", "bag"}


@dataclass(frozen=True, slots=True)
class Question:
    """Facts, a gate, a moment, and the answer worked out by hand."""

    name: str
    case: str
    facts: tuple[Fact, ...]
    gate: Gate
    at: When
    assume: bool
    expected: Mapping[str, object]
    as_of: When | None = None
    near: frozenset[str] = frozenset()

    @property
    def fires(self) -> frozenset[str]:
        """The rules that the answer names, blocking or informing."""
        blocking = self.expected["blocking"]
        assert isinstance(blocking, Mapping)
        info = self.expected.get("info", ())
        assert isinstance(info, list | tuple)
        return frozenset(blocking) | frozenset(info)

    def answer(self, protocol: Protocol) -> dict[str, object]:
        """What the engine says, in the terms of `expected`."""
        decision = decide(
            protocol,
            self.facts,
            self.gate,
            self.at,
            as_of=self.as_of,  # type: ignore[arg-type]  # always an instant in the data
            assume_other_evidence_current=self.assume,
        )
        said = _said(decision)
        return {key: said[key] for key in self.expected} | {
            "near": sorted(said["fired"] & self.near)
        }

    def difference(self, protocol: Protocol) -> str | None:
        """Where the engine departs from the answer, in words; None when it agrees."""
        got, wanted = self.answer(protocol), {**self.expected, "near": []}
        if got == wanted:
            return None
        apart = [key for key in got if got[key] != wanted[key]]
        parts = [f"{key}: worked out {wanted[key]}, engine {got[key]}" for key in apart]
        return f"{self.name}: " + "; ".join(parts)


def _said(decision: Decision) -> dict[str, Any]:
    worst: dict[str, str] = {}
    for finding in decision.findings:  # worst first
        if finding.blocks:
            worst.setdefault(finding.rule, finding.effect.value)
    informing = {f.rule for f in decision.findings if not f.blocks}
    return {
        "blocking": worst,
        "code": decision.code,
        "rules": set(worst),
        "fired": informing | set(worst),
        "info": sorted(informing - set(worst)),
        "earliest": decision.earliest,
        "plan": decision.plan.value,
        "valid_until": decision.valid_until,
        "next_go": decision.next_go,
        "due": sorted((d.item, str(d.not_before), str(d.not_after)) for d in decision.due),
    }


def golden() -> list[Question]:
    """The questions of `tests/data/cases`, with decision, exact rules and earliest date."""
    return [q for path in sorted((DATA / "cases").glob("*.yaml")) for q in _golden(path)]


def _golden(path: Path) -> Iterator[Question]:
    case = yaml.safe_load(path.read_text("utf-8"))
    document = read_document(case, zone=PROTOCOL.zone)
    base = {"gate": case["gate"], "at": case["at"], **case["expected"]}
    for i, block in enumerate([base, *({**base, **also} for also in case.get("also", ()))]):
        expected = {
            "code": block["decision"],
            "rules": set(block["rules"]),
            "earliest": _when(block["earliest"]),
        }
        effects = dict.fromkeys(block["rules"], "hold")
        yield _Golden(
            f"{path.stem}.{i}", path.stem, document.facts, Gate(block["gate"]),
            moment(str(block["at"])), document.assume_other_evidence_current, expected,
            named=frozenset(effects),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Golden(Question):
    named: frozenset[str] = field(default=frozenset())

    @property
    def fires(self) -> frozenset[str]:
        """The rules that the case names; it lists no informing ones."""
        return self.named


def own() -> list[Question]:
    """The questions of `tests/data/worked`."""
    found = [q for path in sorted((DATA / "worked").glob("*.yaml")) for q in _file(path)]
    names = [question.name for question in found]
    assert len(names) == len(set(names)), "a case id is given twice"
    return found


def _file(path: Path) -> Iterator[Question]:
    for case in yaml.safe_load(path.read_text("utf-8"))["cases"]:
        yield from questions_of(case)


def questions_of(case: Mapping[str, Any]) -> Iterator[Question]:
    """Yield the questions of one own case."""
    assert set(case) <= _CASE, f"{case['id']}: unknown key {set(case) - _CASE}"
    for i, asked in enumerate(case["asked"]):
        assert set(asked) <= _ASKED, f"{case['id']}: unknown key {set(asked) - _ASKED}"
        both = {"gate": "infusion", "assume": True, "bag": True, **case, **asked}
        gate = Gate(both["gate"])
        stated = [*case.get("facts", ()), *asked.get("facts", ())]
        if both["bag"] and gate in (Gate.INFUSION, Gate.DOSE_ISSUE):
            stated.append(BAG)
        yield Question(
            f"{case['id']}.{i}", case["id"], _facts(case["id"], stated), gate,
            moment(str(both["at"])), both["assume"], _expected(asked),
            as_of=_when(asked.get("as_of")), near=frozenset(asked.get("near", ())),
        )  # fmt: skip


_READ: dict[str, tuple[Fact, ...]] = {}


def _facts(case: str, stated: Sequence[object]) -> tuple[Fact, ...]:
    key = repr(stated)
    if key not in _READ:
        document = read_document({"facts": list(stated)}, zone=PROTOCOL.zone)
        assert document.problems == (), f"{case}: {document.problems}"
        _READ[key] = document.facts
    return _READ[key]


def _expected(asked: Mapping[str, Any]) -> dict[str, object]:
    blocking = {rule: _WORD[word].value for word in _WORD for rule in asked.get(word, ())}
    found: dict[str, object] = {"blocking": blocking, "earliest": _when(asked.get("earliest"))}
    for key in ("valid_until", "next_go"):
        if key in asked:
            found[key] = _when(asked[key])
    if "info" in asked:
        found["info"] = sorted(asked["info"])
    if "plan" in asked:
        found["plan"] = asked["plan"]
    if "due" in asked:
        found["due"] = sorted((i, str(a), str(b)) for i, a, b in asked["due"])
    return found


def _when(stated: object) -> When | None:
    return None if stated is None else moment(str(stated))


def first_difference(protocol: Protocol, questions: Iterable[Question]) -> str | None:
    """Where the engine first departs from what was worked out; None when it never does."""
    return next((d for q in questions if (d := q.difference(protocol)) is not None), None)
