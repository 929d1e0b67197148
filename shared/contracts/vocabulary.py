"""The closed words that services share: identifiers, gates, states and reasons.

An unknown word is a parse error, never a default: adding a member of an enum that rides in an
event is a breaking change (a new event version).
"""

from enum import StrEnum
from typing import NewType
from uuid import UUID

CaseId = NewType("CaseId", UUID)
FactId = NewType("FactId", UUID)
HoldId = NewType("HoldId", UUID)
PermitId = NewType("PermitId", UUID)
DoseId = NewType("DoseId", UUID)
BatchId = NewType("BatchId", UUID)
CourseId = NewType("CourseId", UUID)
InfusionId = NewType("InfusionId", UUID)
AlertId = NewType("AlertId", UUID)
EventId = NewType("EventId", UUID)


class Gate(StrEnum):
    """A step of the workflow that the protocol may close (protocol: semantics.gates)."""

    ELIGIBILITY = "eligibility"
    COLLECTION = "collection"
    MANUFACTURING_START = "manufacturing_start"
    RELEASE = "release"
    DOSE_ISSUE = "dose_issue"
    INFUSION = "infusion"


class Service(StrEnum):
    """A service of Tandem; also the `source` of its events and the name of its consumer group."""

    INTAKE = "intake"
    MANUFACTURING = "manufacturing"
    INFUSION_SCHEDULING = "infusion_scheduling"
    NOTIFICATION = "notification"
    CONSOLE = "console"


class Verdict(StrEnum):
    """What the protocol says of a gate, from best to worst."""

    GO = "go"
    REVIEW = "review"
    HOLD = "hold"
    CONTRAINDICATED = "contraindicated"


class HoldState(StrEnum):
    """A hold is recorded at once; effective means that nothing will start any more."""

    RECORDED = "RECORDED"
    EFFECTIVE = "EFFECTIVE"
    RELEASED = "RELEASED"


class EffectiveBy(StrEnum):
    """What made a recorded hold effective (start permit, steps 4, 5, 7, 8)."""

    NO_PERMIT = "NO_PERMIT"
    ACK = "ACK"
    LAPSE = "LAPSE"
    CONSUMED = "CONSUMED"


class OnRunning(StrEnum):
    """What a hold asks of a step that is already running."""

    STOP = "stop"
    TELL = "tell"


class InFlight(StrEnum):
    """What a holder found running when it applied a hold."""

    NONE = "none"
    RUNNING = "running"
    STOPPED = "stopped"


class HoldKind(StrEnum):
    """Why a hold was placed. Which kinds need another person to release them: intake's domain."""

    RULE = "rule"
    CLINICAL_CONCERN = "clinical_concern"
    INFECTION_SUSPECTED = "infection_suspected"
    IDENTITY = "identity"
    RECALL = "recall"
    PRODUCT = "product"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    UNPROCESSED_INFORMATION = "unprocessed_information"
    REVERIFICATION = "reverification"
    LOGISTICS = "logistics"


class PermitState(StrEnum):
    """The life of a start permit at the authority."""

    GRANTED = "GRANTED"
    CONSUMED = "CONSUMED"
    UNDONE = "UNDONE"
    LAPSED = "LAPSED"
    DENIED = "DENIED"


class RefusalCode(StrEnum):
    """Why a start permit was refused (start permit, step 2)."""

    HOLD_OPEN = "hold-open"
    DECISION = "decision"
    PRODUCT = "product"
    PERMIT_OUT = "permit-out"
    PERMIT_ASKED = "permit-asked"
    UNKNOWN_SOURCE = "unknown-source"
    WINDOW_TOO_SHORT = "window-too-short"
    STALE_VIEW = "stale-view"


class Lane(StrEnum):
    """The order in which the relay sends cases: those with a safety event first, bulk last."""

    SAFETY = "safety"
    NORMAL = "normal"
    BULK = "bulk"


class Role(StrEnum):
    """Who may do what. Consultants carry their speciality as `consultant:<speciality>`."""

    COORDINATOR = "coordinator"
    TREATING_PHYSICIAN = "treating_physician"
    ONCOLOGIST = "oncologist"
    MEDICAL_DIRECTOR = "medical_director"
    APHERESIS_PHYSICIAN = "apheresis_physician"
    CONSULTANT = "consultant"
    LAB_TECH = "lab_tech"
    QA_RELEASE = "qa_release"
    INFUSION_NURSE = "infusion_nurse"
    NURSE_LEAD = "nurse_lead"
    OPS = "ops"
    AUDITOR = "auditor"
