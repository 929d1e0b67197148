"""The sign-in service as the console speaks to it: OpenID Connect, code flow with PKCE.

Its addresses come from its own discovery document, which must name the issuer of the settings; the
console itself may reach them by another way than browsers do. An answer is believed only when
state, issuer, nonce and both signatures fit the question that this browser asked.
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from shared.auth.authenticator import Authenticator, NotAuthenticatedError
from shared.ports import Http, HttpUnreachableError

CALL_SECONDS_MAX: Final = 5.0
CALLBACK: Final = "/sign-in/callback"
SCOPE: Final = "openid"
_OK: Final = 200


class SignInRefusedError(Exception):
    """The answer of the sign-in service is not believed. The text is a code for logs."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who the console is at the sign-in service. `redirect_uri` is where answers come back.

    `internal_url` is where this process reaches the issuer, if not at the address for browsers.
    """

    issuer: str
    client_id: str
    secret: str
    redirect_uri: str
    internal_url: str | None = None

    def reached(self, url: str) -> str:
        """Where this process calls what stands at `url` for browsers."""
        if self.internal_url is None or not url.startswith(self.issuer):
            return url
        return self.internal_url.rstrip("/") + url.removeprefix(self.issuer.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Asked:
    """One question to the sign-in service, kept until its answer."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def fresh(cls) -> "Asked":
        """A question with secrets of its own."""
        return cls(*(secrets.token_urlsafe(32) for _ in range(3)))

    @property
    def challenge(self) -> str:
        """What the question shows of its verifier (RFC 7636, S256)."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The believed answer: a verified access token and when it ends (machine time)."""

    access_token: str
    ends_at: datetime


class Provider:
    """The sign-in service of the settings.

    `people` verifies access tokens, `id_tokens` tokens made for this client.
    """

    def __init__(
        self, client: Client, *, http: Http, people: Authenticator, id_tokens: Authenticator
    ) -> None:
        self._client = client
        self._http = http
        self._people = people
        self._id_tokens = id_tokens
        self._metadata: Mapping[str, Any] | None = None

    async def address(self, asked: Asked) -> str:
        """Where the browser goes to sign in. Raises `HttpUnreachableError`."""
        query = {
            "response_type": "code",
            "client_id": self._client.client_id,
            "redirect_uri": self._client.redirect_uri,
            "scope": SCOPE,
            "state": asked.state,
            "nonce": asked.nonce,
            "code_challenge": asked.challenge,
            "code_challenge_method": "S256",
        }
        endpoint = await self._endpoint("authorization_endpoint")
        return f"{endpoint}?{urlencode(query)}"

    async def answer(self, asked: Asked, *, code: str, state: str, issuer: str | None) -> SignedIn:
        """Who signed in. Raises `SignInRefusedError` or `HttpUnreachableError`."""
        if not secrets.compare_digest(state.encode(), asked.state.encode()):
            raise SignInRefusedError("wrong-state")
        if issuer is not None and issuer != self._client.issuer:
            raise SignInRefusedError("wrong-issuer")
        tokens = await self._redeemed(asked, code)
        access, identity = _text(tokens, "access_token"), _text(tokens, "id_token")
        try:
            person = await self._people.authenticate(access)
            named = await self._id_tokens.authenticate(identity)
        except NotAuthenticatedError as error:
            raise SignInRefusedError(error.code) from None
        if person.service is not None or person.subject != named.subject:
            raise SignInRefusedError("wrong-subject")
        if _claims(identity).get("nonce") != asked.nonce:
            raise SignInRefusedError("wrong-nonce")
        return SignedIn(access, datetime.fromtimestamp(float(_claims(access)["exp"]), UTC))

    async def _redeemed(self, asked: Asked, code: str) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._client.redirect_uri,
            "client_id": self._client.client_id,
            "client_secret": self._client.secret,
            "code_verifier": asked.verifier,
        }
        answer = await self._http.call(
            "POST",
            self._client.reached(await self._endpoint("token_endpoint")),
            body=urlencode(form).encode(),
            headers={"content-type": "application/x-www-form-urlencoded"},
            timeout_seconds=CALL_SECONDS_MAX,
        )
        if answer.status != _OK:
            raise SignInRefusedError("code-refused")
        return _document(answer.body)

    async def _endpoint(self, name: str) -> str:
        if self._metadata is None:
            url = f"{self._client.issuer.rstrip('/')}/.well-known/openid-configuration"
            answer = await self._http.call(
                "GET", self._client.reached(url), timeout_seconds=CALL_SECONDS_MAX
            )
            if answer.status != _OK:
                raise HttpUnreachableError("the sign-in service has no discovery document")
            found = _document(answer.body)
            if found.get("issuer") != self._client.issuer:
                raise SignInRefusedError("wrong-issuer")
            self._metadata = found
        return _text(self._metadata, name)


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        raise SignInRefusedError("malformed-answer") from None
    if not isinstance(document, dict):
        raise SignInRefusedError("malformed-answer")
    return document


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not value:
        raise SignInRefusedError(f"no-{name.replace('_', '-')}")
    return value


def _claims(token: str) -> Mapping[str, Any]:
    """The claims of a token whose signature was verified before."""
    part = token.split(".")[1]
    return _document(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
