"""One case for one patient, however often and from wherever the patient is referred."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.intake.application.ports import IntakeRows
from services.intake.application.record_ports import CaseSummary, PatientIdentity
from shared.contracts.case_code import case_code
from shared.contracts.coordination import CaseOpened
from shared.messaging.unit_of_work import Work
from shared.protocol import Protocol


class IdentityConflictError(Exception):
    """The referral's identifiers belong to several cases: a person must look at it."""

    def __init__(self, case_ids: frozenset[UUID]) -> None:
        super().__init__("the identifiers belong to several cases")
        self.case_ids = case_ids


class ReferredTwiceError(Exception):
    """Another referral of this patient committed first: look the case up again."""


@dataclass(frozen=True, slots=True)
class Referral:
    """Who is referred. `identifiers` are (system, value), at least one."""

    identifiers: Sequence[tuple[str, str]]
    identity: PatientIdentity
    site: str | None = None


async def find_case(work: Work[IntakeRows], identifiers: Sequence[tuple[str, str]]) -> UUID | None:
    """The case that has these identifiers, or None. Raises `IdentityConflictError`."""
    found = {await work.rows.record.case_by_identifier(s, v) for s, v in sorted(identifiers)}
    cases = frozenset(case_id for case_id in found if case_id is not None)
    if len(cases) > 1:
        raise IdentityConflictError(cases)
    return next(iter(cases), None)


async def open_case(work: Work[IntakeRows], protocol: Protocol, referral: Referral) -> UUID:
    """The id of the new case. Raises `ReferredTwiceError` when an identifier was just taken."""
    case_id = work.world.ids.new()
    case = CaseSummary(
        case_id=case_id,
        site=referral.site,
        status="open",
        alias=case_code(case_id),
        opened_at=work.world.clock.now(),
    )
    await work.rows.record.insert_case(case)
    await work.rows.authority.insert_clearance(case_id)
    await work.rows.record.insert_identity(case_id, referral.identity)
    for system, value in sorted(set(referral.identifiers)):
        if not await work.rows.record.claim_identifier(system, value, case_id):
            raise ReferredTwiceError
    work.emit(CaseOpened(case_id=case_id, protocol_version=protocol.version))
    work.note("case-opened", case_id)
    return case_id
