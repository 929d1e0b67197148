"""After anything that may change a case's decisions: holds by rule, version, timelines.

Called inside the transaction of the change, with the case row locked, and by the timer when an
interval boundary has passed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from services.intake.application.keep_decisions import keep_decisions
from services.intake.application.place_hold import place_rule_hold
from services.intake.application.ports import IntakeRows
from services.intake.application.record_ports import StoredFact, StoredTimeline
from services.intake.application.release_hold import release_rule_hold
from services.intake.domain.assessment import (
    Assessment,
    Standing,
    assess,
    hold_changes,
    is_past,
    next_boundary,
    same_course,
    standing_of,
    timeline_of,
    worsened_gates,
)
from shared.contracts.coordination import TimelineInterval, TimelinePublished
from shared.contracts.vocabulary import Gate, Verdict
from shared.messaging.unit_of_work import Work
from shared.protocol import Fact, Protocol, Record, fact_from_json


@dataclass(frozen=True, slots=True)
class Changed:
    """The gates whose decision changed, and the facts on record."""

    gates: frozenset[Gate]
    stored: Sequence[StoredFact]

    def latest_of(self, source_id: str) -> StoredFact | None:
        """The newest fact of a source, corrections apart."""
        found = [f for f in self.stored if f.source_id == source_id and f.kind != "correction"]
        return found[-1] if found else None


async def facts_on_record(rows: IntakeRows, case_id: UUID) -> tuple[Fact, ...]:
    """The case's facts in order of arrival."""
    return facts_of(await rows.record.facts_of_case(case_id))


def facts_of(stored: Sequence[StoredFact]) -> tuple[Fact, ...]:
    """Stored facts as the protocol reads them; `recorded` is when this record learnt them."""
    return tuple(
        fact_from_json({**fact.statement, "recorded": fact.recorded_at.isoformat()})
        for fact in stored
    )


async def reassess_case(
    work: Work[IntakeRows], protocol: Protocol, case_id: UUID, *, publish: bool = True
) -> Changed:
    """The gates whose verdict or findings changed. The case row is locked already.

    `publish` False leaves the timelines for later (the last chunk of an import); holds and the
    version never wait. Each published decision that changed is kept as it was given.
    """
    now = work.world.clock.now()
    stored = await work.rows.record.facts_of_case(case_id)
    record = Record.of(protocol, facts_of(stored))
    before = {Gate(t.gate): t for t in await work.rows.record.timelines_of_case(case_id)}
    standings = {gate: Standing(Verdict(t.verdict), t.blocking) for gate, t in before.items()}
    assessment = assess(protocol, record, now)
    await _align_holds(work, case_id, assessment)
    if worsened_gates(standings, assessment):
        await work.rows.authority.raise_version(case_id)
    if publish:
        for gate in Gate:
            fresh = timeline_of(protocol, record, gate, now)
            await _publish(work, protocol, case_id, assessment, before.get(gate), gate, fresh)
    changed = {g for g, d in assessment.decisions.items() if standings.get(g) != standing_of(d)}
    if publish:
        given = [assessment.decisions[gate] for gate in Gate if gate in changed]
        ids = work.world.ids
        await keep_decisions(work.rows.record, ids, case_id, stored, protocol, given, now)
    return Changed(frozenset(changed), stored)


async def _align_holds(work: Work[IntakeRows], case_id: UUID, assessment: Assessment) -> None:
    open_gates = await work.rows.authority.open_rule_gates(case_id)
    changes = hold_changes(assessment, open_gates)
    for hold in changes.to_place:
        await place_rule_hold(work, case_id, hold.finding, hold.gates)
    for key in sorted(changes.to_release):
        await release_rule_hold(work, case_id, key)


async def _publish(
    work: Work[IntakeRows],
    protocol: Protocol,
    case_id: UUID,
    assessment: Assessment,
    before: StoredTimeline | None,
    gate: Gate,
    fresh: Sequence[TimelineInterval],
) -> None:
    published = (
        tuple(TimelineInterval.model_validate(part) for part in before.body) if before else ()
    )
    # At a boundary the gate is another one, even where all saw it coming: planners act on the word.
    is_boundary = before is not None and is_past(before.next_boundary, assessment.at)
    is_same = (
        before is not None and not is_boundary and same_course(published, fresh, assessment.at)
    )
    version = (before.timeline_version if before else 0) + (0 if is_same else 1)
    standing = standing_of(assessment.decisions[gate])
    await work.rows.record.put_timeline(
        case_id,
        StoredTimeline(
            gate=gate.value,
            timeline_version=version,
            body=[part.model_dump(mode="json") for part in fresh],
            verdict=standing.verdict.value,
            blocking=standing.blocking,
            next_boundary=next_boundary(fresh),
            made_by=protocol.identity,
        ),
    )
    if is_same:
        return
    view = await work.rows.authority.view(case_id)
    work.emit(
        TimelinePublished(
            case_id=case_id,
            gate=gate,
            epoch=view.epoch,
            version=view.version,
            timeline_version=version,
            protocol_version=protocol.version,
            intervals=tuple(fresh),
        ),
        kind=gate.value,
    )
