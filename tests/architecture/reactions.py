"""What each service reacts to, read from its own table of reactions."""

import importlib
import inspect
from functools import cache
from unittest.mock import MagicMock

from shared.contracts.event import Event
from shared.contracts.vocabulary import Service

SERVICES = (
    Service.INTAKE,
    Service.MANUFACTURING,
    Service.INFUSION_SCHEDULING,
    Service.NOTIFICATION,
)


@cache
def reactions_of(service: Service) -> frozenset[type[Event]]:
    """The events in the table that the service's bootstrap builds; nothing of it is run."""
    table = importlib.import_module(f"services.{service.value}.bootstrap").reactions
    built = table(**{name: MagicMock() for name in inspect.signature(table).parameters})
    return frozenset({*built.handlers, *built.safe_half})
