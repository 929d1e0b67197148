"""The protocol's life cycle over HTTP: propose, compare, sign, retire, and what decides when."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import PlainTextResponse, Response
from pydantic import AwareDatetime, Field

from services.intake.application import sign_rulebook as signing
from services.intake.application.ports import IntakeRows
from services.intake.application.protocol_ports import KeptRulebook, ProtocolSignature
from services.intake.entrypoints.parts import IntakeParts, Key, Parts, Person
from services.intake.entrypoints.rulebook_text import RulebookBody, rulebook_of, rulebook_refusals
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.protocol import RulebookTexts
from shared.protocol.difference import differences
from shared.web.idempotency import Answer, RequestKey, answer_once
from shared.web.problems import Problem, not_found
from shared.web.requests import RequestModel, cause_of
from shared.web.second_signature import reauthenticated
from shared.web.security import requires

router = APIRouter(tags=["protocol"])
Proposer = Annotated[Principal, Depends(requires(Role.MEDICAL_DIRECTOR, Role.COORDINATOR))]
Director = Annotated[Principal, Depends(requires(Role.MEDICAL_DIRECTOR))]
Part = Literal["coordination", "codes", "sentences"]
Reason = Annotated[str, Field(min_length=3, max_length=500)]


class SignatureBody(RequestModel):
    """From when the rulebook decides (or no longer does), and the signature's second component.

    Without `since`, as soon as every process can know of it.

    `reauthentication_token` is a token of a new sign-in of the same person, made for this.
    """

    since: AwareDatetime | None = None
    reason: Reason
    reauthentication_token: Annotated[str, Field(max_length=8_000)]


@router.get("/protocol/versions")
async def get_versions(request: Request, principal: Person, parts: Parts) -> Response:
    """Every rulebook on record, newest first: its standing now, and who signed what.

    `cases_waiting` are still to be assessed anew by the rulebook in force.
    """
    async with parts.uow.begin(cause_of(request, principal)) as work:
        kept = await work.rows.protocols.rulebooks()
        signatures = await work.rows.protocols.signatures()
        waiting = await work.rows.record.count_made_by_others(parts.protocol.identity)
    deciding = parts.rulebooks.use_at(parts.world.clock.now())
    body = {
        "mode": parts.mode,
        "in_force": {
            "digest": deciding.digest, "status": deciding.status, "since": deciding.since,
            "cases_waiting": waiting,
        },
        "items": [_version_json(parts, one, signatures) for one in kept],
    }  # fmt: skip
    return Answer(200, body).response()


def _version_json(
    parts: IntakeParts, kept: KeptRulebook, signatures: Sequence[ProtocolSignature]
) -> dict[str, Any]:
    return {
        "digest": kept.digest,
        "id": kept.protocol_id,
        "version": kept.version,
        "kept_at": kept.kept_at,
        "status": parts.rulebooks.status_of(kept.digest),
        "signatures": [_signature_json(s) for s in signatures if s.digest == kept.digest],
    }


def _signature_json(signature: ProtocolSignature) -> dict[str, Any]:
    return {
        "signature_id": signature.signature_id,
        "meaning": signature.act,
        "since": signature.since,
        "reason": signature.reason,
        "signer": signature.signer,
        "signer_name": signature.signer_name,
        "signed_at": signature.signed_at,
        "signed_in_at": signature.signed_in_at,
    }


@router.get("/protocol/versions/{digest}/{part}", response_class=PlainTextResponse)
async def get_version_text(
    request: Request, principal: Person, parts: Parts, digest: str, part: Part
) -> Response:
    """The words of a rulebook on record, named by its digest or version."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        texts = await _texts(work.rows, digest)
    words = {
        "coordination": texts.coordination, "codes": texts.codes, "sentences": texts.sentences,
    }  # fmt: skip
    return PlainTextResponse(words[part], headers={"Tandem-Rulebook": texts.digest})


@router.get("/protocol/diff")
async def get_diff(
    request: Request, principal: Person, parts: Parts, old: str, new: str
) -> Response:
    """What changed from one rulebook on record to another, in words; each by digest or version."""
    async with parts.uow.begin(cause_of(request, principal)) as work:
        before, after = await _texts(work.rows, old), await _texts(work.rows, new)
    body = {
        "mode": parts.mode,
        "old": before.digest,
        "new": after.digest,
        "changes": [change.to_json() for change in differences(before, after)],
    }
    return Answer(200, body).response()


async def _texts(rows: IntakeRows, name: str) -> RulebookTexts:
    """The rulebook with this digest, or the one of this version that was kept last."""
    found = await rows.protocols.rulebook(name)
    if found is None:
        digest = await rows.protocols.digest_of_version(name)
        found = None if digest is None else await rows.protocols.rulebook(digest)
    if found is None:
        raise not_found("rulebook version")
    return found


@router.post("/protocol/versions", status_code=201)
async def post_version(
    request: Request, principal: Proposer, parts: Parts, key: Key, body: RulebookBody
) -> Response:
    """Puts a draft on record, to be compared, shadowed and signed. It decides nothing yet."""
    texts = rulebook_of(parts.rulebooks.packaged, body)
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            with rulebook_refusals():
                try:
                    made = await signing.propose_rulebook(work, texts)
                except signing.NotSignableError as error:
                    raise Problem(409, error.code, error.title) from error
            return Answer(201, {"digest": made.digest, "id": made.id, "version": made.version})

        answer = await answer_once(work, key, act)
    return answer.response()


@router.post("/protocol/versions/{digest}/signature", status_code=201)
async def post_signature(
    request: Request, principal: Director, parts: Parts, key: Key, digest: str,
    body: SignatureBody,
) -> Response:  # fmt: skip
    """A medical director approves the rulebook for use from `since` on: two components."""
    order = signing.SignOrder(digest, "approved-for-use", body.since, body.reason)
    return await _signed(request, principal, parts, key, order, body.reauthentication_token)


@router.post("/protocol/versions/{digest}/retirement", status_code=201)
async def post_retirement(
    request: Request, principal: Director, parts: Parts, key: Key, digest: str,
    body: SignatureBody,
) -> Response:  # fmt: skip
    """A medical director takes the rulebook out of force: nothing starts until one is signed."""
    order = signing.SignOrder(digest, "retired", body.since, body.reason)
    return await _signed(request, principal, parts, key, order, body.reauthentication_token)


async def _signed(
    request: Request,
    principal: Principal,
    parts: IntakeParts,
    key: RequestKey,
    order: signing.SignOrder,
    second: str,
) -> Response:
    first = request.headers.get("authorization", "").partition(" ")[2]
    signed_in_at = await reauthenticated(
        parts.authenticator, principal, first=first, second=second,
        now=parts.world.machine_clock.now(),
    )  # fmt: skip
    async with parts.uow.begin(cause_of(request, principal)) as work:

        async def act() -> Answer:
            try:
                signed = await signing.sign_rulebook(
                    work, parts.rulebooks, order, principal, signed_in_at
                )
            except signing.NotSignableError as error:
                status = 404 if error.code == "no-such-rulebook" else 409
                raise Problem(status, error.code, error.title) from error
            return Answer(201, _receipt(signed))

        answer = await answer_once(work, key, act)
    await parts.rulebooks.refresh(parts.uow)
    return answer.response()


def _receipt(signed: ProtocolSignature) -> Mapping[str, object]:
    return {"signature_id": signed.signature_id, "meaning": signed.act, "since": signed.since}
