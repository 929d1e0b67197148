"""Forms over HTTP: enter, correct as a whole, withdraw, and see who entered what when."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from services.intake.application import enter_form as entering
from services.intake.application.entry_ports import StoredEntry
from services.intake.application.ports import IntakeRows
from services.intake.domain.entries import FormRefusedError
from services.intake.domain.reporting import CLINICAL
from services.intake.entrypoints.form_bodies import FormBody, form_of
from services.intake.entrypoints.parts import (
    IntakeParts,
    Key,
    Parts,
    Reader,
    case_for_report,
    case_or_404,
)
from shared.auth.principal import Principal
from shared.messaging.unit_of_work import Work
from shared.web.etags import check_version, etag, if_match
from shared.web.idempotency import Answer, RequestKey, answer_once
from shared.web.problems import FieldError, Problem, not_found
from shared.web.requests import cause_of
from shared.web.security import requires

router = APIRouter()
Clinician = Annotated[Principal, Depends(requires(*sorted(CLINICAL)))]
Seen = Annotated[tuple[int, ...], Depends(if_match)]
Act = Callable[[Work[IntakeRows]], Awaitable[entering.Entered]]


@router.post("/cases/{case_id}/entries", status_code=201)
async def post_entry(
    request: Request, case_id: UUID, principal: Clinician, parts: Parts, key: Key, body: FormBody
) -> Response:
    """Records a filled-in form; the answer says which facts it made and which gates changed."""
    order = _order(case_id, principal, body)

    async def act(work: Work[IntakeRows]) -> entering.Entered:
        return await entering.enter_form(work, parts.protocol, order)

    return await _answered(request, case_id, principal, parts, key, act, 201)


@router.put("/cases/{case_id}/entries/{entry_id}")
async def put_entry(
    request: Request, case_id: UUID, entry_id: UUID, principal: Clinician, parts: Parts, key: Key,
    seen: Seen, body: FormBody,
) -> Response:  # fmt: skip
    """Corrects an entry by the whole form again; what it said before stays in the history."""
    order = _order(case_id, principal, body)

    async def act(work: Work[IntakeRows]) -> entering.Entered:
        return await entering.correct_entry(work, parts.protocol, entry_id, order, seen[0])

    return await _answered(request, case_id, principal, parts, key, act, 200)


@router.post("/cases/{case_id}/entries/{entry_id}/withdrawal")
async def post_withdrawal(
    request: Request, case_id: UUID, entry_id: UUID, principal: Clinician, parts: Parts, key: Key,
    seen: Seen,
) -> Response:  # fmt: skip
    """Takes an entry back, as entered in error; its history stays."""

    async def act(work: Work[IntakeRows]) -> entering.Entered:
        return await entering.withdraw_entry(
            work, parts.protocol, case_id, entry_id, by=principal, seen=seen[0]
        )

    return await _answered(request, case_id, principal, parts, key, act, 200)


@router.get("/cases/{case_id}/entries")
async def get_entries(request: Request, case_id: UUID, principal: Reader, parts: Parts) -> Response:
    """The case's entries, newest first, each with who entered and corrected it, and when."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await work.rows.entries.entries_of_case(case_id)
        work.note("entries-read", case_id)
    items = [_listed(list(group)) for _, group in groupby(found, key=lambda e: e.entry_id)]
    return Answer(200, {"items": items}).response()


@router.get("/cases/{case_id}/entries/{entry_id}")
async def get_entry(
    request: Request, case_id: UUID, entry_id: UUID, principal: Reader, parts: Parts
) -> Response:
    """One entry; its ETag is what a correction sends back."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await work.rows.entries.entries_of_case(case_id)
        work.note("entry-read", case_id, entry_id=str(entry_id))
    versions = [entry for entry in found if entry.entry_id == entry_id]
    if not versions:
        raise not_found("entry")
    return Answer(200, _listed(versions), {"ETag": etag(versions[-1].version)}).response()


def _order(case_id: UUID, principal: Principal, body: Any) -> entering.FormOrder:  # noqa: ANN401  (one of the forms)
    sent = body.model_dump(mode="json", exclude_unset=True)
    return entering.FormOrder(case_id, body.form, form_of(body), sent, principal)


async def _answered(
    request: Request,
    case_id: UUID,
    principal: Principal,
    parts: IntakeParts,
    key: RequestKey,
    act: Act,
    status: int,
) -> Response:
    """What `act` did, once per key; a refusal is a problem that names field or role."""
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def once() -> Answer:
            await case_for_report(work, case_id, principal)
            with _refusals_told():
                entered = await act(work)
            return await _told(work, entered, status)

        answer = await answer_once(work, key, once)
    return answer.response()


@contextmanager
def _refusals_told() -> Iterator[None]:
    try:
        yield
    except FormRefusedError as error:
        wrong = FieldError(pointer=f"/{error.place}", code=error.code, detail=error.detail)
        raise Problem(422, "form-refused", "The form is refused.", errors=[wrong]) from error
    except entering.StatementsRefusedError as error:
        wrongs = [FieldError(pointer=p, code="refused", detail=why) for p, why in error.problems]
        raise Problem(422, "form-refused", "The form is refused.", errors=wrongs) from error
    except entering.NotYourFormError as error:
        raise Problem(
            403, "not-your-kind-of-fact", "This is not entered by your role.",
            extra={"allowed_roles": sorted(error.by)},
        ) from error  # fmt: skip
    except entering.EntryNotThereError as error:
        raise Problem(404, "no-such-entry", "There is no such entry of this form.") from error
    except entering.StaleEntryError as error:
        check_version((-1,), error.version)


async def _told(work: Work[IntakeRows], entered: entering.Entered, status: int) -> Answer:
    entry, made = entered.entry, entered.made
    timelines = await work.rows.record.timelines_of_case(entry.case_id)
    stored = await work.rows.record.facts_of_case(entry.case_id)
    view = await work.rows.authority.view(entry.case_id)
    own = set(entry.sources)
    here = f"/cases/{entry.case_id}/entries/{entry.entry_id}"
    body = {
        "entry_id": entry.entry_id,
        "form": entry.form,
        "version": entry.version,
        "withdrawn": entry.withdrawn,
        "facts": [{"fact_id": f.fact_id, "kind": f.kind} for f in stored if f.source_id in own],
        "shown": {} if made is None else made.shown,
        "assumed": [] if made is None else made.assumed,
        "provenance": {"by": entry.entered_by, "at": entry.entered_at, "source": "entered"},
        "gates_changed": [
            {"gate": t.gate, "start": t.verdict, "until": t.next_boundary}
            for t in sorted(timelines, key=lambda t: t.gate)
            if t.gate in entered.recorded.gates
        ],
        "clearance": {"epoch": view.epoch, "version": view.version},
        "links": {"correct": here, "withdraw": f"{here}/withdrawal"},
    }
    return Answer(status, body, {"ETag": etag(entry.version)})


def _listed(versions: Sequence[StoredEntry]) -> dict[str, Any]:
    newest = versions[-1]
    return {
        "entry_id": newest.entry_id,
        "form": newest.form,
        "version": newest.version,
        "withdrawn": newest.withdrawn,
        "body": newest.body,
        "history": [
            {"version": v.version, "by": v.entered_by, "at": v.entered_at, "withdrawn": v.withdrawn}
            for v in versions
        ],
    }
