"""From answers per entry to statements and a report line per entry.

Invariant: every entry gets one line, in the bundle's order; statements come in an order that the
bundle's order has no part in.
"""

from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from services.intake.adapters.fhir.access import Rejected
from services.intake.adapters.fhir.context import Ignored, Result, Stated, Supports
from services.intake.adapters.fhir.copies import Copies
from services.intake.adapters.fhir.entries import Entry, NotAResource
from services.intake.adapters.fhir.reading import Outcome, Reason, ReportLine, Statement
from services.intake.adapters.fhir.statements import statement

Answers = Mapping[int, Result | Rejected]


def conclude(
    listed: Sequence[Entry | NotAResource], answers: Answers, copies: Copies
) -> tuple[tuple[Statement, ...], tuple[ReportLine, ...]]:
    """Return the statements in canonical order and the report in the bundle's order."""
    stated = _statements([e for e in listed if isinstance(e, Entry)], answers, copies)
    current = _supersede(stated)
    ids = _ids(current, answers)
    report = tuple(
        _line(entry, answers.get(entry.index), copies, ids, bool(stated.get(entry.index)))
        for entry in listed
    )
    flat = [one for group in current.values() for one in group]
    return tuple(sorted(flat, key=_order)), report


def _ids(
    current: Mapping[int, list[dict[str, Any]]], answers: Answers
) -> dict[int, tuple[str, ...]]:
    """Return by entry the ids of the statements that rest on it, its own or through others."""
    found = {index: tuple(one["id"] for one in group) for index, group in current.items()}
    for _ in range(2):  # a Medication supports an order, which supports its administrations
        for index, answer in answers.items():
            if isinstance(answer, Supports):
                through = (one for other in answer.of for one in found.get(other.index, ()))
                found[index] = tuple(dict.fromkeys(through))
    return found


def _statements(
    entries: Sequence[Entry], answers: Answers, copies: Copies
) -> dict[int, list[dict[str, Any]]]:
    found: dict[int, list[dict[str, Any]]] = {}
    for entry in entries:
        answer = answers.get(entry.index)
        if isinstance(answer, Stated):
            mark = copies.marks.get(entry.index, "")
            found[entry.index] = [statement(entry, draft, copy=mark) for draft in answer.drafts]
    return found


def _supersede(stated: Mapping[int, list[dict[str, Any]]]) -> dict[int, list[dict[str, Any]]]:
    """Drop statements of which another entry gives a newer version under the same id."""
    best: dict[str, tuple[tuple[int, str], int]] = {}
    for index, group in stated.items():
        for one in group:
            rank = (one["version"], str(one))
            if one["id"] not in best or rank > best[one["id"]][0]:
                best[one["id"]] = (rank, index)
    return {
        index: [one for one in group if best[one["id"]][1] == index]
        for index, group in stated.items()
    }


def _order(one: Statement) -> tuple[str, str]:
    return str(one.get("effective") or ""), str(one["id"])


def _line(
    entry: Entry | NotAResource,
    answer: Result | Rejected | None,
    copies: Copies,
    ids: Mapping[int, tuple[str, ...]],
    had_statements: bool,
) -> ReportLine:
    pointer = f"/entry/{entry.index}/resource"
    if isinstance(entry, NotAResource):
        said = entry.message
        return _as_line(entry.index, "", Outcome.REJECTED, Reason.NOT_A_RESOURCE, said, pointer)
    answer = copies.ignored.get(entry.index, answer)
    own = ids.get(entry.index, ())
    if had_statements and not own:
        answer = Ignored(Reason.OLDER_VERSION, "a newer version of the same thing is in the bundle")
    at = (entry.index, entry.reference)
    match answer:
        case Stated():
            return ReportLine(
                *at, Outcome.USED, Reason.STATED, answer.message, pointer, own, answer.warnings
            )
        case Supports():
            return ReportLine(*at, Outcome.USED, answer.reason, answer.message, pointer, own)
        case Ignored():
            return _as_line(*at, Outcome.IGNORED, answer.reason, answer.message, pointer)
        case Rejected():
            where = pointer + answer.pointer
            return _as_line(*at, Outcome.REJECTED, answer.reason, answer.message, where)
        case None:
            raise AssertionError(f"entry {entry.index} was not answered")
        case _:
            assert_never(answer)


def _as_line(
    index: int, resource: str, outcome: Outcome, reason: Reason, message: str, pointer: str
) -> ReportLine:
    return ReportLine(index, resource, outcome, reason, message, pointer)
