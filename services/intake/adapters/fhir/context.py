"""What a reader of one resource knows about the bundle, and what it answers.

Invariant: every date that says something *happened* passes ``Context.happened``, so nothing from
the future, from before birth or from after death becomes a statement.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from services.intake.adapters.fhir.access import Json, Rejected, mapping, mappings, text
from services.intake.adapters.fhir.entries import Entry
from services.intake.adapters.fhir.links import Links
from services.intake.adapters.fhir.moments import Moment, Precision, moment
from services.intake.adapters.fhir.reading import Reason
from services.intake.adapters.fhir.terminology import Terminology


@dataclass(frozen=True, slots=True)
class Draft:
    """The content of one statement. ``suffix`` keeps several of one resource apart.

    ``identity`` replaces the resource's reference as id where a business identifier names the same
    thing across resources.
    """

    content: Mapping[str, Any]
    suffix: str = ""
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Stated:
    """The resource is used; ``newest_only``: of its kind only the newest one is kept."""

    drafts: tuple[Draft, ...]
    message: str
    warnings: tuple[str, ...] = ()
    newest_only: str = ""


@dataclass(frozen=True, slots=True)
class Supports:
    """The resource is used through others; ``of`` are the entries that carry its statements."""

    of: tuple[Entry, ...]
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """The resource is readable but says nothing that is needed."""

    reason: Reason
    message: str


Result = Stated | Supports | Ignored


@dataclass(frozen=True, slots=True)
class Span:
    """When something took place. No ``end``: a single moment, or still running (``is_period``)."""

    start: Moment
    end: Moment | None = None
    is_period: bool = False


@dataclass(frozen=True, slots=True)
class Context:
    """The bundle around an entry. ``newest_day`` is the last day that the bundle knows of."""

    terms: Terminology
    links: Links
    received_at: datetime | None
    newest_day: date
    birth: Moment | None = None
    death: Moment | None = None

    def happened(self, found: Moment | None, pointer: str) -> Moment | None:
        """Return ``found`` if it can have happened, else raise Rejected at ``pointer``."""
        if found is None:
            return None
        if self.received_at is not None and found.is_after(self.received_at):
            message = f"{found.written} lies after the bundle was received"
            raise Rejected(Reason.FUTURE_DATE, message, pointer)
        if self.death is not None and found.first_day > self.death.last_day:
            message = (
                f"{found.written} contradicts the patient's death on {self.death.written[:10]}"
            )
            raise Rejected(Reason.AFTER_DEATH, message, pointer)
        if self.birth is not None and found.last_day < self.birth.first_day:
            message = f"{found.written} lies before the patient's birth"
            raise Rejected(Reason.BEFORE_BIRTH, message, pointer)
        return found

    def at(self, resource: Json, element: str) -> Moment | None:
        """Return the date in ``element`` that must have happened, None when absent."""
        pointer = f"/{element}"
        return self.happened(moment(resource.get(element), pointer), pointer)

    def span(self, resource: Json, *bases: str) -> Span | None:
        """Return when, from ``<base>DateTime``, ``Instant``, ``Period`` or the plain element."""
        for base in bases:
            for element in (f"{base}DateTime", f"{base}Instant", base):
                if isinstance(resource.get(element), str):
                    found = self.at(resource, element)
                    return Span(found) if found else None
            for element in (f"{base}Period", base):
                if isinstance(resource.get(element), dict):
                    return self._period(resource[element], f"/{element}")
            if resource.get(f"{base}DateTime") is not None:
                self.at(resource, f"{base}DateTime")
        return None

    def _period(self, period: Json, pointer: str) -> Span | None:
        start = self.happened(moment(period.get("start"), f"{pointer}/start"), f"{pointer}/start")
        end = self.happened(moment(period.get("end"), f"{pointer}/end"), f"{pointer}/end")
        if start and end and end.last_day < start.first_day:
            raise Rejected(Reason.BAD_DATE, "the period ends before it begins", pointer)
        first = start or end
        return Span(first, end, is_period=True) if first else None

    def over_by(self, resource: Json, *elements: str) -> Moment:
        """Return the last day that something ended on an unstated day can have had.

        It was over when it was written down; without that day, on the newest day of the bundle.
        """
        written = moment(self.recorded(resource, *elements), "/meta/lastUpdated")
        return written or Moment(self.newest_day, self.newest_day, Precision.DAY)

    def recorded(self, resource: Json, *elements: str) -> str | None:
        """Return when this was written down: the first of ``elements``, else meta.lastUpdated."""
        for element in elements:
            found = moment(resource.get(element), f"/{element}")
            if found is not None:
                return self._not_ahead(found, f"/{element}").written
        updated = moment(mapping(resource.get("meta")).get("lastUpdated"), "/meta/lastUpdated")
        return self._not_ahead(updated, "/meta/lastUpdated").written if updated else None

    def _not_ahead(self, found: Moment, pointer: str) -> Moment:
        if self.received_at is not None and found.is_after(self.received_at):
            message = f"{found.written} lies after the bundle was received"
            raise Rejected(Reason.FUTURE_DATE, message, pointer)
        return found


def codes_stated(context: Context, concept: object) -> list[dict[str, str]]:
    """Return the codings of a concept in the statement's form: system, code, display."""
    found = []
    for part in mappings(concept):
        for item in mappings(part.get("coding"))[:5]:
            code, display = text(item.get("code")), text(item.get("display"))
            if code:
                system = text(item.get("system")) or "unknown"
                coding = {"system": system, "code": code}
                found.append(coding | ({"display": display} if display else {}))
    return found
