"""Events of notification, on `tandem.notification.v1`: alerts and what became of them."""

from typing import ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from shared.contracts.event import Event
from shared.contracts.vocabulary import Lane, Service


class NotificationEvent(Event):
    """The base of notification's events."""

    owner: ClassVar[Service] = Service.NOTIFICATION


Urgency = Literal["info", "warning", "critical"]


class AlertRaised(NotificationEvent):
    """One alert for one cause."""

    type: ClassVar[str] = "tandem.notification.alert-raised.v1"
    alert_id: UUID
    cause: str
    urgency: Urgency
    roles: tuple[str, ...]
    ack_due_at: AwareDatetime | None = None


class AlertUpdated(NotificationEvent):
    """The cause changed; the alert has a new version that must be acknowledged again."""

    type: ClassVar[str] = "tandem.notification.alert-updated.v1"
    alert_id: UUID
    alert_version: int = Field(ge=1)
    urgency: Urgency
    cause: str | None = None
    reopened: bool = False


class AlertDelivered(NotificationEvent):
    """A message left on a channel."""

    type: ClassVar[str] = "tandem.notification.alert-delivered.v1"
    alert_id: UUID
    alert_version: int = Field(ge=1)
    channel: Literal["email", "webhook", "in_app"]
    delivered_at: AwareDatetime


class DeliveryFailed(NotificationEvent):
    """A channel did not take the message; other channels and attempts go on."""

    type: ClassVar[str] = "tandem.notification.delivery-failed.v1"
    alert_id: UUID
    alert_version: int = Field(ge=1)
    channel: Literal["email", "webhook", "in_app"]
    attempt: int = Field(ge=1)
    final: bool


class AlertAcknowledged(NotificationEvent):
    """A named person acknowledged this version. It stops escalation and releases no hold."""

    type: ClassVar[str] = "tandem.notification.alert-acknowledged.v1"
    alert_id: UUID
    alert_version: int = Field(ge=1)
    acknowledged_at: AwareDatetime


class AlertEscalated(NotificationEvent):
    """Nobody acknowledged in time; the next step of the roster was told."""

    type: ClassVar[str] = "tandem.notification.alert-escalated.v1"
    alert_id: UUID
    alert_version: int = Field(ge=1)
    step: int = Field(ge=1)
    due_at: AwareDatetime


class AlertOverridden(NotificationEvent):
    """A person set the alert aside, with a coded reason."""

    type: ClassVar[str] = "tandem.notification.alert-overridden.v1"
    alert_id: UUID
    alert_version: int = Field(ge=1)
    reason: str


class AlertClosed(NotificationEvent):
    """The cause is gone."""

    type: ClassVar[str] = "tandem.notification.alert-closed.v1"
    alert_id: UUID
    reason: Literal["hold_released", "cause_gone", "superseded"]


class StreamBroken(NotificationEvent):
    """Heartbeats of a source are missing; what it would report is unknown."""

    type: ClassVar[str] = "tandem.notification.stream-broken.v1"
    stream_source: Service
    since: AwareDatetime


class StreamRestored(NotificationEvent):
    """Heartbeats of the source are back."""

    type: ClassVar[str] = "tandem.notification.stream-restored.v1"
    stream_source: Service


class NotificationCaseParked(NotificationEvent):
    """Notification could not process an event of this case; later ones wait in order."""

    type: ClassVar[str] = "tandem.notification.case-parked.v1"
    safety: ClassVar[bool] = True
    lane: ClassVar[Lane] = Lane.SAFETY
    sequenced: ClassVar[bool] = False
    consumer: Service
    parked_source: Service
    parked_sequence: int | None


class NotificationCaseUnparked(NotificationEvent):
    """Notification has caught up with this case again."""

    type: ClassVar[str] = "tandem.notification.case-unparked.v1"
    safety: ClassVar[bool] = True
    sequenced: ClassVar[bool] = False
    consumer: Service
