"""The console's app without a database or Kafka, with a real sign-in service behind it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI

from services.console.bootstrap import console_app
from services.console.changes import Changes
from services.console.groups import Positions
from services.console.live import KafkaLogReader, Live
from services.console.settings import ConsoleSettings
from shared.auth.tokens import Issuer, TokenAuthenticator
from shared.messaging.kafka import KafkaSettings
from shared.observability.figures import Figures
from shared.persistence.database import Database, StoreUnavailableError, Tx
from shared.ports import HttpAnswer, HttpUnreachableError, World
from shared.runtime.dev_identity import create_provider
from shared.runtime.dev_tokens import AUDIENCE, SERVICE_AUDIENCE, DevIdentity
from shared.runtime.world import machine_world
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.testing.sign_in import ISSUER, SignIn

BASE = "http://127.0.0.1:8080"
INTAKE = "http://127.0.0.1:8081"
Answering = Callable[[str, str, bytes | None, Mapping[str, str]], Awaitable[HttpAnswer]]


class NoDatabase:
    """No page that needs it is asked for."""

    @asynccontextmanager
    async def transaction(
        self, *, timeout_seconds: float | None = None, urgent: bool = False
    ) -> AsyncIterator[Tx]:
        raise StoreUnavailableError("there is none in this test")
        yield

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Tx]:
        raise StoreUnavailableError("there is none in this test")
        yield


class NoGroups:
    async def positions(self, groups: object) -> Positions:
        return Positions({}, {})


@dataclass
class Console:
    """The app, who signs in, and the sign-in service as it stands."""

    app: FastAPI
    sign_in: SignIn
    clock: StandingClock
    provider: FastAPI
    world: World
    live: Live
    changes: Changes
    #: by the beginning of an address, who answers there; nobody else is reached
    neighbours: dict[str, Answering] = field(default_factory=dict)

    def browser(self) -> httpx.AsyncClient:
        """A browser on another machine, signed in nowhere."""
        transport = httpx.ASGITransport(
            self.app, raise_app_exceptions=False, client=("203.0.113.9", 1)
        )
        return httpx.AsyncClient(
            transport=transport, base_url=BASE, headers={"accept": "text/html,*/*"}
        )


def settings(**more: object) -> ConsoleSettings:
    return ConsoleSettings.model_validate(
        {
            "mode": "demo",
            "kafka_bootstrap": "127.0.0.1:1",
            "oidc_issuer": ISSUER,
            "oidc_jwks_url": f"{ISSUER}/jwks",
            "oidc_token_url": f"{ISSUER}/token",
            "client_secret": "not-checked-here",
            "database_url": "postgresql://nobody@127.0.0.1:1/none",
            "url_console": BASE,
            **more,
        }
    )


def made_console(
    var: Path,
    *,
    database: Database | None = None,
    kafka: KafkaSettings | None = None,
    mode: str = "demo",
) -> Console:
    """A console of its own, at a standing machine time."""
    clock = StandingClock()
    sign_in = SignIn(var, clock)
    provider = create_provider(DevIdentity.prepare(var, ISSUER), clock=clock)
    neighbours: dict[str, Answering] = {}
    http = FunctionHttp(_over(provider, neighbours))
    world = replace(machine_world(http), clock=clock, machine_clock=clock)
    issuer = Issuer(ISSUER, f"{ISSUER}/jwks", AUDIENCE, SERVICE_AUDIENCE)
    at = kafka or KafkaSettings(bootstrap="127.0.0.1:1", client_id="test")
    live, changes = Live(lambda: KafkaLogReader(at)), Changes()
    app = console_app(
        settings(mode=mode),
        world=world,
        database=database or NoDatabase(),
        authenticator=TokenAuthenticator([issuer], http=http, clock=clock),
        figures=Figures(),
        live=live,
        changes=changes,
        groups=NoGroups(),
    )
    return Console(app, sign_in, clock, provider, world, live, changes, neighbours)


def _over(provider: FastAPI, neighbours: Mapping[str, Answering]) -> Answering:
    """The `Http` port with nobody but the sign-in service and the neighbours behind it."""

    async def answering(
        method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> HttpAnswer:
        for address, answer_of in neighbours.items():
            if url.startswith(address):
                return await answer_of(method, url.removeprefix(address), body, headers)
        if not url.startswith(ISSUER):
            raise HttpUnreachableError(url)
        async with provider_client(provider) as client:
            answer = await client.request(method, url, content=body, headers=dict(headers))
        return HttpAnswer(answer.status_code, answer.content, dict(answer.headers))

    return answering


def provider_client(provider: FastAPI) -> httpx.AsyncClient:
    """Speaks to the sign-in service."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(provider), base_url=ISSUER)


async def choose_user(provider: FastAPI, address: str, user: str) -> str:
    """What a person does at the sign-in service: chooses who to be. Returns the way back."""
    query = dict(httpx.QueryParams(urlsplit(address).query))
    async with provider_client(provider) as client:
        shown = await client.get(address)
        assert shown.status_code == 200, shown.text
        form = {
            k: query[k] for k in ("client_id", "redirect_uri", "code_challenge", "state", "nonce")
        }
        answer = await client.post("/authorize", data={"user": user, **form})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]
