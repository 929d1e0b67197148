"""Calls to other services: httpx behind the `Http` port, and the token that says who calls.

Neither repeats a call: a lost answer to a start permit must stay lost.
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

import httpx

from shared.ports import Clock, Http, HttpAnswer, HttpTooLargeError, HttpUnreachableError

#: a neighbour's answer beyond this is cut off as broken
ANSWER_BYTES_MAX: Final = 16_000_000
CONNECTIONS_MAX: Final = 50
#: a token is renewed when it has less than this left
RENEWED_BEFORE: Final = timedelta(seconds=60)
TOKEN_SECONDS_MAX: Final = 3.0
_OK: Final = 200


class HttpxClient:
    """The `Http` port over httpx: one attempt, no redirects, no proxy from the environment."""

    def __init__(self, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._client = httpx.AsyncClient(
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpAnswer:
        """The answer, whatever its status, complete within the time-out.

        Raises `HttpUnreachableError`; then whether the call had an effect is unknown.
        """
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._answer(method, url, body, headers or {}, timeout_seconds)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            raise HttpUnreachableError(f"{method} {url}: {type(error).__name__}") from error

    async def _answer(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> HttpAnswer:
        request = self._client.build_request(
            method, url, content=body, headers=dict(headers), timeout=seconds
        )
        response = await self._client.send(request, stream=True)
        try:
            chunks = bytearray()
            async for chunk in response.aiter_bytes():
                chunks += chunk
                if len(chunks) > ANSWER_BYTES_MAX:
                    raise HttpTooLargeError(f"{method} {url}: the answer is too large")
            return HttpAnswer(response.status_code, bytes(chunks), dict(response.headers))
        finally:
            await response.aclose()


class ServiceTokens:
    """The token by which this service calls others (client credentials, RFC 6749, 4.4)."""

    def __init__(
        self, *, http: Http, clock: Clock, token_url: str, client_id: str, secret: str,
        audience: str,
    ) -> None:  # fmt: skip
        self._http = http
        self._clock = clock
        self._url = token_url
        self._form = urlencode(
            {
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": secret,
                "audience": audience,
            }
        ).encode()
        self._token: tuple[str, datetime] | None = None
        self._one_fetch = asyncio.Lock()

    async def token(self) -> str:
        """A token with at least a minute left. Raises `HttpUnreachableError` when none is had."""
        async with self._one_fetch:
            now = self._clock.now()
            if self._token is None or self._token[1] - now < RENEWED_BEFORE:
                self._token = await self._fetched(now)
            return self._token[0]

    async def _fetched(self, now: datetime) -> tuple[str, datetime]:
        answer = await self._http.call(
            "POST",
            self._url,
            body=self._form,
            headers={"content-type": "application/x-www-form-urlencoded"},
            timeout_seconds=TOKEN_SECONDS_MAX,
        )
        try:
            document = json.loads(answer.body)
            if answer.status != _OK:
                raise HttpUnreachableError("the sign-in service gave no token")
            return str(document["access_token"]), now + timedelta(
                seconds=float(document["expires_in"])
            )
        except (ValueError, KeyError, TypeError):
            raise HttpUnreachableError("the sign-in service answered nonsense") from None


class ServiceHttp:
    """The `Http` port with this service's token on every call: what handlers are given."""

    def __init__(self, http: Http, tokens: ServiceTokens) -> None:
        self._http = http
        self._tokens = tokens

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpAnswer:
        """The answer; the time for a fresh token counts as the call's own."""
        try:
            async with asyncio.timeout(timeout_seconds):
                token = await self._tokens.token()
                return await self._http.call(
                    method,
                    url,
                    body=body,
                    headers={**(headers or {}), "authorization": f"Bearer {token}"},
                    timeout_seconds=timeout_seconds,
                )
        except TimeoutError as error:
            raise HttpUnreachableError(f"{method} {url}: timed out") from error
