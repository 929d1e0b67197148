"""The development identity provider: a real OpenID Connect flow for the demo and for tests.

Discovery, JWKS, the authorization code flow with PKCE (RFC 7636) behind a page that lists the demo
users, and client credentials for services. It has no passwords: whoever reaches the page may be
anybody. Therefore it refuses to start outside demo mode, binds to loopback only, and sends codes to
loopback addresses only. In a container, whose own loopback nobody reaches, it may be told another
address to bind to (`TANDEM_IDENTITY_BIND_HOST`); its port is then published on loopback only.
"""

import base64
import hashlib
import hmac
import html
import ipaddress
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Final
from urllib.parse import urlencode, urlsplit

import uvicorn
from fastapi import FastAPI, Form, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from shared.contracts.vocabulary import Service
from shared.ports import Clock
from shared.runtime.dev_tokens import (
    AUDIENCE,
    DEMO_USERS,
    SERVICE_TOKEN_SECONDS,
    TOKEN_SECONDS,
    DemoUser,
    DevIdentity,
)
from shared.runtime.paths import default_paths
from shared.runtime.world import MachineClock

CODE_LIFE: Final = timedelta(seconds=60)
#: codes not yet redeemed; more are refused, so that the page cannot fill the memory
CODES_MAX: Final = 1_000
LOOPBACK: Final = "127.0.0.1"
_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:30rem;margin:3rem auto;padding:0 1rem}"
    "button{font:inherit;display:block;width:100%;text-align:left;margin:.2rem 0;padding:.4rem}"
)


@dataclass(frozen=True, slots=True)
class _Code:
    user: DemoUser
    client_id: str
    redirect_uri: str
    challenge: str
    nonce: str | None
    until: datetime


class RefusedError(Exception):
    """The request breaks the protocol; `code` is the OAuth error code (RFC 6749, 5.2)."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class Codes:
    """The authorization codes in flight, each good for one use within a minute."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._codes: dict[str, _Code] = {}

    def issue(self, user: DemoUser, question: "Question") -> str:
        """A fresh code for a user's answer to the question."""
        now = self._clock.now()
        self._codes = {c: code for c, code in self._codes.items() if code.until > now}
        if len(self._codes) >= CODES_MAX:
            raise RefusedError("temporarily_unavailable", 503)
        code = secrets.token_urlsafe(32)
        self._codes[code] = _Code(
            user,
            question.client_id,
            question.redirect_uri,
            question.code_challenge,
            question.nonce,
            now + CODE_LIFE,
        )
        return code

    def redeem(self, form: Mapping[str, str]) -> _Code:
        """What the code stands for. Raises `RefusedError` for a wrong, used or expired one."""
        found = self._codes.pop(form.get("code", ""), None)
        if found is None or found.until <= self._clock.now():
            raise RefusedError("invalid_grant")
        if (form.get("client_id"), form.get("redirect_uri")) != (
            found.client_id,
            found.redirect_uri,
        ):
            raise RefusedError("invalid_grant")
        if not hmac.compare_digest(_challenge(form.get("code_verifier", "")), found.challenge):
            raise RefusedError("invalid_grant")
        return found


@dataclass(frozen=True, slots=True)
class Question:
    """What an authorization request asks."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    state: str | None
    nonce: str | None

    def check(self) -> None:
        """Returns when it may be answered, else raises `RefusedError`."""
        if self.client_id not in set(Service):
            raise RefusedError("unauthorized_client")
        if not _is_loopback(urlsplit(self.redirect_uri).hostname):
            raise RefusedError("invalid_request")
        if not self.code_challenge:
            raise RefusedError("invalid_request")


def create_provider(identity: DevIdentity, *, clock: Clock) -> FastAPI:
    """The provider as an app."""
    app = FastAPI(title="Tandem development sign-in", openapi_url=None)
    codes = Codes(clock)
    _add_metadata(app, identity)
    _add_sign_in(app, codes)
    _add_tokens(app, identity, codes, clock)

    @app.exception_handler(RefusedError)
    async def refused(_: Request, error: RefusedError) -> JSONResponse:
        return JSONResponse({"error": error.code}, status_code=error.status, headers=_NO_STORE)

    return app


_NO_STORE: Final = {"Cache-Control": "no-store"}


def _add_metadata(app: FastAPI, identity: DevIdentity) -> None:
    base = identity.issuer

    @app.get("/.well-known/openid-configuration")
    async def configuration() -> dict[str, object]:
        return {
            "issuer": base,
            "authorization_endpoint": f"{base}/authorize",
            "token_endpoint": f"{base}/token",
            "jwks_uri": f"{base}/jwks",
            "end_session_endpoint": f"{base}/logout",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
        }

    @app.get("/jwks")
    async def jwks() -> dict[str, object]:
        return identity.jwks()

    @app.get("/health/live")
    @app.get("/health/ready")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/logout")
    async def logout(post_logout_redirect_uri: str = "") -> Response:
        if post_logout_redirect_uri and _is_loopback(urlsplit(post_logout_redirect_uri).hostname):
            return RedirectResponse(post_logout_redirect_uri, status_code=303)
        return HTMLResponse("<!doctype html><title>Signed out</title><p>You are signed out.")

    app.state.issuer = base


def _add_sign_in(app: FastAPI, codes: Codes) -> None:
    @app.get("/authorize")
    async def ask(
        client_id: str,
        redirect_uri: str,
        response_type: str,
        code_challenge: str = "",
        code_challenge_method: str = "S256",
        state: str | None = None,
        nonce: Annotated[str | None, Query(max_length=500)] = None,
    ) -> HTMLResponse:
        question = Question(client_id, redirect_uri, code_challenge, state, nonce)
        question.check()
        if response_type != "code" or code_challenge_method != "S256":
            raise RefusedError("unsupported_response_type")
        return _sign_in_page(question)

    @app.post("/authorize")
    async def answer(
        user: Annotated[str, Form()],
        client_id: Annotated[str, Form()],
        redirect_uri: Annotated[str, Form()],
        code_challenge: Annotated[str, Form()],
        state: Annotated[str | None, Form()] = None,
        nonce: Annotated[str | None, Form()] = None,
    ) -> RedirectResponse:
        question = Question(client_id, redirect_uri, code_challenge, state, nonce)
        question.check()
        chosen = next((u for u in DEMO_USERS if u.subject == user), None)
        if chosen is None:
            raise RefusedError("access_denied")
        query = {"code": codes.issue(chosen, question), "iss": app.state.issuer}
        if state:
            query["state"] = state
        glue = "&" if urlsplit(redirect_uri).query else "?"
        return RedirectResponse(f"{redirect_uri}{glue}{urlencode(query)}", status_code=303)


def _add_tokens(app: FastAPI, identity: DevIdentity, codes: Codes, clock: Clock) -> None:
    @app.post("/token")
    async def token(request: Request) -> JSONResponse:
        form = {name: str(value) for name, value in (await request.form()).items()}
        match form.get("grant_type"):
            case "client_credentials":
                answer = _service_answer(identity, form, clock.now())
            case "authorization_code":
                answer = _person_answer(identity, codes.redeem(form), clock.now())
            case _:
                raise RefusedError("unsupported_grant_type")
        return JSONResponse(answer, headers=_NO_STORE)


def _service_answer(
    identity: DevIdentity, form: Mapping[str, str], now: datetime
) -> dict[str, object]:
    client, secret = form.get("client_id", ""), form.get("client_secret", "")
    expected = identity.client_secrets.get(client)
    if expected is None or not hmac.compare_digest(expected.encode(), secret.encode()):
        raise RefusedError("invalid_client", 401)
    token = identity.issue_service_token(Service(client), now=now)
    return {"access_token": token, "token_type": "Bearer", "expires_in": SERVICE_TOKEN_SECONDS}


def _person_answer(identity: DevIdentity, code: _Code, now: datetime) -> dict[str, object]:
    user = code.user
    id_token = identity.issue_token(
        user.subject,
        user.roles,
        now=now,
        name=user.name,
        audience=code.client_id,
        extra={"nonce": code.nonce} if code.nonce else {},
    )
    return {
        "access_token": identity.issue_user_token(user, now=now),
        "id_token": id_token,
        "token_type": "Bearer",
        "expires_in": TOKEN_SECONDS,
        "scope": f"openid {AUDIENCE}",
    }


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _sign_in_page(question: Question) -> HTMLResponse:
    fields = {
        "client_id": question.client_id,
        "redirect_uri": question.redirect_uri,
        "code_challenge": question.code_challenge,
        "state": question.state or "",
        "nonce": question.nonce or "",
    }
    hidden = "".join(
        f'<input type=hidden name="{name}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    buttons = "".join(
        f'<button name=user value="{u.subject}">{html.escape(u.name)}</button>' for u in DEMO_USERS
    )
    page = (
        f"<!doctype html><html lang=en><head><meta charset=utf-8><title>Demo sign-in</title>"
        f"<style>{_STYLE}</style></head><body><h1>Demo sign-in</h1>"
        f"<p>These people exist in the demo alone. Choose who you are.</p>"
        f"<form method=post action=/authorize>{hidden}{buttons}</form></body></html>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    return HTMLResponse(page, headers={**_NO_STORE, "Content-Security-Policy": policy})


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def refuse_outside_demo(environment: Mapping[str, str]) -> str:
    """The issuer's URL. Raises SystemExit outside demo mode or for an address beyond loopback."""
    if environment.get("TANDEM_MODE") != "demo":
        raise SystemExit("the development sign-in runs in demo mode only (TANDEM_MODE=demo)")
    issuer = environment.get("TANDEM_OIDC_ISSUER", "")
    if not _is_loopback(urlsplit(issuer).hostname):
        raise SystemExit("the development sign-in listens on this machine only")
    return issuer


def main() -> None:
    """Serves the provider named by TANDEM_OIDC_ISSUER until it is told to stop."""
    issuer = refuse_outside_demo(os.environ)
    identity = DevIdentity.prepare(default_paths().var, issuer)
    identity.remember()
    app = create_provider(identity, clock=MachineClock())
    port = urlsplit(issuer).port or 80
    host = os.environ.get("TANDEM_IDENTITY_BIND_HOST", LOOPBACK)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
