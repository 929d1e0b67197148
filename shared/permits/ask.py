"""The one request for a permit, and the best-effort word about what became of it.

Invariant: a permit is asked once. A lost answer is a permit that lapses; nothing here repeats,
because a repeated request with a fresh send time would start on an old grant.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError
from pydantic_core import to_json

from shared.contracts.vocabulary import Gate
from shared.permits.clearance import ClearanceVersion
from shared.permits.holder import Holder, Mode
from shared.permits.starts import Lease, Start
from shared.ports import HttpAnswer, HttpUnreachableError

R = TypeVar("R")

_CREATED: Final = 201
_REFUSALS: Final = frozenset({409, 412})
_MODE_HEADER: Final = "tandem-mode"
_MIXED_TITLE: Final = "The authority runs in another mode; its permit does not count here."
#: codes beside those of the authority's refusals: its word in shadow mode, and one of another mode
ADVISORY: Final = "advisory"
MODE_MIXED: Final = "mode-mixed"


@dataclass(frozen=True, slots=True)
class Press:
    """A person has done the checks and presses start.

    `seen` is the clearance that the person saw; `permit_id` is fresh for every press.
    """

    case_id: UUID
    permit_id: UUID
    gate: Gate
    subject_id: UUID
    attempt: int
    dose_id: UUID | None
    seen: ClearanceVersion
    requested_by: str
    second_checker: str | None = None
    band_scanned: str | None = None
    place: str | None = None
    planned_minutes: int | None = None


@dataclass(frozen=True, slots=True)
class PermitHeld:
    """A granted permit as its holder counts it."""

    view: ClearanceVersion
    lease: Lease
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """The authority says no. `view` None: it did not say how the case stands.

    `reasons` are all of them, as JSON for the person at the bed; `code` a `RefusalCode` or, for a
    request that the authority would not judge at all, its problem code.
    """

    status: int
    code: str
    title: str
    reasons: tuple[dict[str, Any], ...]
    view: ClearanceVersion | None


@dataclass(frozen=True, slots=True)
class Advised:
    """What an authority in shadow mode would have said. It is no permit, whatever it would be."""

    would_be: str
    title: str
    reasons: tuple[dict[str, Any], ...]
    view: ClearanceVersion | None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nobody answered in time, or nonsense; whether a permit is out is unknown, so it lapses."""

    why: str


class _GrantedBody(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    epoch: int
    version: int
    ttl_ms: int
    expires_at: AwareDatetime


class _RefusedBody(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    code: str
    title: str = ""
    reasons: tuple[dict[str, Any], ...] = ()
    epoch: int | None = None
    version: int | None = None
    would_be: str = "unknown"


Answered = PermitHeld | Advised | Refusal | NoAnswer


async def ask(holder: Holder[R], press: Press) -> Answered:
    """The authority's answer. Its lease counts from just before the request was sent."""
    clock = holder.world.lease_clock
    boot_id, sent_ns = clock.boot_id, clock.now_ns()
    try:
        answer = await holder.authority.http.call(
            "PUT",
            f"{holder.authority.url}/cases/{press.case_id}/permits/{press.permit_id}",
            body=_body(press),
            headers={"content-type": "application/json", "if-match": press.seen.etag},
            timeout_seconds=holder.times.ask_timeout_seconds,
        )
    except HttpUnreachableError:
        return NoAnswer("the authority did not answer")
    try:
        return _read(holder.authority.mode, answer, Lease(boot_id, sent_ns, holder.times.ttl_ms))
    except ValidationError:
        return NoAnswer(f"the authority answered {answer.status} with nonsense")


def _body(press: Press) -> bytes:
    return to_json(
        {
            "gate": press.gate,
            "subject_id": press.subject_id,
            "attempt": press.attempt,
            "dose_id": press.dose_id,
            "requested_by": press.requested_by,
            "second_checker": press.second_checker,
            "band_scanned": press.band_scanned,
            "place": press.place,
            "planned_minutes": press.planned_minutes,
        }
    )


def _read(mode: Mode, answer: HttpAnswer, longest: Lease) -> Answered:
    if answer.status == _CREATED:
        if not _counts(mode, answer):
            return Refusal(409, MODE_MIXED, _MIXED_TITLE, ({"code": MODE_MIXED},), None)
        granted = _GrantedBody.model_validate_json(answer.body)
        return PermitHeld(
            ClearanceVersion(granted.epoch, granted.version),
            replace(longest, ttl_ms=min(longest.ttl_ms, granted.ttl_ms)),
            granted.expires_at,
        )
    if answer.status >= 500:  # noqa: PLR2004 - whether a permit is out is unknown
        return NoAnswer(f"the authority answered {answer.status}")
    refused = _RefusedBody.model_validate_json(answer.body)
    view = None
    if answer.status in _REFUSALS and refused.epoch is not None and refused.version is not None:
        view = ClearanceVersion(refused.epoch, refused.version)
    if refused.code == ADVISORY:
        return Advised(refused.would_be, refused.title, refused.reasons, view)
    return Refusal(answer.status, refused.code, refused.title, refused.reasons, view)


def _counts(mode: Mode, answer: HttpAnswer) -> bool:
    """Whether a grant may be acted upon: the authority is in our mode, and that mode permits.

    A permit of a demo's authority would start a real infusion by a made-up record; in shadow mode
    nothing is permitted at all. Every answer of ours says its mode, so one that does not is not.
    """
    return mode != "shadow" and answer.headers.get(_MODE_HEADER) == mode


async def tell_outcome(holder: Holder[R], start: Start, outcome: str) -> bool:
    """Whether the authority has taken the word about this permit; the event carries it anyway.

    For after GO is answered, so that a recorded hold becomes effective sooner.
    """
    if start.permit_id is None:
        return False
    url = f"{holder.authority.url}/cases/{start.case_id}/permits/{start.permit_id}/{outcome}"
    body = {
        "start_id": start.start_id,
        "gate": start.gate,
        "subject_id": start.subject_id,
        "attempt": start.attempt,
        "dose_id": start.dose_id,
    }
    try:
        answer = await holder.authority.http.call(
            "POST",
            url,
            body=to_json(body),
            headers={"content-type": "application/json"},
            timeout_seconds=holder.times.tell_timeout_seconds,
        )
    except HttpUnreachableError:
        return False
    return answer.status == 200  # noqa: PLR2004 - taken
