"""What a clinician reads in their own system about an order and the CIK plan. Pure.

Invariant: a card tells what happens to the CIK step. It never asks for the order to be delayed,
changed or left out, offers no suggestion that would do so, and is never `critical`: whoever orders
has nothing to do.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from services.intake.domain.collisions import Collision, PlannedStep
from shared.contracts.vocabulary import Gate
from shared.protocol import Finding, When

#: the specification's limit
SUMMARY_LENGTH_MAX: Final = 140
#: more cards than this are not read; the last one says how many further steps there are
CARDS_MAX: Final = 5
#: items named in the card about what could not be compared
NAMED_MAX: Final = 10
SOURCE_LABEL: Final = "Tandem coordination record"
TOPICS: Final = "urn:tandem:cds-hooks:topic"
REASONS: Final = "urn:tandem:cds-hooks:override-reason"
OVERRIDE_REASONS: Final[Mapping[str, str]] = {
    "treatment-keeps-date": "The treatment keeps its date; the CIK step is moved",
    "already-arranged": "Already arranged with the CIK coordinator",
    "not-applicable": "Does not apply to this patient",
}
_MARKDOWN: Final = re.compile(r"([\\`*_\[\]<>|&])")


class Indicator(StrEnum):
    """How a card is shown. There is no `critical`: see the module's invariant."""

    INFO = "info"
    WARNING = "warning"


class About(StrEnum):
    """What the clinician is doing, in the words of a card."""

    ORDER = "order"
    APPOINTMENT = "appointment"


class Topic(StrEnum):
    """What a card is about, for systems that group cards."""

    COLLISION = "cik-step-collision"
    IDENTITY = "cik-record-ambiguous"
    NOT_COMPARED = "cik-not-compared"


_TOPIC_WORDS: Final = {
    Topic.COLLISION: "Collision with a planned CIK step",
    Topic.IDENTITY: "Several coordination records",
    Topic.NOT_COMPARED: "Not compared with the CIK plan",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A card but for its id. `detail` is Markdown."""

    summary: str
    detail: str
    indicator: Indicator
    topic: Topic

    def __post_init__(self) -> None:
        """Refuses a summary that the specification does not allow."""
        if not 0 < len(self.summary) <= SUMMARY_LENGTH_MAX:
            raise ValueError(f"a summary has 1 to {SUMMARY_LENGTH_MAX} characters")

    def to_json(self, card_id: UUID) -> dict[str, Any]:
        """The card as CDS Hooks 2.0 writes it."""
        topic = {"system": TOPICS, "code": self.topic.value, "display": _TOPIC_WORDS[self.topic]}
        return {
            "uuid": str(card_id),
            "summary": self.summary,
            "detail": self.detail,
            "indicator": self.indicator.value,
            "source": {"label": SOURCE_LABEL, "topic": topic},
            "overrideReasons": [
                {"code": code, "system": REASONS, "display": display}
                for code, display in OVERRIDE_REASONS.items()
            ],
        }


@dataclass(frozen=True, slots=True)
class NotCompared:
    """An order that could not be compared, and why."""

    resource: str
    message: str


def cards_for(
    collisions: Sequence[Collision],
    not_compared: Sequence[NotCompared],
    about: About,
    zone: tzinfo,
) -> tuple[Card, ...]:
    """The cards: one for each step hit, soonest first, and one for what could not be compared."""
    shown = [_collision(collision, about, zone) for collision in collisions[:CARDS_MAX]]
    further = len(collisions) - len(shown)
    if further:
        shown.append(_further(further, about))
    if not_compared:
        shown.append(_not_compared(not_compared, about))
    return tuple(shown)


def ambiguous(about: About) -> Card:
    """The card for a patient whose identifiers belong to several cases; it discloses none."""
    return Card(
        summary="Several coordination records match this patient; the CIK plan was not compared.",
        detail=(
            "A coordinator must settle which record is the patient's. "
            f"The {about.value} stands as it is, and nothing is asked of you."
        ),
        indicator=Indicator.WARNING,
        topic=Topic.IDENTITY,
    )


def _collision(collision: Collision, about: About, zone: tzinfo) -> Card:
    step = f"CIK {_name(collision.step)} on {_day(collision.step.day)}"
    if collision.needs_review_only:
        summary = f"{step} needs a physician's review because of this {about.value}."
    else:
        summary = f"{step} collides with this {about.value}; {_moved(collision, zone)}."
    return Card(
        summary=summary,
        detail="\n".join(_detail(collision, about, zone)),
        indicator=Indicator.INFO if collision.needs_review_only else Indicator.WARNING,
        topic=Topic.COLLISION,
    )


def _moved(collision: Collision, zone: tzinfo) -> str:
    kind = "collection" if collision.step.gate is Gate.COLLECTION else "infusion"
    if collision.clear_from is None:
        return f"the {kind} will be moved around it"
    return f"the {kind} will be moved around it, to {_day(collision.clear_from, zone)} or later"


def _detail(collision: Collision, about: About, zone: tzinfo) -> Iterator[str]:
    yield f"{_stands(about)} The care team moves the CIK step around it."
    yield ""
    yield from (_line(finding, zone) for finding in collision.findings)
    yield ""
    yield f"Reckoned with this {about.value} alone: a later dose has free days of its own."
    if collision.clear_from is None and not collision.needs_review_only:
        yield f"No date can be told yet from which this {about.value} leaves the CIK step free."


def _line(finding: Finding, zone: tzinfo) -> str:
    clear = finding.clears_at
    until = "" if clear is None else f"; free of it from {_day(clear, zone)}"
    return f"- {_plain(finding.message)} (rule {finding.rule}{until})"


def _further(number: int, about: About) -> Card:
    steps = "1 further planned CIK step" if number == 1 else f"{number} further planned CIK steps"
    return Card(
        summary=f"{steps} will be looked at because of this {about.value}.",
        detail=f"{_stands(about)} The care team moves the CIK steps around it.",
        indicator=Indicator.INFO,
        topic=Topic.COLLISION,
    )


def _not_compared(found: Sequence[NotCompared], about: About) -> Card:
    lines = [f"- {_plain(one.resource)}: {_plain(one.message)}" for one in found[:NAMED_MAX]]
    return Card(
        summary=f"Part of this {about.value} could not be compared with the planned CIK steps.",
        detail="\n".join([f"{_stands(about)} A coordinator may need its dates.", "", *lines]),
        indicator=Indicator.INFO,
        topic=Topic.NOT_COMPARED,
    )


def _stands(about: About) -> str:
    return f"The {about.value} stands as it is: nothing is asked of you."


def _name(step: PlannedStep) -> str:
    return "cell collection" if step.gate is Gate.COLLECTION else f"infusion {step.number}"


def _day(when: When, zone: tzinfo | None = None) -> str:
    """Return "7 Apr 2027", with the time of day where an instant is meant."""
    local = when.astimezone(zone) if isinstance(when, datetime) else when
    day = f"{local.day} {_MONTHS[local.month - 1]} {local.year}"
    return f"{day} {local:%H:%M}" if isinstance(local, datetime) else day


_MONTHS: Final = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
]


def _plain(text: str) -> str:
    """Return text in which nothing is read as Markdown or HTML: an order names its own drugs."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))
