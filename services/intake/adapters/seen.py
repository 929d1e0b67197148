"""What the grant asks of the record, read in its own transaction after the case was locked."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.intake.adapters.record import PostgresRecordRows
from services.intake.adapters.sources import PostgresSourceRows
from services.intake.application.keep_decisions import keep_decisions
from services.intake.application.reassess_case import facts_of
from services.intake.application.record_ports import Product
from services.intake.application.rulebooks import Rulebooks
from services.intake.domain.permits import DecisionSeen, FindingSeen, PermitRequest, ProductSeen
from services.intake.domain.sources import added_watermarks
from shared.contracts.vocabulary import Gate
from shared.persistence.database import Tx
from shared.ports import World
from shared.protocol import Decision, decide


@dataclass(frozen=True, slots=True)
class DecideOnRecord:
    """`DecideNow`: the protocol in force over the facts on record and the sources' watermarks.

    `has_sources` False: none is configured, and nothing is read of them.
    """

    rulebooks: Rulebooks
    world: World
    has_sources: bool = False

    async def __call__(
        self, tx: Tx, case_id: UUID, gate: Gate, at: datetime, dose_id: UUID | None
    ) -> DecisionSeen:
        """The decision, which is kept as it was given."""
        rows = PostgresRecordRows(tx)
        stored = await rows.facts_of_case(case_id)
        protocol, now = self.rulebooks.protocol, self.world.clock.now()
        facts = facts_of(stored)
        marks = await PostgresSourceRows(tx).watermarks(case_id) if self.has_sources else ()
        added = added_watermarks(facts, marks)
        decision = decide(protocol, (*facts, *added), gate, at)
        await keep_decisions(
            rows, self.world.ids, case_id, stored, protocol, [decision], now, watermarks=added
        )
        return _seen(decision)


def _seen(decision: Decision) -> DecisionSeen:
    return DecisionSeen(
        verdict=decision.verdict,
        findings=tuple(FindingSeen(f.rule, f.effect.value, f.message) for f in decision.blocking),
        valid_until=decision.valid_until,
        protocol_version=decision.protocol.version,
        answered=tuple(f.answered_by for f in decision.findings if f.answered_by is not None),
    )


async def product_on_record(
    tx: Tx, request: PermitRequest, at: datetime, usable_until: datetime
) -> ProductSeen:
    """`Products`: certificate, case, state and expiry of the dose that the step would use."""
    if request.dose_id is None:
        return ProductSeen(("no-dose-named",), None)
    product = await PostgresRecordRows(tx).product_of_dose(request.dose_id)
    if product is None:
        return ProductSeen(("no-certificate",), None)
    end = _end(product)
    faults = [
        fault
        for fault, is_wrong in (
            ("another-case", product.case_id != request.case_id),
            ("no-certificate", product.certificate_id is None),
            ("not-usable", product.state not in _USABLE[request.gate]),
            ("bound-to-another", product.issued_for not in (None, request.subject_id)),
            ("expiry-unknown", end is None),
            ("expires-first", end is not None and end < usable_until),
        )
        if is_wrong
    ]
    return ProductSeen(tuple(faults), end)


_USABLE = {
    Gate.DOSE_ISSUE: frozenset({"released", "released_sterility_pending"}),
    Gate.INFUSION: frozenset({"issued"}),
}


def _end(product: Product) -> datetime | None:
    """The earliest end of the dose's clocks; None when none is known."""
    return min(
        (t for t in (product.expires_at, product.usable_until) if t is not None), default=None
    )
