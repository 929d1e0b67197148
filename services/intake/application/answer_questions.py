"""What people and services ask of the record: decisions, timelines, what-if, checklist, due items.

Nothing here is stored and no event leaves: hypothetical facts live as long as the answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.application.keep_decisions import marks_of
from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import facts_of
from services.intake.application.record_ports import StoredDecision
from services.intake.application.rulebooks import Rulebooks
from services.intake.domain.sources import with_watermarks
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


@dataclass(frozen=True, slots=True)
class Explained:
    """A decision, the least that must change for the gate to open, and whose protocol it is."""

    decision: Decision
    blockers: Sequence[Blocker]
    protocol: Protocol


async def _facts(
    rows: IntakeRows, case_id: UUID, as_of: datetime | None = None
) -> tuple[Fact, ...]:
    """The facts on record, and of now also when each source was last heard."""
    facts = facts_of(await rows.record.facts_of_case(case_id, as_of))
    if as_of is not None:
        return facts
    return with_watermarks(facts, await rows.sources.watermarks(case_id))


async def decision_for(
    rows: IntakeRows, protocol: Protocol, question: Question, gate: Gate
) -> Decision:
    """The decision of a gate at `question.at`, by this protocol."""
    facts = await _facts(rows, question.case_id, question.as_of)
    return decide(protocol, facts, gate, question.at, as_of=question.as_of)


async def explained_for(
    rows: IntakeRows, rulebooks: Rulebooks, question: Question, gate: Gate
) -> Explained:
    """The decision of a gate at `question.at`, by the protocol and the facts of `question.as_of`.

    Asked about the instant of a decision that was acted on, it is that decision to the byte: what
    was recorded in the same instant but after it was not known then.
    """
    protocol, facts = await _known(rows, rulebooks, question, gate)
    record = Record.of(protocol, facts, as_of=question.as_of)
    found = blockers(protocol, record, gate, question.at)
    return Explained(decide(protocol, record, gate, question.at), found, protocol)


async def _known(
    rows: IntakeRows, rulebooks: Rulebooks, question: Question, gate: Gate
) -> tuple[Protocol, Sequence[Fact]]:
    """The protocol that answers the question and the facts that were known by then."""
    stored = await rows.record.facts_of_case(question.case_id, question.as_of)
    if question.as_of is None:
        marks = await rows.sources.watermarks(question.case_id)
        return rulebooks.protocol, with_watermarks(facts_of(stored), marks)
    given = await rows.record.decision_given(
        question.case_id, gate.value, question.at, question.as_of
    )
    protocol = await _protocol_of(rows, rulebooks, given, question.as_of)
    if given is None:
        return protocol, facts_of(stored)
    known = facts_of([fact for fact in stored if fact.ordinal <= given.last_ordinal])
    return protocol, (*known, *marks_of(given))


async def _protocol_of(
    rows: IntakeRows, rulebooks: Rulebooks, given: StoredDecision | None, as_of: datetime
) -> Protocol:
    found = None
    if given is not None and given.protocol_digest and given.protocol_status:
        found = await rulebooks.kept(rows.protocols, given.protocol_digest, given.protocol_status)
    return found or await rulebooks.at(rows.protocols, as_of)


async def timeline_for(
    rows: IntakeRows, protocol: Protocol, question: Question, gate: Gate, until: datetime
) -> Sequence[Interval]:
    """The intervals of a gate from `question.at` to `until`."""
    facts = await _facts(rows, question.case_id, question.as_of)
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
        await _facts(rows, case_id),
        supposed,
        window,
        assume_other_evidence_current=assume_other_evidence_current,
    )


async def checklist_for(
    rows: IntakeRows, protocol: Protocol, question: Question
) -> Mapping[str, Any]:
    """The evaluation checklist with the engine's advice on eligibility."""
    facts = await _facts(rows, question.case_id, question.as_of)
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
    facts = await _facts(rows, question.case_id, question.as_of)
    record = Record.of(protocol, facts)
    return [
        {"gate": gate.value, **due.to_json(protocol.zone)}
        for gate in Gate
        for due in decide(protocol, record, gate, question.at).due
    ]
