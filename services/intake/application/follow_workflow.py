"""What the workflow reports becomes facts: collections, products, infusions, reactions.

The facts are versioned by the place of their event in its source's stream, so that they converge
whatever is delivered twice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from services.intake.application.ports import IntakeRows
from services.intake.application.record_facts import record_facts
from services.intake.application.record_ports import Product
from services.intake.application.rulebooks import Rulebooks
from shared.contracts.event import Envelope, Event
from shared.contracts.infusion import (
    CoursePlanned,
    InfusionCompleted,
    InfusionRescheduled,
    InfusionStopped,
    ReactionGraded,
)
from shared.contracts.manufacturing import (
    BatchReleased,
    BatchReleasedConditionally,
    CollectionDone,
    DoseDiscarded,
    DoseIssued,
    DoseReturned,
    DoseThawed,
)
from shared.messaging.reactions import Reaction
from shared.messaging.unit_of_work import Work
from shared.protocol import Protocol, parse_statement

#: a new epoch's sequence starts again at 1, and its facts are newer than all of the old epoch's
_EPOCH_STRIDE = 10**9


@dataclass(frozen=True, slots=True)
class WorkflowFacts:
    """The reactions of intake to manufacturing and infusion scheduling."""

    rulebooks: Rulebooks

    @property
    def protocol(self) -> Protocol:
        """The protocol that decides now."""
        return self.rulebooks.protocol

    def reactions(self) -> Mapping[type[Event], Reaction[IntakeRows]]:
        """For intake's REACTIONS table."""
        return {
            CollectionDone: self.on_collection_done,
            BatchReleased: self.on_batch_released,
            BatchReleasedConditionally: self.on_batch_released,
            DoseIssued: self.on_dose_issued,
            DoseThawed: self.on_dose_thawed,
            DoseReturned: self.on_dose_returned,
            DoseDiscarded: self.on_dose_discarded,
            CoursePlanned: self.on_course_planned,
            InfusionRescheduled: self.on_infusion_rescheduled,
            InfusionCompleted: self.on_infusion_completed,
            InfusionStopped: self.on_infusion_stopped,
            ReactionGraded: self.on_reaction_graded,
        }

    async def on_collection_done(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """The collection is a fact (COL-002, INF-006 count from it)."""
        event: CollectionDone = envelope.data
        statement = {
            "kind": "collection",
            "id": f"collection/{event.collection_id}",
            "day": event.collected_at.isoformat(),
            "method": event.method,
        }
        await self._record(work, envelope, [statement])

    async def on_batch_released(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """Each dose of the batch is a product with its clocks."""
        event: BatchReleased | BatchReleasedConditionally = envelope.data
        pending = isinstance(event, BatchReleasedConditionally)
        state = "released_sterility_pending" if pending else "released"
        products = [
            Product(
                dose_id=dose_id,
                case_id=event.case_id,
                batch_id=event.batch_id,
                certificate_id=event.certificate_id,
                state=state,
                form=event.form,
                formulated_at=event.formulated_at,
                expires_at=event.expires_at,
                thawed_at=None,
                usable_until=None,
                issue_permit=None,
                issued_for=None,
            )
            for dose_id in event.dose_ids
        ]
        for product in products:
            await work.rows.record.put_product(product)
        await self._record(
            work, envelope, [_product_statement(p, event.formulated_at) for p in products]
        )

    async def on_dose_issued(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """The dose is handed out; an infusion grant asks for this."""
        event: DoseIssued = envelope.data
        await work.rows.record.mark_issued(
            event.dose_id, event.permit_id, event.infusion_id, event.usable_until
        )

    async def on_dose_thawed(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """The dose's short clock runs."""
        event: DoseThawed = envelope.data
        await work.rows.record.mark_thawed(event.dose_id, event.thawed_at, event.usable_until)
        await self._restate(work, envelope, event.dose_id)

    async def on_dose_returned(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """The dose came back: usable again, or not at all."""
        event: DoseReturned = envelope.data
        state = "released" if event.usable else "returned"
        await work.rows.record.mark_product_state(event.dose_id, state)
        await self._restate(work, envelope, event.dose_id)

    async def on_dose_discarded(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """The dose is gone."""
        event: DoseDiscarded = envelope.data
        await work.rows.record.mark_product_state(event.dose_id, "discarded")
        await self._restate(work, envelope, event.dose_id)

    async def on_course_planned(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """The planned infusions name the bag that the infusion gate asks about."""
        event: CoursePlanned = envelope.data
        statements = [
            _infusion(p.infusion_id, p.number, p.dose_id)
            | {"planned": p.planned_at.astimezone(self.protocol.zone).date().isoformat()}
            for p in event.infusions
        ]
        await self._record(work, envelope, statements)

    async def on_infusion_rescheduled(
        self, work: Work[IntakeRows], envelope: Envelope[Any]
    ) -> None:
        """The infusion has another day."""
        event: InfusionRescheduled = envelope.data
        planned = event.planned_at.astimezone(self.protocol.zone).date().isoformat()
        statement = _infusion(event.infusion_id, event.number, None) | {"planned": planned}
        await self._record(work, envelope, [statement])

    async def on_infusion_completed(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """The infusion was given (IFU-001 counts from it)."""
        event: InfusionCompleted = envelope.data
        await work.rows.record.mark_product_state(event.dose_id, "given")
        done = event.completed_at.isoformat()
        statement = _infusion(event.infusion_id, event.number, event.dose_id)
        await self._record(work, envelope, [statement | {"day": done, "ended_at": done}])

    async def on_infusion_stopped(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """A paused infusion may be resumed; a stopped one ended."""
        event: InfusionStopped = envelope.data
        if event.outcome == "never_opened":
            return
        known = await _known_infusion(work.rows, event.case_id, event.infusion_id)
        if known is None:
            return
        key = "paused_at" if event.outcome == "paused" else "ended_at"
        at = event.stopped_at.isoformat()
        await self._record(work, envelope, [{**known, "day": at, key: at}])

    async def on_reaction_graded(self, work: Work[IntakeRows], envelope: Envelope[Any]) -> None:
        """A reaction decides about later infusions."""
        event: ReactionGraded = envelope.data
        known = await _known_infusion(work.rows, event.case_id, event.infusion_id)
        statement = {
            "kind": "reaction",
            "id": f"reaction/{envelope.id}",
            "infusion": 1 if known is None else known["n"],
            "scale": event.scale,
            "grade": event.grade,
            "from": envelope.time.isoformat(),
        }
        await self._record(work, envelope, [statement])

    async def _restate(
        self, work: Work[IntakeRows], envelope: Envelope[Any], dose_id: UUID
    ) -> None:
        product = await work.rows.record.product_of_dose(dose_id)
        if product is not None:
            statement = _product_statement(product, product.formulated_at)
            await self._record(work, envelope, [statement])

    async def _record(
        self,
        work: Work[IntakeRows],
        envelope: Envelope[Any],
        statements: Sequence[Mapping[str, Any]],
    ) -> None:
        version = envelope.epoch * _EPOCH_STRIDE + (envelope.sequence or 0)
        facts = []
        for statement in statements:
            dated = {"effective": envelope.time.isoformat(), "version": version, **statement}
            fact = parse_statement(dated, zone=self.protocol.zone)
            if isinstance(fact, tuple):
                raise ValueError(f"{envelope.data.type} makes no fact: {fact}")
            facts.append(fact)
        await record_facts(work, self.protocol, envelope.case_id, facts, origin="event")


def _product_statement(product: Product, formulated_at: datetime | None) -> dict[str, Any]:
    product = replace(product, formulated_at=formulated_at)
    is_frozen = product.form == "cryopreserved"
    known = {
        "lot": str(product.batch_id),
        "form": product.form,
        "formulated_at": _text(product.formulated_at),
        "cryopreserved_on": _text(product.formulated_at) if is_frozen else None,
        "expires_at": _text(product.expires_at),
        "thawed_at": _text(product.thawed_at),
    }
    return {
        "kind": "product",
        "id": f"dose/{product.dose_id}",
        "dose_id": str(product.dose_id),
        "state": product.state,
        **{key: value for key, value in known.items() if value is not None},
    }


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


def _infusion(infusion_id: UUID, number: int, dose_id: UUID | None) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "kind": "infusion",
        "id": f"infusion/{infusion_id}",
        "n": number,
    }
    return statement if dose_id is None else {**statement, "dose_id": str(dose_id)}


async def _known_infusion(
    rows: IntakeRows, case_id: UUID, infusion_id: UUID
) -> dict[str, Any] | None:
    """The latest statement about an infusion, without its header."""
    stored = await rows.record.facts_of_case(case_id)
    found = [f.statement for f in stored if f.source_id == f"infusion/{infusion_id}"]
    header = {"version", "effective", "recorded", "status"}
    return {k: v for k, v in found[-1].items() if k not in header} if found else None
