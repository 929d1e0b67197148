"""The one list of events: wire type to model, and topic to owner.

Everything that must know "all events" (readers, documents, contract tests) derives from here.
"""

import inspect
from types import MappingProxyType
from typing import Final

from shared.contracts import coordination, infusion, manufacturing, notification
from shared.contracts.event import Event
from shared.contracts.vocabulary import Service

#: rises with every new event type; producers emit a new safety type only when every consumer
#: group's heartbeat advertises it (consumer first)
CATALOGUE_VERSION: Final = 1

HEARTBEATS: Final = "tandem.heartbeats.v1"
DEAD_LETTERS: Final = "tandem.dead-letters.v1"

TOPIC_OF: Final = MappingProxyType(
    {
        Service.INTAKE: "tandem.coordination.v1",
        Service.MANUFACTURING: "tandem.manufacturing.v1",
        Service.INFUSION_SCHEDULING: "tandem.infusion.v1",
        Service.NOTIFICATION: "tandem.notification.v1",
    }
)
OWNER_OF: Final = MappingProxyType({topic: owner for owner, topic in TOPIC_OF.items()})


def _declared() -> dict[str, type[Event]]:
    found: dict[str, type[Event]] = {}
    for module in (coordination, manufacturing, infusion, notification):
        for _, model in inspect.getmembers(module, inspect.isclass):
            if issubclass(model, Event) and "type" in vars(model):
                if model.type in found and found[model.type] is not model:
                    raise ValueError(f"two events share the wire type {model.type}")
                found[model.type] = model
    return found


EVENTS: Final = MappingProxyType(_declared())

PARKED_BY: Final = MappingProxyType(
    {
        Service.INTAKE: coordination.CoordinationCaseParked,
        Service.MANUFACTURING: manufacturing.ManufacturingCaseParked,
        Service.INFUSION_SCHEDULING: infusion.InfusionCaseParked,
        Service.NOTIFICATION: notification.NotificationCaseParked,
    }
)
UNPARKED_BY: Final = MappingProxyType(
    {
        Service.INTAKE: coordination.CoordinationCaseUnparked,
        Service.MANUFACTURING: manufacturing.ManufacturingCaseUnparked,
        Service.INFUSION_SCHEDULING: infusion.InfusionCaseUnparked,
        Service.NOTIFICATION: notification.NotificationCaseUnparked,
    }
)
