"""CDS Hooks 2.0 over HTTP: discovery, the services `order-sign` and `appointment-book`, feedback.

The services answer questions and store nothing. The caller is an EHR that signs in where everybody
does, in the role of the physician for whom it asks.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Request
from fastapi.responses import Response

from services.intake.application.cds_ports import Feedback
from services.intake.application.check_orders import OrderAnswer, OrderQuestion, check_orders
from services.intake.application.incoming_orders import DraftOrders, IncomingOrders
from services.intake.domain.cards import About
from services.intake.domain.reporting import PHYSICIANS
from services.intake.entrypoints import answers
from services.intake.entrypoints.cds_models import (
    AppointmentBook,
    FeedbackBody,
    FeedbackItem,
    OrderSign,
)
from services.intake.entrypoints.parts import IntakeParts, Parts
from services.intake.entrypoints.statements import facts_of
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.web.idempotency import Answer
from shared.web.problems import FieldError, Problem
from shared.web.requests import cause_of
from shared.web.security import requires

PREFETCH: Final = {"patient": "Patient/{{context.patientId}}"}
SERVICES: Final[tuple[dict[str, Any], ...]] = (
    {
        "hook": "order-sign",
        "id": "order-sign",
        "title": "Planned CIK steps around an order",
        "description": (
            "Tells which planned cell collections and infusions an order collides with, by which "
            "rule, and from when they would be clear again. The order stands; the CIK step moves."
        ),
        "prefetch": PREFETCH,
    },
    {
        "hook": "appointment-book",
        "id": "appointment-book",
        "title": "Planned CIK steps around an appointment",
        "description": (
            "Tells which planned cell collections and infusions a treatment appointment collides "
            "with. The appointment stands; the CIK step moves."
        ),
        "prefetch": PREFETCH,
    },
)

router = APIRouter()
Ehr = Annotated[Principal, Depends(requires(Role.COORDINATOR, *sorted(PHYSICIANS)))]
ServiceId = Annotated[str, Path(pattern="^(order-sign|appointment-book)$")]


@router.get("/cds-services", response_model=answers.CdsServices)
async def get_cds_services(principal: Ehr) -> Response:
    """The CDS services, as a CDS Hooks client discovers them."""
    return Answer(200, {"services": SERVICES}).response()


@router.post("/cds-services/order-sign", response_model=answers.CdsCards)
async def post_order_sign(
    request: Request, principal: Ehr, parts: Parts, body: OrderSign
) -> Response:
    """Cards on draft orders: which planned CIK steps they collide with; nothing is stored."""
    orders = DraftOrders(
        body.context.patient_id,
        *_prefetched(body),
        bundle=body.context.draft_orders,
        bundle_pointer="#/context/draftOrders",
    )
    return await _carded(request, principal, parts, body, orders, About.ORDER)


@router.post("/cds-services/appointment-book", response_model=answers.CdsCards)
async def post_appointment_book(
    request: Request, principal: Ehr, parts: Parts, body: AppointmentBook
) -> Response:
    """Cards on appointments: which planned CIK steps they collide with; nothing is stored."""
    orders = DraftOrders(
        body.context.patient_id,
        *_prefetched(body),
        bundle=body.context.appointments,
        bundle_pointer="#/context/appointments",
    )
    return await _carded(request, principal, parts, body, orders, About.APPOINTMENT)


def _prefetched(body: OrderSign | AppointmentBook) -> tuple[dict[str, Any], str]:
    """The patient and its place. Raises `Problem` 412: nothing is fetched from outside."""
    if body.prefetch is None or body.prefetch.patient is None:
        missing = FieldError("#/prefetch/patient", "missing", "Send the prefetch of this service.")
        raise Problem(412, "prefetch-missing", "The patient is not sent along.", errors=[missing])
    return body.prefetch.patient, "#/prefetch/patient"


async def _carded(
    request: Request,
    principal: Principal,
    parts: IntakeParts,
    body: OrderSign | AppointmentBook,
    orders: DraftOrders,
    about: About,
) -> Response:
    now = parts.world.clock.now()
    question = _question(parts, principal, parts.read_orders(orders, now), about, now)
    async with parts.uow.begin(cause_of(request, principal)) as work:
        found = await check_orders(work, parts.protocol, question)
        if parts.mode == "shadow" and Role.COORDINATOR not in principal.roles:
            # shadow mode alerts the coordinator alone, also where a physician orders
            found = replace(found, cards=())
        ids = [parts.world.ids.new() for _ in found.cards]
        if found.case_id is not None or found.cards:
            work.note("cds-cards-shown", found.case_id, **_shown(body, ids))
    return _answered(found, ids)


def _question(
    parts: IntakeParts,
    principal: Principal,
    incoming: IncomingOrders,
    about: About,
    now: datetime,
) -> OrderQuestion:
    if incoming.problems:
        located = [FieldError(p.pointer, p.code, p.message) for p in incoming.problems]
        raise Problem(422, "orders-unreadable", "The orders cannot be read.", errors=located)
    facts, problems = facts_of(parts, incoming.statements, hypothetical=True)
    if problems:
        located = [FieldError("#/context", p.code, p.detail) for p in problems]
        raise Problem(422, "orders-unreadable", "The orders cannot be read.", errors=located)
    return OrderQuestion(
        identifiers=incoming.identifiers,
        facts=facts,
        not_compared=incoming.not_compared,
        about=about,
        at=now,
        site=principal.site,
    )


def _shown(body: OrderSign | AppointmentBook, ids: list[UUID]) -> dict[str, str | int]:
    """What the audit keeps: the cards' ids, by which feedback is found again."""
    return {
        "service": body.hook,
        "hook_instance": str(body.hook_instance),
        "count": len(ids),
        "cards": ",".join(map(str, ids)),
    }


def _answered(found: OrderAnswer, ids: list[UUID]) -> Response:
    cards = [card.to_json(card_id) for card, card_id in zip(found.cards, ids, strict=True)]
    return Answer(200, {"cards": cards}, {"Cache-Control": "no-store"}).response()


@router.post("/cds-services/{service_id}/feedback", response_model=answers.FeedbackRecorded)
async def post_cds_feedback(
    request: Request, principal: Ehr, parts: Parts, service_id: ServiceId, body: FeedbackBody
) -> Response:
    """Keeps what clinicians did with cards: followed or overridden, and why."""
    now = parts.world.clock.now()
    async with parts.uow.begin(cause_of(request, principal)) as work:
        for item in body.feedback:
            feedback = _feedback(item, service_id, principal)
            if await work.rows.cds.insert_feedback(feedback, now):
                work.note(
                    "cds-feedback-recorded", None, service=service_id, card=str(item.card),
                    outcome=item.outcome, code=feedback.reason_code,
                )  # fmt: skip
    return Answer(200, {"recorded": len(body.feedback)}).response()


def _feedback(item: FeedbackItem, service_id: str, principal: Principal) -> Feedback:
    why = item.override_reason
    coded = why.reason if why is not None else None
    return Feedback(
        card_id=item.card,
        outcome=item.outcome,
        outcome_at=item.outcome_timestamp.astimezone(UTC),
        reporter=principal.subject,
        service_id=service_id,
        reason_system=coded.system if coded is not None else None,
        reason_code=coded.code if coded is not None else None,
        user_comment=why.user_comment if why is not None else None,
        suggestions=[accepted.id for accepted in item.accepted_suggestions],
    )
