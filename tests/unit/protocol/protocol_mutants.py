"""Changes each number of the rulebook in turn and asks the worked cases whether they notice.

A number is a leaf of `coordination.yaml`, or one inside a text that is read as numbers (unit
factors, stop triggers); commentary and sources are left out. It is moved by the smallest sensible
step up and down. A mutant is caught when the loader refuses it, or a worked answer changes.
Run this file to see the report.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from importlib import resources
from typing import Any

import yaml
from protocol_asking import PROTOCOL
from worked_cases import Question, first_difference, golden, own
from worked_plans import plan_difference

from shared.protocol.lined import Row
from shared.protocol.loader import RulebookError, protocol_of

BOOK = resources.files("shared.protocol.rulebooks").joinpath("coordination.yaml")
_COMMENTARY = {"src", "references", "semantics", "meta", "title", "note", "as", "spec", "text"}
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_CASES_OF = {"units": "unit", "plausible": "plausible", "steroids": "steroid"}
_LARGE = 1000
DECIDING = frozenset({"washouts", "labs", "evidence", "units", "plausible", "steroids", "release"})
"""Sections that the decisions read: there the plans are asked last."""
Path = tuple[str | int, ...]

IDLE: dict[str, str] = {
    "washouts.11.": "WO-MABTGT informs on the day of the dose, which 0 and 1 free days both are",
    "washouts.12.": "WO-HORMONE informs on the day of the dose, which 0 and 1 free days both are",
    "clearance.2.max_age_min": "CLR-003: a permit lives seconds, which a test compares",
    "collection.methods": "volumes for people; no service measures the draw",
    "manufacturing.process": "the culture's steps are text for planning",
    "release.15.target": "REL-EXP-T: the target is text; the limit of 60 min decides",
    "infusion.rate.target_duration_min": "a target for people; the least duration decides",
    "infusion.rate.first_15min_fraction": "set at the pump by people",
    "monitoring.schedule": "shown to nurses; no step waits for a reading (triggers judge each)",
    "reactions.fever_ctcae5": "definitions for the person who grades; the grade is entered",
    "response.irecist": "definitions for the person who reads the images",
    "units.enzyme.factors": "value and upper limit of normal share the unit: the factor cancels",
}
"""Numbers by which nothing decides, each with the reason. Their rows stay for their readers."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number of the rulebook: where it stands, and which of its text it is (texts only)."""

    path: Path
    value: int | float | str
    at: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """The path as people read it, rules by their id."""
        place = ".".join(str(part) for part in self.path)
        return place if self.at is None else f"{place}@{self.at[0]}"

    def changed(self) -> tuple[int | float | str, ...]:
        """The value one step below and above."""
        if self.at is not None:
            text, (a, b) = str(self.value), self.at
            return tuple(f"{text[:a]}{new}{text[b:]}" for new in _steps(Decimal(text[a:b])))
        if isinstance(self.value, str):
            return tuple(str(Fraction(self.value) * Fraction(n, 100)) for n in (99, 101))
        if self.path[0] == "units" and "factors" in self.path:
            return tuple(str(Fraction(str(self.value)) * Fraction(n, 100)) for n in (99, 101))
        kind = type(self.value)
        return tuple(kind(new) for new in _steps(Decimal(str(self.value))))


def _steps(value: Decimal) -> tuple[Decimal, Decimal]:
    step = value / 100 if abs(value) >= _LARGE else Decimal(1).scaleb(_exponent(value))
    return value - step, value + step


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    assert isinstance(exponent, int)
    return min(exponent, 0)


def book() -> dict[str, Any]:
    """The rulebook as plain data, to be changed."""
    found: dict[str, Any] = yaml.safe_load(BOOK.read_text("utf-8"))
    return found


def numbers(tree: object, path: Path = ()) -> Iterator[Number]:
    """Yield every number of the rulebook."""
    match tree:
        case dict():
            for key, value in tree.items():
                if key not in _COMMENTARY and not str(key).endswith("_src"):
                    yield from numbers(value, (*path, key))
        case list():
            for i, value in enumerate(tree):
                yield from numbers(value, (*path, i))
        case bool():
            return
        case int() | float():
            yield Number(path, tree)
        case str():
            yield from _in_text(tree, path)
        case _:
            return


def _in_text(text: str, path: Path) -> Iterator[Number]:
    if path[0] == "units":
        if "factors" in path:
            yield Number(path, text)
    elif "stop_triggers" in path and "any" in path:
        for found in _NUMBER.finditer(text):
            yield Number(path, text, found.span())


def rule_of(tree: Any, number: Number) -> str | None:
    """Return the id of the row in which a number stands."""
    name: str | None = None
    for part in number.path:
        tree = tree[part]
        if isinstance(tree, dict) and isinstance(tree.get("id"), str):
            name = tree["id"]
    return name


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change of one number, and what came of it. `caught` None: nobody noticed."""

    number: Number
    rule: str | None
    became: int | float | str
    caught: str | None


class Examiner:
    """The worked questions, those about a number first: most mutants fall to one of the first."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._questions = questions
        self._by_rule: dict[str, list[Question]] = {}
        self._by_case: dict[str, list[Question]] = {}
        for question in questions:
            for rule in question.fires | question.near:
                self._by_rule.setdefault(rule, []).append(question)
            kind = question.case.split("-")[0]
            self._by_case.setdefault(kind, []).append(question)

    def about(self, number: Number, rule: str | None) -> Iterator[Question]:
        """Yield every question, those likely to notice first."""
        yield from self._by_rule.get(rule or "", ())
        words = " ".join(str(part) for part in number.path).replace("_", "-")
        section = _CASES_OF.get(str(number.path[0]), str(number.path[0]))
        near = self._by_case.get(section, ())
        yield from (q for q in near if q.case.partition("-")[2] in words)
        yield from near
        yield from self._questions


def run(
    questions: Sequence[Question], only: Callable[[Number], bool] = lambda _: True
) -> Iterator[Mutant]:
    """Yield the outcome of every mutant of the numbers asked for."""
    tree, examiner = book(), Examiner(questions)
    for number in [n for n in numbers(tree) if only(n)]:
        rule = rule_of(tree, number)
        for became in number.changed():
            order = examiner.about(number, rule)
            yield Mutant(number, rule, became, _caught(tree, number, became, order))


def _caught(
    tree: dict[str, Any], number: Number, became: object, questions: Iterable[Question]
) -> str | None:
    holder: Any = tree
    for part in number.path[:-1]:
        holder = holder[part]
    key = number.path[-1]
    before, holder[key] = holder[key], became
    try:
        protocol = protocol_of(Row(tree, "mutant"), PROTOCOL.codes, PROTOCOL.sentences)
    except RulebookError as refused:
        return f"refused: {refused}"
    finally:
        holder[key] = before
    if number.path[0] not in DECIDING and (planned := plan_difference(protocol)) is not None:
        return planned
    return first_difference(protocol, questions) or plan_difference(protocol)


def idle(number: Number) -> bool:
    """True for a number that nothing decides by, or that cancels out (see `IDLE`)."""
    place = ".".join(str(part) for part in number.path)
    return any(place.startswith(prefix) for prefix in IDLE)


def main() -> None:
    """Print how many mutants are caught, and every one that is not."""
    outcomes = list(run([*own(), *golden()], lambda number: not idle(number)))
    lost = [m for m in outcomes if m.caught is None]
    quiet = sum(1 for number in numbers(book()) if idle(number))
    refused = sum(1 for m in outcomes if (m.caught or "").startswith("refused"))
    said = [f"survives: {m.number.name}: {m.number.value} -> {m.became}" for m in lost]
    said.append(
        f"{len({m.number.name for m in outcomes})} numbers, {len(outcomes)} mutants, "
        f"{len(outcomes) - len(lost)} caught ({refused} refused by the loader), "
        f"{len(lost)} survive; {quiet} numbers decide nothing"
    )
    print("\n".join(said))  # noqa: T201


if __name__ == "__main__":
    main()
