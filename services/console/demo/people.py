"""The demo's people: each speaks to the services over HTTP with a real token of their own.

Invariant: whatever the demo changes, it changes through these calls; there is no other road.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from services.console.demo.site import Site
from shared.contracts.vocabulary import Role, Service
from shared.runtime.dev_tokens import DemoUser, DevIdentity, demo_user
from shared.runtime.world import MachineClock, TimeOrderedIds

#: the longest honest wait is a press of start whose permit request is not answered (3 s)
ANSWER_SECONDS_MAX: Final = 30.0
#: what a write may answer when it did what was asked
DONE: Final = (200, 201, 202)


class UnexpectedAnswerError(Exception):
    """A service answered otherwise than the story needs; the text is its problem document."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer. `etag` keeps its quotes, as If-Match wants it."""

    status: int
    body: Any
    etag: str | None

    @property
    def reasons(self) -> list[Mapping[str, Any]]:
        """The reasons of a refusal; empty for any other answer."""
        found = self.body.get("reasons") if isinstance(self.body, dict) else None
        return list(found or ())

    @property
    def code(self) -> str | None:
        """The code of a problem document."""
        return self.body.get("code") if isinstance(self.body, dict) else None


@dataclass(frozen=True, slots=True)
class Person:
    """One demo user, signed in. `token` also serves as a second signature."""

    user: DemoUser
    token: str
    site: Site
    client: httpx.AsyncClient = field(repr=False)

    @property
    def subject(self) -> str:
        """The name under which the services know this person."""
        return self.user.subject

    async def get(self, service: Service, path: str) -> Any:  # noqa: ANN401 - a JSON document
        """The document at the path."""
        return (await self.look(service, path)).body

    async def look(self, service: Service, path: str) -> Reply:
        """The document at the path with its ETag."""
        return _expected(await self._send("GET", service, path), (200,), path)

    async def post(
        self,
        service: Service,
        path: str,
        body: object = None,
        *,
        seen: str | None = None,
    ) -> Reply:
        """A write that must succeed; `seen` is sent as If-Match."""
        reply = await self.ask(service, path, body, seen=seen)
        return _expected(reply, DONE, path)

    async def replace(self, service: Service, path: str, body: object) -> Reply:
        """A replacement whatever comes of it."""
        return await self._send("PUT", service, path, body=body)

    async def ask(
        self,
        service: Service,
        path: str,
        body: object = None,
        *,
        seen: str | None = None,
    ) -> Reply:
        """A write whatever comes of it: refusals are answers too."""
        return await self._send("POST", service, path, body=body, seen=seen)

    async def send_file(self, service: Service, path: str, content: bytes) -> Reply:
        """A JSON document as it stands."""
        headers = {"content-type": "application/fhir+json"}
        return await self._send("POST", service, path, content=content, headers=headers)

    async def _send(
        self,
        method: str,
        service: Service,
        path: str,
        *,
        body: object = None,
        content: bytes | None = None,
        seen: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        answer = await self.client.request(
            method,
            self.site.urls[service] + path,
            json=body if content is None and method != "GET" else None,
            content=content,
            headers={**(headers or {}), **self._headers(method, seen)},
        )
        return Reply(answer.status_code, _document(answer), answer.headers.get("etag"))

    def _headers(self, method: str, seen: str | None) -> dict[str, str]:
        headers = {"authorization": f"Bearer {self.token}"}
        if method == "POST":
            headers["idempotency-key"] = str(TimeOrderedIds().new())
        if seen is not None:
            headers["if-match"] = seen
        return headers


def _document(answer: httpx.Response) -> Any:  # noqa: ANN401 - a JSON document
    if "json" not in answer.headers.get("content-type", ""):
        return answer.text
    return answer.json()


def _expected(reply: Reply, statuses: tuple[int, ...], path: str) -> Reply:
    if reply.status not in statuses:
        raise UnexpectedAnswerError(f"{path} answered {reply.status}: {reply.body}")
    return reply


class People:
    """All demo users, signed in by `token_of` when first asked for."""

    def __init__(
        self, site: Site, client: httpx.AsyncClient, token_of: Callable[[DemoUser], str]
    ) -> None:
        self._site = site
        self._client = client
        self._token_of = token_of
        self._signed_in: dict[str, Person] = {}

    def one(self, role: Role, number: int = 1) -> Person:
        """The nth person with the role; number 2 is somebody else, for second signatures."""
        user = demo_user(role.value, number)
        if user.subject not in self._signed_in:
            token = self._token_of(user)
            self._signed_in[user.subject] = Person(user, token, self._site, self._client)
        return self._signed_in[user.subject]


def signed_here(site: Site) -> Callable[[DemoUser], str]:
    """Signs tokens with the sign-in's key, which a native run keeps below `var`."""
    identity = DevIdentity.prepare(site.var, site.issuer)
    return lambda user: identity.issue_user_token(user, now=MachineClock().now())
