"""Whether the patient has been told what a consent rests on. Pure.

Invariant: a consent rests on one explanation of every topic, from the document that is current for
it, given by the day of the signature, and on answers to every question that was asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Document:
    """A published version of an information document and the topics that it explains."""

    document: str
    version: int
    topics: Sequence[str]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A topic that somebody explained to the patient, and from what."""

    explanation_id: UUID
    topic: str
    document: str
    version: int
    language: str
    explained_by: str
    explained_at: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """A patient's question. `question` None: a physician states that there are none."""

    question_id: UUID
    question: str | None
    recorded_by: str
    recorded_at: datetime
    answer: str | None
    answered_by: str | None
    answered_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.question is not None and self.answered_at is None


@dataclass(frozen=True, slots=True)
class Told:
    """What the patient was told and asked: documents in order of publication, the rest of time."""

    topics: Sequence[str]
    documents: Sequence[Document]
    explanations: Sequence[Explanation]
    questions: Sequence[Question]

    def current_document(self, topic: str) -> Document | None:
        """The document that explains the topic now: the one published last."""
        found = [d for d in self.documents if topic in d.topics]
        return found[-1] if found else None

    def explained(self) -> Mapping[str, Explanation]:
        """The newest explanation of each topic from its current document."""
        return {e.topic: e for e in self.explanations if self._is_current(e)}

    def missing(self) -> tuple[str, ...]:
        """The topics that were never explained, in the rulebook's order."""
        ever = {e.topic for e in self.explanations}
        return tuple(topic for topic in self.topics if topic not in ever)

    def stale(self) -> tuple[str, ...]:
        """The topics explained from a document that is not the current one any more."""
        ever, now = {e.topic for e in self.explanations}, self.explained()
        return tuple(topic for topic in self.topics if topic in ever and topic not in now)

    def _is_current(self, explanation: Explanation) -> bool:
        current = self.current_document(explanation.topic)
        return current is not None and (current.document, current.version) == (
            explanation.document,
            explanation.version,
        )


@dataclass(frozen=True, slots=True)
class Obstacles:
    """Why a consent cannot be signed; `by_topic` and `questions` name what is lacking."""

    codes: tuple[str, ...]
    missing: tuple[str, ...] = ()
    stale: tuple[str, ...] = ()
    late: tuple[str, ...] = ()
    questions: tuple[UUID, ...] = ()


def obstacles_to_consent(
    told: Told, *, signed_on: date, today: date, zone: tzinfo, has_expectations: bool
) -> Obstacles | None:
    """What stands against a consent signed on that day, or None.

    `has_expectations`: the form includes the statement of realistic expectations.
    """
    late = tuple(
        topic
        for topic, explanation in told.explained().items()
        if explanation.explained_at.astimezone(zone).date() > signed_on
    )
    waiting = tuple(q.question_id for q in told.questions if q.is_open)
    found = {
        "topics-not-explained": bool(told.missing()),
        "topics-of-an-older-document": bool(told.stale()),
        "explained-after-signing": bool(late),
        "questions-open": bool(waiting),
        "questions-not-on-file": not told.questions,
        "no-realistic-expectations": not has_expectations,
        "signed-in-the-future": signed_on > today,
    }
    codes = tuple(code for code, stands in found.items() if stands)
    if not codes:
        return None
    return Obstacles(codes, told.missing(), told.stale(), late, waiting)
