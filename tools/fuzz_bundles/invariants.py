"""What holds of every reading, whatever the input was.

Invariant: this is the whole promise of the reader to its callers, so a breach is a bug in the
reader and never in the input.
"""

import json
from typing import Final
from zoneinfo import ZoneInfo

from services.intake.adapters.fhir import BundleReading, Outcome
from shared.protocol import parse_statement

ZONE: Final = ZoneInfo("Europe/Istanbul")


class BrokenPromiseError(AssertionError):
    """A reading is not what the reader promises."""


def check(reading: BundleReading, entries: int | None = None) -> None:
    """Raise `BrokenPromiseError` unless the reading keeps every promise.

    `entries`: how many entries the input had, where the caller knows.
    """
    if reading.refused:
        _need(not reading.statements and not reading.report, "a refused bundle says something")
        _need(all(p.message for p in reading.problems), "a problem without words")
        return
    _check_report(reading, entries)
    _check_statements(reading)


def _check_report(reading: BundleReading, entries: int | None) -> None:
    lines = reading.report
    expected = list(range(len(lines) if entries is None else entries))
    _need([line.entry for line in lines] == expected, "an entry without its one line")
    for line in lines:
        _need(bool(line.message), f"entry {line.entry} has no words")
        _need(line.pointer.startswith(f"/entry/{line.entry}/resource"), "a line without a place")
        used = line.outcome is Outcome.USED
        _need(used or not line.statements, f"entry {line.entry} is not used but has statements")


def _check_statements(reading: BundleReading) -> None:
    ids = [str(statement["id"]) for statement in reading.statements]
    _need(len(set(ids)) == len(ids), "two statements of one id")
    named = {one for line in reading.report for one in line.statements}
    _need(named == set(ids), "statements and report lines do not name each other")
    json.dumps(reading.statements, allow_nan=False).encode()
    for statement in reading.statements:
        parsed = parse_statement(dict(statement), zone=ZONE)
        _need(not isinstance(parsed, tuple), f"not a statement of the record: {parsed}")


def _need(holds: bool, broken: str) -> None:
    if not holds:
        raise BrokenPromiseError(broken)
