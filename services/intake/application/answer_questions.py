"""What people and services ask of the record: decisions, timelines, what-if, checklist, due items.

Nothing here is stored and no event leaves: hypothetical facts live as long as the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import facts_of
from shared.contracts.vocabulary import Gate
from shared.protocol import (
    Decision,
    Fact,
    Interval,
    Protocol,
    Record,
    checklist,
    decide,
    eligibility_advice,
    timeline,
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question about one case. `as_of` limits the answer to what was known by then."""

    case_id: UUID
    at: datetime
    as_of: datetime | None = None


async def decision_for(
    rows: IntakeRows, protocol: Protocol, question: Question, gate: Gate
) -> Decision:
    """The decision of a gate at `question.at`."""
    facts = facts_of(await rows.record.facts_of_case(question.case_id, question.as_of))
    return decide(protocol, facts, gate, question.at, as_of=question.as_of)


async def timeline_for(
    rows: IntakeRows, protocol: Protocol, question: Question, gate: Gate, until: datetime
) -> Sequence[Interval]:
    """The intervals of a gate from `question.at` to `until`."""
    facts = facts_of(await rows.record.facts_of_case(question.case_id, question.as_of))
    return timeline(protocol, facts, gate, question.at, until, as_of=question.as_of)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """Decisions of all gates on the record as it is, and with the hypothetical facts."""

    before: Mapping[Gate, Decision]
    after: Mapping[Gate, Decision]
    timelines: Mapping[Gate, Sequence[Interval]]


async def what_if(
    rows: IntakeRows,
    protocol: Protocol,
    question: Question,
    hypothetical: Sequence[Fact],
    until: datetime,
) -> WhatIf:
    """What the hypothetical facts would change."""
    facts = facts_of(await rows.record.facts_of_case(question.case_id, question.as_of))
    known, supposed = Record.of(protocol, facts), Record.of(protocol, (*facts, *hypothetical))
    return WhatIf(
        before={gate: decide(protocol, known, gate, question.at) for gate in Gate},
        after={gate: decide(protocol, supposed, gate, question.at) for gate in Gate},
        timelines={
            gate: timeline(protocol, supposed, gate, question.at, until)
            for gate in (Gate.COLLECTION, Gate.INFUSION)
        },
    )


async def checklist_for(
    rows: IntakeRows, protocol: Protocol, question: Question
) -> Mapping[str, Any]:
    """The evaluation checklist with the engine's advice on eligibility."""
    facts = facts_of(await rows.record.facts_of_case(question.case_id, question.as_of))
    record = Record.of(protocol, facts)
    advice = eligibility_advice(protocol, record, question.at)
    return {
        "items": [item.to_json() for item in checklist(protocol, record, question.at)],
        "advice": {
            "outcome": advice.outcome.value,
            "reevaluate_on": advice.reevaluate_on.isoformat() if advice.reevaluate_on else None,
            "findings": [finding.to_json(protocol.zone) for finding in advice.findings],
        },
    }


async def due_for(
    rows: IntakeRows, protocol: Protocol, question: Question
) -> Sequence[Mapping[str, Any]]:
    """What must be drawn, asked or signed for each gate to open at `question.at`."""
    facts = facts_of(await rows.record.facts_of_case(question.case_id, question.as_of))
    record = Record.of(protocol, facts)
    return [
        {"gate": gate.value, **due.to_json(protocol.zone)}
        for gate in Gate
        for due in decide(protocol, record, gate, question.at).due
    ]
