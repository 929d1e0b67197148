"""Batches over HTTP: the process, its evidence, and the decision about it."""

from datetime import datetime
from typing import Annotated, assert_never
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from services.manufacturing.application import record_process as process
from services.manufacturing.application import record_quality as quality
from services.manufacturing.application import sign_release as signing
from services.manufacturing.application.ask_expiry import ExpiryAnswer, answer_question
from services.manufacturing.application.press_start import start_culture
from services.manufacturing.application.recall_batch import (
    reject_batch,
    request_recall,
    revoke_release,
)
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.application.verify_label import verify_label
from services.manufacturing.domain.batch import Step
from services.manufacturing.domain.holds import HoldOrder
from services.manufacturing.domain.refusal import RefusedError
from services.manufacturing.domain.release import SIGNING_ROLES
from services.manufacturing.entrypoints.access import (
    AtTheBench,
    Key,
    Quality,
    Reader,
    Signer,
    Tester,
)
from services.manufacturing.entrypoints.answers import batch_json, problems
from services.manufacturing.entrypoints.batch_bodies import (
    ConclusionBody,
    CultureBody,
    DeviationBody,
    ExpiryBody,
    ForecastBody,
    FormulateBody,
    MeasureBody,
    PlainStepBody,
    RecallBody,
    RejectBody,
    ResultBody,
    SignatureBody,
)
from services.manufacturing.entrypoints.batch_pages import (
    batch_page,
    batch_shown,
    dossier_shown,
    genealogy_shown,
)
from services.manufacturing.entrypoints.commands import (
    Call,
    press,
    read,
    run,
    run_with_hold,
    settled,
)
from shared.messaging.unit_of_work import Work
from shared.web.etags import check_version, if_match
from shared.web.idempotency import Answer, answer_once
from shared.web.pages import Paged
from shared.web.problems import Problem


def batch_router(shell: Shell) -> APIRouter:
    """The endpoints of /batches."""
    router = APIRouter(tags=["batches"])
    _add_reading(router, shell)
    _add_process(router, shell)
    _add_quality(router, shell)
    _add_decisions(router, shell)
    return router


def _add_reading(router: APIRouter, shell: Shell) -> None:
    @router.get("/batches")
    async def get_batches(
        request: Request, principal: Reader, page: Paged, case_id: UUID | None = None
    ) -> Response:
        """Batches, oldest first."""
        return await read(shell, request, principal, lambda w: batch_page(w, page, case_id))

    @router.get("/batches/{batch_id}")
    async def get_batch(request: Request, principal: Reader, batch_id: UUID) -> Response:
        """One batch with its doses; the ETag is what a signature is given over."""
        return await read(shell, request, principal, lambda w: batch_shown(w, batch_id))

    @router.get("/batches/{batch_id}/dossier")
    async def get_dossier(request: Request, principal: Reader, batch_id: UUID) -> Response:
        """The evidence: steps, measures, results, deviations, signatures, and what is missing."""
        return await read(
            shell, request, principal, lambda w: dossier_shown(w, shell.rules, batch_id)
        )

    @router.get("/batches/{batch_id}/genealogy")
    async def get_genealogy(request: Request, principal: Reader, batch_id: UUID) -> Response:
        """What the batch was made from and where each of its doses went."""
        return await read(shell, request, principal, lambda w: genealogy_shown(w, batch_id))


def _add_process(router: APIRouter, shell: Shell) -> None:
    @router.post("/batches/{batch_id}/start")
    async def post_start(
        request: Request, principal: AtTheBench, key: Key, batch_id: UUID, body: CultureBody
    ) -> Response:
        """Starts the culture under a permit. If-Match: the case's clearance as seen."""
        call = Call(shell, request, principal, key)
        await _scan(call, batch_id, body.scanned_label, Step.ISOLATE.value)
        return await press(call, body, lambda by, cause: start_culture(shell, batch_id, by, cause))

    @router.post("/batches/{batch_id}/steps", status_code=201)
    async def post_step(
        request: Request,
        principal: AtTheBench,
        key: Key,
        batch_id: UUID,
        body: Annotated[PlainStepBody | FormulateBody, Field(discriminator="step")],
    ) -> Response:
        """Records a step; the scanned label must be the batch's material."""
        call = Call(shell, request, principal, key)
        await _scan(call, batch_id, body.scanned_label, body.step)

        async def act(work: Work[Rows]) -> Answer:
            await _perform(work, shell, batch_id, body)
            shown = await batch_shown(work, batch_id)
            return Answer(201, shown.body, shown.headers)

        return await run(call, act)

    @router.post("/batches/{batch_id}/measures", status_code=201)
    async def post_measure(
        request: Request, principal: AtTheBench, key: Key, batch_id: UUID, body: MeasureBody
    ) -> Response:
        """Records an in-process measure."""

        async def act(work: Work[Rows]) -> Answer:
            made = await process.record_measure(
                work,
                shell.rules,
                batch_id,
                metric=body.metric,
                value=body.value,
                unit=body.unit,
                measured_at=body.measured_at,
            )
            return Answer(201, {"measure_id": made.measure_id, "metric": made.metric})

        return await run(Call(shell, request, principal, key), act)

    @router.post("/batches/{batch_id}/forecast")
    async def post_forecast(
        request: Request, principal: AtTheBench, key: Key, batch_id: UUID, body: ForecastBody
    ) -> Response:
        """Moves the planned harvest day."""

        async def act(work: Work[Rows]) -> Answer:
            return Answer(
                200, batch_json(await process.change_forecast(work, batch_id, body.forecast_on))
            )

        return await run(Call(shell, request, principal, key), act)


async def _perform(
    work: Work[Rows], shell: Shell, batch_id: UUID, body: PlainStepBody | FormulateBody
) -> None:
    at: datetime = body.performed_at
    match body:
        case FormulateBody():
            command = process.Formulate(batch_id, at, body.form, body.doses, body.printed_expiry)
            await process.formulate(work, shell.rules, command)
        case PlainStepBody(step="harvest"):
            await process.harvest(shell.permits, work, batch_id, performed_at=at)
        case PlainStepBody(step="freeze"):
            await process.freeze(work, shell.rules, batch_id, performed_at=at)
        case PlainStepBody():
            step = Step(body.step)
            await process.record_step(shell.permits, work, batch_id, step, performed_at=at)
        case _:
            assert_never(body)


async def _scan(call: Call, batch_id: UUID, scanned: str, step: str) -> None:
    with problems():
        await verify_label(
            call.shell,
            lambda work: process.batch_container(work, batch_id),
            scanned,
            step=step,
            cause=call.cause,
        )


def _add_quality(router: APIRouter, shell: Shell) -> None:
    @router.post("/batches/{batch_id}/qc-results", status_code=201)
    async def post_result(
        request: Request, principal: Tester, key: Key, batch_id: UUID, body: ResultBody
    ) -> Response:
        """Records a release test. One that fails after the release recalls the batch first."""
        command = quality.ReportResult(batch_id=batch_id, **dict(body))
        return await _record_result(Call(shell, request, principal, key), command)

    @router.post("/batches/{batch_id}/deviations", status_code=201)
    async def post_deviation(
        request: Request, principal: Tester, key: Key, batch_id: UUID, body: DeviationBody
    ) -> Response:
        """Opens a deviation; it blocks the release until it is closed."""

        async def act(work: Work[Rows]) -> Answer:
            opened = await quality.open_deviation(work, batch_id, body.kind)
            return Answer(201, {"deviation_id": opened})

        return await run(Call(shell, request, principal, key), act)

    @router.post("/batches/{batch_id}/deviations/{deviation_id}/close")
    async def post_close(
        request: Request,
        principal: Quality,
        key: Key,
        batch_id: UUID,
        deviation_id: UUID,
        body: ConclusionBody,
    ) -> Response:
        """Closes a deviation that another person opened."""

        async def act(work: Work[Rows]) -> Answer:
            await quality.close_deviation(work, batch_id, deviation_id, body.conclusion)
            return Answer(200, {"deviation_id": deviation_id, "open": False})

        return await run(Call(shell, request, principal, key), act)


async def _record_result(call: Call, command: quality.ReportResult) -> Response:
    async def act(work: Work[Rows]) -> Answer:
        made = await quality.record_result(work, call.shell.rules, command)
        body = {
            "result_id": str(made.result_id),
            "verdict": made.judgement.verdict.value,
            "doubt": None if made.judgement.doubt is None else made.judgement.doubt.value,
            "recall": None if made.recall is None else str(made.recall.hold_id),
        }
        return Answer(201, body)

    with problems():
        async with call.shell.unit_of_work.begin(call.cause, urgent=True) as work:
            answer = await answer_once(work, call.key, lambda: act(work))
    recall = dict(answer.body)["recall"] if isinstance(answer.body, dict) else None
    await settled(call, None if recall is None else UUID(str(recall)))
    return answer.response()


def _add_decisions(router: APIRouter, shell: Shell) -> None:
    @router.post("/batches/{batch_id}/release")
    async def post_release(
        request: Request, principal: Signer, key: Key, batch_id: UUID, body: SignatureBody
    ) -> Response:
        """Signs the release: the first signature is kept, the second person's releases."""
        command = signing.SignRelease(
            batch_id=batch_id,
            name=principal.name,
            roles=frozenset(principal.roles & SIGNING_ROLES),
            meaning=body.meaning,
            evidence_version=_evidence_seen(request),
            reviews_accepted=body.reviews_accepted,
        )
        return await _sign(Call(shell, request, principal, key), command)

    @router.post("/batches/{batch_id}/reject")
    async def post_reject(
        request: Request, principal: Quality, key: Key, batch_id: UUID, body: RejectBody
    ) -> Response:
        """Rejects a batch that was not released; its doses are destroyed."""

        async def act(work: Work[Rows]) -> Answer:
            await reject_batch(work, batch_id, body.rules)
            return await batch_shown(work, batch_id)

        return await run(Call(shell, request, principal, key), act)

    @router.post("/batches/{batch_id}/recall")
    async def post_recall(
        request: Request, principal: Signer, key: Key, batch_id: UUID, body: RecallBody
    ) -> Response:
        """Recalls a released batch; answered when the hold is on record at the authority."""
        call = Call(shell, request, principal, key)
        return await run_with_hold(
            call,
            lambda work: request_recall(work, batch_id, body.reason),
            lambda work: batch_shown(work, batch_id),
        )

    @router.post("/batches/{batch_id}/expiry-answer")
    async def post_expiry(
        request: Request, principal: Signer, key: Key, batch_id: UUID, body: ExpiryBody
    ) -> Response:
        """Answers what becomes of a fresh product that expires too early.

        Freezing takes a release back first: a hold on its doses, on record before the answer.
        """

        async def order(work: Work[Rows]) -> HoldOrder | None:
            await answer_question(work, batch_id, ExpiryAnswer(body.answer))
            return await revoke_release(work, batch_id) if body.answer == "freeze" else None

        call = Call(shell, request, principal, key)
        return await run_with_hold(call, order, lambda work: batch_shown(work, batch_id))


def _evidence_seen(request: Request) -> int:
    """The second number of a batch's ETag: the version of its evidence."""
    seen = if_match(request)
    if len(seen) != 2:  # noqa: PLR2004 - version and evidence version
        raise Problem(400, "version-malformed", "If-Match must be the batch's ETag.")
    return seen[1]


async def _sign(call: Call, command: signing.SignRelease) -> Response:
    async def act(work: Work[Rows]) -> Answer:
        return _signed(await signing.sign_release(call.shell, work, command, shut))

    with problems():
        shut = await signing.shut_gate(call.shell, command.batch_id, call.cause)
        try:
            async with call.shell.unit_of_work.begin(call.cause) as work:
                answer = await answer_once(work, call.key, lambda: act(work))
        except signing.EvidenceMovedError as error:
            check_version((0,), *error.current)
            raise
        except RefusedError as error:
            await signing.note_refusal(call.shell, command.batch_id, error.reasons, call.cause)
            raise
    return answer.response()


def _signed(outcome: signing.FirstSigned | signing.Released) -> Answer:
    if isinstance(outcome, signing.FirstSigned):
        by = outcome.signature
        signed = {"subject": by.subject, "name": by.name, "meaning": by.meaning,
                  "signed_at": by.signed_at}  # fmt: skip
        return Answer(202, {"state": "awaiting_second_signature", "signed": signed})
    state = "released_sterility_pending" if outcome.pending else "released"
    body = {"state": state, "certificate_id": outcome.certificate_id,
            "pending": list(outcome.pending)}  # fmt: skip
    return Answer(200, body)
