"""Holds: why a step is closed, whom that concerns, and who may open it again.

Invariants: a hold is recorded or effective, never "maybe"; a serious one is never released by the
person who reported it; a rule's hold is released by its rule alone.
"""

from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from shared.contracts.event import derived_id
from shared.contracts.vocabulary import (
    EffectiveBy,
    Gate,
    HoldKind,
    HoldState,
    OnRunning,
    Role,
    Service,
)
from shared.permits.clearance import ClearanceVersion

ALL_GATES: Final = frozenset(Gate)


@dataclass(frozen=True, slots=True)
class HoldScope:
    """What a hold closes: its gates, for every dose or only for these."""

    gates: frozenset[Gate]
    dose_ids: frozenset[UUID] | None = None

    def covers(self, gate: Gate, dose_id: UUID | None) -> bool:
        """Whether a permit for this gate and dose is in scope."""
        return gate in self.gates and (self.dose_ids is None or dose_id in self.dose_ids)

    def includes(self, other: "HoldScope") -> bool:
        """Whether whatever `other` covers is covered here too."""
        if not other.gates <= self.gates:
            return False
        if self.dose_ids is None:
            return True
        return other.dose_ids is not None and other.dose_ids <= self.dose_ids


@dataclass(frozen=True, slots=True)
class HoldPolicy:
    """What a kind of hold asks for.

    `releasers` empty: no person releases it (its rule does, or the service that placed it).
    """

    on_running: OnRunning
    serious: bool
    releasers: frozenset[Role]


_PHYSICIANS: Final = frozenset({Role.TREATING_PHYSICIAN, Role.ONCOLOGIST, Role.MEDICAL_DIRECTOR})
_DIRECTOR: Final = frozenset({Role.MEDICAL_DIRECTOR})
_QUALITY: Final = frozenset({Role.QA_RELEASE, Role.MEDICAL_DIRECTOR})
_NOBODY: Final[frozenset[Role]] = frozenset()

POLICY: Final = MappingProxyType(
    {
        HoldKind.RULE: HoldPolicy(OnRunning.STOP, serious=False, releasers=_NOBODY),
        HoldKind.CLINICAL_CONCERN: HoldPolicy(OnRunning.STOP, serious=False, releasers=_PHYSICIANS),
        HoldKind.INFECTION_SUSPECTED: HoldPolicy(
            OnRunning.STOP, serious=False, releasers=_PHYSICIANS
        ),
        HoldKind.IDENTITY: HoldPolicy(OnRunning.STOP, serious=True, releasers=_DIRECTOR),
        HoldKind.RECALL: HoldPolicy(OnRunning.STOP, serious=True, releasers=_QUALITY),
        HoldKind.PRODUCT: HoldPolicy(OnRunning.STOP, serious=True, releasers=_QUALITY),
        HoldKind.CONSENT_WITHDRAWN: HoldPolicy(OnRunning.STOP, serious=True, releasers=_PHYSICIANS),
        HoldKind.UNPROCESSED_INFORMATION: HoldPolicy(
            OnRunning.TELL, serious=False, releasers=_NOBODY
        ),
        HoldKind.REVERIFICATION: HoldPolicy(
            OnRunning.TELL, serious=False, releasers=_PHYSICIANS | {Role.COORDINATOR}
        ),
        HoldKind.LOGISTICS: HoldPolicy(
            OnRunning.TELL, serious=False, releasers=_PHYSICIANS | {Role.COORDINATOR}
        ),
    }
)
SERIOUS_KINDS: Final = frozenset(kind for kind, policy in POLICY.items() if policy.serious)
#: kinds that a person (or a service for a person) may report over the API
REPORTABLE_KINDS: Final = frozenset(HoldKind) - {
    HoldKind.RULE,
    HoldKind.UNPROCESSED_INFORMATION,
    HoldKind.REVERIFICATION,
}


@dataclass(frozen=True, slots=True)
class HoldOrder:
    """What somebody asks to be recorded.

    `rule` and `episode` name what a rule's hold is about (for unprocessed information the episode
    is the consumer that waits); `evidence` are fact ids; `reason` a person's own words, which stay
    in intake's database.
    """

    hold_id: UUID
    case_id: UUID
    kind: HoldKind
    scope: HoldScope
    on_running: OnRunning
    reporter: str
    rule: str | None = None
    episode: str | None = None
    reason: str | None = None
    review_at: datetime | None = None
    expected_until: datetime | None = None
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold on record. `committed_at` is machine time (acknowledgements are due by it)."""

    hold_id: UUID
    case_id: UUID
    kind: HoldKind
    rule: str | None
    episode: str | None
    scope: HoldScope
    clearance: ClearanceVersion
    state: HoldState
    effective_by: EffectiveBy | None
    on_running: OnRunning
    reporter: str
    recorded_at: datetime
    committed_at: datetime
    review_at: datetime | None = None
    releaser: str | None = None

    def answers(self, order: HoldOrder) -> bool:
        """Whether this is the hold that the order asks for, so that a repetition is harmless."""
        same_subject = (self.case_id, self.kind) == (order.case_id, order.kind)
        return same_subject and self.scope.includes(order.scope)


@dataclass(frozen=True, slots=True)
class ReleaseRefusal:
    """Why this person may not release this hold."""

    code: str
    title: str


def may_release(hold: Hold, subject: str, roles: frozenset[Role]) -> ReleaseRefusal | None:
    """None when this person may release the hold now, else why not."""
    policy = POLICY[hold.kind]
    is_of_a_change = hold.kind is HoldKind.IDENTITY and hold.episode is not None
    if is_of_a_change or not policy.releasers:
        return ReleaseRefusal(
            "released-by-its-cause", "This hold is released when its cause is gone, not by hand."
        )
    if not roles & policy.releasers:
        return ReleaseRefusal("not-your-hold", "Your roles do not release this kind of hold.")
    if policy.serious and subject == hold.reporter:
        return ReleaseRefusal(
            "second-person", "Somebody other than the person who reported it must release it."
        )
    return None


def unprocessed_hold_id(case_id: UUID, consumer: Service, event_id: UUID) -> UUID:
    """The id of the hold that follows from this `case-parked`, the same on a redelivery."""
    return derived_id(event_id, f"unprocessed:{consumer.value}:{case_id}")
