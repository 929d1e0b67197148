"""A bundle's facts join a case, in chunks, so that holds and permits never wait long.

Repeating an import changes nothing; one cut off by a crash is finished by sending it again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.intake.application.open_case import (
    Referral,
    ReferredTwiceError,
    check_birth_date,
    find_case,
    open_case,
)
from services.intake.application.ports import IntakeRows
from services.intake.application.record_facts import record_facts
from shared.messaging.unit_of_work import Cause, UnitOfWork, Work
from shared.protocol import Fact, Protocol

#: the case row is free again after each chunk (messaging: imports commit in chunks of at most 200)
CHUNK_SIZE_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import changed."""

    case_id: UUID
    opened: bool
    recorded: int
    unchanged: int


async def import_bundle(
    uow: UnitOfWork[IntakeRows],
    protocol: Protocol,
    cause: Cause,
    referral: Referral,
    facts: Sequence[Fact],
) -> Imported:
    """The case and how many facts were new. Opens the case when the patient has none.

    Raises `IdentityConflictError`.
    """
    case_id, opened = await _case_for(uow, protocol, cause, referral)
    recorded = unchanged = 0
    chunks = list(_chunks(facts)) or [()]
    for number, chunk in enumerate(chunks, start=1):
        async with uow.begin(cause, bulk=True) as work:
            done = await record_facts(
                work,
                protocol,
                case_id,
                chunk,
                origin="imported",
                is_last_chunk=number == len(chunks),
            )
        recorded += len(done.recorded)
        unchanged += len(done.unchanged)
    return Imported(case_id, opened, recorded, unchanged)


def _chunks(facts: Sequence[Fact]) -> Iterator[Sequence[Fact]]:
    for start in range(0, len(facts), CHUNK_SIZE_MAX):
        yield facts[start : start + CHUNK_SIZE_MAX]


async def _case_for(
    uow: UnitOfWork[IntakeRows], protocol: Protocol, cause: Cause, referral: Referral
) -> tuple[UUID, bool]:
    try:
        async with uow.begin(cause) as work:
            return await _found_or_opened(work, protocol, referral)
    except ReferredTwiceError:
        async with uow.begin(cause) as work:
            winner = await find_case(work, referral.identifiers)
        if winner is None:
            raise
        return winner, False


async def refer(
    work: Work[IntakeRows], protocol: Protocol, referral: Referral
) -> tuple[UUID, bool]:
    """The patient's case, and whether it was opened here, with its first timelines.

    Raises `IdentityConflictError`; `ReferredTwiceError` when another referral of the patient was
    faster: in a new transaction its case is found.
    """
    case_id, opened = await _found_or_opened(work, protocol, referral)
    await record_facts(work, protocol, case_id, (), origin="imported")
    return case_id, opened


async def _found_or_opened(
    work: Work[IntakeRows], protocol: Protocol, referral: Referral
) -> tuple[UUID, bool]:
    found = await find_case(work, referral.identifiers)
    if found is not None:
        await check_birth_date(work, found, referral)
        return found, False
    return await open_case(work, protocol, referral), True
