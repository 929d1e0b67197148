"""YAML whose mappings know their line, so that a refused rulebook names the place.

Invariant: every value is taken through a typed accessor, and `done()` refuses keys that nobody
asked for: a misspelt key in a rulebook never loses a rule silently.
"""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from fractions import Fraction
from typing import Any, TypeVar

import yaml

E = TypeVar("E", bound=StrEnum)


class RulebookError(ValueError):
    """A rulebook is inconsistent; the message begins with file and line."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line


class _Map(dict[str, Any]):
    """A mapping with the line on which it begins."""

    line: int = 0


class _Loader(yaml.CSafeLoader):
    """Safe loading with lines; a key given twice is refused."""


def _construct_map(loader: Any, node: yaml.MappingNode) -> _Map:  # noqa: ANN401  (yaml's own)
    made = _Map()
    made.line = node.start_mark.line + 1
    for key_node, value_node in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in made:
            raise RulebookError("", key_node.start_mark.line + 1, f"key {key!r} is given twice")
        made[str(key)] = loader.construct_object(value_node, deep=True)
    return made


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_map)


class Row:
    """One mapping of a rulebook, read key by key."""

    __slots__ = ("_asked", "_raw", "file", "line")

    def __init__(self, raw: object, file: str, line: int = 1) -> None:
        if not isinstance(raw, dict):
            raise RulebookError(file, line, "expected a mapping")
        self._raw: dict[str, Any] = raw
        self._asked: set[str] = set()
        self.file = file
        self.line: int = getattr(raw, "line", line)

    def bad(self, message: str) -> RulebookError:
        """Return the error for this row."""
        name = self._raw.get("id")
        return RulebookError(self.file, self.line, f"{name}: {message}" if name else message)

    def has(self, key: str) -> bool:
        """True when the key is given and not null."""
        self._asked.add(key)
        return self._raw.get(key) is not None

    def get(self, key: str) -> Any:  # noqa: ANN401  (parse boundary)
        """Return the raw value, or None."""
        self._asked.add(key)
        return self._raw.get(key)

    def need(self, key: str) -> Any:  # noqa: ANN401  (parse boundary)
        """Return the raw value; a missing one is refused."""
        value = self.get(key)
        if value is None:
            raise self.bad(f"{key} is missing")
        return value

    def text(self, key: str) -> str:
        """Return a text."""
        value = self.need(key)
        if isinstance(value, date):
            return value.isoformat()
        if not isinstance(value, str):
            raise self.bad(f"{key} must be a text")
        return value

    def text_or(self, key: str, default: str = "") -> str:
        """Return a text or the default."""
        return self.text(key) if self.has(key) else default

    def whole(self, key: str) -> int:
        """Return a whole number from 0."""
        value = self.need(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise self.bad(f"{key} must be a whole number from 0")
        return value

    def whole_or_none(self, key: str) -> int | None:
        """Return a whole number, or None when absent."""
        return self.whole(key) if self.has(key) else None

    def number(self, key: str) -> Fraction:
        """Return an exact number; fractions such as "5/9" are allowed."""
        return self.exact(self.need(key), key)

    def number_or_none(self, key: str) -> Fraction | None:
        """Return an exact number, or None when absent."""
        return self.number(key) if self.has(key) else None

    def exact(self, value: object, key: str) -> Fraction:
        """Return a raw number exactly as written."""
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise self.bad(f"{key} must be a number")
        try:
            raw = str(value)
            return Fraction(raw) if "/" in raw else Fraction(Decimal(raw))
        except (ValueError, InvalidOperation, OverflowError, ZeroDivisionError) as error:
            raise self.bad(f"{key} must be a number") from error

    def flag(self, key: str) -> bool:
        """Return true or false; absent is false."""
        value = self.get(key)
        if value is not None and not isinstance(value, bool):
            raise self.bad(f"{key} must be true or false")
        return bool(value)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of texts; absent is empty."""
        value = self.get(key)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.bad(f"{key} must be a list of texts")
        return tuple(value)

    def word(self, key: str, kind: type[E]) -> E:
        """Return one of a closed set of words."""
        value = self.text(key)
        try:
            return kind(value)
        except ValueError as error:
            raise self.bad(f"{key}: {value!r} is none of {', '.join(kind)}") from error

    def row(self, key: str) -> "Row":
        """Return a nested mapping."""
        return Row(self.need(key), self.file, self.line)

    def row_or_none(self, key: str) -> "Row | None":
        """Return a nested mapping, or None when absent."""
        return self.row(key) if self.has(key) else None

    def rows(self, key: str) -> Iterator["Row"]:
        """Yield the mappings of a list."""
        value = self.get(key) or []
        if not isinstance(value, list):
            raise self.bad(f"{key} must be a list")
        for member in value:
            yield Row(member, self.file, self.line)

    def names(self) -> tuple[str, ...]:
        """Return the keys in their order."""
        self._asked.update(self._raw)
        return tuple(self._raw)

    def ignore(self, *keys: str) -> None:
        """Mark keys as commentary that no rule reads."""
        self._asked.update(keys)

    def done(self) -> None:
        """Refuse keys that nothing asked for."""
        left = [key for key in self._raw if key not in self._asked]
        if left:
            raise self.bad(f"unknown key {', '.join(left)}")


def read_yaml(text: str, file: str) -> Row:
    """Return the document's top mapping; anything that is not sound YAML is refused."""
    try:
        raw = yaml.load(text, Loader=_Loader)  # noqa: S506  (a SafeLoader with line numbers)
    except RulebookError as error:
        raise RulebookError(file, error.line, str(error).split(": ", 1)[1]) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        raise RulebookError(file, line, "not sound YAML") from error
    return Row(raw, file)
