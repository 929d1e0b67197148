"""Puts id, version, times and source around the content of a statement.

Invariant: the same resource content gives the same id and version, whatever bundle it came in and
wherever it stood there; changed content under the same id gives another version.
"""

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any

from services.intake.adapters.fhir.access import Json, fingerprint, mapping
from services.intake.adapters.fhir.context import Draft
from services.intake.adapters.fhir.entries import Entry

VERSION_DIGITS_MAX = 9
"""A longer meta.versionId is no counter; it is replaced like an absent one."""
_CONTENT_SPACE = 10**8
_COUNTER_SPACE = 10**3
"""How many versions of one day are told apart by their counter."""
_CLINICAL_DATES = (
    "effectiveDateTime",
    "effectivePeriod",
    "issued",
    "authoredOn",
    "performedDateTime",
    "performedPeriod",
    "occurrenceDateTime",
    "onsetDateTime",
    "recordedDate",
    "period",
)
"""Elements that date what was seen or done; technical and planned dates do not count."""
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})")


def statement(entry: Entry, draft: Draft, *, copy: str = "") -> dict[str, Any]:
    """Return the whole statement. ``copy`` marks one of several contradicting copies of an id."""
    body = {key: value for key, value in draft.content.items() if value is not None}
    return {
        "kind": body.pop("kind"),
        "id": (draft.identity or entry.reference) + copy + draft.suffix,
        "version": (identity_version if draft.identity else version)(entry.resource, body),
        **body,
        "source": f"FHIR {entry.reference}",
    }


def version(resource: Json, body: Json) -> int:
    """Return meta.versionId as a number, else one made from the newest day and the content.

    Servers that keep no versions still change resources, mostly by adding a later date, so the
    newest day inside the resource orders the made-up versions and a hash tells the rest apart. The
    statement's own content takes part: a resource that reads differently, because the bundle around
    it says more, is a new version too.
    """
    own = version_number(resource)
    if own is not None:
        return own
    content = int(fingerprint([resource, body]), 16) % _CONTENT_SPACE
    return newest_day(resource).toordinal() * _CONTENT_SPACE + content


def identity_version(resource: Json, body: Json) -> int:
    """Return a version that orders resources of different ids which name one thing.

    Each of them counts its own ``meta.versionId``, so the newest day inside comes first, then that
    counter, then whether it is finished.
    """
    counter = min(version_number(resource) or 0, _COUNTER_SPACE - 1)
    finished = resource.get("status") == "completed"
    below = _CONTENT_SPACE // _COUNTER_SPACE // 2
    content = int(fingerprint([resource, body]), 16) % below
    day = newest_day(resource).toordinal()
    return ((day * _COUNTER_SPACE + counter) * 2 + finished) * below + content


def version_number(resource: Json) -> int | None:
    """Return meta.versionId where it is a counter, else None."""
    own = mapping(resource.get("meta")).get("versionId")
    if not isinstance(own, str) or not own.isascii() or not own.isdecimal():
        return None
    return int(own) if len(own) <= VERSION_DIGITS_MAX else None


def newest_day(value: object) -> date:
    """Return the newest calendar day written anywhere in JSON ``value``; day one when none."""
    return max(_days(value), default=date.min)


def _days(value: object) -> Iterator[date]:
    if isinstance(value, str):
        match = _DAY.match(value) if len(value) >= len("2027-01-15") else None
        if match is not None:
            try:
                yield date(int(match[1]), int(match[2]), int(match[3]))
            except ValueError:
                return
    elif isinstance(value, dict):
        for child in value.values():
            yield from _days(child)
    elif isinstance(value, list):
        for child in value:
            yield from _days(child)


def newest_clinical_day(entries: Iterable[Entry], received_at: datetime | None) -> date:
    """Return the last day on which something in the bundle was seen or done.

    It stands for "now" where the kind of a condition depends on its age, so that one bundle reads
    the same whenever it is read. Days after ``received_at`` do not count.
    """
    newest = date.min
    for entry in entries:
        for element in _CLINICAL_DATES:
            for day in _days(entry.resource.get(element)):
                if day > newest and (received_at is None or day <= received_at.date()):
                    newest = day
    return newest
