"""Information, questions, consent and its withdrawal, each in one transaction.

Invariant: a consent is on record only with an explanation of every topic behind it; a withdrawal is
never refused and closes every gate with the transaction that records it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import UUID

from services.intake.application.information_ports import SignedConsent
from services.intake.application.place_hold import HoldAnswer, record_hold
from services.intake.application.ports import IntakeRows
from services.intake.application.record_facts import record_facts
from services.intake.domain.consent import (
    Document,
    Explanation,
    Obstacles,
    Question,
    Told,
    obstacles_to_consent,
)
from services.intake.domain.holds import ALL_GATES, POLICY, HoldOrder, HoldScope
from shared.contracts.vocabulary import HoldKind
from shared.messaging.unit_of_work import Work
from shared.protocol import Protocol, parse_statement

#: what the hold of a withdrawal is about: a case has one such hold at a time
EPISODE: Final = "consent"


class TopicsUnknownError(ValueError):
    """The rulebook has no such topics."""

    def __init__(self, topics: Sequence[str]) -> None:
        super().__init__(", ".join(topics))
        self.topics = tuple(topics)


class DocumentNotCurrentError(Exception):
    """The document does not explain these topics, or not in its newest version.

    `current`: the document and version of each topic now, None where none is published.
    """

    def __init__(self, current: Mapping[str, str | None]) -> None:
        super().__init__("not the current document")
        self.current = current


class ConsentRefusedError(Exception):
    """The consent cannot be signed yet."""

    def __init__(self, obstacles: Obstacles) -> None:
        super().__init__(", ".join(obstacles.codes))
        self.obstacles = obstacles


@dataclass(frozen=True, slots=True)
class ExplanationOrder:
    """Topics that this person explained just now."""

    case_id: UUID
    topics: tuple[str, ...]
    document: str
    version: int
    language: str
    by: str


@dataclass(frozen=True, slots=True)
class ConsentOrder:
    """A consent that the patient signed before this physician."""

    case_id: UUID
    document: str
    version: int
    language: str
    signed_on: date | None
    has_expectations: bool
    by: str


async def publish_document(
    work: Work[IntakeRows], protocol: Protocol, document: Document, by: str
) -> bool:
    """Whether the version was new. Raises `TopicsUnknownError`."""
    _check_topics(protocol, document.topics)
    is_new = await work.rows.information.insert_document(document, by, work.world.clock.now())
    work.note(
        "information-document-published",
        None,
        document=document.document,
        version=document.version,
    )
    return is_new


def _check_topics(protocol: Protocol, topics: Sequence[str]) -> None:
    unknown = [topic for topic in topics if topic not in protocol.tables.topics]
    if unknown:
        raise TopicsUnknownError(unknown)


async def told_to(rows: IntakeRows, protocol: Protocol, case_id: UUID) -> Told:
    """What the patient was told and asked so far."""
    return Told(
        protocol.tables.topics,
        await rows.information.documents(),
        await rows.information.explanations(case_id),
        await rows.information.questions(case_id),
    )


async def explain_topics(
    work: Work[IntakeRows], protocol: Protocol, order: ExplanationOrder
) -> tuple[str, ...]:
    """The topics that still lack a current explanation.

    Raises `TopicsUnknownError`, `DocumentNotCurrentError`.
    """
    await work.rows.authority.lock_case(order.case_id)
    _check_topics(protocol, order.topics)
    told = await told_to(work.rows, protocol, order.case_id)
    _check_document(told, order)
    for topic in dict.fromkeys(order.topics):
        explanation = Explanation(
            explanation_id=work.world.ids.new(),
            topic=topic,
            document=order.document,
            version=order.version,
            language=order.language,
            explained_by=order.by,
            explained_at=work.world.clock.now(),
        )
        await work.rows.information.insert_explanation(order.case_id, explanation)
    statement = {"item": "information_given", "topics": sorted(set(order.topics))}
    await _state(work, protocol, order.case_id, f"information/{work.world.ids.new()}", statement)
    work.note("topics-explained", order.case_id, topics=" ".join(sorted(set(order.topics))))
    after = await told_to(work.rows, protocol, order.case_id)
    return (*after.missing(), *after.stale())


def _check_document(told: Told, order: ExplanationOrder) -> None:
    documents = {topic: told.current_document(topic) for topic in order.topics}
    wrong = {
        topic: None if now is None else f"{now.document} {now.version}"
        for topic, now in documents.items()
        if now is None or (now.document, now.version) != (order.document, order.version)
    }
    if wrong:
        raise DocumentNotCurrentError(wrong)


async def ask_question(
    work: Work[IntakeRows], case_id: UUID, text: str | None, by: str
) -> Question:
    """The question on file; without text, the statement that the patient has none."""
    await work.rows.authority.lock_case(case_id)
    question = Question(
        question_id=work.world.ids.new(),
        question=text,
        recorded_by=by,
        recorded_at=work.world.clock.now(),
        answer=None,
        answered_by=None,
        answered_at=None,
    )
    await work.rows.information.insert_question(case_id, question)
    work.note("question-recorded", case_id, question_id=str(question.question_id))
    return question


async def answer_question(
    work: Work[IntakeRows], case_id: UUID, question_id: UUID, text: str, by: str
) -> bool:
    """Whether an open question was answered; False: there is none with that id."""
    now = work.world.clock.now()
    done = await work.rows.information.answer_question(
        case_id, question_id, answer=text, by=by, at=now
    )
    if done:
        work.note("question-answered", case_id, question_id=str(question_id))
    return done


async def sign_consent(
    work: Work[IntakeRows], protocol: Protocol, order: ConsentOrder
) -> SignedConsent:
    """The consent on record, with the explanations it rests on. Raises `ConsentRefusedError`."""
    await work.rows.authority.lock_case(order.case_id)
    now = work.world.clock.now()
    today = now.astimezone(protocol.zone).date()
    signed_on = order.signed_on or today
    told = await told_to(work.rows, protocol, order.case_id)
    obstacles = obstacles_to_consent(
        told,
        signed_on=signed_on,
        today=today,
        zone=protocol.zone,
        has_expectations=order.has_expectations,
    )
    if obstacles is not None:
        raise ConsentRefusedError(obstacles)
    consent = SignedConsent(
        consent_id=work.world.ids.new(),
        case_id=order.case_id,
        document=order.document,
        version=order.version,
        language=order.language,
        signed_on=signed_on,
        taken_by=order.by,
        recorded_at=now,
        rests_on={topic: _source(e) for topic, e in told.explained().items()},
    )
    await work.rows.information.insert_consent(consent)
    work.note("consent-signed", order.case_id, consent_id=str(consent.consent_id))
    # A consent of today counts from now: one that was withdrawn this morning is signed anew.
    effective = now.isoformat() if signed_on == today else signed_on.isoformat()
    statement = {"item": "consent", "effective": effective, "version": order.version}
    await _state(work, protocol, order.case_id, f"consent/{consent.consent_id}", statement)
    return consent


def _source(explanation: Explanation) -> dict[str, Any]:
    return {
        "explanation_id": str(explanation.explanation_id),
        "document": explanation.document,
        "version": explanation.version,
    }


async def withdraw_consent(
    work: Work[IntakeRows], protocol: Protocol, case_id: UUID, *, reason: str | None, by: str
) -> HoldAnswer:
    """The hold over every gate that is open with the withdrawal. The case is there."""
    kind, rows = HoldKind.CONSENT_WITHDRAWN, work.rows.authority
    await rows.lock_case(case_id)
    known = await rows.open_hold_of(case_id, kind, None, EPISODE)
    order = HoldOrder(
        hold_id=work.world.ids.new() if known is None else known.hold_id,
        case_id=case_id,
        kind=kind,
        scope=HoldScope(ALL_GATES),
        on_running=POLICY[kind].on_running,
        reporter=by,
        episode=EPISODE,
        reason=reason,
    )
    answer = await record_hold(work, order)
    statement = {"item": "consent", "withdrawn": True}
    await _state(work, protocol, case_id, f"consent-withdrawn/{work.world.ids.new()}", statement)
    work.note("consent-withdrawn", case_id, hold_id=str(answer.hold.hold_id))
    return answer


async def _state(
    work: Work[IntakeRows], protocol: Protocol, case_id: UUID, name: str, said: Mapping[str, Any]
) -> None:
    now = work.world.clock.now().isoformat()
    statement = {"kind": "evidence", "id": name, "effective": now, "source": "entered", **said}
    fact = parse_statement(statement, zone=protocol.zone)
    if isinstance(fact, tuple):
        raise AssertionError(f"our own statement is refused: {fact}")
    await record_facts(work, protocol, case_id, [fact], origin="entered")
