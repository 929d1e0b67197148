"""Permits and holds are counted from the events that tell of them."""

from typing import Any

import pytest

from shared.contracts.catalogue import EVENTS
from shared.contracts.event import Event
from shared.contracts.vocabulary import EffectiveBy, Gate, RefusalCode
from shared.observability.counting import count_event
from shared.observability.figures import Figures


def event(name: str, **fields: Any) -> Event:
    """An event with only what is counted of it."""
    return EVENTS[f"tandem.{name}.v1"].model_construct(**fields)


def figure(figures: Figures, name: str, **labels: str) -> float | None:
    return figures.registry.get_sample_value(f"tandem_{name}_total", labels)


@pytest.mark.parametrize("outcome", ["granted", "consumed", "undone", "lapsed"])
def test_a_permit_is_counted_by_gate_and_outcome(outcome: str) -> None:
    figures = Figures()

    count_event(figures, event(f"coordination.permit-{outcome}", gate=Gate.INFUSION))

    assert figure(figures, "permits", gate="infusion", outcome=outcome) == 1


def test_a_refusal_is_counted_with_each_of_its_codes() -> None:
    figures = Figures()
    codes = (RefusalCode.HOLD_OPEN, RefusalCode.DECISION)

    count_event(figures, event("coordination.permit-denied", gate=Gate.COLLECTION, codes=codes))

    assert figure(figures, "permits", gate="collection", outcome="denied") == 1
    assert figure(figures, "permit_refusals", gate="collection", code="hold-open") == 1
    assert figure(figures, "permit_refusals", gate="collection", code="decision") == 1


def test_an_effective_hold_is_counted_by_its_way() -> None:
    figures = Figures()

    count_event(figures, event("coordination.hold-effective", effective_by=EffectiveBy.LAPSE))

    assert figure(figures, "holds_effective", effective_by="LAPSE") == 1


@pytest.mark.parametrize("source", ["infusion", "manufacturing"])
def test_a_step_without_a_permit_is_counted_and_one_with_is_not(source: str) -> None:
    figures = Figures()
    told = {"gate": Gate.INFUSION}

    count_event(figures, event(f"{source}.permit-outcome", outcome="consumed", **told))
    assert figure(figures, "unpermitted_starts", gate="infusion") is None

    count_event(figures, event(f"{source}.permit-outcome", outcome="unpermitted", **told))
    assert figure(figures, "unpermitted_starts", gate="infusion") == 1
