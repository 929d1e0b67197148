"""Why manufacturing refuses something: coded reasons, always all of them, never only the first.

A refusal is a value. The shell turns it into an audit entry and a problem answer; nothing of the
refused operation stays.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self


class ReasonCode(StrEnum):
    """The closed list of reasons that manufacturing itself gives."""

    WRONG_STATE = "wrong-state"
    SLOT_TAKEN = "slot-taken"
    SLOT_TOO_EARLY = "slot-too-early"
    NOT_PLANNABLE = "not-plannable"
    TIMELINE_UNKNOWN = "timeline-unknown"
    CONSENT_WITHDRAWN = "consent-withdrawn"
    CASE_CLOSED = "case-closed"
    CASE_PARKED = "case-parked"
    COLLECTION_TOO_SOON = "collection-too-soon"
    LABEL_MISSING = "label-missing"
    LABEL_UNREADABLE = "label-unreadable"
    IDENTITY_MISMATCH = "identity-mismatch"
    SAME_PERSON = "same-person"
    TIME_ORDER = "time-order"
    START_TOO_LATE = "start-too-late"
    MEASURE_MISSING = "measure-missing"
    MEASURE_FAILED = "measure-failed"
    TEST_MISSING = "test-missing"
    TEST_FAILED = "test-failed"
    TEST_UNKNOWN = "test-unknown"
    TEST_PRELIMINARY = "test-preliminary"
    TEST_REVIEW = "test-review"
    DEVIATION_OPEN = "deviation-open"
    DEVIATION_UNKNOWN = "deviation-unknown"
    STEP_MISSING = "step-missing"
    STEP_ORDER = "step-order"
    HARVEST_WINDOW = "harvest-window"
    HOLD_OPEN = "hold-open"
    GATE_SHUT = "gate-shut"
    AUTHORITY_UNREACHABLE = "authority-unreachable"
    SIGNER_IS_OPERATOR = "signer-is-operator"
    SIGNED_ALREADY = "signed-already"
    SIGNER_ROLE = "signer-role"
    RECALLED = "recalled"
    EXPIRED = "expired"
    NOT_RELEASED = "not-released"
    NOT_THAWED = "not-thawed"
    OTHER_INFUSION = "other-infusion"
    INFUSION_UNKNOWN = "infusion-unknown"
    ISSUED_ALREADY = "issued-already"
    STOP_ORDERED = "stop-ordered"
    GIVER_HAS_IT_NOT = "giver-has-it-not"
    UNKNOWN_TEST = "unknown-test"
    UNKNOWN_METRIC = "unknown-metric"
    NO_DOSES = "no-doses"


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason: its code, the rule of the protocol (if one), what it is about, what lifts it.

    `subject` is a code or an id (a test, a step, a deviation), never free text.
    """

    code: ReasonCode
    rule: str | None = None
    subject: str | None = None
    lifted_by: str | None = None


class RefusedError(Exception):
    """The operation is refused for these reasons, and nothing of it stays."""

    def __init__(self, *reasons: Reason) -> None:
        if not reasons:
            raise ValueError("a refusal without a reason")
        super().__init__(", ".join(reason.code.value for reason in reasons))
        self.reasons = reasons

    @property
    def code(self) -> ReasonCode:
        """The first reason's code, which names the problem."""
        return self.reasons[0].code

    @classmethod
    def because(
        cls,
        code: ReasonCode,
        *,
        rule: str | None = None,
        subject: str | None = None,
        lifted_by: str | None = None,
    ) -> Self:
        """A refusal with a single reason."""
        return cls(Reason(code, rule, subject, lifted_by))
