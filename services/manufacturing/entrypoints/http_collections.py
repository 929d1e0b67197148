"""Collections and capacity over HTTP: from the booking to the received material."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from services.manufacturing.application import book_collection as booking
from services.manufacturing.application import collect
from services.manufacturing.application.add_slots import add_slot
from services.manufacturing.application.press_start import start_collection
from services.manufacturing.application.row_ports import NotFoundError, Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.application.verify_label import verify_label
from services.manufacturing.domain.collection import CollectionMethod
from services.manufacturing.domain.custody import Condition
from services.manufacturing.entrypoints.access import (
    AtTheBench,
    AtTheChair,
    Booker,
    Key,
    Planner,
    Reader,
)
from services.manufacturing.entrypoints.answers import (
    batch_json,
    collection_json,
    problems,
    slot_json,
)
from services.manufacturing.entrypoints.commands import Call, PressBody, press, read, run
from shared.messaging.unit_of_work import Work
from shared.web.etags import etag
from shared.web.idempotency import Answer
from shared.web.pages import PAGE_SIZE_MAX, Paged, page_of
from shared.web.requests import RequestModel

Name = Annotated[str, Field(min_length=1, max_length=200)]
Scanned = Annotated[str, Field(min_length=1, max_length=64)]


class SlotBody(RequestModel):
    """A culture place on one day."""

    day: date
    place: Name


class BookingBody(RequestModel):
    """A collection on a culture place."""

    case_id: UUID
    method: CollectionMethod
    planned_at: AwareDatetime
    slot_id: UUID


class DoneBody(RequestModel):
    """The end of a collection; the label is scanned from the container at the chair."""

    collected_at: AwareDatetime
    scanned_label: Scanned


class ReceiptBody(RequestModel):
    """The arrival of the material; the receiver is the caller."""

    received_at: AwareDatetime
    scanned_label: Scanned
    giver: Name
    place: Name
    condition: Condition


def collection_router(shell: Shell) -> APIRouter:
    """The endpoints of /slots and /collections."""
    router = APIRouter(tags=["collections"])
    _add_slots(router, shell)
    _add_bookings(router, shell)
    _add_chair(router, shell)
    return router


def _add_slots(router: APIRouter, shell: Shell) -> None:
    @router.post("/slots", status_code=201)
    async def post_slot(request: Request, principal: Planner, key: Key, body: SlotBody) -> Response:
        """Offers a culture place."""

        async def act(work: Work[Rows]) -> Answer:
            return Answer(201, slot_json(await add_slot(work, body.day, body.place)))

        return await run(Call(shell, request, principal, key), act)

    @router.get("/slots")
    async def get_slots(
        request: Request,
        principal: Reader,
        from_day: date | None = None,
        free: bool = False,
        limit: Annotated[int, Query(ge=1, le=PAGE_SIZE_MAX)] = PAGE_SIZE_MAX,
    ) -> Response:
        """Culture places from a day on (today when none is named), by day and place."""

        async def act(work: Work[Rows]) -> Answer:
            today = shell.rules.clocks.local_day(work.world.clock.now())
            day = from_day or today
            found = await work.rows.collections.slots(day, limit, free_only=free)
            return Answer(200, {"items": [slot_json(slot) for slot in found]})

        return await read(shell, request, principal, act)


def _add_bookings(router: APIRouter, shell: Shell) -> None:
    @router.post("/collections", status_code=201)
    async def post_collection(
        request: Request, principal: Booker, key: Key, body: BookingBody
    ) -> Response:
        """Books a collection, or says everything that stands against it."""
        command = booking.BookCollection(body.case_id, body.method, body.planned_at, body.slot_id)

        async def act(work: Work[Rows]) -> Answer:
            booked = await booking.book_collection(work, shell.rules, command)
            return Answer(201, collection_json(booked), {"ETag": etag(1)})

        return await run(Call(shell, request, principal, key), act)

    @router.get("/collections")
    async def get_collections(
        request: Request, principal: Reader, page: Paged, case_id: UUID | None = None
    ) -> Response:
        """Collections, oldest first."""

        async def act(work: Work[Rows]) -> Answer:
            after = UUID(page.after[0]) if page.after else None
            rows = await work.rows.collections.page(case_id, after, page.limit + 1)
            shown = page_of(
                rows, page, item=collection_json, key=lambda c: (c.booking.collection_id,)
            )
            return Answer(200, shown)

        return await read(shell, request, principal, act)

    @router.get("/collections/{collection_id}")
    async def get_collection(request: Request, principal: Reader, collection_id: UUID) -> Response:
        """One collection."""
        return await read(shell, request, principal, lambda w: _shown(w, collection_id))

    @router.post("/collections/{collection_id}/cancel")
    async def post_cancel(
        request: Request, principal: Booker, key: Key, collection_id: UUID
    ) -> Response:
        """Cancels a booking; its culture place is free again."""

        async def act(work: Work[Rows]) -> Answer:
            await booking.cancel_collection(work, collection_id)
            return await _shown(work, collection_id)

        return await run(Call(shell, request, principal, key), act)


def _add_chair(router: APIRouter, shell: Shell) -> None:
    @router.post("/collections/{collection_id}/label", status_code=201)
    async def post_label(
        request: Request, principal: AtTheChair, key: Key, collection_id: UUID
    ) -> Response:
        """The container's label, to be printed and stuck on at the chair."""

        async def act(work: Work[Rows]) -> Answer:
            made = await collect.label_material(work, collection_id)
            return Answer(201, {"container_id": made.container_id, "label": made.label})

        return await run(Call(shell, request, principal, key), act)

    @router.post("/collections/{collection_id}/start")
    async def post_start(
        request: Request, principal: AtTheChair, key: Key, collection_id: UUID, body: PressBody
    ) -> Response:
        """Starts the collection under a permit. If-Match: the case's clearance as seen."""
        call = Call(shell, request, principal, key)
        return await press(
            call, body, lambda by, cause: start_collection(shell, collection_id, by, cause)
        )

    @router.post("/collections/{collection_id}/done")
    async def post_done(
        request: Request, principal: AtTheChair, key: Key, collection_id: UUID, body: DoneBody
    ) -> Response:
        """Ends the collection; the scanned label must be its container's."""
        call = Call(shell, request, principal, key)
        await _scan(call, collection_id, body.scanned_label, collect.STEP_COLLECT)

        async def act(work: Work[Rows]) -> Answer:
            await collect.finish_collection(
                shell.permits, work, collection_id, collected_at=body.collected_at
            )
            return await _shown(work, collection_id)

        return await run(call, act)

    @router.post("/collections/{collection_id}/receive", status_code=201)
    async def post_receive(
        request: Request, principal: AtTheBench, key: Key, collection_id: UUID, body: ReceiptBody
    ) -> Response:
        """Receives the material and opens its batch; the scanned label must match."""
        call = Call(shell, request, principal, key)
        await _scan(call, collection_id, body.scanned_label, collect.STEP_RECEIVE)
        command = collect.ReceiveMaterial(
            collection_id, body.received_at, body.giver, body.place, body.condition
        )

        async def act(work: Work[Rows]) -> Answer:
            batch = await collect.receive_material(work, command)
            return Answer(201, batch_json(batch))

        return await run(call, act)


async def _scan(call: Call, collection_id: UUID, scanned: str, step: str) -> None:
    with problems():
        await verify_label(
            call.shell,
            lambda work: collect.container_of(work, collection_id),
            scanned,
            step=step,
            cause=call.cause,
        )


async def _shown(work: Work[Rows], collection_id: UUID) -> Answer:
    found = await work.rows.collections.find(collection_id)
    if found is None:
        raise NotFoundError("collection")
    version = await work.rows.collections.version(collection_id)
    return Answer(200, collection_json(found), {"ETag": etag(version)})
