"""A small app with one endpoint of each kind, signed in for real."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Request

from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service
from shared.observability.figures import Figures
from shared.ports import World
from shared.testing.doubles import StandingClock
from shared.testing.role_matrix import ANY_ROLE
from shared.testing.sign_in import SignIn
from shared.web.app import create_app
from shared.web.documentation import problem_texts
from shared.web.etags import check_version, etag, if_match
from shared.web.pages import Paged
from shared.web.problems import MEDIA_TYPE
from shared.web.requests import RequestModel, cause_of, prefer_wait
from shared.web.security import Rate, requires, service_only, signed_in


class Sample(RequestModel):
    count: int
    parts: tuple["Part", ...] = ()


class Part(RequestModel):
    name: str


@dataclass
class Rig:
    world: World
    sign_in: SignIn
    figures: Figures
    clock: StandingClock
    client: httpx.AsyncClient = field(init=False)
    #: what the endpoint /fails raises
    failure: Exception = field(default_factory=RuntimeError)
    checks: dict[str, Callable[[], Any]] = field(default_factory=dict)
    bugs: list[BaseException] = field(default_factory=list)

    def person(self, *roles: Role, subject: str = "u-1") -> dict[str, str]:
        return self.sign_in.person(*roles, subject=subject)


#: who may call what in the sample service
TABLE = {
    "POST /samples": {"coordinator"},
    "GET /samples": {*ANY_ROLE, "service:console"},
    "PUT /samples/{sample_id}": {"coordinator"},
    "PUT /internal/holds/{hold_id}": {"service:intake"},
    "GET /waits": {"coordinator"},
    "GET /fails": {"coordinator"},
    "POST /holds": {"infusion_nurse"},
    "POST /stop": {"infusion_nurse"},
    "POST /large": {"coordinator"},
}

Coordinator = Annotated[Principal, Depends(requires(Role.COORDINATOR))]


def sample_router(rig: Rig) -> APIRouter:
    router = APIRouter()

    @router.post("/samples")
    async def add(request: Request, body: Sample, who: Coordinator) -> dict[str, str]:
        cause = cause_of(request, who)
        return {"actor": cause.actor, "correlation": str(cause.correlation_id)}

    @router.get("/samples")
    async def listed(
        who: Annotated[Principal, Depends(signed_in(services=[Service.CONSOLE]))], page: Paged
    ) -> dict[str, object]:
        return {"limit": page.limit, "after": page.after}

    @router.put("/samples/{sample_id}")
    async def change(
        sample_id: str, who: Coordinator, seen: Annotated[tuple[int, ...], Depends(if_match)]
    ) -> dict[str, str]:
        check_version(seen, 0, 12)
        return {"etag": etag(0, 13)}

    @router.put("/internal/holds/{hold_id}")
    async def told(
        hold_id: str, who: Annotated[Principal, Depends(service_only(Service.INTAKE))]
    ) -> dict[str, str]:
        return {"caller": who.subject}

    @router.get("/waits")
    async def waits(request: Request, who: Coordinator) -> float:
        return prefer_wait(request)

    @router.get("/fails")
    async def fails(who: Coordinator) -> None:
        raise rig.failure

    @router.post("/holds")
    async def hold(
        who: Annotated[Principal, Depends(requires(Role.INFUSION_NURSE, rate=Rate.HOLD))],
    ) -> None:
        return None

    @router.post("/stop")
    async def stop(
        who: Annotated[Principal, Depends(requires(Role.INFUSION_NURSE, rate=Rate.UNLIMITED))],
    ) -> None:
        return None

    @router.post("/large", max_body_size=3_000_000)
    async def large(request: Request, who: Coordinator) -> int:
        return len(await request.body())

    return router


def build(rig: Rig, **options: Any) -> Any:
    return create_app(
        Service.INTAKE,
        **{
            "routers": [sample_router(rig)],
            "world": rig.world,
            "authenticator": rig.sign_in.authenticator,
            "mode": "live",
            "figures": rig.figures,
            "ready": rig.checks,
            "on_bug": lambda error, trace: rig.bugs.append(error),
            **options,
        },
    )


def checked(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document of an answer, after what holds for every one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert answer.headers["cache-control"] == "no-store"
    document: dict[str, Any] = answer.json()
    assert document["code"] == code
    assert document["status"] == status
    assert document["type"] == f"http://intake/problems/{code}"
    assert document["trace_id"] == answer.headers["traceparent"].split("-")[1]
    assert code in problem_texts()
    return document
