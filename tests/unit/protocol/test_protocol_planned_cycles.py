"""Several planned cycles of one regimen, stated one by one, of which the last ends it."""

from datetime import UTC, datetime
from typing import Any

from shared.contracts.vocabulary import Gate, Verdict
from shared.protocol import Interval, load_protocol, parse_statement, timeline

PROTOCOL = load_protocol()
BEGIN = datetime(2027, 1, 11, tzinfo=UTC)
END = datetime(2027, 4, 30, tzinfo=UTC)


def planned(day: str, **more: Any) -> dict[str, Any]:
    return {
        "kind": "medication", "class": "cytotoxic_systemic", "name": "cisplatin + etoposide",
        "effective": "2027-01-10", "next_planned": day, **more,
    }  # fmt: skip


def plan_on(day: str, *statements: dict[str, Any]) -> Interval:
    facts = [parse_statement(s, zone=PROTOCOL.zone, where="") for s in statements]
    assert not [fact for fact in facts if isinstance(fact, tuple)]
    intervals = timeline(
        PROTOCOL, facts, Gate.INFUSION, BEGIN, END, assume_other_evidence_current=True
    )
    at = datetime.fromisoformat(f"{day}T12:00:00+00:00")
    return next(i for i in intervals if i.begins <= at < i.ends)


def test_after_the_last_planned_cycle_an_infusion_can_be_planned() -> None:
    first, last = planned("2027-02-01"), planned("2027-03-01", more_planned=False)

    # WO-CHEMO: three free days after the last dose, and no later dose to keep away from
    assert plan_on("2027-03-03", first, last).plan is Verdict.HOLD
    assert plan_on("2027-03-04", first, last).plan is Verdict.GO


def test_a_regimen_without_a_stated_end_stays_unplannable_after_its_last_known_cycle() -> None:
    first, last = planned("2027-02-01"), planned("2027-03-01")

    assert plan_on("2027-03-04", first, last).plan is Verdict.HOLD


def test_a_cycle_planned_after_the_stated_end_opens_the_regimen_again() -> None:
    end, later = planned("2027-02-01", more_planned=False), planned("2027-03-01")

    assert plan_on("2027-03-04", end, later).plan is Verdict.HOLD


def test_a_planned_cycle_reported_as_given_leaves_the_stated_end_standing() -> None:
    first, last = planned("2027-02-01"), planned("2027-03-01", more_planned=False)
    given = {
        "kind": "medication", "class": "cytotoxic_systemic", "name": "cisplatin + etoposide",
        "effective": "2027-02-02", "doses": [{"day": "2027-02-01"}],
    }  # fmt: skip

    assert plan_on("2027-03-04", first, last, given).plan is Verdict.GO


def test_a_drug_still_taken_is_not_settled_by_a_planned_end() -> None:
    taken = {
        "kind": "medication", "class": "cytotoxic_systemic", "name": "cisplatin + etoposide",
        "effective": "2027-01-10", "doses": [{"from": "2027-01-10"}],
    }  # fmt: skip

    assert plan_on("2027-03-04", planned("2027-03-01", more_planned=False), taken).plan is (
        Verdict.HOLD
    )
