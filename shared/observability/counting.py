"""Counts permits and holds from the events that tell of them, after their commit.

A figure that its cause has to remember to count is forgotten somewhere; an event never is.
"""

from shared.contracts.coordination import (
    HoldEffective,
    PermitConsumed,
    PermitDenied,
    PermitGranted,
    PermitLapsed,
    PermitUndone,
)
from shared.contracts.event import Event
from shared.contracts.infusion import InfusionStartAnswered
from shared.contracts.manufacturing import ManufacturingStartAnswered
from shared.observability.figures import Figures


def count_event(figures: Figures, event: Event) -> None:
    """Adds the event to the figures that it belongs to; most belong to none."""
    match event:
        case PermitGranted(gate=gate):
            figures.permits.labels(gate.value, "granted").inc()
        case PermitDenied(gate=gate, codes=codes):
            figures.permits.labels(gate.value, "denied").inc()
            for code in codes:
                figures.permit_refusals.labels(gate.value, code.value).inc()
        case PermitConsumed(gate=gate):
            figures.permits.labels(gate.value, "consumed").inc()
        case PermitUndone(gate=gate):
            figures.permits.labels(gate.value, "undone").inc()
        case PermitLapsed(gate=gate):
            figures.permits.labels(gate.value, "lapsed").inc()
        case HoldEffective(effective_by=way):
            figures.holds_effective.labels(way.value).inc()
        case (
            InfusionStartAnswered(outcome="unpermitted", gate=gate)
            | ManufacturingStartAnswered(outcome="unpermitted", gate=gate)
        ):
            figures.unpermitted_starts.labels(gate.value).inc()
