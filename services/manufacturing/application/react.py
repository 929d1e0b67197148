"""What manufacturing does when the other services tell something; each twice equals once.

Runs inside the consumer's transaction with the case locked. Holds, releases of holds and epochs
are the start-permit protocol's own reactions (`shared.permits`).
"""

from services.manufacturing.application.ask_expiry import review_expiries
from services.manufacturing.application.ports import StartPermits
from services.manufacturing.application.record_quality import add_deviation
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.domain.dose import (
    AvailableDose,
    Dose,
    IssuedDose,
    QuarantinedDose,
    RunningDose,
    ThawedDose,
    began_without_issue,
)
from services.manufacturing.domain.rules import ManufacturingRules
from shared.contracts.coordination import (
    CaseClosed,
    CaseOpened,
    ConsentRecorded,
    ConsentWithdrawn,
    TimelinePublished,
)
from shared.contracts.event import Envelope, derived_id
from shared.contracts.infusion import (
    CoursePlanned,
    InfusionCompleted,
    InfusionStarted,
    InfusionStopped,
)
from shared.messaging.unit_of_work import Work


async def on_case_opened(work: Work[Rows], envelope: Envelope[CaseOpened]) -> None:
    """The case is known."""
    await work.rows.cases.open(envelope.case_id)


async def on_case_closed(work: Work[Rows], envelope: Envelope[CaseClosed]) -> None:
    """No collection can be booked for the case any more."""
    await work.rows.cases.close(envelope.case_id)


async def on_consent_withdrawn(work: Work[Rows], envelope: Envelope[ConsentWithdrawn]) -> None:
    """No collection can be booked; the hold that closes open steps comes from the authority."""
    await work.rows.cases.withdraw_consent(envelope.case_id, envelope.data.withdrawn_on)


async def on_consent_recorded(work: Work[Rows], envelope: Envelope[ConsentRecorded]) -> None:
    """Consent signed after a withdrawal lets collections be booked again."""
    await work.rows.cases.restore_consent(envelope.case_id, envelope.data.signed_on)


async def on_course_planned(work: Work[Rows], envelope: Envelope[CoursePlanned]) -> None:
    """The infusions of the course are known, each of this case."""
    for infusion in envelope.data.infusions:
        await work.rows.cases.put_infusion(
            infusion.infusion_id, envelope.case_id, infusion.planned_at
        )


class Reactor:
    """The reactions that need the rulebook or the start-permit protocol."""

    def __init__(self, rules: ManufacturingRules, permits: StartPermits) -> None:
        self._rules = rules
        self._permits = permits

    async def on_timeline_published(
        self, work: Work[Rows], envelope: Envelope[TimelinePublished]
    ) -> None:
        """The newest timeline is kept; one of the infusion gate may raise MFG-006."""
        if await work.rows.cases.put_timeline(envelope.data):
            await review_expiries(work, self._rules, envelope.case_id)

    async def on_infusion_started(
        self, work: Work[Rows], envelope: Envelope[InfusionStarted]
    ) -> None:
        """The dose is on its way into the patient; one that was not handed out is a deviation."""
        event = envelope.data
        dose = await work.rows.doses.find(event.dose_id)
        handed_out = isinstance(dose, IssuedDose) and dose.infusion_id == event.infusion_id
        if isinstance(dose, IssuedDose) and handed_out and dose.bag.case_id == event.case_id:
            await work.rows.doses.save(dose.begin(at=event.go_at))
            work.note("dose-in-use", event.case_id, dose_id=str(event.dose_id))
            return
        if isinstance(dose, RunningDose) and dose.infusion_id == event.infusion_id:
            return  # a later attempt of the same infusion
        await _used_without_issue(work, envelope, dose)

    async def on_infusion_stopped(
        self, work: Work[Rows], envelope: Envelope[InfusionStopped]
    ) -> None:
        """A dose that was never opened is handed out again as before; else it stays in use."""
        event = envelope.data
        if event.outcome != "never_opened":
            return
        for dose in await work.rows.doses.of_infusion(event.infusion_id):
            if isinstance(dose, RunningDose) and dose.bag.case_id == event.case_id:
                await work.rows.doses.save(dose.never_opened())
                work.note("dose-unopened", event.case_id, dose_id=str(dose.bag.dose_id))

    async def on_infusion_completed(
        self, work: Work[Rows], envelope: Envelope[InfusionCompleted]
    ) -> None:
        """The dose was given in full; its hand-out is over."""
        event = envelope.data
        dose = await work.rows.doses.find(event.dose_id)
        if not isinstance(dose, RunningDose) or dose.bag.case_id != event.case_id:
            return
        await work.rows.doses.save(dose.complete(at=event.completed_at))
        if dose.issued is not None:
            await self._permits.complete(work, dose.issued.start_id)
        work.note("dose-given", event.case_id, dose_id=str(event.dose_id))


async def _used_without_issue(
    work: Work[Rows], envelope: Envelope[InfusionStarted], dose: Dose | None
) -> None:
    """Recorded as it happened: the deviation always, the dose's state where it can follow."""
    event = envelope.data
    batch_id, own = None, None
    if dose is not None and dose.bag.case_id == event.case_id:
        batch_id, own = dose.bag.batch_id, dose
    deviation_id = derived_id(envelope.id, "unpermitted_use")
    await add_deviation(work, event.case_id, batch_id, "unpermitted_use", deviation_id)
    if isinstance(own, QuarantinedDose | AvailableDose | ThawedDose) and own.bag.bound_to in {
        None,
        event.infusion_id,
    }:
        await work.rows.doses.save(began_without_issue(own, event.infusion_id, at=event.go_at))
