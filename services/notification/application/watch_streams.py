"""The dead-man's alarm: says that a source is silent, from the database alone, without Kafka.

The consumer writes through when each source was heard; this timer reads it. So the alarm sounds
when a source is down, when Kafka is down, and when this service's own consumer hangs. Its messages
leave by mail; its events wait in the outbox until Kafka is back.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.notification.application.absorb_evidence import absorb_evidence
from services.notification.application.deliver_due import ACTOR
from services.notification.application.ports import AlertRows, Origin, Policy
from services.notification.domain.evidence import NO_CASE, Evidence, EvidenceKind
from services.notification.domain.streams import StreamState, judge
from shared.contracts.event import derived_id
from shared.contracts.notification import StreamBroken, StreamRestored
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause, UnitOfWork, Work

SOURCES: Final = (Service.INTAKE, Service.MANUFACTURING, Service.INFUSION_SCHEDULING)


async def watch_streams(
    policy: Policy, units: UnitOfWork[AlertRows], *, watching_since: datetime
) -> Sequence[Service]:
    """Raises or closes the alarm of every source whose state changed; returns the silent ones."""
    now = units.world.machine_clock.now()
    async with units.database.transaction() as tx:
        rows = units.repository(tx)
        known = {state.source: state for state in await rows.stream_states()}
        heard = await rows.last_heartbeats()
    silent = []
    for source in SOURCES:
        state = known.get(source) or StreamState(source, watching_since, None)
        after, change = judge(state, heard.get(source), watching_since=watching_since, now=now)
        if change is not None or source not in known:
            await _record(policy, units, state, heard.get(source), watching_since)
        if after.broken_since is not None:
            silent.append(source)
    return silent


async def _record(
    policy: Policy,
    units: UnitOfWork[AlertRows],
    state: StreamState,
    heard_at: datetime | None,
    watching_since: datetime,
) -> None:
    """Judges again under the lock, so that of two replicas one tells it."""
    subject = f"{state.source.value}:{state.last_seen_at.isoformat()}"
    cause = Cause(actor=ACTOR, correlation_id=derived_id(NO_CASE, subject))
    async with units.begin(cause) as work:
        await work.rows.lock_case(NO_CASE)
        known = {s.source: s for s in await work.rows.stream_states()}
        state = known.get(state.source, state)
        now = work.world.machine_clock.now()
        after, change = judge(state, heard_at, watching_since=watching_since, now=now)
        await work.rows.put_stream_state(after)
        if change == "broken":
            await _tell_broken(policy, work, after)
        elif change == "restored":
            await _tell_restored(policy, work, after)


async def _tell_broken(policy: Policy, work: Work[AlertRows], state: StreamState) -> None:
    since = state.last_seen_at
    work.emit(StreamBroken(case_id=NO_CASE, stream_source=state.source, since=since))
    await absorb_evidence(
        policy,
        work,
        _evidence(work, state, EvidenceKind.STREAM_BROKEN, f"stream-broken:{since.isoformat()}"),
        Origin(None, None),
    )


async def _tell_restored(policy: Policy, work: Work[AlertRows], state: StreamState) -> None:
    seen = state.last_seen_at.isoformat()
    work.emit(StreamRestored(case_id=NO_CASE, stream_source=state.source))
    await absorb_evidence(
        policy,
        work,
        _evidence(work, state, EvidenceKind.STREAM_RESTORED, f"stream-restored:{seen}"),
        Origin(None, None),
    )


def _evidence(
    work: Work[AlertRows], state: StreamState, kind: EvidenceKind, subject: str
) -> Evidence:
    key = f"stream:{state.source.value}"
    restored = kind is EvidenceKind.STREAM_RESTORED
    return Evidence(
        case_id=NO_CASE,
        kind=kind,
        subject=f"{subject}:{state.source.value}",
        chain=work.cause.correlation_id,
        occurred_at=work.world.clock.now(),
        keys=frozenset({key}),
        lasts_until=None if restored else key,
        resolves=key if restored else None,
        detail={"source": state.source.value, "since": state.last_seen_at.isoformat()},
    )
