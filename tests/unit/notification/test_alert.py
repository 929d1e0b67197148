"""One alert for one cause, whatever the order and however often it is told."""

from datetime import timedelta
from uuid import uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from services.notification.domain.alert import (
    AnsweredAlert,
    ClosedAlert,
    OpenAlert,
    absorb,
    answered,
    content_of,
    may_answer,
    raise_alert,
)
from services.notification.domain.evidence import EvidenceKind
from services.notification.domain.levels import Level
from shared.contracts.vocabulary import HoldKind, InFlight, Role
from tests.unit.notification.samples import (
    AT,
    ROUTES,
    accepted,
    effective,
    evidence,
    fold,
    forecast,
    held_by_scheduling,
    hold,
    proposed,
    red_flag,
    released,
    suspended,
)

HOLD, OTHER_HOLD, CHAIN, COURSE = uuid4(), uuid4(), uuid4(), uuid4()
STORY = (
    evidence(hold(HOLD), chain=CHAIN),
    evidence(hold(OTHER_HOLD), chain=CHAIN),
    evidence(effective(HOLD), chain=uuid4()),
    evidence(suspended(HOLD), chain=CHAIN),
    evidence(suspended(None, 4, COURSE), chain=CHAIN),
    evidence(proposed(COURSE), chain=CHAIN),
    evidence(held_by_scheduling(HOLD, InFlight.RUNNING), chain=uuid4()),
)
#: each can open the alert that the others join; the rest belongs to a hold told of before
OPENING = STORY[:2]


@settings(max_examples=200)
@given(st.permutations(STORY[2:]), st.lists(st.sampled_from(STORY), max_size=10))
def test_any_order_and_repetition_of_one_cause_makes_one_alert_with_the_same_content(
    order: list, again: list
) -> None:
    straight = fold(STORY)
    shuffled = fold([*OPENING, *order, *again])

    assert len(straight) == len(shuffled) == 1
    assert content_of(shuffled[0].file.evidence, ROUTES) == content_of(
        straight[0].file.evidence, ROUTES
    )


def test_a_suspension_that_overtakes_its_hold_ends_in_the_same_alert() -> None:
    early, late = evidence(suspended(HOLD), chain=CHAIN), evidence(hold(HOLD), chain=CHAIN)

    (alert,) = fold([early, late])

    assert content_of(alert.file.evidence, ROUTES).leading is EvidenceKind.HOLD_RULE
    assert {e.kind for e in alert.file.evidence} == {
        EvidenceKind.HOLD_RULE, EvidenceKind.INFUSION_SUSPENDED
    }  # fmt: skip


def test_what_follows_from_a_hold_updates_its_alert_without_a_new_version() -> None:
    (alert,) = fold([STORY[0], STORY[3], evidence(effective(HOLD))])

    assert alert.file.version == 1
    assert len(alert.file.evidence) == 3


def test_a_second_hold_of_the_same_cause_is_a_new_version_but_no_second_message() -> None:
    first = raise_alert(STORY[0], ROUTES, AT)
    second = absorb(first.alert, STORY[1], ROUTES, AT)

    assert first.tell
    assert second is not None
    assert (second.alert.file.version, second.tell) == (2, False)


def test_another_cause_in_the_same_case_is_another_alert() -> None:
    alerts = fold([evidence(hold(HOLD)), evidence(hold(OTHER_HOLD))])

    assert len(alerts) == 2


def test_a_new_version_reopens_an_acknowledged_alert_and_is_told() -> None:
    opened = raise_alert(STORY[0], ROUTES, AT).alert
    assert isinstance(opened, OpenAlert)
    later = AT + timedelta(minutes=20)

    change = absorb(answered(opened, "acknowledged"), STORY[1], ROUTES, later)

    assert change is not None
    assert isinstance(change.alert, OpenAlert)
    assert (change.alert.file.version, change.reopened, change.tell) == (2, True, True)
    assert change.alert.file.opened_at == later


def test_news_that_makes_nothing_worse_leaves_an_acknowledged_alert_acknowledged() -> None:
    opened = raise_alert(STORY[0], ROUTES, AT).alert
    assert isinstance(opened, OpenAlert)

    change = absorb(answered(opened, "acknowledged"), evidence(effective(HOLD)), ROUTES, AT)

    assert change is not None
    assert isinstance(change.alert, AnsweredAlert)


def test_a_step_running_under_a_hold_raises_the_level_and_is_told_anew() -> None:
    opened = raise_alert(STORY[0], ROUTES, AT).alert

    change = absorb(opened, STORY[6], ROUTES, AT)

    assert change is not None
    assert content_of(change.alert.file.evidence, ROUTES).level is Level.L4
    assert change.tell


def test_the_released_hold_closes_the_alert_and_says_why() -> None:
    (alert,) = fold([STORY[0], STORY[3], evidence(released(HOLD), at=AT + timedelta(hours=1))])

    assert isinstance(alert, ClosedAlert)
    assert alert.reason == "hold_released"


def test_one_of_two_released_holds_closes_nothing() -> None:
    (alert,) = fold([STORY[0], STORY[1], evidence(released(HOLD), at=AT + timedelta(hours=1))])

    assert isinstance(alert, OpenAlert)


def test_a_hold_told_again_after_its_release_raises_nothing() -> None:
    gone = evidence(released(HOLD), at=AT + timedelta(hours=1))

    alerts = fold([STORY[0], gone, STORY[0], gone, STORY[3]])

    assert len(alerts) == 1
    assert isinstance(alerts[0], ClosedAlert)


def test_bad_news_about_a_closed_hold_raises_an_alert_of_its_own() -> None:
    gone = evidence(released(HOLD), at=AT + timedelta(hours=1))

    alerts = fold([STORY[0], gone, evidence(held_by_scheduling(HOLD, InFlight.RUNNING))])

    assert [type(a) for a in alerts] == [ClosedAlert, OpenAlert]


def test_a_suspension_by_the_timeline_ends_when_a_plan_is_accepted() -> None:
    pieces = [
        evidence(suspended(None, 4, COURSE)),
        evidence(suspended(None, 5, COURSE)),
        evidence(accepted(COURSE), at=AT + timedelta(hours=3)),
    ]

    alerts = fold(pieces)

    assert [isinstance(a, ClosedAlert) for a in alerts] == [True]


def test_an_acceptance_before_the_suspension_does_not_end_it() -> None:
    (alert,) = fold(
        [
            evidence(suspended(None, 4, COURSE), at=AT),
            evidence(accepted(COURSE), at=AT - timedelta(minutes=1)),
        ]
    )

    assert isinstance(alert, OpenAlert)


def test_a_forecast_that_slips_again_reopens_and_an_earlier_one_does_not() -> None:
    batch = uuid4()
    first = raise_alert(evidence(forecast(batch, 14, 12)), ROUTES, AT).alert
    assert isinstance(first, OpenAlert)
    seen = answered(first, "acknowledged")

    again = absorb(seen, evidence(forecast(batch, 16, 14)), ROUTES, AT)
    earlier = absorb(seen, evidence(forecast(batch, 13, 14)), ROUTES, AT)

    assert again is not None
    assert again.reopened
    assert earlier is not None
    assert not earlier.reopened


def test_a_red_flag_and_the_hold_that_it_placed_are_one_alert() -> None:
    flag = evidence(red_flag(), chain=CHAIN)
    placed = evidence(hold(HOLD, rule="RF-HOLD"), chain=CHAIN)

    (alert,) = fold([flag, placed])
    content = content_of(alert.file.evidence, ROUTES)

    assert content.leading is EvidenceKind.RED_FLAG
    assert content.level is Level.L4
    assert Role.TREATING_PHYSICIAN in content.roles


def test_two_red_flags_reported_apart_are_two_alerts() -> None:
    assert len(fold([evidence(red_flag()), evidence(red_flag(flag="RF-CHEST"))])) == 2


def test_nobody_may_set_a_hard_stop_aside() -> None:
    recall = content_of([evidence(hold(HOLD, HoldKind.RECALL))], ROUTES)
    rule = content_of([evidence(hold(HOLD))], ROUTES)
    both = content_of([evidence(hold(HOLD)), evidence(hold(OTHER_HOLD, HoldKind.RECALL))], ROUTES)

    assert recall.override_by == frozenset()
    assert rule.override_by == {Role.ONCOLOGIST, Role.MEDICAL_DIRECTOR}
    assert both.override_by == frozenset()


def test_only_a_role_that_was_told_may_acknowledge() -> None:
    content = content_of([STORY[0]], ROUTES)

    assert may_answer(content, {Role.COORDINATOR}, 0)
    assert not may_answer(content, {Role.LAB_TECH}, 0)
    assert not may_answer(content, {Role.MEDICAL_DIRECTOR}, 0)
    assert may_answer(content, {Role.MEDICAL_DIRECTOR}, 1)
