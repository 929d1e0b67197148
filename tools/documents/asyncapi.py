"""AsyncAPI 3 from the catalogue and the tables of reactions: one document of the system, and one
for each service with what it sends and what it reacts to.

FastStream cannot write these: the kernel reads raw records, which it would publish as an empty
payload, and it puts all events of a topic into one message without headers.
"""

import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from shared.contracts.catalogue import DEAD_LETTERS, HEARTBEATS, TOPIC_OF
from shared.contracts.event import Event
from shared.contracts.example_events import SOME_INSTANT, example_file, example_of
from shared.contracts.vocabulary import Service
from shared.messaging.heartbeats import BEAT_SECONDS
from shared.messaging.partitioning import DEFAULT_PARTITIONS
from shared.messaging.topics import catalogue_topics
from shared.messaging.wire import CONTENT_TYPE, event_headers
from tools.documents.readers import OWNERS, read_by, written_by
from tools.documents.schemas import COMPONENTS, component_schemas

Part = dict[str, Any]
SPECIFICATION: Final = "3.0.0"
CONSUMERS: Final = (*OWNERS, Service.CONSOLE)
_SOME_ID: Final = UUID("0195a3f0-0000-7000-8000-000000000001")

#: what each header of an event means; a header that is missing here stops the writing
HEADERS: Final[Mapping[str, str]] = {
    "ce_specversion": "CloudEvents version",
    "ce_id": "id of the event; the same on every redelivery",
    "ce_source": "the service that says it, as /tandem/<service>",
    "ce_type": "wire type of the event",
    "ce_time": "domain time: the clinic's clock, in UTC",
    "ce_partitionkey": "the case id, which is also the record's key",
    "ce_correlationid": "names the first cause of the chain",
    "ce_causationid": "the event that directly led here; absent where a person did",
    "ce_traceparent": "W3C trace context of the work that wrote the event",
    "ce_tandemsafety": "1: a reader that does not know the type parks the case; 0: it skips it",
    "ce_epoch": "raised when a service's database was restored; its sequences begin anew",
    "ce_sequence": "contiguous per source, epoch and case",
    "content-type": "media type of the body",
}
_OPTIONAL: Final = frozenset({"ce_causationid", "ce_traceparent"})


def system_document() -> Part:
    """Everything on all topics."""
    models = [model for owner in OWNERS for model in written_by(owner)]
    operations: Part = {}
    for consumer in CONSUMERS:
        operations |= _operations(consumer)
    return _document("Tandem", "The events of all services.", models, operations, heartbeat=True)


def service_document(service: Service) -> Part:
    """What one service sends, and what it reacts to."""
    models = [*_sent(service)]
    for owner in OWNERS:
        models += [model for model in read_by(service, owner) if model not in models]
    title = f"Tandem {service.value.replace('_', ' ')}"
    about = "The events that this service sends, and those that it reacts to."
    return _document(title, about, models, _operations(service), heartbeat=False)


def _document(
    title: str, about: str, models: Sequence[type[Event]], operations: Part, *, heartbeat: bool
) -> Part:
    return {
        "asyncapi": SPECIFICATION,
        "info": {
            "title": title,
            "version": importlib.metadata.version("tandem"),
            "description": f"{about} CloudEvents 1.0 in Kafka's binary mode, keyed by case.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": {"kafka": _SERVER},
        "channels": {
            **{TOPIC_OF[owner]: _channel(owner, models) for owner in OWNERS if _any(owner, models)},
            **(_beside() if heartbeat else {}),
        },
        "operations": operations,
        "components": {
            "messages": {
                **{model.type: _message(model) for model in models},
                **({"heartbeat": _HEARTBEAT} if heartbeat else {}),
            },
            "schemas": {
                "Headers": _headers(sequenced=True),
                "HeadersOutsideTheSequence": _headers(sequenced=False),
                **component_schemas(models, heartbeat=heartbeat),
            },
        },
    }


_SERVER: Final = {
    "host": "{bootstrap}",
    "protocol": "kafka",
    "description": "The installation's Kafka; see TANDEM_KAFKA_BOOTSTRAP.",
    "variables": {"bootstrap": {"default": "127.0.0.1:9092"}},
}
_HEARTBEAT: Final = {
    "name": "heartbeat",
    "summary": f"What a source last produced to each partition; every {BEAT_SECONDS:g} seconds.",
    "contentType": CONTENT_TYPE,
    "payload": {"$ref": f"{COMPONENTS}Heartbeat"},
}


def _any(owner: Service, models: Sequence[type[Event]]) -> bool:
    return any(model.owner is owner for model in models)


def _sent(service: Service) -> Sequence[type[Event]]:
    return written_by(service) if service in TOPIC_OF else ()


def _channel(owner: Service, models: Sequence[type[Event]]) -> Part:
    topic = TOPIC_OF[owner]
    return {
        "address": topic,
        "description": f"Written by {owner.value} alone. Everything about a case is in order.",
        "messages": {
            model.type: {"$ref": f"#/components/messages/{model.type}"}
            for model in models
            if model.owner is owner
        },
        "bindings": {"kafka": _topic_binding(topic)},
    }


def _beside() -> Part:
    """The topics that carry no events of cases."""
    return {
        HEARTBEATS: {
            "address": HEARTBEATS,
            "description": "How a consumer knows that silence means that nothing happened.",
            "messages": {"heartbeat": {"$ref": "#/components/messages/heartbeat"}},
            "bindings": {"kafka": _topic_binding(HEARTBEATS)},
        },
        DEAD_LETTERS: {
            "address": DEAD_LETTERS,
            "description": "Records that could not be processed, with their cause.",
            "bindings": {"kafka": _topic_binding(DEAD_LETTERS)},
        },
    }


def _topic_binding(topic: str) -> Part:
    partitions, settings = catalogue_topics(DEFAULT_PARTITIONS)[topic]
    configuration: Part = {"cleanup.policy": settings["cleanup.policy"].split(",")}
    for name in ("retention.ms", "retention.bytes"):
        if name in settings:
            configuration[name] = int(settings[name])
    return {"topic": topic, "partitions": partitions, "topicConfiguration": configuration}


def _message(model: type[Event]) -> Part:
    headers = "Headers" if model.sequenced else "HeadersOutsideTheSequence"
    return {
        "name": model.type,
        "title": model.__name__,
        "summary": " ".join((model.__doc__ or "").split()),
        "contentType": CONTENT_TYPE,
        "headers": {"$ref": COMPONENTS + headers},
        "payload": {"$ref": COMPONENTS + model.__name__},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "bindings": {"kafka": {"key": {"type": "string", "format": "uuid"}}},
        "x-safety": model.safety,
        "examples": [{"name": "committed", "payload": json.loads(example_file(model.type) or "")}],
    }


def _headers(*, sequenced: bool) -> Part:
    """The headers that the code writes. Raises KeyError for one that nobody has described."""
    some = next(m for o in OWNERS for m in written_by(o))
    written = event_headers(
        example_of(some), event_id=_SOME_ID, time=SOME_INSTANT, correlation_id=_SOME_ID,
        causation_id=_SOME_ID, traceparent="",
    )  # fmt: skip
    names = [*written, "ce_epoch", *(["ce_sequence"] if sequenced else [])]
    return {
        "type": "object",
        "properties": {name: {"type": "string", "description": HEADERS[name]} for name in names},
        "required": [name for name in names if name not in _OPTIONAL],
    }


def _operations(service: Service) -> Part:
    found: Part = {}
    if service in TOPIC_OF:
        found[f"{service.value}-sends"] = _operation("send", service, _sent(service), "Sends")
    for owner in OWNERS:
        if models := read_by(service, owner):
            name = f"{service.value}-reacts-to-{owner.value}"
            found[name] = _operation("receive", owner, models, "Reacts to")
    return found


def _operation(action: str, owner: Service, models: Sequence[type[Event]], verb: str) -> Part:
    channel = f"#/channels/{TOPIC_OF[owner]}"
    return {
        "action": action,
        "summary": f"{verb} events of {owner.value}",
        "channel": {"$ref": channel},
        "messages": [{"$ref": f"{channel}/messages/{model.type}"} for model in models],
    }
