"""The commands assess, timeline and checklist: the protocol on files, without a server.

Invariant: nothing is stored and no other service is asked. Input that is refused is refused as a
whole, with the place of every problem, and gives exit code 3 and no decision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import IntEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from services.intake.entrypoints.command_input import (
    Bundle,
    BundleReader,
    Facts,
    Problems,
    load_cases,
    located,
    packaged_reader,
    read_facts_file,
    read_when,
)
from services.intake.entrypoints.command_text import (
    checklist_text,
    decision_text,
    json_line,
    timeline_text,
)
from shared.contracts.vocabulary import Gate, Verdict
from shared.protocol import (
    Decision,
    Protocol,
    Record,
    checklist,
    decide,
    load_protocol,
    timeline,
)
from shared.protocol.loader import RulebookError


class Exit(IntEnum):
    """What the exit codes of these commands mean."""

    DONE = 0
    DIFFERENT = 1
    BAD_USAGE = 2
    INPUT_REFUSED = 3
    NO_GO = 10


Bundles = Annotated[
    list[Path] | None, typer.Argument(help="FHIR bundles (JSON, also gzip).", show_default=False)
]
FactsFile = Annotated[
    Path | None, typer.Option("--facts", help="More statements, YAML or JSON; alone if no bundle.")
]
ProtocolFile = Annotated[Path | None, typer.Option("--protocol", help="Another rulebook file.")]
GateName = Annotated[Gate, typer.Option(help="The step that is asked about.")]
At = Annotated[
    str | None, typer.Option(help="Day (clinic-local, asks about its end) or instant; else now.")
]
AsOf = Annotated[str | None, typer.Option(help="Only facts recorded by then.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


def register(app: typer.Typer, read: BundleReader | None = None) -> None:
    """Add the commands to the application; `read` replaces the packaged reader of FHIR bundles."""
    reader = read or packaged_reader
    app.command(name="assess")(_assess_command(reader))
    app.command(name="timeline")(_timeline_command(reader))
    app.command(name="checklist")(_checklist_command(reader))


def _assess_command(read: BundleReader) -> Callable[..., None]:
    def assess(
        bundles: Bundles = None,
        *,
        gate: GateName = Gate.INFUSION,
        at: At = None,
        facts: FactsFile = None,
        protocol: ProtocolFile = None,
        all_gates: Annotated[bool, typer.Option("--all-gates", help="Every gate.")] = False,
        as_of: AsOf = None,
        json_: AsJson = False,
        exit_code: Annotated[
            bool, typer.Option("--exit-code", help="Exit 10 when a gate is not GO.")
        ] = False,
        check: Annotated[
            bool, typer.Option("--check", help="Compare with `expected` in the facts file.")
        ] = False,
    ) -> None:
        """Say what the protocol decides for a gate, on bundles or facts, without a server.

        Example: tandem assess patient.json --facts extra.yaml --gate collection --at 2027-01-15

        Exit codes: 0 done whatever the decision, 1 --check found a difference, 2 bad usage,
        3 input refused, 10 no GO (with --exit-code).
        """
        rules = _protocol(protocol)
        question = _Question(rules, _gates(gate, all_gates), at, as_of, json_)
        if check:
            raise typer.Exit(_check(question, _need(facts)))
        outcomes = [question.answer(case) for case in _cases(rules, bundles, facts, read, json_)]
        is_go = all(outcome is Verdict.GO for outcome in outcomes)
        raise typer.Exit(Exit.NO_GO if exit_code and not is_go else Exit.DONE)

    return assess


def _timeline_command(read: BundleReader) -> Callable[..., None]:
    def show(
        bundles: Bundles = None,
        *,
        gate: GateName = Gate.INFUSION,
        begin: Annotated[str, typer.Option("--from", help="First day or instant.")],
        end: Annotated[str, typer.Option("--to", help="Day or instant at which it ends.")],
        facts: FactsFile = None,
        protocol: ProtocolFile = None,
        as_of: AsOf = None,
        json_: AsJson = False,
    ) -> None:
        """List when a gate is open, to start and to plan, as exact intervals.

        Example: tandem timeline patient.json --gate infusion --from 2027-01-01 --to 2027-04-01

        Exit codes: 0 done, 2 bad usage, 3 input refused.
        """
        rules = _protocol(protocol)
        first, last = (_instant(rules, text) for text in (begin, end))
        for case in _cases(rules, bundles, facts, read, json_):
            record = _record(rules, case, as_of)
            found = timeline(rules, record, gate, first, last)
            head = {**_head(rules, case), "gate": gate.value}
            if json_:
                json_line({**head, "intervals": [interval.to_json() for interval in found]})
            else:
                timeline_text(head, found)

    return show


def _checklist_command(read: BundleReader) -> Callable[..., None]:
    def show(
        bundles: Bundles = None,
        *,
        at: At = None,
        facts: FactsFile = None,
        protocol: ProtocolFile = None,
        json_: AsJson = False,
    ) -> None:
        """Show the evaluation checklist: present, missing, too old, contradictory, with source.

        Example: tandem checklist patient.json --at 2027-01-15

        Exit codes: 0 done, 2 bad usage, 3 input refused.
        """
        rules = _protocol(protocol)
        for case in _cases(rules, bundles, facts, read, json_):
            items = checklist(rules, _record(rules, case, None), _moment(rules, at))
            if json_:
                json_line({**_head(rules, case), "items": [item.to_json() for item in items]})
            else:
                checklist_text(_head(rules, case), items)

    return show


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked of every case."""

    protocol: Protocol
    gates: tuple[Gate, ...]
    at: str | None
    as_of: str | None
    as_json: bool

    def answer(self, case: Bundle | Facts) -> Verdict:
        """Print the decisions on a case; return the worst verdict."""
        decisions = self.decisions(case)
        if self.as_json:
            json_line(self._object(case, decisions))
        else:
            decision_text(_head(self.protocol, case), decisions)
        worst = [decision.verdict for decision in decisions]
        return max(worst, key=list(Verdict).index)

    def decisions(self, case: Bundle | Facts) -> tuple[Decision, ...]:
        """Return the decisions of the gates asked about."""
        record = _record(self.protocol, case, self.as_of)
        at = _moment(self.protocol, self.at)
        return tuple(decide(self.protocol, record, gate, at) for gate in self.gates)

    def _object(self, case: Bundle | Facts, decisions: tuple[Decision, ...]) -> dict[str, Any]:
        head = {**_head(self.protocol, case), **({"as_of": self.as_of} if self.as_of else {})}
        shown = [{k: v for k, v in d.to_json().items() if k != "protocol"} for d in decisions]
        if len(shown) == 1:
            return {**head, "gate": None, "at": None, **shown[0], **_resources(case)}
        return {**head, "decisions": {d["gate"]: d for d in shown}, **_resources(case)}


def _head(protocol: Protocol, case: Bundle | Facts) -> dict[str, Any]:
    return {
        "bundle": case.name,
        "subject": case.subject,
        "protocol": protocol.ref.to_json(),
    }


def _resources(case: Bundle | Facts) -> dict[str, Any]:
    return {"resources": case.resources} if isinstance(case, Bundle) else {}


def _record(protocol: Protocol, case: Bundle | Facts, as_of: str | None) -> Record:
    return Record.of(
        protocol,
        case.facts,
        as_of=None if as_of is None else _instant(protocol, as_of),
        assume_other_evidence_current=case.assume,
    )


def _gates(gate: Gate, all_gates: bool) -> tuple[Gate, ...]:
    return tuple(Gate) if all_gates else (gate,)


def _protocol(path: Path | None) -> Protocol:
    try:
        return load_protocol(path)
    except (RulebookError, OSError, UnicodeDecodeError) as error:
        typer.echo(f"rulebook refused: {error}", err=True)
        raise typer.Exit(Exit.INPUT_REFUSED) from error


def _cases(
    protocol: Protocol,
    bundles: list[Path] | None,
    facts: Path | None,
    read: BundleReader,
    as_json: bool,
) -> list[Bundle | Facts]:
    """Return the cases to ask about; anything refused ends the command."""
    if not bundles and facts is None:
        _usage("give a bundle, or --facts")
    found, refused = load_cases(protocol, bundles or [], facts, read)
    for problems in refused:
        _tell(problems, as_json)
    if refused:
        raise typer.Exit(Exit.INPUT_REFUSED)
    return found


def _tell(problems: Problems, as_json: bool) -> None:
    for problem in problems.problems:
        typer.echo(f"{problems.name}: {located(problem)}", err=True)
    if as_json:
        json_line({"bundle": problems.name, "problems": list(problems.problems)})


def _moment(protocol: Protocol, text: str | None) -> date | datetime:
    if text is None:
        return datetime.now(UTC)
    when = read_when(protocol, text)
    return when if when is not None else _usage(f"not a day or time: {text}")


def _instant(protocol: Protocol, text: str) -> datetime:
    when = _moment(protocol, text)
    if isinstance(when, datetime):
        return when
    return datetime(when.year, when.month, when.day, tzinfo=protocol.zone).astimezone(UTC)


def _need(facts: Path | None) -> Path:
    return facts if facts is not None else _usage("--check needs --facts")


def _usage(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(Exit.BAD_USAGE)


# Comparing with what was worked out by hand


def _check(question: _Question, path: Path) -> Exit:
    """Compare the decision with `expected` (and `also`) in a facts file; print differences."""
    read = read_facts_file(question.protocol, path)
    if isinstance(read, Problems):
        _tell(read, question.as_json)
        return Exit.INPUT_REFUSED
    if not read.expected:
        _usage(f"{path.name} has no `expected`")
    differences = [text for block in read.expected for text in _differences(question, read, block)]
    if question.as_json:
        json_line({"facts": read.name, "differences": differences})
    else:
        for text in differences or ["as expected"]:
            typer.echo(f"{read.name}: {text}")
    return Exit.DIFFERENT if differences else Exit.DONE


def _differences(question: _Question, case: Facts, block: Mapping[str, Any]) -> list[str]:
    protocol = question.protocol
    gate = Gate(block["gate"]) if "gate" in block else question.gates[0]
    at = str(block["at"]) if "at" in block else question.at
    record = _record(protocol, case, question.as_of)
    decision = decide(protocol, record, gate, _moment(protocol, at))
    found = {
        "decision": decision.code,
        "rules": sorted(decision.blocking_rules),
        "earliest": decision.earliest,
    }
    wanted = {
        "decision": block.get("decision", decision.code),
        "rules": sorted(block.get("rules", decision.blocking_rules)),
        "earliest": _earliest(protocol, block) if "earliest" in block else decision.earliest,
    }
    return [
        f"{gate.value} at {at}: {key} is {found[key]}, expected {wanted[key]}"
        for key in found
        if found[key] != wanted[key]
    ]


def _earliest(protocol: Protocol, block: Mapping[str, Any]) -> date | datetime | None:
    given = block["earliest"]
    return None if given is None else read_when(protocol, given)
