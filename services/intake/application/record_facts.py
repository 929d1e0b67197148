"""Facts join the record: once each, whatever order and however often they arrive.

In one transaction with the fact: its event, the holds that it asks for, the raised version and the
re-published timelines (I5, I6).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID, uuid5

from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import Changed, reassess_case
from services.intake.application.record_ports import NewFact, Origin, StoredFact
from services.intake.domain.red_flags import urgency_of
from shared.contracts.coordination import (
    ConsentRecorded,
    ConsentWithdrawn,
    FactCorrected,
    FactRecorded,
    OncologyPlanAcknowledged,
    RedFlagReported,
)
from shared.contracts.event import Event
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Work
from shared.protocol import Fact, Protocol, When, fact_to_json, kind_of
from shared.protocol.facts import Correction, Evidence, RedFlag
from shared.protocol.words import FactStatus

#: a statement taken back by its source reports nothing
_UNSAID: Final = frozenset({FactStatus.ENTERED_IN_ERROR})


@dataclass(frozen=True, slots=True)
class RecordedFacts:
    """The ids of facts that were new, of those that were on record already; the gates changed."""

    recorded: tuple[UUID, ...]
    unchanged: tuple[UUID, ...]
    gates: frozenset[Gate] = frozenset()


def new_fact(case_id: UUID, fact: Fact) -> NewFact:
    """The fact with the id that it has on every arrival."""
    version = str(fact.version)
    return NewFact(
        fact_id=uuid5(case_id, f"{fact.id}|{version}"),
        source_id=fact.id,
        source_version=version,
        kind=kind_of(fact),
        statement=fact_to_json(fact),
    )


async def record_facts(
    work: Work[IntakeRows],
    protocol: Protocol,
    case_id: UUID,
    facts: Sequence[Fact],
    *,
    origin: Origin,
    is_last_chunk: bool = True,
) -> RecordedFacts:
    """What was new and what was not. The case row is locked here first, alone.

    `is_last_chunk` False: timelines are left to the last chunk of an import; holds never wait.
    Raises `CaseNotFoundError`.
    """
    await work.rows.authority.lock_case(case_id)
    arriving = {made.fact_id: (made, fact) for fact in facts for made in [new_fact(case_id, fact)]}
    recorded = await work.rows.record.insert_facts(
        case_id,
        [made for made, _ in arriving.values()],
        recorded_at=work.world.clock.now(),
        origin=origin,
        reporter=work.cause.actor,
    )
    gates: frozenset[Gate] = frozenset()
    if recorded or is_last_chunk:
        changed = await reassess_case(work, protocol, case_id, publish=is_last_chunk)
        gates = changed.gates
        for fact_id in (f for f in arriving if f in recorded):
            _tell(work, protocol, case_id, *arriving[fact_id], changed)
    if recorded:
        work.note("facts-recorded", case_id, count=len(recorded), origin=origin)
    unchanged = tuple(fact_id for fact_id in arriving if fact_id not in recorded)
    return RecordedFacts(tuple(f for f in arriving if f in recorded), unchanged, gates)


def _tell(
    work: Work[IntakeRows],
    protocol: Protocol,
    case_id: UUID,
    made: NewFact,
    fact: Fact,
    changed: Changed,
) -> None:
    key = str(made.fact_id)
    if isinstance(fact, Correction):
        corrected = changed.latest_of(fact.of)
        if corrected is not None:
            work.emit(_corrected(case_id, corrected, made, changed.gates), kind=key)
        return
    work.emit(
        FactRecorded(
            case_id=case_id,
            fact_id=made.fact_id,
            kind=made.kind,
            effective_day=_day(fact.effective),
            gates=changed.gates,
        ),
        kind=key,
    )
    special = _special_event(work, protocol, case_id, made, fact)
    if special is not None:
        work.emit(special, kind=key)


def _corrected(
    case_id: UUID, corrected: StoredFact, made: NewFact, gates: frozenset[Gate]
) -> FactCorrected:
    return FactCorrected(
        case_id=case_id,
        fact_id=corrected.fact_id,
        superseded_by=made.fact_id,
        kind=corrected.kind,
        gates=gates,
    )


def _special_event(
    work: Work[IntakeRows], protocol: Protocol, case_id: UUID, made: NewFact, fact: Fact
) -> Event | None:
    match fact:
        case Evidence(item="consent", withdrawn=True, effective=when) if when is not None:
            return ConsentWithdrawn(case_id=case_id, withdrawn_on=_known_day(when))
        case Evidence(item="consent", effective=when) if when is not None:
            return ConsentRecorded(
                case_id=case_id, document_version=made.source_version, signed_on=_known_day(when)
            )
        case Evidence(item="oncology_plan_ack", effective=when) if when is not None:
            return OncologyPlanAcknowledged(case_id=case_id, acknowledged_on=_known_day(when))
        case RedFlag(symptom=symptom, closed=None, status=status) if status not in _UNSAID:
            flag, level = urgency_of(protocol.plans.red_flags, symptom)
            return RedFlagReported.model_validate(
                {
                    "case_id": case_id,
                    "fact_id": made.fact_id,
                    "flag": flag,
                    "level": level,
                    "reported_at": work.world.clock.now(),
                }
            )
        case _:
            return None


def _day(when: When | None) -> date | None:
    return None if when is None else _known_day(when)


def _known_day(when: When) -> date:
    return when.date() if isinstance(when, datetime) else when
