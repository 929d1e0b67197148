"""docs/events.md: every event on one page, for people who read or write integrations."""

from collections.abc import Iterator
from typing import Any, Final

from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.event import Event
from shared.contracts.vocabulary import Service
from tools.documents.readers import OWNERS, readers_of, written_by
from tools.documents.schemas import event_schema

_HEAD: Final = """\
# Events

Written by `make contracts` from `shared/contracts`; do not edit. The same for machines: \
[asyncapi.yaml](asyncapi.yaml), one document a service in [asyncapi/](asyncapi/), and a JSON \
Schema for each event in [shared/contracts/schemas](../shared/contracts/schemas). How events \
are carried: [architecture/messaging.md](architecture/messaging.md); how they may change: \
[architecture/contracts.md](architecture/contracts.md).

A **safety** event that a reader does not know parks its case; any other is skipped and counted. \
Who reacts is read from the services' tables of reactions; an event without a reader tells people \
what happened (console, audit). A member with a default is always written; records from before it \
existed lack it and are read with the default.
"""


def events_page() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *(line for owner in OWNERS for line in _topic(owner))])


def _topic(owner: Service) -> Iterator[str]:
    yield f"## {TOPIC_OF[owner]}\n"
    yield f"Written by {owner.value}.\n"
    yield "| event | what happened | who reacts |"
    yield "| --- | --- | --- |"
    for model in written_by(owner):
        safety = " **safety**" if model.safety else ""
        yield f"| [{_short(model)}](#{_anchor(model)}){safety} | {_said(model)} | {_who(model)} |"
    yield ""
    for model in written_by(owner):
        yield from _event(model)


def _event(model: type[Event]) -> Iterator[str]:
    yield f"### {model.type}\n"
    yield f"{_said(model)}\n"
    yield "| member | type | meaning |"
    yield "| --- | --- | --- |"
    schema = event_schema(model)
    for name, member in schema["properties"].items():
        meaning = member.get("description", "")
        if "default" in member:
            meaning = f"{meaning} *default {_word(member['default'])}*".strip()
        yield f"| {name} | {_type(member, schema.get('$defs', {}))} | {meaning} |"
    yield ""


def _short(model: type[Event]) -> str:
    return model.type.split(".", 2)[2].removesuffix(".v1")


def _anchor(model: type[Event]) -> str:
    """How Markdown renderers name a heading: without the dots."""
    return model.type.replace(".", "")


def _said(model: type[Event]) -> str:
    return " ".join((model.__doc__ or "").split()).replace("|", "\\|")


def _who(model: type[Event]) -> str:
    readers = [r.value for r in readers_of(model.type) if r is not Service.CONSOLE]
    return ", ".join(readers) or "nobody"


def _type(member: dict[str, Any], parts: dict[str, Any]) -> str:
    if "$ref" in member:
        name = member["$ref"].rsplit("/", 1)[-1]
        return _type(parts[name], parts) if "enum" in parts[name] else name
    if "enum" in member:
        return " \\| ".join(f"`{value}`" for value in member["enum"])
    if "const" in member:
        return f"`{member['const']}`"
    if "anyOf" in member:
        return " or ".join(_type(option, parts) for option in member["anyOf"])
    if member.get("type") == "array":
        return f"list of {_type(member['items'], parts)}"
    return str(member.get("format", member.get("type", "any")))


def _word(value: object) -> str:
    return "null" if value is None else f"`{value}`"
