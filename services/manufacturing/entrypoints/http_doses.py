"""Doses over HTTP: thaw, hand-out, return, destruction and custody."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import AwareDatetime, Field

from services.manufacturing.application import move_dose
from services.manufacturing.application.lookup import locked_dose
from services.manufacturing.application.press_start import start_dose
from services.manufacturing.application.row_ports import NotFoundError, Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.application.verify_label import verify_label
from services.manufacturing.domain.custody import Condition
from services.manufacturing.domain.dose import DiscardReason, ThawedDose
from services.manufacturing.domain.holds import HoldOrder
from services.manufacturing.domain.product import Form
from services.manufacturing.entrypoints.access import (
    AtTheBench,
    Carrier,
    Key,
    Reader,
    Returner,
    Tester,
)
from services.manufacturing.entrypoints.answers import dose_json, problems
from services.manufacturing.entrypoints.commands import (
    Call,
    PressBody,
    press,
    read,
    run,
    run_with_hold,
)
from services.manufacturing.entrypoints.http_collections import Name, Scanned
from shared.messaging.unit_of_work import Work
from shared.web.etags import etag
from shared.web.idempotency import Answer
from shared.web.requests import RequestModel


class DosePressBody(PressBody):
    """The press that hands out or thaws a dose; its label is scanned."""

    infusion_id: UUID
    scanned_label: Scanned


class ReturnBody(RequestModel):
    """A dose that comes back. Only a fresh, unopened, unexpired one can be usable."""

    scanned_label: Scanned
    usable: bool


class DiscardBody(RequestModel):
    """Why a dose is destroyed."""

    reason: DiscardReason


class CustodyBody(RequestModel):
    """A hand-over, reported by its receiver."""

    scanned_label: Scanned
    giver: Name
    place: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,59}$")]
    condition: Condition
    handed_over_at: AwareDatetime


def dose_router(shell: Shell) -> APIRouter:
    """The endpoints of /doses."""
    router = APIRouter(tags=["doses"])
    _add_reading(router, shell)
    _add_starts(router, shell)
    _add_ends(router, shell)
    return router


def _add_reading(router: APIRouter, shell: Shell) -> None:
    @router.get("/doses/{dose_id}")
    async def get_dose(request: Request, principal: Reader, dose_id: UUID) -> Response:
        """One dose with its clocks, and whether its batch's sterility is pending."""
        return await read(shell, request, principal, lambda w: _shown(w, dose_id))

    @router.get("/doses/{dose_id}/custody")
    async def get_custody(request: Request, principal: Reader, dose_id: UUID) -> Response:
        """The chain of custody, oldest first."""

        async def act(work: Work[Rows]) -> Answer:
            dose = await work.rows.doses.find(dose_id)
            if dose is None:
                raise NotFoundError("dose")
            links = await work.rows.containers.handovers(dose.bag.container_id)
            return Answer(200, {"items": links})

        return await read(shell, request, principal, act)


def _add_starts(router: APIRouter, shell: Shell) -> None:
    @router.post("/doses/{dose_id}/thaw")
    async def post_thaw(
        request: Request, principal: AtTheBench, key: Key, dose_id: UUID, body: DosePressBody
    ) -> Response:
        """Thaws a dose for one infusion under a permit. If-Match: the case's clearance."""
        call = Call(shell, request, principal, key)
        return await _pressed(call, dose_id, body, Form.CRYOPRESERVED, "thaw")

    @router.post("/doses/{dose_id}/issue")
    async def post_issue(
        request: Request, principal: AtTheBench, key: Key, dose_id: UUID, body: DosePressBody
    ) -> Response:
        """Hands a dose out for one infusion: a fresh one under a permit, a thawed one under the
        permit of its thaw. If-Match: the case's clearance as seen."""
        call = Call(shell, request, principal, key)
        if await _is_thawed(call, dose_id):
            return await _issue_thawed(call, dose_id, body)
        return await _pressed(call, dose_id, body, Form.FRESH, "issue")


async def _pressed(
    call: Call, dose_id: UUID, body: DosePressBody, form: Form, step: str
) -> Response:
    await _scan(call, dose_id, body.scanned_label, step)
    return await press(
        call,
        body,
        lambda by, cause: start_dose(call.shell, dose_id, body.infusion_id, by, cause, form=form),
    )


async def _is_thawed(call: Call, dose_id: UUID) -> bool:
    async with call.shell.unit_of_work.begin(call.cause) as work:
        return isinstance(await work.rows.doses.find(dose_id), ThawedDose)


async def _issue_thawed(call: Call, dose_id: UUID, body: DosePressBody) -> Response:
    await _scan(call, dose_id, body.scanned_label, "issue")

    async def act(work: Work[Rows]) -> Answer:
        dose = await locked_dose(work, dose_id)
        if isinstance(dose, ThawedDose):
            await move_dose.issue_thawed(call.shell, work, dose, body.infusion_id)
        return await _shown(work, dose_id)

    return await run(call, act)


def _add_ends(router: APIRouter, shell: Shell) -> None:
    @router.post("/doses/{dose_id}/return")
    async def post_return(
        request: Request, principal: Returner, key: Key, dose_id: UUID, body: ReturnBody
    ) -> Response:
        """Takes a dose back; an unusable one is held at the authority before the answer."""
        call = Call(shell, request, principal, key)
        await _scan(call, dose_id, body.scanned_label, "return")

        async def order(work: Work[Rows]) -> HoldOrder | None:
            if body.usable:
                await move_dose.take_back(shell, work, dose_id)
                return None
            return await move_dose.return_unusable(shell, work, dose_id)

        return await run_with_hold(call, order, lambda w: _shown(w, dose_id))

    @router.post("/doses/{dose_id}/discard")
    async def post_discard(
        request: Request, principal: Tester, key: Key, dose_id: UUID, body: DiscardBody
    ) -> Response:
        """Destroys a dose; one that was usable is held at the authority before the answer."""
        call = Call(shell, request, principal, key)
        return await run_with_hold(
            call,
            lambda work: move_dose.discard(shell, work, dose_id, body.reason),
            lambda work: _shown(work, dose_id),
        )

    @router.post("/doses/{dose_id}/custody", status_code=201)
    async def post_custody(
        request: Request, principal: Carrier, key: Key, dose_id: UUID, body: CustodyBody
    ) -> Response:
        """Records a hand-over; a damaged or warm container is recalled before the answer."""
        call = Call(shell, request, principal, key)
        await _scan(call, dose_id, body.scanned_label, "custody")
        command = move_dose.HandOver(
            dose_id, body.giver, body.place, body.condition, body.handed_over_at
        )

        async def order(work: Work[Rows]) -> HoldOrder | None:
            _, hold = await move_dose.record_handover(shell, work, command)
            return hold

        async def shown(work: Work[Rows]) -> Answer:
            answer = await _shown(work, dose_id)
            return Answer(201, answer.body, answer.headers)

        return await run_with_hold(call, order, shown)


async def _scan(call: Call, dose_id: UUID, scanned: str, step: str) -> None:
    with problems():
        await verify_label(
            call.shell,
            lambda work: move_dose.dose_container(work, dose_id),
            scanned,
            step=step,
            cause=call.cause,
        )


async def _shown(work: Work[Rows], dose_id: UUID) -> Answer:
    dose = await work.rows.doses.find(dose_id)
    if dose is None:
        raise NotFoundError("dose")
    batch = await work.rows.batches.find(dose.bag.batch_id)
    version = await work.rows.doses.version(dose_id)
    return Answer(200, dose_json(dose, batch), {"ETag": etag(version)})
