"""What was filled in about a case, and what rests on it now. Nothing is changed.

Invariant: what an entry closes is read off the decisions of this moment, never remembered: an entry
that was corrected, withdrawn or answered closes nothing any more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from services.intake.application.entry_ports import StoredEntry
from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import facts_of, facts_on_record
from services.intake.application.record_ports import StoredFact, StoredTimeline
from services.intake.domain.assessment import assess
from services.intake.domain.entries import PlannedDose, planned_doses
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Work
from shared.protocol import Decision, Finding, Protocol


@dataclass(frozen=True, slots=True)
class GateClosed:
    """A gate that findings keep from GO which rest on an entry. `timeline` None: none published."""

    gate: Gate
    timeline: StoredTimeline | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class EntrySeen:
    """An entry: its versions in order, the facts of the newest, and what these close."""

    versions: tuple[StoredEntry, ...]
    facts: tuple[StoredFact, ...]
    closes: tuple[GateClosed, ...]

    @property
    def newest(self) -> StoredEntry:
        """The version that counts."""
        return self.versions[-1]

    @property
    def filled_in(self) -> StoredEntry:
        """The last version that said something: a withdrawal says nothing of its own."""
        said = [version for version in self.versions if not version.withdrawn]
        return said[-1] if said else self.newest


async def entries_seen(
    work: Work[IntakeRows], protocol: Protocol, case_id: UUID
) -> tuple[EntrySeen, ...]:
    """The case's entries, newest first."""
    kept = await work.rows.entries.entries_of_case(case_id)
    if not kept:
        return ()
    stored = await work.rows.record.facts_of_case(case_id)
    timelines = {t.gate: t for t in await work.rows.record.timelines_of_case(case_id)}
    decisions = assess(protocol, facts_of(stored), work.world.clock.now()).decisions
    return tuple(
        _seen(tuple(versions), stored, timelines, decisions)
        for _, versions in groupby(kept, key=lambda entry: entry.entry_id)
    )


def _seen(
    versions: tuple[StoredEntry, ...],
    stored: Sequence[StoredFact],
    timelines: Mapping[str, StoredTimeline],
    decisions: Mapping[Gate, Decision],
) -> EntrySeen:
    own = set(versions[-1].sources)
    closes = []
    for gate, decision in decisions.items():
        resting = tuple(f for f in decision.blocking if own & set(f.facts))
        if resting:
            closes.append(GateClosed(gate, timelines.get(gate.value), resting))
    facts = tuple(fact for fact in stored if fact.source_id in own)
    return EntrySeen(versions, facts, tuple(closes))


async def doses_ahead(
    work: Work[IntakeRows], protocol: Protocol, case_id: UUID
) -> tuple[PlannedDose, ...]:
    """The doses of the oncology plan from today on, as all changes so far leave it."""
    today = work.world.clock.now().astimezone(protocol.zone).date()
    facts = await facts_on_record(work.rows, case_id)
    return tuple(dose for dose in planned_doses(protocol, facts) if dose.day >= today)
