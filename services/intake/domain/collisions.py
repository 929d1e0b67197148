"""Which planned CIK steps an order would collide with. Pure: nothing is stored, nothing moves.

Invariant: a collision says something about the CIK step, never about the order. What only lacks
evidence is none: it is lacking with and without the order.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date
from typing import Final

from shared.contracts.vocabulary import Gate
from shared.protocol import Effect, Finding, Protocol, Record, When, decide
from shared.protocol.facts import Infusion

#: a series has 16 infusions; a longer plan is compared for its next steps only
STEPS_MAX: Final = 24


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A collection or an infusion that is planned. `number` counts a case's infusions."""

    gate: Gate
    day: date
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Collision:
    """A planned step and what an order would hold against it, worst first.

    `clear_from` None: no date can be told from which the order is no longer in the way.
    """

    step: PlannedStep
    findings: tuple[Finding, ...]
    clear_from: When | None

    @property
    def needs_review_only(self) -> bool:
        """Whether a physician's review is all that is needed."""
        return all(finding.effect is Effect.REVIEW for finding in self.findings)


def planned_infusions(record: Record, today: date) -> list[PlannedStep]:
    """The infusions that are planned from today on and have not begun, soonest first."""
    ahead = [
        PlannedStep(Gate.INFUSION, infusion.planned, infusion.n)
        for infusion in record.all(Infusion)
        if infusion.planned is not None and infusion.planned >= today and infusion.day is None
    ]
    return sorted(ahead, key=lambda step: (step.day, step.number or 0))


def collisions(
    protocol: Protocol,
    known: Record,
    supposed: Record,
    steps: Sequence[PlannedStep],
    hypothetical: Set[str],
) -> tuple[Collision, ...]:
    """The collisions of the steps, in their order; `hypothetical` are the ids of the order's facts.

    A finding counts when it rests on the order, or is there only with it.
    """
    found = []
    for step in steps:
        after = _findings(protocol, supposed, step)
        if after:
            before = {_key(finding) for finding in _findings(protocol, known, step)}
            new = tuple(
                f for f in after if not hypothetical.isdisjoint(f.facts) or _key(f) not in before
            )
            if new:
                found.append(Collision(step, new, _clear_from(supposed, new)))
    return tuple(found)


def _findings(protocol: Protocol, record: Record, step: PlannedStep) -> list[Finding]:
    decision = decide(protocol, record, step.gate, step.day)
    return [finding for finding in decision.blocking if not finding.only_evidence]


def _key(finding: Finding) -> tuple[object, ...]:
    return (*finding.hold_key, finding.effect, finding.clears_at)


def _clear_from(record: Record, findings: Sequence[Finding]) -> When | None:
    dates = [finding.clears_at for finding in findings]
    known = [when for when in dates if when is not None]
    return max(known, key=record.time.earliest) if len(known) == len(dates) else None
