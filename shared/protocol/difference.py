"""What changed from one rulebook to another, in words, place by place.

Invariant: two rulebooks differ in meaning only if something is listed here; comments and order of
keys are no difference. Rows with an id are compared by it, wherever they stand in their list.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import yaml

from shared.protocol.texts import RulebookTexts

#: what short keys of the rulebook mean to its readers
_WORDS: Final[Mapping[str, str]] = {
    "c": "days before collection",
    "i": "days before infusion",
    "lead": "days to the next planned dose",
    "scope": "gates",
    "effect": "effect",
    "override": "override",
    "by": "who may override",
    "min": "lowest that passes",
    "max": "highest that passes",
    "review_min": "review below",
    "review_max": "review above",
    "hold_min": "hold from",
    "contra_min": "contraindicated from",
    "src": "source",
    "st": "status",
    "ref": "reference",
    "as": "as given there",
}
_TITLES: Final = ("title", "class", "metric", "item", "test", "symptom")


class ChangeKind(StrEnum):
    """What happened to a place of the rulebook."""

    ADDED = "added"
    CHANGED = "changed"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `place` is a rule's id, or section and key; `text` the whole sentence."""

    kind: ChangeKind
    place: str
    text: str

    def to_json(self) -> dict[str, str]:
        """Return the change as shown to users."""
        return {"kind": self.kind.value, "place": self.place, "text": self.text}


def differences(old: RulebookTexts, new: RulebookTexts) -> tuple[Change, ...]:
    """Return every difference, rules and tables first, then codes, then sentences."""
    pairs = (
        (old.coordination, new.coordination, ""),
        (old.codes, new.codes, "codes"),
        (old.sentences, new.sentences, "sentences"),
    )
    return tuple(
        change
        for before, after, name in pairs
        if before != after
        for change in _between(yaml.safe_load(before), yaml.safe_load(after), name, "")
    )


def _between(old: object, new: object, place: str, field: str) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        yield from _of_maps(old, new, place, field)
    elif _is_table(old) and _is_table(new):
        yield from _of_maps(_by_id(old), _by_id(new), "", "")
    elif isinstance(old, list) and isinstance(new, list):
        yield from _of_lists(old, new, place, field)
    else:
        text = f"{_said(field)} {_value(old)} → {_value(new)}"
        yield Change(ChangeKind.CHANGED, place, f"{place}: {text.strip()}.")


def _of_maps(
    old: Mapping[str, Any], new: Mapping[str, Any], place: str, field: str
) -> Iterator[Change]:
    for key in [*old, *(k for k in new if k not in old)]:
        inside = _inside(old.get(key, new.get(key)), place, field, str(key))
        if key not in new:
            yield _gone(old[key], *inside)
        elif key not in old:
            yield _came(new[key], *inside)
        else:
            yield from _between(old[key], new[key], *inside)


def _inside(value: object, place: str, field: str, key: str) -> tuple[str, str]:
    """The place and the field of a key: rows name themselves, sections are spelt out."""
    if isinstance(value, dict) and "id" in value:
        return key, ""
    if _is_rule(place):
        return place, f"{field} {_WORDS.get(key, key)}".strip()
    return (f"{place}, {key}" if place else key), ""


def _is_rule(place: str) -> bool:
    return place.isupper() or (place[:1].isupper() and "-" in place)


def _came(value: object, place: str, field: str) -> Change:
    if field:
        return Change(ChangeKind.ADDED, place, f"{place}: {field} is now {_value(value)}.")
    title = _title(value)
    return Change(ChangeKind.ADDED, place, f"{place} is new{f': {title}' if title else ''}.")


def _gone(value: object, place: str, field: str) -> Change:
    if field:
        text = f"{place}: {field} {_value(value)} is gone."
    else:
        title = _title(value)
        text = f"{place} is gone{f': {title}' if title else ''}."
    return Change(ChangeKind.REMOVED, place, text)


def _of_lists(
    old: Sequence[object], new: Sequence[object], place: str, field: str
) -> Iterator[Change]:
    added = [_value(v) for v in new if v not in old]
    gone = [_value(v) for v in old if v not in new]
    said = _said(field)
    parts = [] if added or gone else [f"{said} in another order: {_value(new)}"]
    parts += [f"{said} now also {', '.join(added)}"] if added else []
    parts += [f"{said} no longer {', '.join(gone)}"] if gone else []
    text = f"{place}: {'; '.join(part.strip() for part in parts)}."
    yield Change(ChangeKind.CHANGED, place, text)


def _is_table(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(_named(row) for row in value)


def _named(row: object) -> bool:
    return isinstance(row, dict) and "id" in row


def _by_id(rows: Any) -> dict[str, Any]:  # noqa: ANN401  (a YAML list of named rows)
    return {str(row["id"]): row for row in rows}


def _title(value: object) -> str:
    if isinstance(value, dict):
        return next((str(value[key]) for key in _TITLES if key in value), "")
    return _value(value)


def _said(field: str) -> str:
    return field.replace("_", " ")


def _value(value: object) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(_value(v) for v in value) or "nothing"
        case dict():
            return ", ".join(f"{_WORDS.get(k, k)} {_value(v)}" for k, v in value.items())
        case str() if " " in value:
            return f"“{value}”"
        case _:
            return str(value)
