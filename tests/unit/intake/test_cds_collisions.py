"""Which planned steps an order collides with; days counted by hand from the wash-out table.

WO-CHEMO: 3 days before an infusion, and 5 free days from it to the next dose. WO-ICI: review.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

import pytest

from services.intake.domain.cards import Card, Indicator, Topic
from services.intake.domain.collisions import (
    Collision,
    PlannedStep,
    collisions,
    planned_infusions,
)
from shared.contracts.vocabulary import Gate
from shared.protocol import Fact, Record, load_protocol, parse_statement

PROTOCOL = load_protocol()
STEP = PlannedStep(Gate.INFUSION, date(2027, 3, 20), 2)
ORDER = "order-1"


def fact(**statement: object) -> Fact:
    made = parse_statement(statement, zone=PROTOCOL.zone)
    assert not isinstance(made, tuple), made
    return made


def planned(number: int, on: str, **more: object) -> Fact:
    return fact(id=f"infusion-{number}", kind="infusion", n=number, planned=on, **more)


def drug(name: str, **more: object) -> Mapping[str, Any]:
    return {"id": ORDER, "kind": "medication", "class": name, **more}


def against(order: Mapping[str, Any]) -> tuple[Collision, ...]:
    """What an order alone would hold against the step."""
    nothing = Record.of(PROTOCOL, [])
    supposed = Record.of(PROTOCOL, [fact(**order)])
    return collisions(PROTOCOL, nothing, supposed, [STEP], {ORDER})


def test_a_dose_too_soon_after_an_infusion_collides_until_its_wash_out_is_over() -> None:
    # 4 days from the infusion to the dose, 5 are needed; 3 days after the dose it may be given
    (found,) = against(drug("cytotoxic_systemic", doses=[{"day": "2027-03-24"}],
                            more_planned=False))  # fmt: skip
    assert found.step == STEP
    assert {f.rule for f in found.findings} == {"WO-CHEMO"}
    assert not found.needs_review_only
    assert found.clear_from == date(2027, 3, 27)


def test_a_dose_five_days_after_the_infusion_collides_with_nothing() -> None:
    assert against(drug("cytotoxic_systemic", doses=[{"day": "2027-03-25"}],
                        more_planned=False)) == ()  # fmt: skip


def test_a_review_rule_alone_asks_for_a_review() -> None:
    (found,) = against(drug("checkpoint_inhibitor", doses=[{"day": "2027-03-18"}],
                            more_planned=False))  # fmt: skip
    assert {f.rule for f in found.findings} == {"WO-ICI"}
    assert found.needs_review_only


def test_a_course_without_an_end_has_no_date_from_which_it_is_over() -> None:
    (found,) = against(drug("cytotoxic_systemic", doses=[{"from": "2027-03-01"}]))
    assert found.clear_from is None


def test_what_was_in_the_way_before_the_order_is_not_its_collision() -> None:
    before = fact(**{**drug("cytotoxic_systemic", doses=[{"day": "2027-03-19"}],
                            more_planned=False), "id": "on-record"})  # fmt: skip
    known = Record.of(PROTOCOL, [before])
    harmless = fact(id=ORDER, kind="medication", name="paracetamol", doses=[{"day": "2027-03-19"}])
    supposed = Record.of(PROTOCOL, [before, harmless])
    assert collisions(PROTOCOL, known, supposed, [STEP], {ORDER}) == ()


def test_planned_infusions_are_those_ahead_that_have_not_begun_soonest_first() -> None:
    record = Record.of(
        PROTOCOL,
        [
            planned(3, "2027-03-30"), planned(2, "2027-03-20"), planned(1, "2027-03-10"),
            planned(4, "2027-04-10", day="2027-04-10"), fact(id="x", kind="infusion", n=5),
        ],
    )  # fmt: skip
    assert planned_infusions(record, date(2027, 3, 20)) == [
        STEP, PlannedStep(Gate.INFUSION, date(2027, 3, 30), 3),
    ]  # fmt: skip


def test_a_card_is_written_as_the_specification_has_it() -> None:
    card = Card("Collides", "Details", Indicator.WARNING, next(iter(Topic)))
    made = card.to_json(UUID(int=7))
    assert made["uuid"] == str(UUID(int=7))
    assert made["indicator"] == "warning"
    assert all(set(reason) == {"code", "system", "display"} for reason in made["overrideReasons"])
    with pytest.raises(ValueError, match="characters"):
        Card("", "Details", Indicator.WARNING, next(iter(Topic)))
