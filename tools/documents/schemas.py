"""JSON Schemas of the events, as they are written to Kafka.

A member that has a default is always written, so it is required here and carries its `default`;
that is how a reader tells it from one that was there from the beginning. Readers must ignore
members that they do not know, so the schemas do not forbid them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from shared.contracts.catalogue import EVENTS, TOPIC_OF
from shared.contracts.event import Event
from shared.messaging.heartbeats import Heartbeat

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
COMPONENTS: Final = "#/components/schemas/"

Schema = dict[str, Any]


class _AsWritten(GenerateJsonSchema):
    """Members with a default are written too."""

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: ANN401 - pydantic's own
        """Always: nothing is left out when an event is written."""
        return True


def event_schema(model: type[Event]) -> Schema:
    """The schema of one event's body, complete in itself."""
    schema = model.model_json_schema(mode="serialization", schema_generator=_AsWritten)
    return {
        "$schema": DIALECT,
        "$id": f"urn:tandem:schema:{model.type}",
        "x-topic": TOPIC_OF[model.owner],
        "x-owner": model.owner.value,
        "x-safety": model.safety,
        "x-sequenced": model.sequenced,
        **_tolerant(schema),
    }


def all_schemas() -> Mapping[str, Schema]:
    """Each event's schema by wire type."""
    return {wire_type: event_schema(EVENTS[wire_type]) for wire_type in sorted(EVENTS)}


def component_schemas(models: Sequence[type[Event]], *, heartbeat: bool) -> Schema:
    """The schemas of these events and all that they refer to, for a document's components."""
    wanted: list[Any] = [(model, "serialization") for model in models]
    if heartbeat:
        wanted.append((Heartbeat, "serialization"))
    _, found = models_json_schema(
        wanted, ref_template=COMPONENTS + "{model}", schema_generator=_AsWritten
    )
    return {name: _tolerant(found["$defs"][name]) for name in sorted(found["$defs"])}


def _tolerant(schema: Schema) -> Schema:
    """The schema without `additionalProperties: false`, at any depth."""
    return {
        name: _tolerant_value(value)
        for name, value in schema.items()
        if not (name == "additionalProperties" and value is False)
    }


def _tolerant_value(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return _tolerant(value)
    if isinstance(value, list):
        return [_tolerant_value(part) for part in value]
    return value
