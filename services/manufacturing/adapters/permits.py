"""The start-permit protocol, as manufacturing's use cases see it."""

from collections.abc import Sequence
from typing import Final, assert_never
from uuid import UUID

from services.manufacturing.application.ports import DoNotStart, Go, Press, StartView
from services.manufacturing.application.row_ports import Rows
from shared.contracts.vocabulary import Gate
from shared.messaging.unit_of_work import Cause, Work
from shared.permits import after_start, ask, press_start
from shared.permits.clearance import ClearanceVersion
from shared.permits.holder import Holder
from shared.permits.rows import HolderRows
from shared.permits.starts import UNDER_WAY, Start, StartState

#: nothing has begun, and the permit (if one is out) lapses by itself
_NOT_STARTED_STATUS: Final = 503


class HolderPermits:
    """The port `StartPermits` over `shared.permits`."""

    def __init__(self, holder: Holder[Rows]) -> None:
        self._holder = holder

    async def press(self, press: Press, cause: Cause) -> Go | DoNotStart:
        """GO, or why not. Raises `RefusedError` when our own rows no longer allow the step."""
        asked = ask.Press(
            case_id=press.case_id,
            permit_id=press.permit_id,
            gate=press.gate,
            subject_id=press.subject_id,
            attempt=press.attempt,
            dose_id=press.dose_id,
            seen=ClearanceVersion(*press.seen),
            requested_by=cause.actor,
            second_checker=press.second_checker,
            band_scanned=press.scanned_band,
            place=press.place,
        )
        answer = await press_start.press_start(self._holder, asked, cause)
        match answer:
            case press_start.Go(start, show_ms):
                assert start.go_at is not None  # noqa: S101 - a GO has its time
                return Go(start.start_id, press.permit_id, start.go_at, show_ms)
            case press_start.StartRefused():
                return _refused(answer)
            case press_start.DoNotStart(code, title):
                return DoNotStart(_NOT_STARTED_STATUS, code, title, {"reasons": [{"code": code}]})
            case _:
                assert_never(answer)

    async def asked(self, work: Work[Rows], permit_id: UUID) -> StartView | None:
        """What became of a press."""
        start = await HolderRows(work.tx).start_of_permit(permit_id)
        if start is None:
            return None
        return StartView(start.start_id, permit_id, start.state.value, start.go_at)

    async def next_attempt(self, work: Work[Rows], subject_id: UUID) -> int:
        """One more than the attempts that began or may have begun."""
        starts = await HolderRows(work.tx).starts_of_subject(subject_id)
        begun = [s.attempt for s in starts if s.state is not StartState.NOT_STARTED]
        return max(begun, default=0) + 1

    async def never_began(self, work: Work[Rows], start_id: UUID, reason: str) -> None:
        """The permit is undone; our rows follow through the holder's `on_change`."""
        start = await self._under_way(work, start_id)
        if start is not None:
            await after_start.never_opened(self._holder, work, start.case_id, start_id, reason)

    async def complete(self, work: Work[Rows], start_id: UUID) -> None:
        """The step is over."""
        start = await self._under_way(work, start_id)
        if start is not None:
            await after_start.complete(self._holder, work, start.case_id, start_id)

    async def stop(self, work: Work[Rows], start_id: UUID, reason: str) -> None:
        """The step ended before it was complete."""
        start = await self._under_way(work, start_id)
        if start is not None:
            await after_start.stop(self._holder, work, start.case_id, start_id, reason)

    async def under_way(self, work: Work[Rows], start_id: UUID) -> bool:
        """Whether the start runs, with no stop ordered."""
        start = await HolderRows(work.tx).start(start_id)
        return start is not None and start.state is StartState.RUNNING

    async def open_holds(
        self, work: Work[Rows], case_id: UUID, gate: Gate, dose_id: UUID | None
    ) -> Sequence[UUID]:
        """The open holds that are known here and cover this gate and dose."""
        found = await HolderRows(work.tx).open_replicas(case_id, gate, dose_id)
        return [hold.hold_id for hold in found]

    async def _under_way(self, work: Work[Rows], start_id: UUID) -> Start | None:
        start = await HolderRows(work.tx).start(start_id)
        return start if start is not None and start.state in UNDER_WAY else None


def _refused(answer: press_start.StartRefused) -> DoNotStart:
    extra: dict[str, object] = {"reasons": list(answer.reasons)}
    if answer.view is not None:
        extra["clearance"] = {"epoch": answer.view.epoch, "version": answer.view.version}
    return DoNotStart(answer.status, answer.code, answer.title, extra)
