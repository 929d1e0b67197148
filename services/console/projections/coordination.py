"""What intake says: the case, its holds, the timelines of its gates, its permits."""

from datetime import datetime
from typing import Any

from services.console.projections.log import STATEMENTS
from shared.contracts import coordination as coord
from shared.contracts.event import Envelope
from shared.contracts.vocabulary import EffectiveBy, PermitState
from shared.persistence.database import Tx


async def open_case(tx: Tx, envelope: Envelope[coord.CaseOpened]) -> None:
    """The case has a day of opening."""
    event = envelope.data
    await tx.run(STATEMENTS["open_case"], event.case_id, envelope.time, event.protocol_version)


async def close_case(tx: Tx, envelope: Envelope[coord.CaseClosed]) -> None:
    """The case leaves the worklist; its history stays."""
    event = envelope.data
    await tx.run(STATEMENTS["close_case"], event.case_id, envelope.time, event.reason)


async def place_hold(tx: Tx, envelope: Envelope[coord.HoldRecorded]) -> None:
    """One more open hold."""
    event = envelope.data
    by = EffectiveBy.NO_PERMIT.value if event.effective else None
    await tx.run(
        STATEMENTS["place_hold"], event.hold_id, event.case_id, event.kind.value, event.rule,
        sorted(event.gates), None if event.dose_ids is None else len(event.dose_ids),
        event.on_running.value, event.version, envelope.time,
        envelope.time if event.effective else None, by, event.expected_until,
    )  # fmt: skip


async def make_hold_effective(tx: Tx, envelope: Envelope[coord.HoldEffective]) -> None:
    """Nothing in the hold's scope can start any more."""
    event = envelope.data
    await tx.run(
        STATEMENTS["make_hold_effective"], event.hold_id, envelope.time, event.effective_by.value
    )


async def note_hold_overdue(tx: Tx, envelope: Envelope[coord.HoldOverdue]) -> None:
    """A holder did not acknowledge, or did not stop, in time."""
    event = envelope.data
    await tx.run(STATEMENTS["note_hold_overdue"], event.hold_id, event.overdue)


async def release_hold(tx: Tx, envelope: Envelope[coord.HoldReleased]) -> None:
    """One open hold less."""
    await tx.run(STATEMENTS["release_hold"], envelope.data.hold_id, envelope.time)


async def note_silence(tx: Tx, envelope: Envelope[coord.SourceSilent]) -> None:
    """One more source whose evidence is unknown."""
    await _note_source(tx, envelope, envelope.data.since)


async def note_heard_again(tx: Tx, envelope: Envelope[coord.SourceHeardAgain]) -> None:
    """One silent source less."""
    await _note_source(tx, envelope, None)


async def _note_source(
    tx: Tx, envelope: Envelope[coord.SourceSilent] | Envelope[coord.SourceHeardAgain],
    since: datetime | None,
) -> None:  # fmt: skip
    event = envelope.data
    await tx.run(
        STATEMENTS["note_source"], event.case_id, event.source_name, event.feed, since,
        envelope.sequence,
    )  # fmt: skip


async def start_epoch(tx: Tx, envelope: Envelope[coord.EpochStarted]) -> None:
    """The snapshot of the restored authority takes the place of what was known of holds."""
    event = envelope.data
    known = [hold.hold_id for hold in event.open_holds]
    await tx.run(STATEMENTS["release_holds_but"], event.case_id, envelope.time, known)
    for hold in event.open_holds:
        await tx.run(
            STATEMENTS["place_hold"], hold.hold_id, event.case_id, None, None, sorted(hold.gates),
            None if hold.dose_ids is None else len(hold.dose_ids), hold.on_running.value,
            hold.version, envelope.time, None, None, None,
        )  # fmt: skip


async def publish_timeline(tx: Tx, envelope: Envelope[coord.TimelinePublished]) -> None:
    """The gate's intervals, if they are newer than those known."""
    event = envelope.data
    newer = await tx.value(
        STATEMENTS["publish_timeline"], event.case_id, event.gate.value, event.epoch, event.version,
        event.timeline_version, event.protocol_version, envelope.time,
    )  # fmt: skip
    if not newer:
        return
    await tx.run(STATEMENTS["clear_intervals"], event.case_id, event.gate.value)
    for interval in event.intervals:
        await tx.run(
            STATEMENTS["add_interval"], event.case_id, event.gate.value, interval.starts_at,
            interval.ends_at, interval.start.value, interval.plan.value, list(interval.rules),
            [due.model_dump(mode="json") for due in interval.due],
        )  # fmt: skip


async def grant_permit(tx: Tx, envelope: Envelope[coord.PermitGranted]) -> None:
    """A permit is out."""
    event = envelope.data
    await tx.run(
        STATEMENTS["grant_permit"], event.permit_id, event.case_id, event.gate.value,
        event.holder.value, event.subject_id, envelope.time,
    )  # fmt: skip


async def end_permit(tx: Tx, envelope: Envelope[Any]) -> None:
    """The permit was used, given back, or lapsed."""
    await tx.run(
        STATEMENTS["end_permit"],
        envelope.data.permit_id,
        _PERMIT_STATE[type(envelope.data)].value,
        envelope.time,
    )


_PERMIT_STATE = {
    coord.PermitConsumed: PermitState.CONSUMED,
    coord.PermitUndone: PermitState.UNDONE,
    coord.PermitLapsed: PermitState.LAPSED,
}
