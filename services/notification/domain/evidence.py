"""What an alert is made of: pieces of evidence, each told once, in any order.

Invariant: an alert's content is a function of the *set* of its evidence, so that events of
different services may arrive in any order, or twice, and lead to the same alert. Evidence carries
codes, numbers and ids only; never a name, a value or free text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.notification.domain.levels import Level

#: alerts about the installation itself (a broken stream) belong to no case: the nil id
NO_CASE: Final = UUID(int=0)


class EvidenceKind(StrEnum):
    """What happened. Each kind has one row in the routing table and one wording."""

    HOLD_RULE = "hold_rule"
    HOLD_CLINICAL_CONCERN = "hold_clinical_concern"
    HOLD_INFECTION_SUSPECTED = "hold_infection_suspected"
    HOLD_IDENTITY = "hold_identity"
    HOLD_RECALL = "hold_recall"
    HOLD_PRODUCT = "hold_product"
    HOLD_CONSENT_WITHDRAWN = "hold_consent_withdrawn"
    HOLD_UNPROCESSED_INFORMATION = "hold_unprocessed_information"
    HOLD_REVERIFICATION = "hold_reverification"
    HOLD_LOGISTICS = "hold_logistics"
    HOLD_EFFECTIVE = "hold_effective"
    HOLD_RELEASED = "hold_released"
    HOLD_NOT_EFFECTIVE = "hold_not_effective"
    RUNNING_UNDER_HOLD = "running_under_hold"
    STOP_ORDERED = "stop_ordered"
    RED_FLAG = "red_flag"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    RECALL = "recall"
    IDENTITY_MISMATCH = "identity_mismatch"
    INFUSION_SUSPENDED = "infusion_suspended"
    PLAN_PROPOSED = "plan_proposed"
    PLAN_ACCEPTED = "plan_accepted"
    INFUSION_STARTED = "infusion_started"
    UNPERMITTED_START = "unpermitted_start"
    INFUSION_STOPPED = "infusion_stopped"
    INFUSION_PAUSED = "infusion_paused"
    INFUSION_NEVER_OPENED = "infusion_never_opened"
    INFUSION_COMPLETED = "infusion_completed"
    REACTION_GRADED = "reaction_graded"
    VITALS_OVERDUE = "vitals_overdue"
    VITALS_TAKEN = "vitals_taken"
    BATCH_RELEASED = "batch_released"
    BATCH_RELEASED_CONDITIONALLY = "batch_released_conditionally"
    BATCH_REJECTED = "batch_rejected"
    HARVESTED = "harvested"
    FORECAST_LATER = "forecast_later"
    FORECAST_EARLIER = "forecast_earlier"
    CASE_PARKED = "case_parked"
    CASE_UNPARKED = "case_unparked"
    PAGE_HOLD_UNACKNOWLEDGED = "page_hold_unacknowledged"
    PAGE_NOT_STOPPED = "page_not_stopped"
    PAGE_UNPERMITTED_START = "page_unpermitted_start"
    PAGE_OPERATIONS = "page_operations"
    STREAM_BROKEN = "stream_broken"
    STREAM_RESTORED = "stream_restored"
    SOURCE_SILENT = "source_silent"
    SOURCE_HEARD_AGAIN = "source_heard_again"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that happened, as an alert needs to know it.

    `subject` names it once and for ever within its case: evidence with a known subject is nothing
    new. `keys` say what it is about (`hold:<id>`, `course:<id>`); evidence that shares a key
    belongs to one alert. `chain` is the correlation id: the first cause. `lasts_until` is the key
    of the news that ends it, and `resolves` the key that this news ends.
    """

    case_id: UUID
    kind: EvidenceKind
    subject: str
    chain: UUID
    occurred_at: datetime
    keys: frozenset[str] = frozenset()
    level: Level | None = None
    lasts_until: str | None = None
    resolves: str | None = None
    detail: Mapping[str, str] = field(default_factory=dict)
