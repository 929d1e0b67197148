"""Verifies bearer tokens (JWT, RFC 7519; best practice: RFC 8725).

One asymmetric algorithm per issuer is pinned here, never read from the token. Everything that
can be refused without a key is refused before a key is asked for, so a bad token causes no outbound
request. Persons and services have audiences of their own and can never be taken for each other.
"""

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from joserfc import jwt
from joserfc.errors import JoseError

from shared.auth import claims as claimed
from shared.auth.authenticator import NotAuthenticatedError
from shared.auth.keys import IssuerKeys
from shared.auth.principal import Principal
from shared.ports import Clock, Http

Algorithm = Literal["ES256", "RS256"]

#: our tokens have about 700 characters; a megabyte of base64 is not even decoded
TOKEN_LENGTH_MAX: Final = 8_192
#: clocks of issuer and service may differ by this
LEEWAY_SECONDS: Final = 5
KEY_ID_LENGTH_MAX: Final = 200
_PARTS: Final = 3
#: headers by which a token would choose its own key, or ask for what we do not do
_REFUSED_HEADERS: Final = frozenset({"jku", "x5u", "jwk", "x5c", "crit", "b64", "zip", "enc"})
_TYPES: Final = frozenset({"jwt", "at+jwt", "application/at+jwt"})


@dataclass(frozen=True, slots=True)
class Issuer:
    """Who signs tokens: `url` is the `iss` claim, `jwks_url` where its keys are.

    `plain_http` lets keys come from another machine without TLS. That is for the demo alone, whose
    sign-in may stand in a container beside the services.
    """

    url: str
    jwks_url: str
    audience: str
    service_audience: str
    algorithm: Algorithm = "ES256"
    plain_http: bool = False


class TokenAuthenticator:
    """Lets in whom one of these issuers vouches for. Times are the machine clock's."""

    def __init__(self, issuers: Sequence[Issuer], *, http: Http, clock: Clock) -> None:
        self._clock = clock
        self._issuers = {issuer.url: issuer for issuer in issuers}
        if len(self._issuers) != len(issuers) or not issuers:
            raise ValueError("name each issuer once, and at least one")
        for issuer in issuers:
            if issuer.audience == issuer.service_audience:
                raise ValueError("persons and services need audiences of their own")
        self._keys = {
            i.url: IssuerKeys(
                url=i.jwks_url,
                algorithm=i.algorithm,
                http=http,
                clock=clock,
                plain_http=i.plain_http,
            )
            for i in issuers
        }

    async def authenticate(self, token: str) -> Principal:
        """The caller. Raises `NotAuthenticatedError` or `IdentityUnavailableError`."""
        header, unverified = _parts(token)
        issuer = self._issuers.get(str(unverified.get("iss")))
        if issuer is None:
            raise NotAuthenticatedError("wrong-issuer")
        key_id = _checked_header(header, issuer)
        key = await self._keys[issuer.url].key(key_id)
        try:
            verified = jwt.decode(token, key, algorithms=[issuer.algorithm])
            self._check_claims(verified.claims, issuer)
        except (JoseError, ValueError, TypeError) as error:
            raise NotAuthenticatedError(_code(error)) from None
        return _principal(verified.claims, issuer)

    def _check_claims(self, claims: dict[str, Any], issuer: Issuer) -> None:
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock.now().timestamp()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer.url},
            aud={"essential": True, "values": [issuer.audience, issuer.service_audience]},
            exp={"essential": True},
            sub={"essential": True},
        )
        registry.validate(claims)


def _principal(claims: Mapping[str, Any], issuer: Issuer) -> Principal:
    audience = claims["aud"]
    names = {audience} if isinstance(audience, str) else set(audience)
    match issuer.audience in names, issuer.service_audience in names:
        case True, False:
            return claimed.person(claims)
        case False, True:
            return claimed.service(claims)
        case _:
            raise NotAuthenticatedError("two-audiences")


def _parts(token: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims as they stand, unverified: only to choose the issuer and refuse early."""
    if len(token) > TOKEN_LENGTH_MAX:
        raise NotAuthenticatedError("too-long")
    parts = token.split(".")
    if len(parts) != _PARTS or not all(parts):
        raise NotAuthenticatedError("malformed")
    return _json(parts[0]), _json(parts[1])


def _json(part: str) -> Mapping[str, Any]:
    try:
        padded = part + "=" * (-len(part) % 4)
        document = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise NotAuthenticatedError("malformed") from None
    if not isinstance(document, dict):
        raise NotAuthenticatedError("malformed")
    return document


def _checked_header(header: Mapping[str, Any], issuer: Issuer) -> str:
    if header.get("alg") != issuer.algorithm:
        raise NotAuthenticatedError("wrong-algorithm")
    if _REFUSED_HEADERS & header.keys():
        raise NotAuthenticatedError("refused-header")
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise NotAuthenticatedError("wrong-type")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= KEY_ID_LENGTH_MAX:
        raise NotAuthenticatedError("no-key-id")
    return key_id


def _code(error: Exception) -> str:
    """A closed word for logs and figures; never the error's text, which may repeat the token."""
    known = {"expired_token", "bad_signature", "invalid_claim", "missing_claim"}
    name = str(getattr(error, "error", ""))
    return name.replace("_", "-") if name in known else "malformed"
