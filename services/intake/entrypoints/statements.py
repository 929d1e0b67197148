"""Statements as they come over HTTP, read into facts; whatever is wrong is told with its place."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Any, Final

from services.intake.entrypoints.parts import IntakeParts
from shared.protocol import Fact, parse_statement
from shared.web.problems import FieldError

#: clocks of two machines differ; nothing else lets a fact be later than now
TOLERANCE: Final = timedelta(minutes=1)


def facts_of(
    parts: IntakeParts, statements: Sequence[Mapping[str, Any]], *, hypothetical: bool = False
) -> tuple[list[Fact], list[FieldError]]:
    """The facts, in order, and what is wrong with the statements that make none.

    What is planned has days of its own; the effective time of a fact is never in the future, unless
    it is hypothetical.
    """
    facts: list[Fact] = []
    errors: list[FieldError] = []
    now, zone = parts.world.clock.now(), parts.protocol.zone
    for index, statement in enumerate(statements):
        read = parse_statement(statement, zone=zone, where=f"/facts/{index}")
        if isinstance(read, tuple):
            errors += [FieldError(pointer=p.where, code="refused", detail=p.message) for p in read]
        elif not hypothetical and is_future(read, now, zone):
            place = f"/facts/{index}/effective"
            errors.append(FieldError(pointer=place, code="future-date", detail="is in the future"))
        else:
            facts.append(read)
    return facts, errors


def is_future(fact: Fact, now: datetime, zone: tzinfo) -> bool:
    """Whether the fact claims to have been true at a time that has not come."""
    when: date | datetime | None = fact.effective
    if when is None:
        return False
    if isinstance(when, datetime):
        return when > now + TOLERANCE
    return when > now.astimezone(zone).date()
