"""Intake's forms as the console calls them: with the viewer's own token, so that intake decides.

Invariant: nothing counts as recorded before intake has answered that it is; where no answer came,
the outcome is not known and the same key may be sent again.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic import TypeAdapter, ValidationError

from services.console.entry.forms import Forms
from shared.ports import Http, HttpAnswer, HttpUnreachableError

T = TypeVar("T")
#: a page waits no longer for what it shows
READ_SECONDS_MAX: Final = 3.0
#: a recording reassesses all gates and may wait for the case's lock
WRITE_SECONDS_MAX: Final = 10.0
_OK: Final = 200
_CREATED: Final = 201
_FAULT: Final = 500
#: 503 with these codes: intake says itself that nothing was changed
_UNCHANGED: Final = frozenset({"store-unavailable", "busy", "identity-unavailable"})


@dataclass(frozen=True, slots=True)
class Because:
    """A finding that rests on an entry. `clears_at` is a day, a time, or nothing."""

    rule: str
    effect: str
    message: str
    clears_at: str | None


@dataclass(frozen=True, slots=True)
class Closed:
    """A gate that an entry keeps shut now."""

    gate: str
    start: str | None
    until: datetime | None
    because: tuple[Because, ...]


@dataclass(frozen=True, slots=True)
class Version:
    """Who entered, corrected or withdrew, and when."""

    version: int
    by: str
    at: datetime
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as intake keeps it."""

    entry_id: UUID
    form: str
    version: int
    withdrawn: bool
    reason: str | None
    body: Mapping[str, Any]
    facts: tuple[Mapping[str, Any], ...]
    shown: Mapping[str, Any]
    assumed: tuple[str, ...]
    closes: tuple[Closed, ...]
    history: tuple[Version, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Intake has it on record."""

    entry_id: UUID


@dataclass(frozen=True, slots=True)
class Refused:
    """Intake has not recorded it. `wrong`: JSON pointer and words, as intake says them."""

    status: int
    code: str
    title: str
    wrong: tuple[tuple[str, str], ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotKnown:
    """No answer came, or none that says what became of it."""


Sent = Recorded | Refused | NotKnown


class IntakeRefusedError(Exception):
    """Intake does not show it: `status` as it answered."""

    def __init__(self, status: int) -> None:
        super().__init__(f"intake answered {status}")
        self.status = status


_FORMS: Final = TypeAdapter(Forms)
_ENTRY: Final = TypeAdapter(Entry)
_ENTRIES: Final = TypeAdapter(tuple[Entry, ...])


@dataclass(slots=True)
class Desk:
    """Calls to intake. `known` are the forms as they were last described, for when it is away."""

    http: Http
    url: str
    known: Forms | None = field(default=None)

    async def forms(self, token: str, case_id: UUID) -> Forms:
        """The forms of a case. Raises `HttpUnreachableError`, `IntakeRefusedError`."""
        found = await self._read(token, f"/cases/{case_id}/entry-forms")
        self.known = _read_as(_FORMS, found)
        return self.known

    async def entry(self, token: str, case_id: UUID, entry_id: UUID) -> Entry:
        """One entry. Raises `HttpUnreachableError`, `IntakeRefusedError`."""
        return _read_as(_ENTRY, await self._read(token, f"/cases/{case_id}/entries/{entry_id}"))

    async def entries(self, token: str, case_id: UUID) -> tuple[Forms, tuple[Entry, ...]]:
        """All forms and entries of a case, newest first. Raises as the others."""
        forms, found = await asyncio.gather(
            self.forms(token, case_id), self._read(token, f"/cases/{case_id}/entries")
        )
        return forms, _read_as(_ENTRIES, found["items"])

    async def enter(self, token: str, case_id: UUID, body: Mapping[str, Any], *, key: str) -> Sent:
        """Sends a filled-in form."""
        return await self._write("POST", token, f"/cases/{case_id}/entries", body, {}, key)

    async def correct(
        self, token: str, case_id: UUID, entry_id: UUID, body: Mapping[str, Any], *, seen: int,
        key: str,
    ) -> Sent:  # fmt: skip
        """Sends the whole form again for an entry whose version `seen` was shown."""
        path = f"/cases/{case_id}/entries/{entry_id}"
        return await self._write("PUT", token, path, body, {"if-match": f'"{seen}"'}, key)

    async def withdraw(
        self, token: str, case_id: UUID, entry_id: UUID, reason: str, *, seen: int, key: str
    ) -> Sent:
        """Takes an entry back as entered in error."""
        path = f"/cases/{case_id}/entries/{entry_id}/withdrawal"
        version = {"if-match": f'"{seen}"'}
        return await self._write("POST", token, path, {"reason": reason}, version, key)

    async def _read(self, token: str, path: str) -> Any:  # noqa: ANN401 - JSON
        answer = await self.http.call(
            "GET", self.url + path, headers=_bearer(token), timeout_seconds=READ_SECONDS_MAX
        )
        if answer.status >= _FAULT:
            raise HttpUnreachableError(f"intake answered {answer.status}")
        if answer.status != _OK:
            raise IntakeRefusedError(answer.status)
        return _json(answer)

    async def _write(
        self, method: str, token: str, path: str, body: Mapping[str, Any],
        headers: Mapping[str, str], key: str,
    ) -> Sent:  # fmt: skip
        try:
            answer = await self.http.call(
                method, self.url + path, body=json.dumps(body).encode(),
                headers={
                    **_bearer(token), **headers, "content-type": "application/json",
                    "idempotency-key": key,
                },
                timeout_seconds=WRITE_SECONDS_MAX,
            )  # fmt: skip
            found = _json(answer)
        except HttpUnreachableError:
            return NotKnown()
        return _sent(answer.status, found)


def _bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}", "accept": "application/json"}


def _json(answer: HttpAnswer) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(answer.body)
    except ValueError as error:
        raise HttpUnreachableError("intake answered no JSON") from error


def _read_as(adapter: TypeAdapter[T], found: object) -> T:
    try:
        return adapter.validate_python(found)
    except ValidationError as error:
        raise HttpUnreachableError("intake answered in another form") from error


def _sent(status: int, found: Mapping[str, Any]) -> Sent:
    if status in (_OK, _CREATED):
        return Recorded(UUID(found["entry_id"]))
    code = str(found.get("code", ""))
    if status >= _FAULT and code not in _UNCHANGED:
        return NotKnown()
    return Refused(
        status, code, str(found.get("title", "Intake has refused it.")),
        tuple((str(e["pointer"]), str(e["detail"])) for e in found.get("errors", ())),
        tuple(map(str, found.get("allowed_roles", ()))),
    )  # fmt: skip
