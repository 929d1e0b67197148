"""An example of each event, as committed in `examples/`: one JSON file per wire type.

`make contracts` writes the missing ones; a committed example is never rewritten, since today's
readers must still understand it. The values are made up and the same on every machine.
"""

import types
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import Enum
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import NAMESPACE_URL, UUID, uuid5

from annotated_types import Ge, Gt
from pydantic import AwareDatetime, BaseModel
from pydantic.fields import FieldInfo

from shared.contracts.catalogue import EVENTS
from shared.contracts.event import Event

FOLDER: Final = "examples"
SOME_INSTANT: Final = datetime(2027, 3, 9, 8, 0, tzinfo=UTC)
SOME_DAY: Final = date(2027, 3, 9)
#: words that a field of this name carries; others carry their own name
_WORDS: Final = {
    "rule": "STER-001",
    "rules": "STER-001",
    "metric": "anc",
    "protocol_version": "1.0.0",
    "test": "sterility_14d",
}


def example_of(model: type[Event]) -> Event:
    """An event of this type with every field filled."""
    return model.model_validate(_filled(model))


def example_file(wire_type: str) -> str | None:
    """The text of the committed example, None when there is none."""
    found = files("shared.contracts").joinpath(FOLDER, f"{wire_type}.json")
    return found.read_text(encoding="utf-8") if found.is_file() else None


def write_missing(folder: Path) -> tuple[str, ...]:
    """The wire types whose example was missing in the folder and is written now."""
    folder.mkdir(exist_ok=True)
    missing = [(t, m) for t, m in EVENTS.items() if not (folder / f"{t}.json").exists()]
    for wire_type, model in missing:
        text = example_of(model).model_dump_json(indent=2) + "\n"
        (folder / f"{wire_type}.json").write_text(text, encoding="utf-8")
    return tuple(wire_type for wire_type, _ in missing)


def _filled(model: type[BaseModel]) -> dict[str, Any]:
    return {name: _value(name, info) for name, info in model.model_fields.items()}


def _value(name: str, info: FieldInfo) -> Any:  # noqa: ANN401 - any JSON value
    if info.annotation is int:
        return _least(info.metadata)
    return _of(name, info.annotation)


def _least(metadata: list[Any]) -> int:
    """The smallest positive number that the field's bounds allow."""
    bounds = [1]
    for bound in metadata:
        match bound:
            case Ge(ge=least):
                bounds.append(int(str(least)))
            case Gt(gt=below):
                bounds.append(int(str(below)) + 1)
            case _:
                continue
    return max(bounds)


def _of(name: str, kind: Any) -> Any:  # noqa: ANN401, PLR0911 - one line per kind of type
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _least(list(arguments[1:])) if arguments[0] is int else _of(name, arguments[0])
    if origin is Literal:
        return arguments[0]
    if origin in {Union, types.UnionType}:
        return _of(name, next(part for part in arguments if part is not type(None)))
    if origin in {tuple, frozenset, list}:
        return [_of(name, arguments[0])]
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _filled(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind))
    return _PLAIN[kind](name)


_PLAIN: Final[dict[Any, Callable[[str], Any]]] = {
    UUID: lambda name: uuid5(NAMESPACE_URL, f"urn:tandem:example:{name}"),
    datetime: lambda name: SOME_INSTANT,
    AwareDatetime: lambda name: SOME_INSTANT,
    date: lambda name: SOME_DAY,
    str: lambda name: _WORDS.get(name, name),
    int: lambda name: 1,
    float: lambda name: 1.0,
    bool: lambda name: True,
}
