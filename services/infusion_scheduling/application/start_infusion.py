"""One press at the bedside: everything that must be true here, then the permit, then GO or not.

The checks of two people are for this attempt and this bag; whether the step may start is decided by
the authority and the fence (`shared.permits.press_start`), never here. Each press, each refusal is
an event.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, assert_never
from uuid import UUID

from services.infusion_scheduling.application.planning import slot_of
from services.infusion_scheduling.application.ports import (
    CheckRow,
    DoseRow,
    InfusionRow,
    ScheduleRows,
)
from services.infusion_scheduling.application.record_vitals import locked_infusion
from services.infusion_scheduling.domain.availability import Availability
from shared.contracts.case_code import case_code
from shared.contracts.infusion import StartRefused as StartRefusedEvent
from shared.contracts.infusion import StartRequested
from shared.contracts.vocabulary import Gate, RefusalCode
from shared.messaging.unit_of_work import Cause, Work
from shared.permits.ask import Press
from shared.permits.clearance import ClearanceVersion
from shared.permits.holder import Holder
from shared.permits.press_start import DoNotStart, Go, StartAnswer, StartRefused, press_start

#: from where an attempt can be made: the first, or a resumption
STARTABLE: Final = frozenset({"planned", "paused", "stopped"})


@dataclass(frozen=True, slots=True)
class NotReady:
    """The bedside itself is not ready: nothing was asked of the authority.

    `reasons` is what stands against the start as far as this service knows: `codes`, and behind a
    suspension the open holds and the rules that close the gate, as JSON like the authority's own.
    """

    codes: tuple[str, ...]
    reasons: tuple[Mapping[str, object], ...]


@dataclass(frozen=True, slots=True)
class BedsideCheck:
    """What two people scanned and confirmed."""

    infusion_id: UUID
    second_by: str
    band: str
    label: str
    emergency_kit: bool
    physician_on_site: bool


async def record_check(work: Work[ScheduleRows], check: BedsideCheck) -> tuple[str, ...]:
    """What is wrong with the check, as codes; empty when it is on record for the next attempt.

    A wrong band or label is never kept as a check.
    """
    infusion = await locked_infusion(work, check.infusion_id)
    dose = await _dose(work, infusion)
    faults = _check_faults(work.cause, infusion, dose, check)
    if faults:
        work.note("bedside-check-refused", infusion.case_id, codes=",".join(faults))
        return faults
    await work.rows.put_check(
        CheckRow(
            infusion_id=infusion.infusion_id,
            attempt=infusion.attempt + 1,
            first_by=work.cause.actor,
            second_by=check.second_by,
            band=check.band,
            label=check.label,
            checked_at=work.world.clock.now(),
        )
    )
    work.note("bedside-checked", infusion.case_id, infusion_id=str(infusion.infusion_id))
    return ()


def _check_faults(
    cause: Cause, infusion: InfusionRow, dose: DoseRow | None, check: BedsideCheck
) -> tuple[str, ...]:
    wrong = (
        ("second-person", check.second_by == cause.actor),
        ("no-dose-bound", dose is None),
        ("dose-not-issued", dose is not None and dose.state != "issued"),
        ("band-mismatch", check.band.strip().upper() != case_code(infusion.case_id)),
        ("label-mismatch", dose is not None and check.label.strip().upper() != dose.label),
        ("emergency-kit", not check.emergency_kit),
        ("physician-on-site", not check.physician_on_site),
    )
    return tuple(code for code, is_wrong in wrong if is_wrong)


async def _dose(work: Work[ScheduleRows], infusion: InfusionRow) -> DoseRow | None:
    doses = await work.rows.doses_of_case(infusion.case_id)
    return next((dose for dose in doses if dose.dose_id == infusion.dose_id), None)


async def start_infusion(
    holder: Holder[ScheduleRows],
    infusion_id: UUID,
    seen: ClearanceVersion,
    cause: Cause,
    *,
    permit_id: UUID,
    drip_minutes: int,
) -> StartAnswer | NotReady:
    """GO, or why not. Raises `UnknownInfusionError`. `permit_id` is fresh: a permit is asked once.

    The dose must be usable for `drip_minutes`; the visit's chair is taken for longer than that.
    """
    async with holder.unit_of_work.begin(cause) as work:
        infusion = await locked_infusion(work, infusion_id)
        check = await work.rows.check_of_attempt(infusion_id, infusion.attempt + 1)
        codes = _unready(infusion, check, await _dose(work, infusion))
        if codes or check is None:
            behind = await _behind_suspension(work, infusion)
            _tell_refused(work, infusion, None, codes, behind.rules)
            return NotReady(codes, (*({"code": code} for code in codes), *behind.reasons()))
        work.emit(
            StartRequested(
                case_id=infusion.case_id,
                infusion_id=infusion_id,
                permit_id=permit_id,
                attempt=infusion.attempt + 1,
            )
        )
    press = _press(infusion, check, permit_id, seen, cause, drip_minutes)
    answer = await press_start(holder, press, cause)
    await _follow(holder, infusion, permit_id, answer, cause)
    return answer


def _unready(
    infusion: InfusionRow, check: CheckRow | None, dose: DoseRow | None
) -> tuple[str, ...]:
    wrong = (
        (f"infusion-{infusion.state}", infusion.state not in STARTABLE),
        ("no-dose-bound", infusion.dose_id is None),
        ("dose-not-issued", dose is None or dose.state != "issued"),
        ("not-checked", check is None),
    )
    return tuple(code for code, is_wrong in wrong if is_wrong)


@dataclass(frozen=True, slots=True)
class _Behind:
    """Why an infusion is suspended, as it stands now: ids of open holds, closing rules."""

    holds: tuple[UUID, ...] = ()
    rules: tuple[str, ...] = ()

    def reasons(self) -> tuple[Mapping[str, object], ...]:
        """In the shape in which the authority lists its own."""
        holds = tuple(
            {"code": RefusalCode.HOLD_OPEN.value, "title": "A hold is open.", "hold_id": str(hold)}
            for hold in self.holds
        )
        if not self.rules:
            return holds
        title = "The protocol does not say go."
        rules = list(self.rules)
        return (*holds, {"code": RefusalCode.DECISION.value, "title": title, "rules": rules})


async def _behind_suspension(work: Work[ScheduleRows], infusion: InfusionRow) -> _Behind:
    if infusion.state != "suspended":
        return _Behind()
    slot = slot_of(infusion)
    holds = await work.rows.open_holds_of_case(infusion.case_id)
    parts = await work.rows.timeline_of_case(infusion.case_id)
    availability = Availability(parts or ())
    moments = (slot.starts_at, work.world.clock.now())
    rules = {rule for moment in moments for rule in availability.rules_at(moment)}
    closing = tuple(hold.hold_id for hold in holds if hold.closes(slot, infusion.dose_id))
    return _Behind(closing, tuple(sorted(rules)))


def _press(
    infusion: InfusionRow,
    check: CheckRow,
    permit_id: UUID,
    seen: ClearanceVersion,
    cause: Cause,
    drip_minutes: int,
) -> Press:
    return Press(
        case_id=infusion.case_id,
        permit_id=permit_id,
        gate=Gate.INFUSION,
        subject_id=infusion.infusion_id,
        attempt=infusion.attempt + 1,
        dose_id=infusion.dose_id,
        seen=seen,
        requested_by=cause.actor,
        second_checker=check.second_by,
        band_scanned=check.band,
        place=str(infusion.chair_id),
        planned_minutes=drip_minutes,
    )


async def _follow(
    holder: Holder[ScheduleRows],
    infusion: InfusionRow,
    permit_id: UUID,
    answer: StartAnswer,
    cause: Cause,
) -> None:
    """A refusal is an event; GO was told in its own transaction."""
    match answer:
        case Go():
            return
        case StartRefused(reasons=reasons):
            codes = tuple(dict.fromkeys(str(r.get("code")) for r in reasons))
            rules = tuple(sorted({rule for r in reasons for rule in r.get("rules", ())}))
        case DoNotStart(code=code):
            codes, rules = (code,), ()
        case _ as never:
            assert_never(never)
    async with holder.unit_of_work.begin(cause) as work:
        await locked_infusion(work, infusion.infusion_id)
        _tell_refused(work, infusion, permit_id, codes, rules)


def _tell_refused(
    work: Work[ScheduleRows],
    infusion: InfusionRow,
    permit_id: UUID | None,
    codes: tuple[str, ...],
    rules: tuple[str, ...],
) -> None:
    work.emit(
        StartRefusedEvent(
            case_id=infusion.case_id,
            infusion_id=infusion.infusion_id,
            permit_id=permit_id,
            codes=codes,
            rules=rules,
        )
    )
    work.note("start-refused", infusion.case_id, codes=",".join(codes))
