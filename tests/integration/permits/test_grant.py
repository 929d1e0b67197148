"""What the authority grants, and every reason for which it refuses."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from permit_world import NOON, Site, a_cause, an_order

from services.intake.application.place_hold import place_hold
from services.intake.application.release_hold import release_hold
from services.intake.domain.permits import DecisionSeen, FindingSeen
from shared.contracts.vocabulary import Gate, HoldKind, Role, Service, Verdict
from shared.permits.ask import NoAnswer, PermitHeld, Press, Refusal, ask

pytestmark = pytest.mark.integration

GO_UNTIL_SOON = DecisionSeen(Verdict.GO, (), NOON + timedelta(seconds=7), "1.0.0")


async def ask_for(site: Site, press: Press) -> PermitHeld | Refusal | NoAnswer:
    holder = site.holders[Service.MANUFACTURING]
    if press.gate is Gate.INFUSION:
        holder = site.holders[Service.INFUSION_SCHEDULING]
    return await ask(holder, press)


async def refused(site: Site, press: Press) -> Refusal:
    answer = await ask_for(site, press)
    assert isinstance(answer, Refusal), answer
    return answer


def codes(refusal: Refusal) -> list[str]:
    return [reason["code"] for reason in refusal.reasons]


async def test_a_permit_carries_the_view_and_ten_seconds(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)

    answer = await ask_for(site, press)

    assert isinstance(answer, PermitHeld)
    assert answer.view == press.seen
    assert answer.lease.ttl_ms == 10_000
    row = await site.permit_row(press.permit_id)
    assert row["state"] == "GRANTED"
    assert (row["place"], row["second_checker"]) == ("bay 3", "nurse-2")
    assert "permit-granted" in await site.event_names(Service.INTAKE, case_id)


async def test_the_same_permit_is_never_asked_twice(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)
    await ask_for(site, press)

    again = await refused(site, press)

    assert (again.status, again.code) == (409, "permit-asked")


async def test_the_same_permit_asked_twice_at_once_is_granted_once(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)

    answers = await asyncio.gather(*(ask_for(site, press) for _ in range(4)))

    assert sum(isinstance(a, PermitHeld) for a in answers) == 1
    assert {a.code for a in answers if isinstance(a, Refusal)} == {"permit-asked"}


async def test_an_open_hold_refuses(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id, gates={Gate.INFUSION})
    await place_hold(site.authority, order, a_cause())

    answer = await refused(site, await site.a_press(case_id))

    assert (answer.status, answer.code) == (409, "hold-open")
    assert answer.reasons[0]["hold_id"] == str(order.hold_id)


async def test_a_hold_on_another_gate_or_dose_does_not_refuse(site: Site) -> None:
    case_id = await site.open_case()
    await place_hold(site.authority, an_order(case_id, gates={Gate.COLLECTION}), a_cause())
    other_dose = an_order(case_id, kind=HoldKind.RECALL, dose_ids=frozenset({uuid4()}))
    await place_hold(site.authority, other_dose, a_cause())

    answer = await ask_for(site, await site.a_press(case_id))

    assert isinstance(answer, PermitHeld)


async def test_a_released_hold_does_not_refuse(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())
    await release_hold(
        site.authority,
        order.hold_id,
        roles=frozenset({Role.ONCOLOGIST}),
        reason="ok",
        cause=a_cause("oncologist-2"),
    )

    assert isinstance(await ask_for(site, await site.a_press(case_id)), PermitHeld)


async def test_a_view_from_before_the_hold_is_stale(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())

    answer = await refused(site, press)

    assert (answer.status, answer.code) == (412, "stale-view")
    assert answer.view == await site.seen(case_id)
    assert codes(answer) == ["stale-view", "hold-open"]
    assert answer.reasons[0]["holds_since"] == [str(order.hold_id)]


async def test_a_verdict_other_than_go_refuses_with_its_findings(site: Site) -> None:
    case_id = await site.open_case()
    finding = FindingSeen("LAB-PLT", "hold", "platelets below the limit")
    site.record.verdicts[Gate.INFUSION] = DecisionSeen(Verdict.HOLD, (finding,), None, "1.0.0")

    answer = await refused(site, await site.a_press(case_id))

    assert answer.code == "decision"
    assert answer.reasons[0]["findings"] == [
        {"rule": "LAB-PLT", "effect": "hold", "message": "platelets below the limit"}
    ]
    denied = (await site.events(Service.INTAKE, case_id))[-1]
    assert denied.data.rules == ("LAB-PLT",)


@pytest.mark.parametrize("verdict", [Verdict.REVIEW, Verdict.HOLD, Verdict.CONTRAINDICATED])
async def test_only_go_goes(site: Site, verdict: Verdict) -> None:
    case_id = await site.open_case()
    site.record.verdicts[Gate.COLLECTION] = DecisionSeen(verdict, (), None, "1.0.0")

    answer = await refused(site, await site.a_press(case_id, gate=Gate.COLLECTION))

    assert answer.code == "decision"


async def test_a_bad_product_refuses(site: Site) -> None:
    case_id = await site.open_case()
    site.record.faults = ("expired", "not-certified")

    answer = await refused(site, await site.a_press(case_id, gate=Gate.DOSE_ISSUE, dose_id=uuid4()))

    assert answer.code == "product"
    assert [r["fault"] for r in answer.reasons] == ["expired", "not-certified"]


async def test_an_infusion_of_a_dose_that_was_not_handed_out_is_refused(site: Site) -> None:
    case_id, other = await site.open_case(), await site.open_case()
    of_another_case = await site.issued_dose(other)

    for dose_id in (uuid4(), of_another_case):
        answer = await refused(site, await site.a_press(case_id, dose_id=dose_id))
        assert answer.code == "product"
        assert answer.reasons[0]["fault"] == "not-issued"


async def test_another_permit_out_at_the_gate_refuses(site: Site) -> None:
    case_id = await site.open_case()
    await ask_for(site, await site.a_press(case_id))

    answer = await refused(site, await site.a_press(case_id))

    assert answer.code == "permit-out"


@pytest.mark.parametrize("silent", list(Service)[1:3])
async def test_a_holder_whose_word_is_not_applied_refuses(site: Site, silent: Service) -> None:
    case_id = await site.open_case()
    site.record.behind = {silent}

    answer = await refused(site, await site.a_press(case_id))

    assert answer.code == "unknown-source"
    assert answer.reasons[0]["services"] == [silent.value]


async def test_a_permit_lives_no_longer_than_the_decision(site: Site) -> None:
    case_id = await site.open_case()
    site.record.verdicts[Gate.INFUSION] = GO_UNTIL_SOON

    answer = await ask_for(site, await site.a_press(case_id))

    assert isinstance(answer, PermitHeld)
    assert answer.lease.ttl_ms == 7_000


async def test_a_window_below_five_seconds_refuses(site: Site) -> None:
    case_id = await site.open_case()
    site.record.usable_until = NOON + timedelta(milliseconds=4_999)

    answer = await refused(site, await site.a_press(case_id))

    assert answer.code == "window-too-short"
    assert answer.reasons[0]["window_ms"] == 4_999


async def test_a_refusal_lists_all_reasons(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id, dose_id=uuid4())
    await place_hold(site.authority, an_order(case_id), a_cause())
    finding = FindingSeen("LAB-PLT", "hold", "platelets below the limit")
    site.record.verdicts[Gate.INFUSION] = DecisionSeen(
        Verdict.HOLD, (finding,), NOON + timedelta(seconds=1), "1.0.0"
    )
    site.record.behind = {Service.MANUFACTURING}
    site.record.faults = ("recalled",)

    answer = await refused(site, press)

    assert codes(answer) == [
        "stale-view",
        "hold-open",
        "decision",
        "product",
        "product",
        "unknown-source",
        "window-too-short",
    ]


async def test_a_refusal_ends_the_permit_and_is_an_event(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id)
    site.record.behind = {Service.MANUFACTURING}
    await refused(site, press)
    site.record.behind = set()

    again = await refused(site, press)

    assert again.code == "permit-asked"
    row = await site.permit_row(press.permit_id)
    assert row["state"] == "DENIED"
    assert [reason["code"] for reason in row["refusal"]] == ["unknown-source"]
    assert "permit-denied" in await site.event_names(Service.INTAKE, case_id)


async def test_two_grants_for_one_dose_at_once_are_one(site: Site) -> None:
    case_id = await site.open_case()
    dose_id = await site.issued_dose(case_id)
    presses = [await site.a_press(case_id, dose_id=dose_id) for _ in range(4)]

    answers = await asyncio.gather(*(ask_for(site, press) for press in presses))

    assert sum(isinstance(a, PermitHeld) for a in answers) == 1
    assert {a.code for a in answers if isinstance(a, Refusal)} == {"permit-out"}


async def test_one_subject_in_two_cases_gets_one_permit(site: Site) -> None:
    """The cases' locks do not exclude each other here; the unique index does."""
    subject_id = uuid4()
    presses = []
    for _ in range(2):
        case_id = await site.open_case()
        presses.append(await site.a_press(case_id, gate=Gate.COLLECTION, subject_id=subject_id))

    answers = await asyncio.gather(*(ask_for(site, press) for press in presses))

    assert sum(isinstance(a, PermitHeld) for a in answers) == 1
    (other,) = [a for a in answers if isinstance(a, Refusal)]
    assert other.code == "permit-out"


async def test_the_second_checker_is_another_person(site: Site) -> None:
    case_id = await site.open_case()

    answer = await refused(site, await site.a_press(case_id, second_checker="nurse-1"))

    assert (answer.status, answer.code) == (422, "malformed-request")


async def test_an_infusion_without_band_and_second_person_is_malformed(site: Site) -> None:
    case_id = await site.open_case()

    answer = await refused(
        site, await site.a_press(case_id, second_checker=None, band_scanned=None)
    )

    assert answer.status == 422


async def test_a_holder_asks_at_its_own_gates_only(site: Site) -> None:
    case_id = await site.open_case()
    press = await site.a_press(case_id, gate=Gate.COLLECTION)

    answer = await ask(site.holders[Service.INFUSION_SCHEDULING], press)

    assert isinstance(answer, Refusal)
    assert (answer.status, answer.code) == (403, "not-your-gate")


async def test_an_unknown_case_is_not_found(site: Site) -> None:
    case_id = await site.open_case()
    press = replace(await site.a_press(case_id), case_id=uuid4())

    assert (await refused(site, press)).status == 404


async def test_persons_may_not_ask_for_permits(site: Site) -> None:
    answer = await site.client.put(
        f"/cases/{uuid4()}/permits/{uuid4()}",
        headers={"x-asker": "director-1:medical_director"},
        json={},
    )

    assert answer.status_code == 403


async def test_a_hold_and_a_grant_at_once_never_leave_a_permit_under_an_effective_hold(
    site: Site,
) -> None:
    async def one_race() -> None:
        case_id = await site.open_case()
        press, order = await site.a_press(case_id), an_order(case_id)
        answer, held = await asyncio.gather(
            ask_for(site, press), place_hold(site.authority, order, a_cause())
        )
        granted = isinstance(answer, PermitHeld)
        outcomes.add((granted, held.hold.state.value))
        # granted before: the hold waits for it; refused: the hold was first
        assert granted == (held.hold.state == "RECORDED"), (answer, held)

    outcomes: set[tuple[bool, str]] = set()
    for _ in range(12):
        await asyncio.gather(*(one_race() for _ in range(3)))
    assert len(outcomes) >= 1
