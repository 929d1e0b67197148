"""A FHIR server behind the port `FhirServer`: plain reads below the base that a feed names.

Invariants: a call goes to an address that `FhirBase` made, is never redirected, and carries the
feed's own token and no other. An answer is bounded, and is believed only when it is the resource
that was asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from services.intake.adapters.fhir.limits import Refused, parse_json
from services.intake.adapters.notifications import read_notification
from services.intake.application.fhir_server import FetchError
from services.intake.application.subscription_ports import (
    FhirFeed,
    Notification,
    NotificationProblem,
)
from services.intake.domain.event_numbers import Span
from shared.ports import Http, HttpAnswer, HttpTooLargeError, HttpUnreachableError

ANSWER_BYTES_MAX: Final = 4 * 1024 * 1024
"""Largest answer: one resource, or the ids of some thousand events, is far below."""
TIMEOUT_SECONDS: Final = 10.0
RETRY_AFTER_SECONDS_MAX: Final = 3_600
"""A server may ask for patience, but not for more than this."""
_ACCEPT: Final = "application/fhir+json"
_JSON: Final = frozenset({"application/fhir+json", "application/json"})
_OK: Final = 200
_REFUSED: Final[Mapping[int, str]] = {
    401: "access-refused", 403: "access-refused", 404: "not-found", 408: "server-busy",
    410: "deleted", 425: "server-busy", 429: "server-busy",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class HttpFhirServer:
    """`FhirServer` over HTTP; `http` must not carry a token of this installation."""

    http: Http
    timeout_seconds: float = TIMEOUT_SECONDS
    answer_bytes_max: int = ANSWER_BYTES_MAX

    async def resource(self, feed: FhirFeed, key: str) -> Mapping[str, Any]:
        """See the port."""
        answer = await self._asked(feed, feed.base.address_of(key), key)
        try:
            found = parse_json(answer.body)
        except Refused as refusal:
            raise FetchError(refusal.problems[0].code.value, key) from None
        if f"{found.get('resourceType')}/{found.get('id')}" != key:
            raise FetchError("another-resource", key)
        return found

    async def events(self, feed: FhirFeed, subscription: str, span: Span) -> Notification:
        """See the port."""
        asked = {
            "eventsSinceNumber": span.first,
            "eventsUntilNumber": span.last,
            "content": "id-only",
        }
        address = f"{feed.base.address_of(subscription)}/$events?{urlencode(asked)}"
        answer = await self._asked(feed, address, f"{subscription}/$events")
        found = read_notification(answer.body)
        if isinstance(found, NotificationProblem):
            raise FetchError(found.code, f"{subscription}/$events{found.pointer}")
        return found

    async def _asked(self, feed: FhirFeed, address: str, place: str) -> HttpAnswer:
        # identity: an answer that is packed small could be unpacked without bound
        headers = {"accept": _ACCEPT, "accept-encoding": "identity", "cache-control": "no-cache"}
        if feed.token is not None:
            headers["authorization"] = f"Bearer {feed.token}"
        try:
            answer = await self.http.call(
                "GET", address, headers=headers, timeout_seconds=self.timeout_seconds
            )
        except HttpTooLargeError:
            raise FetchError("too-large", place) from None
        except HttpUnreachableError:
            raise FetchError("unreachable", place) from None
        self._check(answer, place)
        return answer

    def _check(self, answer: HttpAnswer, place: str) -> None:
        if answer.status != _OK:
            raise FetchError(_code_of(answer.status), place, wait=_asked_patience(answer))
        if len(answer.body) > self.answer_bytes_max:
            raise FetchError("too-large", place)
        kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _JSON:
            raise FetchError("not-fhir-json", place)


def _code_of(status: int) -> str:
    if status in _REFUSED:
        return _REFUSED[status]
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        return "redirected"
    return "server-failed" if status >= 500 else "not-supported"  # noqa: PLR2004


def _asked_patience(answer: HttpAnswer) -> timedelta:
    said = answer.headers.get("retry-after", "")
    is_count = said.isascii() and said.isdecimal() and len(said) <= 6  # noqa: PLR2004
    return timedelta(seconds=min(int(said), RETRY_AFTER_SECONDS_MAX) if is_count else 0)
