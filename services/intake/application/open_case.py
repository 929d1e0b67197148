"""One case for one patient, however often and from wherever the patient is referred."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.intake.application.identity_ports import IdentityQuestion
from services.intake.application.ports import IntakeRows
from services.intake.application.record_ports import CaseSummary, PatientIdentity
from services.intake.domain.identity import birth_dates_like, contradicts, same_names
from shared.contracts.case_code import case_code
from shared.contracts.coordination import CaseOpened
from shared.messaging.unit_of_work import Work
from shared.protocol import Protocol


class IdentityConflictError(Exception):
    """The identifiers belong to several cases, or to somebody else: a person must look at it."""

    def __init__(self, case_ids: frozenset[UUID]) -> None:
        super().__init__("the identifiers are not of one patient")
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


async def check_birth_date(work: Work[IntakeRows], case_id: UUID, referral: Referral) -> None:
    """Returns when the case may be this patient's.

    A number that a hospital gave to somebody else finds a case with another birth date: raises
    `IdentityConflictError`.
    """
    known = await work.rows.record.identity_of(case_id)
    if known is not None and contradicts(known.birth_date, referral.identity.birth_date):
        raise IdentityConflictError(frozenset({case_id}))


async def _ask_about_resembling(
    work: Work[IntakeRows], case_id: UUID, identity: PatientIdentity
) -> None:
    """Another case of the same name and birth date is a question for a person, never a merge."""
    if identity.birth_date is None:
        return
    born = await work.rows.identity.born_on(birth_dates_like(identity.birth_date), case_id)
    for other in born:
        if not same_names(identity.family_name, other.family_name):
            continue
        if not same_names(identity.given_names, other.given_names):
            continue
        now = work.world.clock.now()
        question = IdentityQuestion(work.world.ids.new(), case_id, other.case_id, now, None)
        await work.rows.identity.ask(question)
        work.note("possible-duplicate", case_id, other_case=str(other.case_id))


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
    await _ask_about_resembling(work, case_id, referral.identity)
    work.emit(CaseOpened(case_id=case_id, protocol_version=protocol.version))
    work.note("case-opened", case_id)
    return case_id
