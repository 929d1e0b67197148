"""A command sent twice with one Idempotency-Key has its effect once.

The key row (principal, route, key, body hash) is written in the transaction of the effect, so a
crash leaves both or neither; there is no window in which the effect exists and the key does not.
What a repetition is answered: the first answer, or for holds, permits and starts the *present*
state of the resource, so that a stored GO is never shown again. A refusal raised as `Problem`
rolls the key back with everything else: it may be tried again.

A command of several transactions (an import in chunks, a redrive) cannot have its key in the
transaction of its effect; `answer_once_in_steps` is for those that do no harm when a crash in
their middle makes them run again. Which endpoints take no key, and why, is said in
tests/architecture/test_keys.py.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from fastapi import Request, Response
from pydantic_core import from_json, to_json

from shared.messaging.unit_of_work import Cause, UnitOfWork, Work
from shared.persistence.database import LockTimeoutError, Row, Tx
from shared.persistence.statements import load_statements
from shared.web.problems import Problem
from shared.web.security import caller

STATEMENTS: Final = load_statements("shared.web")
KEPT_FOR: Final = timedelta(hours=48)
KEY_LENGTH_MAX: Final = 200
#: one call of the timer deletes so many, so that it never holds many row locks
FORGOTTEN_PER_CALL_MAX: Final = 5_000
REPLAYED_HEADER: Final = "Idempotency-Replayed"


@dataclass(frozen=True, slots=True)
class RequestKey:
    """What makes two requests the same command. `key` None: the caller sent none."""

    principal: str
    route: str
    key: str | None
    body_sha256: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answers. `body` is anything that pydantic can write as JSON."""

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """The HTTP answer."""
        content = b"" if self.body is None else to_json(self.body)
        media_type = None if self.body is None else "application/json"
        return Response(content, self.status, dict(self.headers), media_type)


Act = Callable[[], Awaitable[Answer]]
#: given the first answer, tells the present state of what it was about
Present = Callable[[Answer], Awaitable[Answer]]


async def request_key(request: Request) -> RequestKey:
    """A dependency: the key of this request. Raises `Problem` 400 for an unusable one.

    Reads the body as a whole; an endpoint that streams its body uses `key_for` instead.
    """
    return key_for(request, hashlib.sha256(await request.body()).digest())


def key_for(request: Request, body_sha256: bytes) -> RequestKey:
    """The key of a request whose body has this digest."""
    key = request.headers.get("idempotency-key")
    if key is not None and not (0 < len(key) <= KEY_LENGTH_MAX and key.isprintable()):
        raise Problem(
            400,
            "idempotency-key-malformed",
            f"An Idempotency-Key has 1 to {KEY_LENGTH_MAX} printable characters.",
        )
    route = f"{request.method} {request.url.path}"
    return RequestKey(caller(request).subject, route, key, body_sha256)


async def answer_once(
    work: Work[Any], key: RequestKey, act: Act, *, present: Present | None = None
) -> Answer:
    """The answer of `act`, run at most once per key; a repetition is marked as replayed.

    Call it first in the transaction, before any case is locked (the key comes before the case row
    in the order of locks). `present` is for holds, permits and starts: a repetition is answered
    with what it returns. Raises `Problem` 422 for the same key with another body, 409 while the
    first request still runs.
    """
    if key.key is None:
        return await act()
    place = (key.principal, key.route, key.key)
    if not await _claimed(work, key, place):
        stored = await _stored(work.tx, key, place, work.world.machine_clock.now())
        if stored is None:
            raise _in_progress()
        return _replayed(stored if present is None else await present(stored))
    answer = await act()
    await work.tx.run(
        STATEMENTS["answer_idempotency_key"],
        *place,
        answer.status,
        dict(answer.headers),
        None if answer.body is None else to_json(answer.body),
    )
    return answer


async def _claimed(work: Work[Any], key: RequestKey, place: tuple[str, str, str]) -> bool:
    now = work.world.machine_clock.now()
    try:
        claimed = await work.tx.value(
            STATEMENTS["claim_idempotency_key"], *place, key.body_sha256, now, now - KEPT_FOR
        )
    except LockTimeoutError as error:
        raise _in_progress() from error
    return claimed is not None


def _in_progress() -> Problem:
    return Problem(
        409,
        "idempotency-key-in-progress",
        "The first request with this Idempotency-Key is still running; ask again.",
        headers={"Retry-After": "1"},
    )


async def answer_once_in_steps(
    unit_of_work: UnitOfWork[Any], key: RequestKey, cause: Cause, act: Act
) -> Answer:
    """The answer of `act`, which commits by itself; a repetition is marked as replayed.

    While `act` runs, a session of its own keeps the key by an advisory lock (no row lock and no
    open transaction lasts that long): a concurrent repetition is told 409 at once. The answer is
    stored after `act`, so a crash between the two makes a repetition run `act` again. Raises
    `Problem` as `answer_once` does.
    """
    if key.key is None:
        return await act()
    place = (key.principal, key.route, key.key)
    async with unit_of_work.database.session() as session:
        if not await session.value(STATEMENTS["hold_idempotency_key"], *place):
            raise _in_progress()
        now = unit_of_work.world.machine_clock.now()
        stored = await _stored(session, key, place, now)
        if stored is not None:
            return _replayed(stored)
        answer = await act()

        async def done() -> Answer:
            return answer

        async with unit_of_work.begin(cause) as work:
            return await answer_once(work, key, done)


async def claim_permit_id(
    unit_of_work: UnitOfWork[Any], key: RequestKey, cause: Cause
) -> tuple[UUID, bool]:
    """The permit id that this press of start stands for, and whether it was pressed before.

    The id is committed before the authority is asked, so that a crash after the question never
    leads to a second one with the same key: a permit is asked for once (start permit, step 1).
    """

    async def claim() -> Answer:
        return Answer(202, {"permit_id": str(work.world.ids.new())})

    async with unit_of_work.begin(cause) as work:
        claimed = await answer_once(work, key, claim)
    match claimed.body:
        case {"permit_id": str(permit_id)}:
            return UUID(permit_id), REPLAYED_HEADER in claimed.headers
        case _:
            raise TypeError("the key of a press keeps a permit id")


async def _stored(
    tx: Tx, key: RequestKey, place: tuple[str, str, str], now: datetime
) -> Answer | None:
    """What the first request was answered; None when there was none, or it has no answer yet."""
    row = await tx.row(STATEMENTS["read_idempotency_key"], *place, now - KEPT_FOR)
    if row is None or row["status"] is None:
        return None
    if bytes(row["body_sha256"]) != key.body_sha256:
        raise Problem(
            422,
            "idempotency-key-reused",
            "This Idempotency-Key was used with another body; take a fresh one.",
        )
    return _answer(row)


def _replayed(answer: Answer) -> Answer:
    return Answer(answer.status, answer.body, {**answer.headers, REPLAYED_HEADER: "true"})


def _answer(row: Row) -> Answer:
    body = None if row["body"] is None else from_json(bytes(row["body"]))
    return Answer(int(row["status"]), body, dict(row["headers"]))


async def forget_old_keys(work: Work[Any]) -> int:
    """The number of keys deleted because their 48 hours are over. For a timer."""
    before = work.world.machine_clock.now() - KEPT_FOR
    return await work.tx.run(STATEMENTS["forget_idempotency_keys"], before, FORGOTTEN_PER_CALL_MAX)
