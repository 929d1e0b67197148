"""A hold from the authority to both holders and back."""

import asyncio
from dataclasses import replace
from uuid import uuid4

import pytest
from permit_world import BOTH, Site, a_cause, an_order

from services.intake.application.place_hold import (
    HoldAnswer,
    HoldIdTakenError,
    UnknownCaseError,
    place_hold,
    place_rule_hold,
    place_unprocessed_hold,
)
from services.intake.application.release_hold import (
    ReleaseRefusedError,
    release_hold,
    release_rule_hold,
    release_unprocessed_hold,
)
from shared.contracts.vocabulary import (
    EffectiveBy,
    Gate,
    HoldKind,
    HoldState,
    Role,
    Service,
)
from shared.persistence.database import RetryableError
from shared.protocol import Finding
from shared.protocol.findings import Effect, FindingKind, RuleSource

pytestmark = pytest.mark.integration
DIRECTOR = frozenset({Role.MEDICAL_DIRECTOR})


def a_finding(rule: str = "STER-001", episode: str = "course-1") -> Finding:
    return Finding(
        rule=rule,
        effect=Effect.HOLD,
        kind=FindingKind.CONDITION,
        episode=episode,
        message="prednisone above the limit",
        source=RuleSource("verified", "R02"),
        order=(1, rule),
    )


async def test_a_hold_without_a_permit_out_is_effective_at_once(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id)

    answer = await place_hold(site.authority, order, a_cause("oncologist-1"))

    assert answer.is_new
    assert answer.hold.state is HoldState.EFFECTIVE
    assert answer.hold.effective_by is EffectiveBy.NO_PERMIT
    assert answer.hold.clearance.version == 1
    assert answer.may_start_until is None
    assert await site.event_names(Service.INTAKE, case_id) == ["hold-recorded", "hold-effective"]


async def test_the_same_hold_twice_is_one_hold(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id)

    first = await place_hold(site.authority, order, a_cause())
    again = await place_hold(site.authority, order, a_cause())

    assert (first.is_new, again.is_new) == (True, False)
    assert again.hold == first.hold
    assert await site.event_names(Service.INTAKE, case_id) == ["hold-recorded", "hold-effective"]


async def test_a_repetition_of_a_released_hold_shows_its_present_state(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())
    await release_hold(
        site.authority, order.hold_id, roles=DIRECTOR, reason="seen", cause=a_cause("director-1")
    )

    again = await place_hold(site.authority, order, a_cause())

    assert again.hold.state is HoldState.RELEASED


async def test_a_hold_id_that_names_another_hold_is_told(site: Site) -> None:
    case_id, other = await site.open_case(), await site.open_case()
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())

    with pytest.raises(HoldIdTakenError):
        await place_hold(site.authority, replace(order, case_id=other), a_cause())


async def test_a_hold_on_no_case_is_told(site: Site) -> None:
    with pytest.raises(UnknownCaseError):
        await place_hold(site.authority, an_order(uuid4()), a_cause())


async def test_versions_rise_by_one_with_each_hold_and_release(site: Site) -> None:
    case_id = await site.open_case()
    orders = [an_order(case_id) for _ in range(4)]

    await asyncio.gather(*(place_hold(site.authority, order, a_cause()) for order in orders))
    await release_hold(
        site.authority, orders[0].hold_id, roles=DIRECTOR, reason="ok", cause=a_cause("director-1")
    )

    events = await site.events(Service.INTAKE, case_id)
    versions = [e.data.version for e in events if hasattr(e.data, "version")]
    assert versions == [1, 2, 3, 4, 5]
    assert [e.sequence for e in events] == list(range(1, len(events) + 1))


async def test_every_holder_fences_and_acknowledges(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id, gates={Gate.INFUSION})
    await place_hold(site.authority, order, a_cause())

    for service in BOTH:
        await site.deliver_to_holder(service, case_id)

    for service in BOTH:
        (ack,) = await site.events(service, case_id)
        assert (ack.data.hold_id, ack.data.epoch, ack.data.version) == (order.hold_id, 0, 1)
        assert ack.data.in_flight == "none"
    (fence,) = await site.query(
        Service.INFUSION_SCHEDULING, "SELECT * FROM fence WHERE case_id = $1", case_id
    )
    assert (fence["epoch"], fence["version"]) == (0, 1)


async def test_a_hold_on_others_gates_is_known_but_raises_no_fence(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id, gates={Gate.INFUSION})
    await place_hold(site.authority, order, a_cause())

    await site.deliver_to_holder(Service.MANUFACTURING, case_id)

    (fence,) = await site.query(
        Service.MANUFACTURING, "SELECT * FROM fence WHERE case_id = $1", case_id
    )
    assert fence["version"] == 0
    (replica,) = await site.query(
        Service.MANUFACTURING, "SELECT * FROM hold_replica WHERE case_id = $1", case_id
    )
    assert replica["status"] == "OPEN"


async def test_a_hold_delivered_five_times_is_acknowledged_once(site: Site) -> None:
    case_id = await site.open_case()
    await place_hold(site.authority, an_order(case_id), a_cause())

    for _ in range(5):
        await site.deliver_to_holder(Service.INFUSION_SCHEDULING, case_id)

    names = await site.event_names(Service.INFUSION_SCHEDULING, case_id)
    assert names == ["hold-acknowledged"]


async def test_a_release_that_comes_first_leaves_a_tombstone(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())
    await release_hold(
        site.authority, order.hold_id, roles=DIRECTOR, reason="ok", cause=a_cause("director-1")
    )
    recorded, _, released = await site.events(Service.INTAKE, case_id)

    await site.apply_at_holder(Service.INFUSION_SCHEDULING, released)
    await site.apply_at_holder(Service.INFUSION_SCHEDULING, recorded)

    (replica,) = await site.query(
        Service.INFUSION_SCHEDULING, "SELECT * FROM hold_replica WHERE case_id = $1", case_id
    )
    assert replica["status"] == "RELEASED"


async def test_a_hold_is_recorded_while_an_import_has_the_case_for_a_moment(site: Site) -> None:
    case_id = await site.open_case()
    placing: asyncio.Task[HoldAnswer] | None = None
    async with site.authority.unit_of_work.begin(a_cause()) as work:
        await work.rows.authority.lock_case(case_id)
        placing = asyncio.create_task(place_hold(site.authority, an_order(case_id), a_cause()))
        await site.until_lock_waits(Service.INTAKE, times=2)

    assert (await placing).hold.state is HoldState.EFFECTIVE


async def test_a_hold_that_cannot_be_recorded_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.intake.application.place_hold.TRIES_MAX", 1)
    case_id = await site.open_case()
    async with site.authority.unit_of_work.begin(a_cause()) as work:
        await work.rows.authority.lock_case(case_id)
        with pytest.raises(RetryableError):
            await place_hold(site.authority, an_order(case_id), a_cause())


async def test_a_serious_hold_needs_another_person_to_release_it(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id, kind=HoldKind.IDENTITY, reporter="director-1")
    await place_hold(site.authority, order, a_cause("director-1"))

    with pytest.raises(ReleaseRefusedError) as refused:
        await release_hold(
            site.authority, order.hold_id, roles=DIRECTOR, reason="ok",
            cause=a_cause("director-1"),
        )  # fmt: skip
    released = await release_hold(
        site.authority, order.hold_id, roles=DIRECTOR, reason="ok", cause=a_cause("director-2")
    )

    assert refused.value.refusal.code == "second-person"
    assert released.state is HoldState.RELEASED


async def test_a_hold_of_a_rule_is_not_released_by_hand(site: Site) -> None:
    case_id = await site.open_case()
    async with site.authority.unit_of_work.begin(a_cause()) as work:
        await work.rows.authority.lock_case(case_id)
        hold_id = await place_rule_hold(work, case_id, a_finding(), frozenset({Gate.INFUSION}))
    assert hold_id is not None

    with pytest.raises(ReleaseRefusedError) as refused:
        await release_hold(
            site.authority, hold_id, roles=frozenset(Role), reason="ok", cause=a_cause("x")
        )

    assert refused.value.refusal.code == "released-by-its-cause"


async def test_one_open_hold_per_rule_and_episode(site: Site) -> None:
    case_id = await site.open_case()
    gates = frozenset({Gate.INFUSION})
    async with site.authority.unit_of_work.begin(a_cause()) as work:
        await work.rows.authority.lock_case(case_id)
        first = await place_rule_hold(work, case_id, a_finding(), gates)
        second = await place_rule_hold(work, case_id, a_finding(), gates)
        other = await place_rule_hold(work, case_id, a_finding(episode="course-2"), gates)
        open_gates = await work.rows.authority.open_rule_gates(case_id)

    assert first is not None
    assert second is None
    assert other is not None
    assert open_gates == {("STER-001", "course-1"): gates, ("STER-001", "course-2"): gates}


@pytest.mark.parametrize(
    "gates",
    [
        {Gate.INFUSION, Gate.COLLECTION, Gate.MANUFACTURING_START},
        {Gate.INFUSION},
        {Gate.MANUFACTURING_START},
    ],
)
async def test_a_rule_hold_over_other_gates_is_replaced(site: Site, gates: set[Gate]) -> None:
    case_id = await site.open_case()
    before = frozenset({Gate.INFUSION, Gate.COLLECTION})
    async with site.authority.unit_of_work.begin(a_cause()) as work:
        await work.rows.authority.lock_case(case_id)
        await place_rule_hold(work, case_id, a_finding(), before)
        replaced = await place_rule_hold(work, case_id, a_finding(), frozenset(gates))
        (only,) = await work.rows.authority.open_holds(case_id)

    assert only.hold_id == replaced
    assert only.scope.gates == gates


async def test_a_rule_hold_goes_with_its_finding_and_may_come_again(site: Site) -> None:
    case_id = await site.open_case()
    gates, key = frozenset({Gate.INFUSION}), ("STER-001", "course-1")
    async with site.authority.unit_of_work.begin(a_cause()) as work:
        await work.rows.authority.lock_case(case_id)
        await place_rule_hold(work, case_id, a_finding(), gates)
        gone = await release_rule_hold(work, case_id, key)
        gone_again = await release_rule_hold(work, case_id, key)
        back = await place_rule_hold(work, case_id, a_finding(), gates)

    assert (gone, gone_again) == (True, False)
    assert back is not None


async def test_unprocessed_information_holds_once_per_consumer(site: Site) -> None:
    case_id = await site.open_case()
    async with site.authority.unit_of_work.begin(a_cause()) as work:
        await work.rows.authority.lock_case(case_id)
        for consumer in (Service.INTAKE, Service.INTAKE, Service.NOTIFICATION):
            await place_unprocessed_hold(work, case_id, consumer, uuid4())
        held = await work.rows.authority.open_holds(case_id)
        await release_unprocessed_hold(work, case_id, Service.INTAKE)
        (left,) = await work.rows.authority.open_holds(case_id)

    assert [h.episode for h in held] == ["intake", "notification"]
    assert left.episode == "notification"
    assert left.on_running == "tell"


async def test_an_acknowledgement_counts_for_its_sender_alone(site: Site) -> None:
    case_id = await site.open_case()
    order = an_order(case_id)
    await place_hold(site.authority, order, a_cause())
    await site.deliver_to_holder(Service.INFUSION_SCHEDULING, case_id)

    await site.deliver_to_intake(Service.INFUSION_SCHEDULING, case_id)

    (word,) = await site.query(
        Service.INTAKE, "SELECT * FROM hold_acknowledgement WHERE hold_id = $1", order.hold_id
    )
    assert (word["holder"], word["in_flight"]) == ("infusion_scheduling", "none")
