"""Keeps decisions that were acted on, with all that is needed to make each of them again."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from services.intake.application.record_ports import RecordRows, StoredDecision, StoredFact
from shared.ports import Ids
from shared.protocol import Decision, Fact, Protocol, canonical, fact_from_json, fact_to_json
from shared.protocol.facts import Silence


async def keep_decisions(
    rows: RecordRows,
    ids: Ids,
    case_id: UUID,
    stored: Sequence[StoredFact],
    protocol: Protocol,
    decisions: Iterable[Decision],
    recorded_at: datetime,
    *,
    watermarks: Iterable[Silence] = (),
) -> None:
    """Keeps decisions made on exactly `stored` and `watermarks`. The case row is locked."""
    marks = {str(mark.source): fact_to_json(mark) for mark in watermarks}
    kept = [
        StoredDecision(
            decision_id=ids.new(),
            case_id=case_id,
            gate=decision.gate.value,
            decided_at=decision.at,
            recorded_at=recorded_at,
            last_ordinal=stored[-1].ordinal if stored else 0,
            protocol_version=protocol.version,
            protocol_digest=protocol.digest,
            protocol_status=protocol.status,
            verdict=decision.verdict.value,
            body=canonical(decision.to_json()),
            watermarks=marks,
        )
        for decision in decisions
    ]
    if kept:
        await rows.insert_decisions(kept)


def marks_of(stored: StoredDecision) -> tuple[Fact, ...]:
    """What the decision knew of the sources beside the facts on record."""
    return tuple(fact_from_json(stored.watermarks[name]) for name in sorted(stored.watermarks))
