"""What of the events was promised, and what of today's events breaks it.

Topics keep their records for ever, so today's readers must understand every record ever written,
and readers that are not yet updated must understand today's. So a promised member may not go, nor
change its type, bounds or words in either direction; a new member needs a default. Wording may
change. What must change otherwise becomes a new event type beside the old one.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

Schema = Mapping[str, Any]

#: members of a schema that no reader depends on
_WORDING: Final = frozenset({"title", "description", "examples", "$schema", "$id", "$defs"})
#: what a type promises beside its body
_MARKS: Final = {
    "x-topic": "topic",
    "x-owner": "owner",
    "x-safety": "safety mark",
    "x-sequenced": "place in the sequence",
}
#: where a bound that falls or rises lets fewer values through
_TIGHTER: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "minimum": lambda old, new: new > old,
    "exclusiveMinimum": lambda old, new: new > old,
    "minLength": lambda old, new: new > old,
    "minItems": lambda old, new: new > old,
    "maximum": lambda old, new: new < old,
    "exclusiveMaximum": lambda old, new: new < old,
    "maxLength": lambda old, new: new < old,
    "maxItems": lambda old, new: new < old,
}


@dataclass(frozen=True, slots=True)
class Break:
    """One promise that today's event does not keep."""

    wire_type: str
    where: str
    what: str

    def told(self, readers: tuple[str, ...]) -> str:
        """The break as a sentence that names who breaks."""
        who = ", ".join(readers) or "nobody here, but the record of it"
        return f"{self.wire_type}{self.where}: {self.what}; breaks {who}"


def breaks(promised: Mapping[str, Schema], present: Mapping[str, Schema]) -> Iterator[Break]:
    """Every promise that is not kept; additions keep them all."""
    for wire_type, old in promised.items():
        new = present.get(wire_type)
        if new is None:
            yield Break(wire_type, "", "the event is gone, but its records are kept for ever")
            continue
        for mark, name in _MARKS.items():
            if old.get(mark) != new.get(mark):
                said = f"the {name} changed from {_json(old.get(mark))} to {_json(new.get(mark))}"
                yield Break(wire_type, "", said)
        yield from _compared(_Pair(wire_type, old, new), "", old, new)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two whole schemas, in which references are looked up."""

    wire_type: str
    old: Schema
    new: Schema

    def followed(self, old: Schema, new: Schema) -> tuple[Schema, Schema]:
        """Both parts with a reference replaced by what it names."""
        return _followed(self.old, old), _followed(self.new, new)

    def broken(self, where: str, what: str) -> Break:
        """A break at this place."""
        return Break(self.wire_type, where, what)


def _followed(whole: Schema, part: Schema) -> Schema:
    if "$ref" not in part:
        return part
    name = str(part["$ref"]).rsplit("/", 1)[-1]
    beside = {key: value for key, value in part.items() if key != "$ref"}
    return {**whole.get("$defs", {})[name], **beside}


def _compared(pair: _Pair, where: str, old: Schema, new: Schema) -> Iterator[Break]:
    old, new = pair.followed(old, new)
    yield from _members(pair, where, old, new)
    yield from _options(pair, where, old, new)
    yield from _words(pair, where, old, new)
    if "items" in old and "items" in new:
        yield from _compared(pair, f"{where}[]", old["items"], new["items"])
    handled = {"properties", "required", "anyOf", "enum", "items", "default", *_WORDING, *_MARKS}
    for name in sorted({*old, *new} - handled):
        if old.get(name) != new.get(name):
            yield pair.broken(where, _changed(name, old, new))


def _members(pair: _Pair, where: str, old: Schema, new: Schema) -> Iterator[Break]:
    before, after = old.get("properties", {}), new.get("properties", {})
    for name, part in before.items():
        place = f"{where}.{name}"
        if name not in after:
            yield pair.broken(place, "the member is gone")
            continue
        if "default" in part and "default" not in after[name]:
            yield pair.broken(place, "the member lost its default, and older records lack it")
        elif part.get("default") != after[name].get("default"):
            yield pair.broken(place, "the default changed, and older records are read with it")
        yield from _compared(pair, place, part, after[name])
    for name in sorted(after.keys() - before.keys()):
        if "default" not in after[name]:
            yield pair.broken(f"{where}.{name}", "a new member without default")


def _options(pair: _Pair, where: str, old: Schema, new: Schema) -> Iterator[Break]:
    """Alternatives by place; one more or one less changes what a reader has to expect."""
    before, after = old.get("anyOf", []), new.get("anyOf", [])
    if len(before) != len(after):
        told = f"the alternatives changed from {_json(before)} to {_json(after)}"
        yield pair.broken(where, told)
        return
    for one, other in zip(before, after, strict=True):
        yield from _compared(pair, where, one, other)


def _words(pair: _Pair, where: str, old: Schema, new: Schema) -> Iterator[Break]:
    before, after = old.get("enum"), new.get("enum")
    if before is None or after is None:
        if before is not after:
            yield pair.broken(where, "the closed list of words came or went")
        return
    for word in (w for w in before if w not in after):
        yield pair.broken(where, f"the word {_json(word)} is gone, and older records say it")
    for word in (w for w in after if w not in before):
        yield pair.broken(where, f"the word {_json(word)} is new, and readers refuse unknown words")


def _changed(name: str, old: Schema, new: Schema) -> str:
    before, after = old.get(name), new.get(name)
    is_tighter = _TIGHTER.get(name)
    how = "changed"
    if is_tighter is not None:
        how = "narrowed" if _narrows(is_tighter, before, after) else "widened"
    return f"{name} {how} from {_json(before)} to {_json(after)}"


def _narrows(is_tighter: Callable[[float, float], bool], before: Any, after: Any) -> bool:  # noqa: ANN401
    return after is not None and (before is None or is_tighter(before, after))


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True)
