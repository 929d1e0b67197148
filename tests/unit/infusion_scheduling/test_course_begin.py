"""A planned infusion stands as long as it may begin at its time, whatever closes later."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.infusion_scheduling.domain.availability import Availability, TimelinePart
from services.infusion_scheduling.domain.course import Planned, Suspended, revise
from services.infusion_scheduling.domain.placement import Slot
from shared.contracts.vocabulary import Verdict

NOW = datetime(2027, 3, 1, 7, 30, tzinfo=UTC)
BEGIN = datetime(2027, 3, 1, 8, tzinfo=UTC)
VISIT = Slot(BEGIN, BEGIN + timedelta(hours=4), UUID(int=9))


def thawed_until(expiry: datetime) -> Availability:
    """Open until the clock of a thawed dose ends (REL-EXP-T), shut after it."""
    open_part = TimelinePart(NOW - timedelta(days=1), expiry, Verdict.GO, Verdict.GO)
    rules = ("REL-EXP-T",)
    shut = TimelinePart(expiry, NOW + timedelta(days=9), Verdict.HOLD, Verdict.HOLD, rules)
    return Availability([open_part, shut])


def test_a_thawed_dose_that_expires_during_the_visit_suspends_nothing() -> None:
    expiry = BEGIN + timedelta(minutes=30)
    infusion = Planned(UUID(int=1), 1, VISIT, UUID(int=2))

    revision = revise([infusion], availability=thawed_until(expiry), holds=(), now=NOW)

    assert revision.suspensions == ()


def test_a_dose_that_expires_before_the_visit_begins_suspends_it() -> None:
    infusion = Planned(UUID(int=1), 1, VISIT, UUID(int=2))

    revision = revise([infusion], availability=thawed_until(BEGIN), holds=(), now=NOW)

    assert [s.rules for s in revision.suspensions] == [("REL-EXP-T",)]


def test_after_a_hold_an_infusion_stands_again_while_its_dose_can_be_begun() -> None:
    expiry = BEGIN + timedelta(minutes=30)
    infusion = Suspended(UUID(int=1), 1, VISIT, UUID(int=2), "hold", ())

    revision = revise([infusion], availability=thawed_until(expiry), holds=(), now=NOW)

    assert [i.infusion_id for i in revision.reinstated] == [UUID(int=1)]
