"""A dose goes to one infusion, unexpired, once; no clock takes an override."""

from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from mfg_builders import (
    FORMULATED_AT,
    FRESH_UNTIL,
    INFUSION,
    OTHER_INFUSION,
    RELEASE_AT,
    RULES,
    START,
    available,
    bag,
    issued,
)

from services.manufacturing.domain.dose import (
    AvailableDose,
    BlockPurpose,
    DiscardReason,
    IssuedDose,
    QuarantinedDose,
    began_without_issue,
)
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.refusal import ReasonCode, RefusedError

CLOCKS = RULES.clocks
HOLD = UUID(int=50)
FROZEN_UNTIL = CLOCKS.cryo_expiry(date(2027, 3, 22), None)


def frozen() -> AvailableDose:
    return AvailableDose(bag(form=Form.CRYOPRESERVED, expires_at=FROZEN_UNTIL))


def test_a_fresh_product_lives_twenty_four_hours_from_its_formulation() -> None:
    assert CLOCKS.fresh_expiry(FORMULATED_AT, None) == FORMULATED_AT + timedelta(hours=24)


def test_an_earlier_printed_expiry_counts_and_a_later_one_does_not() -> None:
    early, late = (FORMULATED_AT + timedelta(hours=h) for h in (18, 30))

    assert CLOCKS.fresh_expiry(FORMULATED_AT, early) == early
    assert CLOCKS.fresh_expiry(FORMULATED_AT, late) == FORMULATED_AT + timedelta(hours=24)


# REL-EXP-C: twelve calendar months, to the end of that day in the clinic (UTC+3)
@pytest.mark.parametrize(
    ("frozen_on", "last_day"),
    [
        (date(2027, 3, 22), date(2028, 3, 22)),
        (date(2027, 12, 31), date(2028, 12, 31)),
        (date(2028, 2, 29), date(2029, 2, 28)),
    ],
)
def test_a_frozen_product_lives_twelve_months_to_the_end_of_the_day(
    frozen_on: date, last_day: date
) -> None:
    midnight = datetime.combine(last_day + timedelta(days=1), datetime.min.time(), CLOCKS.zone)

    assert CLOCKS.cryo_expiry(frozen_on, None) == midnight
    assert midnight.astimezone(UTC).hour == 21


def test_a_thawed_dose_is_usable_for_sixty_minutes() -> None:
    thawed = frozen().thaw(INFUSION, START, at=RELEASE_AT, clocks=CLOCKS)

    assert thawed.usable_until == RELEASE_AT + timedelta(minutes=60)


def test_a_thaw_shortly_before_the_expiry_does_not_outlive_it() -> None:
    at = FROZEN_UNTIL - timedelta(minutes=10)

    assert frozen().thaw(INFUSION, START, at=at, clocks=CLOCKS).usable_until == FROZEN_UNTIL


def test_a_thawed_dose_is_issued_within_its_hour_and_not_after() -> None:
    thawed = frozen().thaw(INFUSION, START, at=RELEASE_AT, clocks=CLOCKS)
    last = RELEASE_AT + timedelta(minutes=60)

    assert thawed.issue(INFUSION, at=last - timedelta(seconds=1)).usable_until == last
    with pytest.raises(RefusedError) as refused:
        thawed.issue(INFUSION, at=last)
    assert refused.value.code is ReasonCode.EXPIRED


def test_a_thawed_dose_is_issued_only_for_the_infusion_of_its_thaw() -> None:
    thawed = frozen().thaw(INFUSION, START, at=RELEASE_AT, clocks=CLOCKS)

    with pytest.raises(RefusedError) as refused:
        thawed.issue(OTHER_INFUSION, at=RELEASE_AT)
    assert refused.value.code is ReasonCode.OTHER_INFUSION


def test_a_fresh_dose_is_issued_before_its_expiry_and_not_at_it() -> None:
    dose = available()

    assert dose.issue(INFUSION, START, at=FRESH_UNTIL - timedelta(seconds=1))
    with pytest.raises(RefusedError) as refused:
        dose.issue(INFUSION, START, at=FRESH_UNTIL)
    assert refused.value.code is ReasonCode.EXPIRED


def test_a_frozen_dose_is_not_issued_before_it_is_thawed() -> None:
    with pytest.raises(RefusedError) as refused:
        frozen().issue(INFUSION, START, at=RELEASE_AT)

    assert refused.value.code is ReasonCode.NOT_THAWED


def test_a_dose_that_was_never_frozen_has_no_expiry_and_is_not_usable() -> None:
    unfrozen = AvailableDose(bag(form=Form.CRYOPRESERVED, expires_at=None))

    with pytest.raises(RefusedError) as refused:
        unfrozen.thaw(INFUSION, START, at=RELEASE_AT, clocks=CLOCKS)
    assert refused.value.code is ReasonCode.STEP_MISSING


def test_a_dose_taken_back_stays_bound_to_its_infusion() -> None:
    back = issued().take_back(at=RELEASE_AT)

    assert back.issue(INFUSION, START, at=RELEASE_AT)
    with pytest.raises(RefusedError) as refused:
        back.issue(OTHER_INFUSION, START, at=RELEASE_AT)
    assert refused.value.code is ReasonCode.OTHER_INFUSION


def test_a_thawed_dose_never_comes_back_usable() -> None:
    thawed = frozen().thaw(INFUSION, START, at=RELEASE_AT, clocks=CLOCKS)

    with pytest.raises(RefusedError):
        thawed.issue(INFUSION, at=RELEASE_AT).take_back(at=RELEASE_AT)


def test_an_expired_dose_never_comes_back_usable() -> None:
    with pytest.raises(RefusedError) as refused:
        issued().take_back(at=FRESH_UNTIL)

    assert refused.value.code is ReasonCode.EXPIRED


def test_only_an_available_dose_can_be_issued_by_its_type() -> None:
    blocked = available().block(HOLD, BlockPurpose.RECALL)

    for dose in (
        QuarantinedDose(bag()),
        blocked,
        blocked.recalled(),
        blocked.returned(),
        blocked.discarded(DiscardReason.DAMAGED),
        issued().begin(at=RELEASE_AT).complete(at=RELEASE_AT),
    ):
        assert not hasattr(dose, "issue")
        assert not hasattr(dose, "thaw")


def test_a_dose_that_was_never_opened_is_as_it_was_handed_out() -> None:
    handed_out = issued()

    assert handed_out.begin(at=RELEASE_AT).never_opened() == handed_out


def test_a_use_without_hand_out_is_recorded_as_it_happened() -> None:
    running = began_without_issue(available(), INFUSION, at=RELEASE_AT)

    assert running.issued is None
    assert running.bag.bound_to == INFUSION
    assert isinstance(running.never_opened(), type(running))
    assert not isinstance(running.never_opened(), IssuedDose)
