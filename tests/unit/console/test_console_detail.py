"""What of an event the console keeps, and who may see it."""

import pytest

from services.console.projections.detail import (
    CLINICAL,
    IDS,
    LEFT_OUT,
    PLAIN,
    kept_detail,
    visible_detail,
)
from shared.contracts import coordination as coord
from shared.contracts import manufacturing as made
from shared.contracts.catalogue import EVENTS
from shared.contracts.example_events import example_of
from shared.contracts.vocabulary import Gate, HoldKind, OnRunning
from tests.unit.console.console_events import CASE, START, known_id

_SETS = (IDS, PLAIN, CLINICAL, LEFT_OUT)


def unsorted_fields(fields: set[str]) -> set[str]:
    """The fields that nobody has decided on, or that stand in two sets."""
    return {field for field in fields if sum(field in chosen for chosen in _SETS) != 1}


def test_every_field_of_every_event_is_decided_on() -> None:
    fields = {name for model in EVENTS.values() for name in model.model_fields}

    assert unsorted_fields(fields) == set()
    assert fields == IDS | PLAIN | CLINICAL | LEFT_OUT


def test_a_planted_new_field_is_found() -> None:
    assert unsorted_fields({"case_id", "patient_name"}) == {"patient_name"}


@pytest.mark.parametrize("wire_type", sorted(EVENTS))
def test_a_kept_detail_holds_no_number_that_could_be_a_measurement(wire_type: str) -> None:
    detail = kept_detail(example_of(EVENTS[wire_type]))

    assert not [value for value in detail.values() if isinstance(value, float)]
    assert detail.keys() <= IDS | PLAIN | CLINICAL


def test_the_bags_label_is_not_kept() -> None:
    issued = made.DoseIssued(
        case_id=CASE, dose_id=known_id("dose"), batch_id=known_id("batch"),
        infusion_id=known_id("infusion"), permit_id=known_id("permit"), attempt=1,
        label="TND-0001", issued_at=START, usable_until=START,
    )  # fmt: skip

    assert "TND-0001" not in str(kept_detail(issued))


def test_operations_staff_see_no_clinical_code() -> None:
    hold = coord.HoldRecorded(
        case_id=CASE, hold_id=known_id("hold"), epoch=0, version=4,
        kind=HoldKind.INFECTION_SUSPECTED, rule="INF-001", gates=frozenset({Gate.INFUSION}),
        on_running=OnRunning.STOP, effective=True,
    )  # fmt: skip
    detail = kept_detail(hold)

    assert detail["rule"] == "INF-001"
    assert visible_detail(detail, clinical=True) == detail
    assert visible_detail(detail, clinical=False) == {
        "hold_id": str(known_id("hold")), "epoch": 0, "version": 4, "gates": ["infusion"],
        "on_running": "stop", "effective": True,
    }  # fmt: skip
