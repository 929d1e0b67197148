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
from services.intake.application.record_ports import StoredDecision
from services.intake.application.rulebooks import Rulebooks
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


async def decision_as_of(
    rows: IntakeRows, rulebooks: Rulebooks, question: Question, gate: Gate
) -> Decision:
    """The decision of a gate at `question.at`, by the protocol of `question.as_of`.

    Asked about the instant of a decision that was acted on, it is that decision to the byte: what
    was recorded in the same instant but after it was not known then.
    """
    as_of = question.as_of
    if as_of is None:
        return await decision_for(rows, rulebooks.protocol, question, gate)
    given = await rows.record.decision_given(question.case_id, gate.value, question.at, as_of)
    protocol = await _protocol_of(rows, rulebooks, given, as_of)
    stored = await rows.record.facts_of_case(question.case_id, as_of)
    known = [fact for fact in stored if given is None or fact.ordinal <= given.last_ordinal]
    return decide(protocol, facts_of(known), gate, question.at, as_of=as_of)


async def _protocol_of(
    rows: IntakeRows, rulebooks: Rulebooks, given: StoredDecision | None, as_of: datetime
) -> Protocol:
    found = None
    if given is not None and given.protocol_digest and given.protocol_status:
        found = await rulebooks.kept(rows.protocols, given.protocol_digest, given.protocol_status)
    return found or await rulebooks.at(rows.protocols, as_of)


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
