"""Rows as typed values: one dataclass field per column of the same name."""

from dataclasses import fields
from typing import TypeVar

from shared.persistence.database import Row

T = TypeVar("T")


def made(kind: type[T], row: Row) -> T:
    """The row as `kind`. Raises KeyError when a field has no column."""
    return kind(**{field.name: row[field.name] for field in fields(kind)})  # type: ignore[arg-type]


def made_or_none(kind: type[T], row: Row | None) -> T | None:
    """The row as `kind`, or None for no row."""
    return None if row is None else made(kind, row)
