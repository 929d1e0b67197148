"""What intake makes of the protocol's answers: holds, worse gates, published timelines."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.intake.domain.assessment import (
    Standing,
    assess,
    hold_changes,
    is_past,
    next_boundary,
    same_course,
    standing_of,
    timeline_of,
    worsened_gates,
)
from shared.contracts.vocabulary import Gate, Verdict
from shared.protocol import Fact, load_protocol, parse_statement

PROTOCOL = load_protocol()
NOW = datetime(2027, 3, 10, 9, tzinfo=UTC)


def stated(*statements: dict[str, Any]) -> tuple[Fact, ...]:
    found = [parse_statement(statement, zone=PROTOCOL.zone) for statement in statements]
    return tuple(fact for fact in found if not isinstance(fact, tuple))


SEPSIS = {"kind": "infection", "id": "inf-1", "type": "serious", "onset": "2027-03-09"}
WASH_OUT = {
    "kind": "medication", "id": "chemo-1", "class": "cytotoxic_systemic",
    "last_dose": "2027-03-09", "more_planned": False,
}  # fmt: skip


def test_every_gate_is_decided() -> None:
    assessment = assess(PROTOCOL, (), NOW)

    assert [d.gate for d in assessment.all] == list(Gate)
    assert assessment.at == NOW


def test_a_finding_of_substance_asks_for_a_hold_over_the_gates_it_shuts() -> None:
    changes = hold_changes(assess(PROTOCOL, stated(SEPSIS), NOW), {})
    by_rule = {hold.finding.rule: hold.gates for hold in changes.to_place}

    # INF-002 has collection and infusion in its scope; thaw and hand-out go with infusion
    assert by_rule["INF-002"] == {Gate.COLLECTION, Gate.INFUSION, Gate.DOSE_ISSUE}
    assert "EV-CBC" not in by_rule  # missing evidence places no hold
    assert changes.to_release == frozenset()


def test_a_hold_is_placed_once_and_released_when_its_finding_is_gone() -> None:
    shut = assess(PROTOCOL, stated(SEPSIS), NOW)
    placed = {hold.finding.hold_key: hold.gates for hold in hold_changes(shut, {}).to_place}

    assert hold_changes(shut, placed).to_place == ()
    assert hold_changes(assess(PROTOCOL, (), NOW), placed).to_release == placed.keys()


def test_only_news_for_the_worse_worsens_a_gate() -> None:
    quiet, shut = assess(PROTOCOL, (), NOW), assess(PROTOCOL, stated(SEPSIS), NOW)
    before = {gate: standing_of(decision) for gate, decision in quiet.decisions.items()}
    after = {gate: standing_of(decision) for gate, decision in shut.decisions.items()}

    # the verdict was hold before (nothing is on record), the infection is a new finding
    assert worsened_gates(before, shut) == {Gate.COLLECTION, Gate.INFUSION, Gate.DOSE_ISSUE}
    assert worsened_gates(after, quiet) == frozenset()
    assert worsened_gates({}, shut) == frozenset()  # what was never told cannot be worse


def test_a_worse_verdict_alone_worsens_a_gate() -> None:
    shut = assess(PROTOCOL, (), NOW)
    was_open = {Gate.INFUSION: Standing(Verdict.GO, frozenset())}

    assert worsened_gates(was_open, shut) == {Gate.INFUSION}


def test_the_published_timeline_changes_on_the_clear_day() -> None:
    published = timeline_of(PROTOCOL, stated(WASH_OUT), Gate.INFUSION, NOW)

    # 03-09 + 3 d: the row is over when 03-12 begins in the clinic's zone (+03:00)
    assert next_boundary(published) == datetime(2027, 3, 11, 21, tzinfo=UTC)
    assert "WO-CHEMO" in published[0].plan_rules
    assert "WO-CHEMO" not in published[1].rules
    assert published[-1].ends_at == NOW + timedelta(days=540)


def test_due_items_are_published_by_day() -> None:
    (interval, *_) = timeline_of(PROTOCOL, (), Gate.INFUSION, NOW)
    due = {item.item: item for item in interval.due}

    assert due["cbc_differential"].not_before == date(2027, 3, 7)
    assert due["vital_signs"].not_before == date(2027, 3, 10)  # an hour before 09:00 UTC


def test_a_timeline_without_intervals_has_no_boundary() -> None:
    assert next_boundary(()) is None


def test_time_alone_makes_no_other_course() -> None:
    later = NOW + timedelta(minutes=30)
    published = timeline_of(PROTOCOL, stated(WASH_OUT), Gate.COLLECTION, NOW)
    fresh = timeline_of(PROTOCOL, stated(WASH_OUT), Gate.COLLECTION, later)

    assert published != fresh  # each begins at its own now
    assert same_course(published, fresh, later)
    assert same_course((), (), later)


def test_a_new_fact_makes_another_course() -> None:
    published = timeline_of(PROTOCOL, (), Gate.INFUSION, NOW)
    fresh = timeline_of(PROTOCOL, stated(SEPSIS), Gate.INFUSION, NOW)

    assert not same_course(published, fresh, NOW)


def test_a_boundary_is_past_from_its_own_instant_on() -> None:
    assert is_past(NOW, NOW)
    assert not is_past(NOW + timedelta(microseconds=1), NOW)
    assert not is_past(None, NOW)
