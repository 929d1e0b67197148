"""What happens to every request before routing: its trace, its caller; and its figures after it.

Plain ASGI, so that streams (SSE, imports) pass through unbuffered. `Tracing` is the outermost
layer of the app and the last resort for bugs; `Authentication` stands before routing, so that
nobody unknown gets a body parsed or learns which paths exist.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.auth.authenticator import (
    Authenticator,
    IdentityUnavailableError,
    NotAuthenticatedError,
)
from shared.auth.principal import Principal
from shared.observability.figures import Figures
from shared.ports import NO_TRACER, Ids, Tracer
from shared.web import failures
from shared.web.problems import Problem
from shared.web.rates import TokenBuckets
from shared.web.requests import CORRELATION_HEADER, Trace, trace_from
from shared.web.security import from_this_machine

PROBES: Final = frozenset({"/health/live", "/health/ready"})
METRICS: Final = "/metrics"

#: finds the caller's token, perhaps in a store of sessions
TokenOf = Callable[[Request], str | Awaitable[str | None] | None]
#: answers a request that is not let in; the console sends people to its sign-in page instead
OnRefused = Callable[[Request, Problem], Response]
#: told of an unforeseen error and its trace; it must not log the error's message
OnBug = Callable[[BaseException, Trace], None]


class BrokenOffError(Exception):
    """An answer that had begun could not be finished; the connection is closed."""


def bearer_token(request: Request) -> str | None:
    """The token of the Authorization header."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


class Tracing:
    """Names the request's trace, adds the common headers, and answers for bugs."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        ids: Ids,
        figures: Figures,
        mode: str,
        on_bug: OnBug,
        tracer: Tracer = NO_TRACER,
    ) -> None:
        self._app = app
        self._ids = ids
        self._figures = figures
        self._mode = mode
        self._on_bug = on_bug
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Request(scope).headers
        span = self._tracer.begin(scope["method"], "server", parent=headers.get("traceparent"))
        correlation = headers.get(CORRELATION_HEADER)
        trace = trace_from(span.traceparent, correlation, self._ids, is_own=span.is_own)
        scope["tandem.trace"] = trace
        began = time.perf_counter()
        answering = _Answering(scope, receive, send, lambda h: self._add_headers(h, trace))
        try:
            await self._app(scope, receive, answering.send)
        except Exception as bug:  # the outermost place: told to on_bug, never hidden
            self._on_bug(bug, trace)
            await answering.give_up()
        finally:
            self._figures.requests.labels(scope["method"], str(answering.status)).inc()
            self._figures.request_seconds.observe(time.perf_counter() - began)
            span.end(
                name=f"{scope['method']} {_template(scope)}",
                attributes={"http.response.status_code": answering.status},
            )

    def _add_headers(self, headers: MutableHeaders, trace: Trace) -> None:
        headers.setdefault("Cache-Control", "no-store")
        headers.setdefault("X-Content-Type-Options", "nosniff")
        headers["X-Correlation-Id"] = str(trace.correlation_id)
        headers["traceparent"] = trace.traceparent
        headers["Tandem-Mode"] = self._mode


def _template(scope: Scope) -> str:
    """The path as the API names it: a path as it was sent may hold anything."""
    return str(getattr(scope.get("route"), "path", "unknown"))


class _Answering:
    """One answer on its way out."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, add: Callable[[MutableHeaders], None]
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._add = add
        self._replaced = False
        self._finished = False
        self.status = 0

    async def send(self, message: Message) -> None:
        """Passes a message on. The framework's own plain-text 413 becomes a problem."""
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if message["status"] == 413 and headers.get("content-type", "").startswith("text/"):  # noqa: PLR2004
                self._replaced = True
                await self._answer(failures.body_too_large())
                return
            self.status = message["status"]
            self._add(headers)
        await self._send(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._finished = True

    async def give_up(self) -> None:
        """Answers 500 where nothing was answered; breaks off an answer that has only begun."""
        if self._finished:
            return
        if self.status:
            raise BrokenOffError from None
        await self._answer(failures.unforeseen())

    async def _answer(self, problem: Problem) -> None:
        self.status = problem.status
        response = failures.answer(Request(self._scope), problem)
        self._add(response.headers)
        await response(self._scope, self._receive, self._send)


class Authentication:
    """Finds out who asks. Only the probes (and what `open_paths` names) are for everybody."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        authenticator: Authenticator,
        rates: TokenBuckets,
        figures: Figures,
        token_of: TokenOf,
        open_prefixes: tuple[str, ...],
        on_refused: OnRefused,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._rates = rates
        self._figures = figures
        self._token_of = token_of
        self._open_prefixes = open_prefixes
        self._on_refused = on_refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one connection."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":  # no endpoint of ours is one
            await send({"type": "websocket.close", "code": 1008})
            return
        request = Request(scope, receive)
        try:
            principal = await self._principal(request)
        except Problem as problem:
            response = self._on_refused(request, problem)
            await response(scope, receive, send)
            return
        if principal is not None:
            scope["tandem.principal"] = principal
        await self._app(scope, receive, send)

    async def _principal(self, request: Request) -> Principal | None:
        found = self._token_of(request)
        token = found if found is None or isinstance(found, str) else await found
        if token is None:
            if self._is_open(request):
                return None
            raise self._refused(request, "missing")
        try:
            return await self._authenticator.authenticate(token)
        except NotAuthenticatedError as error:
            if self._is_open(request):
                return None
            raise self._refused(request, error.code) from None
        except IdentityUnavailableError:
            if self._is_open(request):
                return None
            raise _identity_unavailable() from None

    def _is_open(self, request: Request) -> bool:
        path = request.url.path
        if path in PROBES:
            return True
        if path == METRICS:
            return from_this_machine(request)
        return any(path == p or path.startswith(p + "/") for p in self._open_prefixes)

    def _refused(self, request: Request, code: str) -> Problem:
        self._figures.tokens_refused.labels(code).inc()
        self._rates.count_failure(request.client.host if request.client else "unknown")
        return Problem(
            401,
            "not-signed-in",
            "Send a valid bearer token.",
            headers={"WWW-Authenticate": 'Bearer realm="tandem"'},
        )


def _identity_unavailable() -> Problem:
    return Problem(
        503,
        "identity-unavailable",
        "Sign-in cannot be checked at the moment; nobody is let in unchecked.",
        headers={"Retry-After": failures.RETRY_SECONDS},
    )
