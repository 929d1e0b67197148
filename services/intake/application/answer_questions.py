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
    Blocker,
    Decision,
    Fact,
    Interval,
    Protocol,
    Record,
    WhatIf,
    Window,
    blockers,
    checklist,
    decide,
    eligibility_advice,
    timeline,
    what_if,
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
    return (await explained_for(rows, protocol, question, gate))[0]


async def explained_for(
    rows: IntakeRows, protocol: Protocol, question: Question, gate: Gate
) -> tuple[Decision, Sequence[Blocker]]:
    """The decision of a gate at `question.at`, and the least that must change for it to open."""
    facts = facts_of(await rows.record.facts_of_case(question.case_id, question.as_of))
    record = Record.of(protocol, facts, as_of=question.as_of)
    return (
        decide(protocol, record, gate, question.at),
        blockers(protocol, record, gate, question.at),
    )


async def timeline_for(
    rows: IntakeRows, protocol: Protocol, question: Question, gate: Gate, until: datetime
) -> Sequence[Interval]:
    """The intervals of a gate from `question.at` to `until`."""
    facts = facts_of(await rows.record.facts_of_case(question.case_id, question.as_of))
    return timeline(protocol, facts, gate, question.at, until, as_of=question.as_of)


async def what_if_for(
    rows: IntakeRows,
    protocol: Protocol,
    case_id: UUID,
    supposed: Sequence[Fact],
    window: Window,
    *,
    assume_other_evidence_current: bool,
) -> WhatIf:
    """What the hypothetical facts would change."""
    return what_if(
        protocol,
        facts_of(await rows.record.facts_of_case(case_id)),
        supposed,
        window,
        assume_other_evidence_current=assume_other_evidence_current,
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
