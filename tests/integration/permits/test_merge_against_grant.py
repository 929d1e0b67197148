"""I1 while records are merged: a start that was granted is waited for, one after it is refused."""

import asyncio
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from permit_world import NOON, Site, a_cause

from services.intake.adapters.rows import intake_rows
from services.intake.application.authority_ports import Authority
from services.intake.application.merge_identity import merge_identity
from services.intake.application.place_hold import insisting
from services.intake.application.ports import IntakeRows
from services.intake.domain.identity import ChangeKind, IdentityChange, RecordedChange
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import UnitOfWork
from shared.permits.ask import PermitHeld, Refusal, ask

pytestmark = pytest.mark.integration
MRN = "urn:example:mrn"
ROUNDS = 12


async def a_patient(site: Site) -> tuple[UUID, str]:
    """A case and its record number."""
    case_id, number = await site.open_case(), uuid4().hex
    await site.query(
        Service.INTAKE,
        "INSERT INTO patient_case (case_id, status, alias, opened_at)"
        " VALUES ($1, 'open', $2, $3) RETURNING 1",
        case_id, number, NOON,
    )  # fmt: skip
    await site.query(
        Service.INTAKE,
        "INSERT INTO identifier (system, value, case_id) VALUES ($1, $2, $3) RETURNING 1",
        MRN, number, case_id,
    )  # fmt: skip
    return case_id, number


def with_identity(site: Site) -> Authority[IntakeRows]:
    """The site's authority over intake's whole repository."""
    uow: UnitOfWork[IntakeRows] = UnitOfWork(
        database=site.authority.unit_of_work.database,
        repository=intake_rows,
        source=Service.INTAKE,
        world=site.authority.world,
    )
    return replace(site.authority, unit_of_work=uow)  # type: ignore[arg-type,return-value]


async def merged(site: Site, surviving: str, retired: str) -> RecordedChange:
    told = IdentityChange(ChangeKind.MERGE, [(MRN, surviving)], [(MRN, retired)], "adt", NOON)
    change = await insisting(with_identity(site), a_cause(), lambda w: merge_identity(w, told))
    assert change is not None
    return change


async def test_a_press_during_a_pending_merge_is_refused_on_either_case(site: Site) -> None:
    one, other = await a_patient(site), await a_patient(site)
    await merged(site, one[1], other[1])

    for case_id, _ in (one, other):
        answer = await ask(site.holders[Service.INFUSION_SCHEDULING], await site.a_press(case_id))

        assert isinstance(answer, Refusal)
        assert answer.code == "hold-open"


async def test_a_press_at_the_moment_of_a_merge_never_passes_an_effective_hold(site: Site) -> None:
    granted = refused = 0
    for _ in range(ROUNDS):
        one, other = await a_patient(site), await a_patient(site)
        presses = [await site.a_press(case_id) for case_id, _ in (one, other)]
        holder = site.holders[Service.INFUSION_SCHEDULING]

        *answers, _ = await asyncio.gather(
            *(ask(holder, press) for press in presses), merged(site, one[1], other[1])
        )

        for press, answer in zip(presses, answers, strict=True):
            holds = await site.query(
                Service.INTAKE, "SELECT state FROM hold WHERE case_id = $1", press.case_id
            )
            states = [row["state"] for row in holds]
            if isinstance(answer, PermitHeld):
                granted += 1
                assert states == ["RECORDED"], "the hold waits for the permit before it"
            else:
                refused += 1
                assert states == ["EFFECTIVE"]
    assert granted + refused == 2 * ROUNDS


async def test_opposite_merges_at_once_end_and_hold_both(site: Site) -> None:
    one, other = await a_patient(site), await a_patient(site)

    changes = await asyncio.gather(
        *(merged(site, *numbers) for _ in range(4)
          for numbers in ((one[1], other[1]), (other[1], one[1])))
    )  # fmt: skip

    assert len({change.change_id for change in changes}) == 2
    for case_id, _ in (one, other):
        holds = await site.query(
            Service.INTAKE, "SELECT 1 FROM hold WHERE case_id = $1 AND kind = 'identity'", case_id
        )
        assert len(holds) == 2
