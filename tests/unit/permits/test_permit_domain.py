"""The permit's arithmetic and the rules of holds, without a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from services.intake.domain.holds import (
    POLICY,
    REPORTABLE_KINDS,
    SERIOUS_KINDS,
    Hold,
    HoldOrder,
    HoldScope,
    may_release,
    unprocessed_hold_id,
)
from services.intake.domain.permits import (
    DecisionSeen,
    FindingSeen,
    Outcome,
    Permit,
    ProductSeen,
    after,
    because,
    leading_code,
    life_ms,
)
from shared.contracts.vocabulary import (
    Gate,
    HoldKind,
    HoldState,
    OnRunning,
    PermitState,
    RefusalCode,
    Role,
    Service,
    Verdict,
)
from shared.permits.clearance import HOLDER_OF, HOLDERS, ClearanceVersion, gates_of
from shared.permits.starts import Lease
from shared.permits.times import PermitTimes

NOW = datetime(2027, 3, 10, 12, tzinfo=UTC)
SECOND_NS = 1_000_000_000
TIMES = PermitTimes()


def a_decision(**changes: object) -> DecisionSeen:
    return replace(DecisionSeen(Verdict.GO, (), None, "1.0.0"), **changes)


def a_hold(kind: HoldKind = HoldKind.CLINICAL_CONCERN, reporter: str = "anna") -> Hold:
    return Hold(
        hold_id=uuid4(),
        case_id=uuid4(),
        kind=kind,
        rule=None,
        episode=None,
        scope=HoldScope(frozenset({Gate.INFUSION})),
        clearance=ClearanceVersion(0, 1),
        state=HoldState.EFFECTIVE,
        effective_by=None,
        on_running=OnRunning.STOP,
        reporter=reporter,
        recorded_at=NOW,
        committed_at=NOW,
    )


def a_permit(**changes: object) -> Permit:
    permit = Permit(
        permit_id=uuid4(),
        case_id=uuid4(),
        gate=Gate.INFUSION,
        holder=Service.INFUSION_SCHEDULING,
        subject_id=uuid4(),
        attempt=1,
        dose_id=None,
        granted=ClearanceVersion(0, 0),
        boot_id="here",
        granted_boot_ns=100 * SECOND_NS,
        ttl_ms=10_000,
        seen_boot_id=None,
        seen_boot_ns=None,
        place=None,
        state=PermitState.GRANTED,
        asked_at=NOW,
    )
    return replace(permit, **changes)


# ---- times


def test_a_permit_lapses_after_ttl_drift_commit_bound_and_margin() -> None:
    # 10 s x 1.01 + 2 s + 2 s
    assert TIMES.lapse_after_ms(10_000) == pytest.approx(14_100)


def test_the_authority_waits_longer_than_any_holder_can_answer_go() -> None:
    """Even if the authority's clock runs one percent fast and the holder sent at the grant."""
    for ttl_ms in (TIMES.ttl_ms_min, TIMES.ttl_ms):
        holder_ends_ns = TIMES.answer_go_before_ns(0, ttl_ms)
        assert TIMES.lapse_after_ns(ttl_ms) > holder_ends_ns * (1 + TIMES.drift_fraction)


def test_a_start_keeps_back_the_time_of_its_commit() -> None:
    assert TIMES.commit_start_before_ns(0, 10_000) == 8 * SECOND_NS
    assert TIMES.answer_go_before_ns(0, 10_000) == 10 * SECOND_NS


def test_scaled_times_keep_the_drift() -> None:
    fast = TIMES.scaled(1 / 20)

    assert fast.ttl_ms == 500
    assert fast.commit_bound_seconds == pytest.approx(0.1)
    assert fast.drift_fraction == TIMES.drift_fraction


class Clock:
    def __init__(self, boot_id: str, now_ns: int) -> None:
        self.boot_id = boot_id
        self._now_ns = now_ns

    def now_ns(self) -> int:
        return self._now_ns


@pytest.mark.parametrize(
    ("boot_id", "now_ns", "may_commit", "may_go"),
    [
        ("here", 8 * SECOND_NS - 1, True, True),
        ("here", 8 * SECOND_NS, False, True),
        ("here", 10 * SECOND_NS - 1, False, True),
        ("here", 10 * SECOND_NS, False, False),
        ("elsewhere", 0, False, False),
    ],
)
def test_a_lease_ends_to_the_nanosecond(
    boot_id: str, now_ns: int, may_commit: bool, may_go: bool
) -> None:
    lease, clock = Lease("here", 0, 10_000), Clock(boot_id, now_ns)

    assert lease.may_commit(clock, TIMES) is may_commit
    assert lease.may_answer_go(clock, TIMES) is may_go


@pytest.mark.parametrize(
    ("permit", "boot_id", "now_s", "lapsed"),
    [
        (a_permit(), "here", 114.0, False),
        (a_permit(), "here", 114.1, True),
        (a_permit(), "elsewhere", 1e9, False),
        (a_permit(seen_boot_id="elsewhere", seen_boot_ns=0), "elsewhere", 14.0, False),
        (a_permit(seen_boot_id="elsewhere", seen_boot_ns=0), "elsewhere", 14.1, True),
        (a_permit(seen_boot_id="third", seen_boot_ns=0), "elsewhere", 1e9, False),
        (a_permit(ttl_ms=None, granted_boot_ns=None), "here", 1e9, False),
    ],
)
def test_a_permit_of_another_boot_counts_from_its_first_sight(
    permit: Permit, boot_id: str, now_s: float, lapsed: bool
) -> None:
    assert permit.has_lapsed(boot_id, round(now_s * SECOND_NS), TIMES) is lapsed


# ---- clearance


def test_an_epoch_outweighs_every_version() -> None:
    assert ClearanceVersion(0, 999) < ClearanceVersion(1, 0) < ClearanceVersion(1, 1)


@pytest.mark.parametrize("text", ['"3.17"', ' "3.17" '])
def test_an_etag_names_epoch_and_version(text: str) -> None:
    assert ClearanceVersion.of_etag(text) == ClearanceVersion(3, 17)


@pytest.mark.parametrize("text", ["", "*", '"3"', '"3.x"', 'W/"3.17"', '"-1.2"'])
def test_anything_else_names_none(text: str) -> None:
    assert ClearanceVersion.of_etag(text) is None


def test_every_acting_gate_has_one_holder() -> None:
    assert set(HOLDERS) == set(HOLDER_OF.values())
    assert gates_of(Service.INFUSION_SCHEDULING) == {Gate.INFUSION}
    assert Gate.RELEASE not in HOLDER_OF, "release is manufacturing's own decision"


# ---- the window


@pytest.mark.parametrize(
    ("valid_for_s", "usable_for_s", "expected_ms"),
    [(None, None, 10_000), (7, None, 7_000), (None, 6, 6_000), (8, 6, 6_000), (60, 60, 10_000)],
)
def test_a_permit_outlives_neither_decision_nor_dose(
    valid_for_s: int | None, usable_for_s: int | None, expected_ms: int
) -> None:
    valid = None if valid_for_s is None else NOW + timedelta(seconds=valid_for_s)
    usable = None if usable_for_s is None else NOW + timedelta(seconds=usable_for_s)

    life = life_ms(NOW, a_decision(valid_until=valid), ProductSeen((), usable), TIMES)

    assert life == expected_ms


def test_a_window_that_is_over_is_negative() -> None:
    over = a_decision(valid_until=NOW - timedelta(seconds=1))

    assert life_ms(NOW, over, None, TIMES) == -1_000


# ---- outcomes


@pytest.mark.parametrize(
    ("state", "outcome", "expected"),
    [
        (PermitState.GRANTED, Outcome.CONSUMED, PermitState.CONSUMED),
        (PermitState.LAPSED, Outcome.CONSUMED, PermitState.CONSUMED),
        (PermitState.DENIED, Outcome.CONSUMED, PermitState.CONSUMED),
        (PermitState.UNDONE, Outcome.CONSUMED, PermitState.UNDONE),
        (None, Outcome.CONSUMED, PermitState.CONSUMED),
        (PermitState.GRANTED, Outcome.UNDONE, PermitState.UNDONE),
        (PermitState.CONSUMED, Outcome.UNDONE, PermitState.UNDONE),
        (PermitState.LAPSED, Outcome.UNDONE, PermitState.UNDONE),
        (PermitState.DENIED, Outcome.UNDONE, PermitState.DENIED),
        (None, Outcome.UNDONE, PermitState.UNDONE),
    ],
)
def test_what_may_follow_what(
    state: PermitState | None, outcome: Outcome, expected: PermitState
) -> None:
    assert after(state, outcome) is expected


def test_the_stale_view_gives_the_code_and_no_reason_is_lost() -> None:
    reasons = (
        because(RefusalCode.WINDOW_TOO_SHORT, "short", window_ms=3),
        because(RefusalCode.HOLD_OPEN, "held", hold_id=uuid4(), rules=("STER-001",)),
        because(RefusalCode.STALE_VIEW, "stale"),
    )

    assert leading_code(reasons) is RefusalCode.STALE_VIEW
    assert leading_code(reasons[:2]) is RefusalCode.HOLD_OPEN
    assert reasons[1].to_json()["rules"] == ["STER-001"]
    assert reasons[0].to_json() == {"code": "window-too-short", "title": "short", "window_ms": 3}


# ---- holds


def test_a_hold_without_doses_covers_every_dose_and_none() -> None:
    scope = HoldScope(frozenset({Gate.INFUSION}))

    assert scope.covers(Gate.INFUSION, uuid4())
    assert scope.covers(Gate.INFUSION, None)
    assert not scope.covers(Gate.COLLECTION, None)


def test_a_hold_on_a_dose_covers_that_dose_alone() -> None:
    dose_id = uuid4()
    scope = HoldScope(frozenset({Gate.INFUSION}), frozenset({dose_id}))

    assert scope.covers(Gate.INFUSION, dose_id)
    assert not scope.covers(Gate.INFUSION, uuid4())
    assert not scope.covers(Gate.INFUSION, None)


def test_a_scope_includes_another_with_no_more_gates_and_doses() -> None:
    gates, doses = frozenset({Gate.INFUSION, Gate.COLLECTION}), frozenset({uuid4(), uuid4()})
    both, everything = HoldScope(gates, doses), HoldScope(frozenset(Gate))

    assert both.includes(HoldScope(frozenset({Gate.INFUSION}), doses))
    assert everything.includes(both)
    assert not both.includes(HoldScope(gates))
    assert not both.includes(HoldScope(gates, doses | {uuid4()}))
    assert not HoldScope(frozenset({Gate.INFUSION}), doses).includes(both)


def test_a_hold_answers_an_order_for_the_same_subject_within_its_scope() -> None:
    hold = a_hold()
    order = HoldOrder(
        hold_id=uuid4(), case_id=hold.case_id, kind=hold.kind, scope=hold.scope,
        on_running=OnRunning.STOP, reporter="berta",
    )  # fmt: skip

    assert hold.answers(order)
    assert not hold.answers(replace(order, case_id=uuid4()))
    assert not hold.answers(replace(order, kind=HoldKind.IDENTITY))
    narrow = replace(hold, scope=HoldScope(frozenset({Gate.INFUSION}), frozenset({uuid4()})))
    assert not narrow.answers(replace(order, scope=HoldScope(frozenset({Gate.INFUSION}))))


def test_a_decision_names_each_rule_once() -> None:
    findings = tuple(FindingSeen(rule, "hold", "") for rule in ("WO-RT", "INF-001", "WO-RT"))

    assert a_decision(findings=findings).rules == ("WO-RT", "INF-001")


def test_every_kind_of_hold_has_its_policy() -> None:
    assert set(POLICY) == set(HoldKind)


def test_what_tandem_places_itself_is_neither_reported_nor_released_by_hand() -> None:
    for kind in (HoldKind.RULE, HoldKind.UNPROCESSED_INFORMATION):
        assert kind not in REPORTABLE_KINDS
        refusal = may_release(a_hold(kind), "bert", frozenset(Role))
        assert refusal is not None
        assert refusal.code == "released-by-its-cause"


@pytest.mark.parametrize("kind", sorted(SERIOUS_KINDS))
def test_a_serious_hold_is_released_by_another_person(kind: HoldKind) -> None:
    own = may_release(a_hold(kind), "anna", frozenset(Role))

    assert own is not None
    assert own.code == "second-person"
    assert may_release(a_hold(kind), "bert", frozenset(Role)) is None


def test_a_hold_is_released_by_its_roles_alone() -> None:
    refusal = may_release(a_hold(HoldKind.RECALL), "bert", frozenset({Role.COORDINATOR}))

    assert refusal is not None
    assert refusal.code == "not-your-hold"


def test_what_tells_only_never_stops_a_drip() -> None:
    for kind in (HoldKind.UNPROCESSED_INFORMATION, HoldKind.REVERIFICATION):
        assert POLICY[kind].on_running is OnRunning.TELL


def test_a_redelivered_parking_names_the_same_hold() -> None:
    case_id, event_id = uuid4(), uuid4()

    first, again, other = (
        unprocessed_hold_id(case_id, consumer, event_id)
        for consumer in (Service.NOTIFICATION, Service.NOTIFICATION, Service.MANUFACTURING)
    )

    assert first == again != other
