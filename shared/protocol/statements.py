"""Statements in and out: the form of a `--facts` file, of the API and of the stored jsonb.

Invariant: `fact_from_json(fact_to_json(fact)) == fact` for every fact, and equal facts have equal
JSON. An unknown kind or field is a problem, so that a misspelt field never loses a fact.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any, cast

from shared.protocol import facts as f
from shared.protocol import reading as r
from shared.protocol import words
from shared.protocol.statement_fields import (
    HEADER,
    KIND_FIELDS,
    KIND_OF,
    PART_FIELDS,
    Field,
    values_of,
)

KINDS = frozenset(KIND_FIELDS)
"""The kinds of statement that exist."""
FACTS_MAX = 20_000
"""Most statements of one document; the largest real record seen has about 6,000."""
_ID_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a statement was not read; `where` is a JSON pointer into the document."""

    where: str
    message: str


@dataclass(frozen=True, slots=True)
class FactsDocument:
    """A read `--facts` document. With problems, nothing of it may be used."""

    facts: tuple[f.Fact, ...] = ()
    assume_other_evidence_current: bool = False
    expected: Mapping[str, Any] | None = None
    problems: tuple[Problem, ...] = ()


def kind_of(fact: f.Fact) -> str:
    """Return the kind under which a fact is stated, e.g. `medication`."""
    return KIND_OF[type(fact)]


def parse_statement(raw: object, *, zone: tzinfo, where: str = "") -> f.Fact | tuple[Problem, ...]:
    """Return the fact that a statement makes, or the located problems that refuse it.

    `zone` is the clinic's (`Protocol.zone`): dates are its days, and times without offset are its
    local times. A statement without id gets one made from its content, so that the same statement
    is the same fact wherever it stands.
    """
    place = r.Place(where, zone)
    try:
        return _fact(_spoken(r.mapping(raw, place)), place)
    except r.BadValue as bad:
        return (Problem(bad.where or "/", bad.message),)


def _spoken(raw: Mapping[str, Any]) -> dict[str, Any]:
    # A condition's `status` may say suspected, confirmed or refuted, which is not how final it is.
    given = dict(raw)
    if given.get("kind") == "condition" and given.get("status") in set(words.Certainty):
        given["certainty"] = given.pop("status")
    return given


def _fact(raw: dict[str, Any], place: r.Place) -> f.Fact:
    name = raw.pop("kind", None)
    if not isinstance(name, str) or name not in KIND_FIELDS:
        raise place.at("kind").bad(f"expected one of {', '.join(sorted(KIND_FIELDS))}")
    kind, fields = KIND_FIELDS[name]
    values = values_of(raw, (*HEADER, *fields), place)
    values.setdefault("id", "")
    fact = cast(f.Fact, kind(**values))
    _check(fact, place)
    return fact if fact.id else _named(kind, values, fact)


def _named(kind: type, values: dict[str, Any], fact: f.Fact) -> f.Fact:
    content = fact_to_json(fact)
    for key in ("id", "recorded", "source"):
        content.pop(key, None)
    digest = hashlib.sha256(canonical(content).encode()).hexdigest()[:_ID_DIGITS]
    values["id"] = f"{kind_of(fact)}-{digest}"
    return cast(f.Fact, kind(**values))


def _check(fact: f.Fact, place: r.Place) -> None:
    """Refuse what contradicts itself; what is merely unlikely is the rules' to judge."""
    match fact:
        case f.Medication(doses=doses):
            for i, dose in enumerate(doses):
                _check_span(dose.first, dose.last, place.at("doses").at(i))
                if dose.day is not None and (dose.first is not None or dose.last is not None):
                    raise place.at("doses").at(i).bad("either day, or from and to")
            if fact.name is None and not fact.classes and not fact.codes:
                raise place.bad("a medication needs a name, a class or codes")
        case f.Treatment(first=first, last=last):
            _check_span(first, last, place)
        case f.Infection(antimicrobials=drugs):
            for i, drug in enumerate(drugs):
                _check_span(drug.first, drug.last, place.at("antimicrobials").at(i))
        case f.PlanChange(moved_from=None, moved_to=None):
            raise place.bad("a plan change needs moved_from or moved_to")
        case f.Performance(ecog=None, karnofsky=None):
            raise place.bad("a performance status needs ecog or karnofsky")
        case _:
            pass


def _check_span(first: date | None, last: date | None, place: r.Place) -> None:
    if first is not None and last is not None and last < first:
        raise place.bad("ends before it begins")


def parse_facts_document(raw: object, *, zone: tzinfo) -> FactsDocument:
    """Return the read document (already parsed from YAML or JSON), or its located problems."""
    place = r.Place("", zone)
    try:
        top = r.mapping(raw, place)
        stated = top.get("facts")
        if not isinstance(stated, list):
            raise place.at("facts").bad("expected a list of statements")
        if len(stated) > FACTS_MAX:
            raise place.at("facts").bad(f"more than {FACTS_MAX} statements")
        assume = r.flag(
            top.get("assume_other_evidence_current", False),
            place.at("assume_other_evidence_current"),
        )
    except r.BadValue as bad:
        return FactsDocument(problems=(Problem(bad.where or "/", bad.message),))
    return _document(stated, assume, top.get("expected"), zone)


def _document(stated: list[Any], assume: bool, expected: object, zone: tzinfo) -> FactsDocument:
    found: list[f.Fact] = []
    problems: list[Problem] = []
    for i, raw in enumerate(stated):
        result = parse_statement(raw, zone=zone, where=f"/facts/{i}")
        if isinstance(result, tuple):
            problems.extend(result)
        else:
            found.append(result)
    if problems:
        return FactsDocument(problems=tuple(problems))
    block = expected if isinstance(expected, Mapping) else None
    return FactsDocument(tuple(found), assume, block)


def fact_to_json(fact: f.Fact) -> dict[str, Any]:
    """Return the statement of a fact with JSON values only, absent fields left out."""
    _, fields = KIND_FIELDS[kind_of(fact)]
    return {"kind": kind_of(fact), **_dump(fact, (*HEADER, *fields))}


def fact_from_json(raw: Mapping[str, Any]) -> f.Fact:
    """Return the fact that `fact_to_json` wrote; raises ValueError on anything else.

    Stored statements carry offsets, so no zone is needed.
    """
    result = parse_statement(raw, zone=UTC)
    if isinstance(result, tuple):
        raise ValueError("; ".join(f"{p.where}: {p.message}" for p in result))
    return result


def canonical(value: object) -> str:
    """Return the one JSON text of a value: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _dump(holder: object, fields: Iterable[Field]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for field in fields:
        value = getattr(holder, field.name)
        if value is not None and value != () and not _is_default(field, value):
            out[field.key] = _plain(value)
    return out


def _is_default(field: Field, value: object) -> bool:
    return (field.key, value) in {
        ("version", 1),
        ("status", words.FactStatus.FINAL),
        ("withdrawn", False),
        ("certainty", words.Certainty.CONFIRMED),
    }


def _plain(value: object) -> object:
    match value:
        case bool() | int() | str():
            return str(value) if isinstance(value, StrEnum) else value
        case Decimal():
            return _plain_number(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case date():
            return value.isoformat()
        case tuple():
            return [_plain(member) for member in value]
        case _:
            return _dump(value, PART_FIELDS[type(value)])


def _plain_number(value: Decimal) -> int | float | str:
    # JSON readers turn numbers into floats: a number goes out as one only where that is exact.
    if value == value.to_integral_value():
        return int(value)
    near = float(value)
    return near if Decimal(repr(near)) == value else str(value)
