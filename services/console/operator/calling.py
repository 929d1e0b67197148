"""How commands speak to a running system: where it is, as whom, and what its answers mean.

Addresses come from `TANDEM_URL_<SERVICE>`, else from what `tandem up` noted, else the default
ports. In demo mode a command signs in as the demo user of the role that it needs; elsewhere the
token comes from `TANDEM_TOKEN` (a second signature from `TANDEM_SECOND_TOKEN`). A command never
repeats a call.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn
from uuid import uuid4

import httpx
import typer

from shared.contracts.vocabulary import Role, Service
from shared.runtime import run_state
from shared.runtime.dev_tokens import DevIdentity, demo_user, remembered_issuer
from shared.runtime.exits import Exit
from shared.runtime.paths import default_paths
from shared.runtime.settings import DEFAULT_PORT
from shared.runtime.world import MachineClock

#: an import of a large bundle is the longest that anybody waits for
ANSWER_SECONDS_MAX: Final = 120.0
TOKEN, SECOND_TOKEN = "TANDEM_TOKEN", "TANDEM_SECOND_TOKEN"
_UNAVAILABLE: Final = frozenset({502, 503, 504})
_INPUT: Final = frozenset({400, 404, 413, 415, 422})

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]


class Refused(Exception):
    """A service said no. `problem` is its problem document, `code` the exit code for it."""

    def __init__(self, code: Exit, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("title", "refused")))
        self.code = code
        self.problem = dict(problem)

    @property
    def text(self) -> str:
        """What a person reads: title, code, and each located error."""
        lines = [f"{self} ({self.problem.get('code', 'no code')})"]
        for error in self.problem.get("errors") or ():
            lines.append(f"  {error.get('pointer')}: {error.get('detail')}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Caller:
    """One role's voice to the services."""

    role: Role

    def get(self, service: Service, path: str, **query: str | None) -> Any:  # noqa: ANN401
        """The document at the path. Raises `Refused`."""
        asked = {name: value for name, value in query.items() if value is not None}
        return self._send("GET", service, path, params=asked)

    def post(self, service: Service, path: str, body: Any) -> Any:  # noqa: ANN401
        """What a write answered; `body` bytes are sent as they are. Raises `Refused`."""
        headers = {"idempotency-key": str(uuid4()), "content-type": "application/json"}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self._send("POST", service, path, content=content, headers=headers)

    def _send(
        self,
        method: str,
        service: Service,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        **sent: Any,  # noqa: ANN401 - httpx's own
    ) -> Any:  # noqa: ANN401
        address = address_of(service) + path
        signed = {"authorization": f"Bearer {token(self.role)}", **(headers or {})}
        try:
            with httpx.Client(timeout=ANSWER_SECONDS_MAX, trust_env=False) as client:
                answer = client.request(method, address, headers=signed, **sent)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            title = f"{service.value} does not answer at {address_of(service)}"
            raise Refused(Exit.UNREACHABLE, {"title": title, "code": "unreachable"}) from error
        return _document(answer)


def address_of(service: Service) -> str:
    """The base URL of a service."""
    told = os.environ.get(f"TANDEM_URL_{service.value.upper()}")
    if told:
        return told.rstrip("/")
    running = run_state.read(default_paths().run_state)
    if running and service.value in running.endpoints:  # containers, which are no programs of ours
        return running.endpoints[service.value]
    ports = {p.name: p.ports[0] for p in running.programs if p.ports} if running else {}
    return f"http://127.0.0.1:{ports.get(service.value, DEFAULT_PORT[service])}"


def token(role: Role, number: int = 1) -> str:
    """A bearer token for the role: the caller's own, or in the demo that of a demo user."""
    told = os.environ.get(TOKEN if number == 1 else SECOND_TOKEN)
    if told:
        return told
    var = default_paths().var
    issuer = remembered_issuer(var)
    if issuer is None:
        name = TOKEN if number == 1 else SECOND_TOKEN
        title = f"set {name} to a bearer token ({role.value}); no demo has run here ({var})"
        raise Refused(Exit.BAD_USAGE, {"title": title, "code": "no-token"})
    user = demo_user(role.value, number)
    return DevIdentity.prepare(var, issuer).issue_user_token(user, now=MachineClock().now())


def fresh_token(role: Role) -> str:
    """A token of a sign-in made now: a signature's second component.

    In the demo the demo user signs in again; elsewhere it comes from `TANDEM_SECOND_TOKEN`.
    """
    if os.environ.get(TOKEN) and not os.environ.get(SECOND_TOKEN):
        title = f"sign in again and set {SECOND_TOKEN} to that token: it is the second component"
        raise Refused(Exit.BAD_USAGE, {"title": title, "code": "no-token"})
    return os.environ.get(SECOND_TOKEN) or token(role)


def _document(answer: httpx.Response) -> Any:  # noqa: ANN401 - a JSON document or text
    is_json = "json" in answer.headers.get("content-type", "")
    if answer.is_success:
        return answer.json() if is_json else answer.text
    found = answer.json() if is_json else {}
    problem = found if isinstance(found, dict) else {}
    problem.setdefault("title", f"the answer was {answer.status_code}")
    raise Refused(_exit_of(answer.status_code), {**problem, "status": answer.status_code})


def _exit_of(status: int) -> Exit:
    if status in _UNAVAILABLE:
        return Exit.UNREACHABLE
    return Exit.INPUT_REFUSED if status in _INPUT else Exit.FAILED


def print_json(value: object) -> None:
    """One object on one line."""
    typer.echo(json.dumps(value, ensure_ascii=False, default=str))


def tell(refused: Refused, *, as_json: bool, **about: object) -> Exit:
    """Says what was refused, on standard error and in the JSON; the exit code for it."""
    if as_json:
        print_json({**about, "problem": refused.problem})
    name = "".join(f"{value}: " for value in about.values())
    typer.echo(f"{name}{refused.text}", err=True)
    return refused.code


def end(refused: Refused, *, as_json: bool) -> NoReturn:
    """Ends the command with what was refused."""
    raise typer.Exit(tell(refused, as_json=as_json))
