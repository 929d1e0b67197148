"""The start permit at the authority: who may start what, for how long, and what may follow.

Everything here is a function of what was read after the case row was locked; nothing reads.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from uuid import UUID

from shared.contracts.vocabulary import Gate, PermitState, RefusalCode, Service, Verdict
from shared.permits.clearance import ClearanceVersion
from shared.permits.times import PermitTimes

#: the steps that use a dose, so that its certificate or issue must be on record
GATES_OF_A_DOSE: Final = frozenset({Gate.DOSE_ISSUE, Gate.INFUSION})


@dataclass(frozen=True, slots=True)
class PermitRequest:
    """One press of start. Never asked twice with the same id."""

    permit_id: UUID
    case_id: UUID
    gate: Gate
    holder: Service
    subject_id: UUID
    attempt: int
    dose_id: UUID | None
    seen: ClearanceVersion
    requested_by: str
    second_checker: str | None = None
    band_scanned: str | None = None
    place: str | None = None
    planned_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class FindingSeen:
    """One finding of the decision, as a refusal lists it."""

    rule: str
    effect: str
    message: str


@dataclass(frozen=True, slots=True)
class DecisionSeen:
    """What the protocol in force says of the gate at this moment.

    `valid_until`: the first instant at which time alone may change it; `answered` are the review
    decisions and overrides that it rests on.
    """

    verdict: Verdict
    findings: tuple[FindingSeen, ...]
    valid_until: datetime | None
    protocol_version: str
    answered: tuple[str, ...] = ()

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules behind the findings, each once."""
        return tuple(dict.fromkeys(finding.rule for finding in self.findings))


@dataclass(frozen=True, slots=True)
class ProductSeen:
    """What is on record of the dose: what is wrong with it, and how long it may be used."""

    faults: tuple[str, ...]
    usable_until: datetime | None


@dataclass(frozen=True, slots=True)
class Permit:
    """A permit on record. `asked_at` is machine time, for display; leases use the boot clock."""

    permit_id: UUID
    case_id: UUID
    gate: Gate
    holder: Service
    subject_id: UUID
    attempt: int
    dose_id: UUID | None
    granted: ClearanceVersion | None
    boot_id: str | None
    granted_boot_ns: int | None
    ttl_ms: int | None
    seen_boot_id: str | None
    seen_boot_ns: int | None
    place: str | None
    state: PermitState
    asked_at: datetime

    def has_lapsed(self, boot_id: str, now_ns: int, times: PermitTimes) -> bool:
        """Whether its time is over on this lease clock.

        A permit of another boot or host is counted from the first time that this boot saw it.
        """
        if self.ttl_ms is None or self.granted_boot_ns is None:
            return False
        if self.boot_id == boot_id:
            since_ns = self.granted_boot_ns
        elif self.seen_boot_id == boot_id and self.seen_boot_ns is not None:
            since_ns = self.seen_boot_ns
        else:
            return False
        return now_ns - since_ns >= times.lapse_after_ns(self.ttl_ms)


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason for a refusal. `detail` is JSON: ids, codes, texts for the person at the bed."""

    code: RefusalCode
    title: str
    rules: tuple[str, ...]
    hold_id: UUID | None
    detail: Mapping[str, object]

    def to_json(self) -> dict[str, object]:
        """The reason as an answer lists it and as the denial keeps it."""
        document = {"code": self.code.value, "title": self.title, **self.detail}
        if self.rules:
            document["rules"] = list(self.rules)
        if self.hold_id is not None:
            document["hold_id"] = str(self.hold_id)
        return document


#: which reason gives the answer its code: the view first, then what a person can do least about
_PRECEDENCE: Final = (
    RefusalCode.STALE_VIEW,
    RefusalCode.HOLD_OPEN,
    RefusalCode.DECISION,
    RefusalCode.PRODUCT,
    RefusalCode.PERMIT_OUT,
    RefusalCode.UNKNOWN_SOURCE,
    RefusalCode.WINDOW_TOO_SHORT,
)


def leading_code(reasons: tuple[Reason, ...]) -> RefusalCode:
    """The code of the answer; the body lists all reasons whatever it is."""
    present = {reason.code for reason in reasons}
    return next(code for code in _PRECEDENCE if code in present)


def because(
    code: RefusalCode,
    title: str,
    *,
    rules: tuple[str, ...] = (),
    hold_id: UUID | None = None,
    **detail: object,
) -> Reason:
    """A reason with its details."""
    return Reason(code, title, rules, hold_id, MappingProxyType(detail))


def life_ms(
    now: datetime, decision: DecisionSeen, product: ProductSeen | None, times: PermitTimes
) -> int:
    """How long a permit granted now may live: the decision and the dose must outlast it."""
    ends = [decision.valid_until, None if product is None else product.usable_until]
    windows = [(end - now) // timedelta(milliseconds=1) for end in ends if end is not None]
    return min([times.ttl_ms, *windows])


class Outcome(StrEnum):
    """What a holder says has become of a permit."""

    CONSUMED = "consumed"
    UNDONE = "undone"


def after(state: PermitState | None, outcome: Outcome) -> PermitState:
    """The state that follows. A late consumption is legal; UNDONE is final.

    None: the authority does not know the permit (it was restored); the holder is the referee.
    """
    if outcome is Outcome.CONSUMED:
        return PermitState.UNDONE if state is PermitState.UNDONE else PermitState.CONSUMED
    return PermitState.DENIED if state is PermitState.DENIED else PermitState.UNDONE
