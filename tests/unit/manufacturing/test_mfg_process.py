"""Collections, batches, custody and planning: what each state allows."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from mfg_builders import (
    CASE,
    COLLECTED_AT,
    COLLECTION,
    CONTAINER,
    FORMULATED_AT,
    FRESH_UNTIL,
    HARVESTED_AT,
    RULES,
    START,
    STARTED_AT,
    formulated,
    growing,
    origin,
)

from services.manufacturing.domain.batch import HarvestedBatch, ReceivedBatch, reject
from services.manufacturing.domain.collection import (
    BookedCollection,
    Booking,
    CollectionMethod,
)
from services.manufacturing.domain.custody import Condition, Handover, hand_over
from services.manufacturing.domain.planning import Interval, Timeline
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.refusal import ReasonCode, RefusedError
from shared.contracts.vocabulary import Verdict

BOOKED = BookedCollection(
    Booking(COLLECTION, CASE, CollectionMethod.APHERESIS, COLLECTED_AT, UUID(int=9))
)


def test_a_collection_cannot_end_before_it_began() -> None:
    running = BOOKED.start(start_id=START, at=COLLECTED_AT)

    with pytest.raises(RefusedError) as refused:
        running.finish(container_id=CONTAINER, at=COLLECTED_AT - timedelta(minutes=1))
    assert refused.value.code is ReasonCode.TIME_ORDER


def test_a_collection_that_never_began_is_booked_again() -> None:
    assert BOOKED.start(start_id=START, at=COLLECTED_AT).not_started() == BOOKED


def test_only_a_booked_collection_starts_and_only_a_running_one_ends() -> None:
    running = BOOKED.start(start_id=START, at=COLLECTED_AT)
    done = running.finish(container_id=CONTAINER, at=COLLECTED_AT)

    assert not hasattr(running, "start")
    assert not hasattr(BOOKED, "finish")
    assert not hasattr(done, "cancel")


def test_the_harvest_is_planned_for_the_protocols_target_day() -> None:
    # manufacturing.plan.harvest_day_target: 21
    assert RULES.harvest_forecast(date(2027, 3, 1)) == date(2027, 3, 22)


def test_a_fresh_formulation_expires_after_a_day_and_a_frozen_one_when_it_is_frozen() -> None:
    harvested = HarvestedBatch(origin(), growing().culture, HARVESTED_AT)

    fresh = harvested.formulate(
        form=Form.FRESH, at=FORMULATED_AT, printed_expiry=None, clocks=RULES.clocks
    )
    frozen = harvested.formulate(
        form=Form.CRYOPRESERVED, at=FORMULATED_AT, printed_expiry=None, clocks=RULES.clocks
    )

    assert fresh.formulation.expires_at == FORMULATED_AT + timedelta(hours=24)
    assert frozen.formulation.expires_at is None
    stored = frozen.freeze(at=FORMULATED_AT, clocks=RULES.clocks)
    assert stored.formulation.expires_at == datetime(2028, 3, 22, 21, tzinfo=UTC)


def test_a_fresh_batch_can_be_frozen_before_it_expires_and_not_after() -> None:
    frozen = formulated().freeze(at=FRESH_UNTIL - timedelta(hours=1), clocks=RULES.clocks)

    assert frozen.formulation.form is Form.CRYOPRESERVED
    with pytest.raises(RefusedError) as refused:
        formulated().freeze(at=FRESH_UNTIL, clocks=RULES.clocks)
    assert refused.value.code is ReasonCode.EXPIRED


def test_a_batch_is_frozen_once() -> None:
    frozen = formulated().freeze(at=FORMULATED_AT, clocks=RULES.clocks)

    with pytest.raises(RefusedError):
        frozen.freeze(at=FORMULATED_AT, clocks=RULES.clocks)


def test_a_rejected_or_recalled_batch_can_do_nothing_more() -> None:
    rejected = reject(formulated(), at=HARVESTED_AT)
    recalled = formulated().release(UUID(int=60), FORMULATED_AT).recall(at=FRESH_UNTIL)

    for batch in (rejected, recalled):
        assert not hasattr(batch, "release")
        assert not hasattr(batch, "release_conditionally")
        assert not hasattr(batch, "freeze")


def test_a_culture_that_never_began_is_received_material_again() -> None:
    assert growing().not_started() == ReceivedBatch(origin())


def test_a_harvest_before_the_culture_is_refused() -> None:
    with pytest.raises(RefusedError):
        growing().harvest(at=STARTED_AT - timedelta(hours=1))


def link(giver: str, receiver: str, hour: int = 0) -> Handover:
    at = COLLECTED_AT + timedelta(hours=hour)
    return Handover(UUID(int=70), CONTAINER, giver, receiver, "lab", Condition.INTACT, at)


def test_the_giver_is_who_received_last() -> None:
    first = hand_over(None, link("nurse", "courier"))

    assert hand_over(first, link("courier", "lab", 1)).receiver == "lab"
    with pytest.raises(RefusedError) as refused:
        hand_over(first, link("nurse", "lab", 1))
    assert refused.value.code is ReasonCode.GIVER_HAS_IT_NOT


def test_nobody_hands_over_to_themselves_or_before_the_last_hand_over() -> None:
    first = hand_over(None, link("nurse", "courier", 2))

    with pytest.raises(RefusedError):
        hand_over(None, link("nurse", "nurse"))
    with pytest.raises(RefusedError):
        hand_over(first, link("courier", "lab", 1))


def hours(start: int, end: int, plan: Verdict, *rules: str) -> Interval:
    return Interval(
        COLLECTED_AT + timedelta(hours=start), COLLECTED_AT + timedelta(hours=end), plan, rules
    )


def test_an_instant_that_no_interval_covers_is_unknown() -> None:
    timeline = Timeline((hours(0, 10, Verdict.GO),))

    assert timeline.at(COLLECTED_AT + timedelta(hours=10)) is None
    assert timeline.plannable_after(COLLECTED_AT + timedelta(hours=10)) is None


def test_the_first_plannable_instant_is_found_within_and_after() -> None:
    timeline = Timeline(
        (
            hours(0, 10, Verdict.HOLD, "WO-CHEMO"),
            hours(10, 20, Verdict.GO),
            hours(20, 30, Verdict.HOLD),
        )
    )
    open_at = COLLECTED_AT + timedelta(hours=10)

    assert timeline.plannable_after(COLLECTED_AT) == open_at
    assert timeline.plannable_between(COLLECTED_AT, open_at) is None
    assert timeline.plannable_between(COLLECTED_AT, open_at + timedelta(hours=1)) == open_at
