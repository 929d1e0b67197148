"""What every event is: a frozen model with a wire type, and the CloudEvents envelope around it.

Events carry ids, codes, days and versions; never a clinical value, name, birth date, record number
or free text (design: clinical values do not ride in events).
"""

from datetime import datetime
from typing import ClassVar, Generic, NamedTuple, TypeVar
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict

from shared.contracts.vocabulary import Lane, Service


class Event(BaseModel):
    """The base of all events. `case_id` is the Kafka key; everything of a case is in order.

    Written with nothing extra (a stray field is a bug of ours); read leniently by
    `read_event`, since a newer producer may add optional fields.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ClassVar[str]
    owner: ClassVar[Service]
    #: an unknown safety event parks its case; an unknown ordinary one is skipped and counted
    safety: ClassVar[bool] = False
    lane: ClassVar[Lane] = Lane.NORMAL
    #: False for case-parked and case-unparked alone: they are handled outside the sequence check
    sequenced: ClassVar[bool] = True

    case_id: UUID


E = TypeVar("E", bound=Event)


class Envelope(NamedTuple, Generic[E]):
    """An event with its CloudEvents attributes; a tuple, since one is made for every record read.

    `time` is domain time (the clinic's clock); `sequence` is contiguous per (source, epoch, case),
    None for events outside the sequence; `correlation_id` names the first cause of the chain,
    `causation_id` the event that directly led here. `sent_at` (machine time) and `place` (topic,
    partition, offset) are the bus's own; None for an event that was not read from it.
    """

    id: UUID
    source: Service
    time: datetime
    epoch: int
    sequence: int | None
    correlation_id: UUID
    causation_id: UUID | None
    traceparent: str | None
    data: E
    sent_at: datetime | None = None
    place: tuple[str, int, int] | None = None

    @property
    def case_id(self) -> UUID:
        """The case that the event is about."""
        return self.data.case_id


def derived_id(cause: UUID, kind: str) -> UUID:
    """The id of something that follows from `cause`: the same on every redelivery of it."""
    return uuid5(cause, kind)


def read_event(model: type[E], body: bytes) -> E:
    """The event in a JSON body, ignoring fields that this version does not know.

    Raises pydantic's ValidationError for what is no JSON object and when a known field is missing
    or malformed.
    """
    return model.model_validate_json(body, extra="ignore")
