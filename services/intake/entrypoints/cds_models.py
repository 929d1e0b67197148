"""CDS Hooks 2.0 as it comes over HTTP.

The elements that the specification names are read; any other is refused, as everywhere. Only inside
`context` and `prefetch` others are ignored: a newer version of a hook may add some.
"""

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, ConfigDict, Field
from pydantic.alias_generators import to_camel

from shared.web.requests import RequestModel

ID_LENGTH_MAX: Final = 200
COMMENT_LENGTH_MAX: Final = 2_000
FEEDBACK_MAX: Final = 50
SUGGESTIONS_MAX: Final = 20

Id = Annotated[str, Field(min_length=1, max_length=ID_LENGTH_MAX)]
Resource = dict[str, Any]


class HookModel(RequestModel):
    """The elements as the specification writes them; `extension` may stand anywhere."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    extension: Resource | None = None


class _Context(HookModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    user_id: Id
    patient_id: Id
    encounter_id: Id | None = None


class OrderSignContext(_Context):
    """What is being signed."""

    draft_orders: Resource


class AppointmentBookContext(_Context):
    """What is being booked."""

    appointments: Resource


class Prefetch(HookModel):
    """The patient, by whose identifiers the case is found."""

    model_config = ConfigDict(alias_generator=to_camel, extra="ignore", frozen=True)

    patient: Resource | None = None


class _Hook(HookModel):
    hook_instance: UUID
    fhir_server: Annotated[str, Field(max_length=2_000)] | None = None
    #: for reading from the clinician's system, which is never done; neither kept nor logged
    fhir_authorization: Annotated[Resource | None, Field(repr=False)] = None
    prefetch: Prefetch | None = None


class OrderSign(_Hook):
    """The hook `order-sign`."""

    hook: Literal["order-sign"]
    context: OrderSignContext


class AppointmentBook(_Hook):
    """The hook `appointment-book`."""

    hook: Literal["appointment-book"]
    context: AppointmentBookContext


class ReasonCode(HookModel):
    """One of the reasons that came with the card."""

    code: Id
    system: Id | None = None
    display: Annotated[str, Field(max_length=ID_LENGTH_MAX)] | None = None


class OverrideReason(HookModel):
    """Why the card was overridden."""

    reason: ReasonCode | None = None
    user_comment: Annotated[str, Field(max_length=COMMENT_LENGTH_MAX)] | None = None


class AcceptedSuggestion(HookModel):
    """A suggestion that was followed; our cards have none."""

    id: Id


class FeedbackItem(HookModel):
    """What became of one card."""

    card: UUID
    outcome: Literal["accepted", "overridden"]
    outcome_timestamp: AwareDatetime
    accepted_suggestions: Annotated[
        tuple[AcceptedSuggestion, ...], Field(max_length=SUGGESTIONS_MAX)
    ] = ()
    override_reason: OverrideReason | None = None


class FeedbackBody(HookModel):
    """What became of cards."""

    feedback: Annotated[list[FeedbackItem], Field(min_length=1, max_length=FEEDBACK_MAX)]
