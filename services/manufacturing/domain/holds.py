"""Holds that manufacturing must put on record at the authority before it answers.

Recalls, discards, unusable returns, custody failures and identity mismatches are negative facts:
a stale copy of them harms, so they are written where permits are granted, first.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.manufacturing.domain.dose import BlockPurpose, DiscardReason
from shared.contracts.vocabulary import Gate, HoldKind, OnRunning


class RecallReason(StrEnum):
    """Why a batch or a dose is recalled."""

    STERILITY = "sterility"
    IDENTITY = "identity"
    QC_RESULT = "qc_result"
    DEVIATION = "deviation"
    SUPPLIER = "supplier"
    CUSTODY = "custody"
    OTHER = "other"


#: a dose that must not be used may neither be handed out nor given
PRODUCT_GATES: Final = frozenset({Gate.DOSE_ISSUE, Gate.INFUSION})
#: a doubt about identity shuts every step that has the person or the material in hand
IDENTITY_GATES: Final = frozenset(
    {Gate.COLLECTION, Gate.MANUFACTURING_START, Gate.RELEASE, Gate.DOSE_ISSUE, Gate.INFUSION}
)
_KIND: Final = {
    BlockPurpose.RECALL: HoldKind.RECALL,
    BlockPurpose.CUSTODY: HoldKind.RECALL,
    BlockPurpose.REVOKE: HoldKind.PRODUCT,
    BlockPurpose.DISCARD: HoldKind.PRODUCT,
    BlockPurpose.RETURN: HoldKind.PRODUCT,
    BlockPurpose.IDENTITY: HoldKind.IDENTITY,
}


@dataclass(frozen=True, slots=True)
class HoldOrder:
    """A hold that manufacturing has ordered; durable until the authority has it.

    `dose_ids` None means every dose of the case. `cause` says which reason within the purpose.
    """

    hold_id: UUID
    case_id: UUID
    purpose: BlockPurpose
    dose_ids: frozenset[UUID] | None
    cause: RecallReason | DiscardReason | None
    reporter: str
    requested_at: datetime
    batch_id: UUID | None = None
    deviation_id: UUID | None = None
    step: str | None = None
    on_record_at: datetime | None = None
    effective: bool | None = None

    @property
    def kind(self) -> HoldKind:
        """The kind of hold at the authority."""
        return _KIND[self.purpose]

    @property
    def gates(self) -> frozenset[Gate]:
        """The gates that it shuts."""
        return IDENTITY_GATES if self.purpose is BlockPurpose.IDENTITY else PRODUCT_GATES

    @property
    def on_running(self) -> OnRunning:
        """What it asks of an infusion that runs: to stop, since its product is in doubt."""
        return OnRunning.STOP
