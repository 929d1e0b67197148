"""The HTTP side of a service: one function that builds it, with everything every service has.

Refuses to build an app in which an endpoint does not say who may call it, or in which anything but
the two probes is open to everybody.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Literal

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.types import ASGIApp

from shared.auth.authenticator import Authenticator
from shared.contracts.vocabulary import Service
from shared.observability.figures import Figures
from shared.ports import World
from shared.web import documentation, failures
from shared.web.declared import refuse_undeclared
from shared.web.health import Check, Readiness
from shared.web.middleware import (
    METRICS,
    Authentication,
    OnBug,
    OnRefused,
    TokenOf,
    Tracing,
    bearer_token,
)
from shared.web.rates import TokenBuckets
from shared.web.requests import Trace
from shared.web.security import MetricsAccess, public

Mode = Literal["demo", "shadow", "live"]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

#: 1 MB; a route that takes more says so itself: `@router.post(..., max_body_size=32_000_000)`
BODY_BYTES_MAX: Final = 1_000_000


_LOG = logging.getLogger(__name__)


def log_bug(error: BaseException, trace: Trace) -> None:
    """Writes where an unforeseen error arose, under its trace id; never what it says."""
    _LOG.error("request_failed", extra={"trace_id": trace.trace_id}, exc_info=error)


class TandemApp(FastAPI):
    """FastAPI with the tracing layer around everything, the framework's own layers included."""

    tracing: Callable[[ASGIApp], ASGIApp]

    def build_middleware_stack(self) -> ASGIApp:
        """The whole stack."""
        return self.tracing(super().build_middleware_stack())


def create_app(
    service: Service,
    *,
    routers: Sequence[APIRouter],
    world: World,
    authenticator: Authenticator,
    mode: Mode,
    figures: Figures,
    ready: Mapping[str, Check] | None = None,
    lifespan: Lifespan | None = None,
    state: Mapping[str, object] | None = None,
    token_of: TokenOf = bearer_token,
    on_refused: OnRefused = failures.answer,
    open_paths: Sequence[str] = (),
    on_bug: OnBug = log_bug,
    rates: TokenBuckets | None = None,
    version: str = "0.1.0",
) -> FastAPI:
    """The app of a service.

    `ready` are the checks of /health/ready; `state` goes to `app.state` for the endpoints (besides
    `world`, `figures`, `readiness`, `rates`); `open_paths`, `token_of` and `on_refused` are for the
    console's sign-in alone. Raises `UndeclaredAccessError` for an endpoint that does not say who
    may call it.
    """
    app = TandemApp(
        title=f"Tandem {service.value.replace('_', ' ')}",
        version=version,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        max_body_size=BODY_BYTES_MAX,
        redirect_slashes=False,
    )
    limits = rates or TokenBuckets(world.machine_clock)
    open_prefixes = (*open_paths, *(documentation.PATHS if mode == "demo" else ()))
    app.add_middleware(
        Authentication,
        authenticator=authenticator,
        rates=limits,
        figures=figures,
        token_of=token_of,
        open_prefixes=open_prefixes,
        on_refused=on_refused,
    )
    app.tracing = lambda inner: Tracing(
        inner, ids=world.ids, figures=figures, mode=mode, on_bug=on_bug, tracer=world.tracer
    )
    readiness = Readiness(ready or {})
    for name, value in {
        **(state or {}), "world": world, "figures": figures, "readiness": readiness,
        "rates": limits, "mode": mode, "service": service,
    }.items():  # fmt: skip
        setattr(app.state, name, value)
    failures.install(app)
    app.include_router(_common(readiness, figures))
    app.include_router(documentation.router(app, demo=mode == "demo"))
    for router in routers:
        app.include_router(router)
    refuse_undeclared(app, allowed_open=(*open_paths, *open_prefixes))
    return app


def _common(readiness: Readiness, figures: Figures) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/health/live", dependencies=[Depends(public())])
    async def live() -> dict[str, bool]:
        return {"live": True}

    @router.get("/health/ready", dependencies=[Depends(public())])
    async def ready() -> JSONResponse:
        holds = not await readiness.missing()
        return JSONResponse({"ready": holds}, status_code=200 if holds else 503)

    @router.get(METRICS, dependencies=[Depends(MetricsAccess())])
    async def metrics() -> Response:
        return Response(figures.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
