"""Forms over HTTP: enter, correct as a whole, withdraw, and see who entered what when."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import TypeAdapter

from services.intake.application import enter_form as entering
from services.intake.application.ports import IntakeRows
from services.intake.application.read_entries import (
    EntrySeen,
    GateClosed,
    doses_ahead,
    entries_seen,
)
from services.intake.domain.entries import FormRefusedError, shown_again
from services.intake.domain.reporting import CLINICAL
from services.intake.entrypoints import answers
from services.intake.entrypoints.form_bodies import EntryWithdrawalBody, FormBody, form_of
from services.intake.entrypoints.form_fields import described
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
from shared.protocol.findings import when_json
from shared.web.etags import check_version, etag, if_match
from shared.web.idempotency import Answer, RequestKey, answer_once
from shared.web.problems import FieldError, Problem, not_found
from shared.web.requests import cause_of
from shared.web.security import requires

router = APIRouter()
Clinician = Annotated[Principal, Depends(requires(*sorted(CLINICAL)))]
Seen = Annotated[tuple[int, ...], Depends(if_match)]
Act = Callable[[Work[IntakeRows]], Awaitable[entering.Entered]]
#: a form as it was kept
_BODY: TypeAdapter[Any] = TypeAdapter(FormBody)


@router.post("/cases/{case_id}/entries", status_code=201, response_model=answers.EntryRecorded)
async def post_entry(
    request: Request, case_id: UUID, principal: Clinician, parts: Parts, key: Key, body: FormBody
) -> Response:
    """Records a filled-in form; the answer says which facts it made and which gates changed."""
    order = _order(case_id, principal, body)

    async def act(work: Work[IntakeRows]) -> entering.Entered:
        return await entering.enter_form(work, parts.protocol, order)

    return await _answered(request, case_id, principal, parts, key, act, 201)


@router.put("/cases/{case_id}/entries/{entry_id}", response_model=answers.EntryRecorded)
async def put_entry(
    request: Request, case_id: UUID, entry_id: UUID, principal: Clinician, parts: Parts, key: Key,
    seen: Seen, body: FormBody,
) -> Response:  # fmt: skip
    """Corrects an entry by the whole form again; what it said before stays in the history."""
    order = _order(case_id, principal, body)

    async def act(work: Work[IntakeRows]) -> entering.Entered:
        return await entering.correct_entry(work, parts.protocol, entry_id, order, seen[0])

    return await _answered(request, case_id, principal, parts, key, act, 200)


@router.post("/cases/{case_id}/entries/{entry_id}/withdrawal", response_model=answers.EntryRecorded)
async def post_withdrawal(
    request: Request, case_id: UUID, entry_id: UUID, principal: Clinician, parts: Parts, key: Key,
    seen: Seen, body: EntryWithdrawalBody | None = None,
) -> Response:  # fmt: skip
    """Takes an entry back, as entered in error, perhaps with the reason; its history stays."""
    reason = None if body is None else body.reason

    async def act(work: Work[IntakeRows]) -> entering.Entered:
        return await entering.withdraw_entry(
            work, parts.protocol, case_id, entry_id, by=principal, seen=seen[0], reason=reason
        )

    return await _answered(request, case_id, principal, parts, key, act, 200)


@router.get("/cases/{case_id}/entry-forms", response_model=answers.FormsAnswer)
async def get_entry_forms(
    request: Request, case_id: UUID, principal: Reader, parts: Parts
) -> Response:
    """The forms as a page shows them: fields, choices, what must be given, and who enters which."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        planned = await doses_ahead(work, parts.protocol, case_id)
        work.note("entry-forms-read", case_id)
    body = {"zone": str(parts.protocol.zone), "items": described(parts.protocol, planned)}
    return Answer(200, body).response()


@router.get("/cases/{case_id}/entries", response_model=answers.EntriesAnswer)
async def get_entries(request: Request, case_id: UUID, principal: Reader, parts: Parts) -> Response:
    """The case's entries, newest first: who entered what and when, and what rests on it now."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await entries_seen(work, parts.protocol, case_id)
        work.note("entries-read", case_id)
    return Answer(200, {"items": [_listed(parts, entry) for entry in found]}).response()


@router.get("/cases/{case_id}/entries/{entry_id}", response_model=answers.EntryAnswer)
async def get_entry(
    request: Request, case_id: UUID, entry_id: UUID, principal: Reader, parts: Parts
) -> Response:
    """One entry with what rests on it now; its ETag is what a correction sends back."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        await case_or_404(work, case_id, principal)
        found = await entries_seen(work, parts.protocol, case_id)
        work.note("entry-read", case_id, entry_id=str(entry_id))
    seen = [entry for entry in found if entry.newest.entry_id == entry_id]
    if not seen:
        raise not_found("entry")
    version = etag(seen[0].newest.version)
    return Answer(200, _listed(parts, seen[0]), {"ETag": version}).response()


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


def _listed(parts: IntakeParts, seen: EntrySeen) -> dict[str, Any]:
    newest, said = seen.newest, seen.filled_in
    form = form_of(_BODY.validate_python(said.body))
    again = shown_again(parts.protocol, form, [f.statement for f in seen.facts], said.entered_at)
    made = None if newest.withdrawn else again
    return {
        "entry_id": newest.entry_id,
        "form": newest.form,
        "version": newest.version,
        "withdrawn": newest.withdrawn,
        "reason": newest.body.get("reason") if newest.withdrawn else None,
        "body": said.body,
        "facts": [{"fact_id": f.fact_id, "kind": f.kind} for f in seen.facts],
        "shown": {} if made is None else made.shown,
        "assumed": [] if made is None else made.assumed,
        "closes": [_closed(parts, closed) for closed in seen.closes],
        "history": [
            {"version": v.version, "by": v.entered_by, "at": v.entered_at, "withdrawn": v.withdrawn}
            for v in seen.versions
        ],
    }


def _closed(parts: IntakeParts, closed: GateClosed) -> dict[str, Any]:
    timeline = closed.timeline
    return {
        "gate": closed.gate,
        "start": None if timeline is None else timeline.verdict,
        "until": None if timeline is None else timeline.next_boundary,
        "because": [
            {
                "rule": finding.rule,
                "effect": finding.effect,
                "message": finding.message,
                "clears_at": when_json(finding.clears_at, parts.protocol.zone),
            }
            for finding in closed.findings
        ],
    }
