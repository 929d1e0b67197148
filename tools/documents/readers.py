"""Who reads which event, from the services' own tables of reactions; nothing of them is run.

The tables are built from stand-ins, so that no server is needed to write the documents.
"""

import importlib
import inspect
from collections.abc import Sequence
from functools import cache
from typing import Any, Final
from unittest.mock import MagicMock

from shared.contracts.catalogue import EVENTS, TOPIC_OF
from shared.contracts.event import Event
from shared.contracts.vocabulary import Service
from shared.messaging.reactions import Reactions

#: the services that own a topic, in the order of the workflow
OWNERS: Final = tuple(TOPIC_OF)
#: where each consumer declares what it reacts to
_TABLES: Final = {
    **{service: f"services.{service.value}.bootstrap" for service in OWNERS},
    Service.CONSOLE: "services.console.projections.table",
}


@cache
def table_of(consumer: Service) -> Reactions[Any]:
    """The reaction table of a consumer, its handlers not callable."""
    table = importlib.import_module(_TABLES[consumer]).reactions
    built = table(**{name: MagicMock() for name in inspect.signature(table).parameters})
    assert isinstance(built, Reactions)  # noqa: S101 - a table that is none would read as empty
    return built


@cache
def reactions_of(consumer: Service) -> frozenset[type[Event]]:
    """The events that the consumer reacts to."""
    built = table_of(consumer)
    return frozenset({*built.handlers, *built.bulk, *built.safe_half})


@cache
def readers_of(wire_type: str) -> tuple[Service, ...]:
    """The services that react to the event, in the order of the workflow; the console last."""
    model = EVENTS.get(wire_type)
    return tuple(reader for reader in _TABLES if model in reactions_of(reader))


def written_by(service: Service) -> Sequence[type[Event]]:
    """The events of the service's topic, by wire type."""
    return [EVENTS[t] for t in sorted(EVENTS) if EVENTS[t].owner is service]


def read_by(consumer: Service, owner: Service) -> Sequence[type[Event]]:
    """The events of `owner` that the consumer reacts to, by wire type."""
    found = reactions_of(consumer)
    return [model for model in written_by(owner) if model in found]
