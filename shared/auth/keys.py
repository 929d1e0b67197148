"""The public keys of one issuer: fetched from one fixed address, cached, refreshed sparingly.

What a token says (`jku`, `x5u`, an unknown key id) never chooses an address and causes at most one
fetch a minute. When the issuer is down the known keys serve until their maximum age; after that
nobody is let in.
"""

import asyncio
import base64
import ipaddress
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, RSAKey

from shared.auth.authenticator import IdentityUnavailableError, NotAuthenticatedError
from shared.ports import Clock, Http, HttpUnreachableError

PublicKey = ECKey | RSAKey

#: an issuer that rotates its keys is noticed within this, also without an unknown key id
FRESH_FOR: Final = timedelta(hours=1)
#: an issuer may be down for this long before tokens can no longer be checked
KNOWN_FOR: Final = timedelta(hours=24)
#: an unknown key id (which anybody can make up) causes no more than one fetch in this time
REFRESH_EVERY: Final = timedelta(seconds=60)
#: while no key has ever been had (the issuer starts after us), tries are closer together
FIRST_TRY_EVERY: Final = timedelta(seconds=2)
FETCH_SECONDS_MAX: Final = 3.0
DOCUMENT_BYTES_MAX: Final = 256_000
KEYS_MAX: Final = 100
RSA_BITS_MIN: Final = 2048
_OK: Final = 200


class IssuerKeys:
    """The keys of one issuer, of the one kind that its pinned algorithm uses."""

    def __init__(
        self, *, url: str, algorithm: str, http: Http, clock: Clock, plain_http: bool = False
    ) -> None:
        _check_address(url, plain_http=plain_http)
        self._url = url
        self._algorithm = algorithm
        self._http = http
        self._clock = clock
        self._keys: Mapping[str, PublicKey] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._one_fetch = asyncio.Lock()

    async def key(self, key_id: str) -> PublicKey:
        """The key of that id.

        Raises `NotAuthenticatedError` for an unknown id and `IdentityUnavailableError` while no
        current keys can be had.
        """
        if not self._settled(key_id):
            async with self._one_fetch:
                if not self._settled(key_id) and self._may_try():
                    await self._fetch()
        if self._fetched_at is None or self._clock.now() - self._fetched_at > KNOWN_FOR:
            raise IdentityUnavailableError(self._url)
        found = self._keys.get(key_id)
        if found is None:
            raise NotAuthenticatedError("unknown-key")
        return found

    def _settled(self, key_id: str) -> bool:
        fetched = self._fetched_at
        fresh = fetched is not None and self._clock.now() - fetched <= FRESH_FOR
        return fresh and key_id in self._keys

    def _may_try(self) -> bool:
        pause = FIRST_TRY_EVERY if self._fetched_at is None else REFRESH_EVERY
        return self._tried_at is None or self._clock.now() - self._tried_at >= pause

    async def _fetch(self) -> None:
        self._tried_at = self._clock.now()
        try:
            answer = await self._http.call("GET", self._url, timeout_seconds=FETCH_SECONDS_MAX)
        except HttpUnreachableError:
            return
        keys = _keys_in(answer.body, self._algorithm) if answer.status == _OK else {}
        if keys:
            self._keys = keys
            self._fetched_at = self._tried_at


def _check_address(url: str, *, plain_http: bool) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme == "http" and (_is_loopback(parts.hostname) or (plain_http and parts.hostname)):
        return
    raise ValueError("an issuer's keys are fetched by https, or from this machine")


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _keys_in(body: bytes, algorithm: str) -> dict[str, PublicKey]:
    """The usable keys of a JWKS document by id; none when the document is no JWKS."""
    if len(body) > DOCUMENT_BYTES_MAX:
        return {}
    try:
        document = json.loads(body)
        entries = document["keys"][:KEYS_MAX]
    except (ValueError, KeyError, TypeError):
        return {}
    found = (_usable(entry, algorithm) for entry in entries)
    return dict(pair for pair in found if pair is not None)


def _usable(entry: Any, algorithm: str) -> tuple[str, PublicKey] | None:  # noqa: ANN401 - parse edge
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    key_id = entry.get("kid")
    if not isinstance(key_id, str) or entry.get("alg", algorithm) != algorithm:
        return None
    try:
        key = _imported(entry, algorithm)
    except (JoseError, ValueError, KeyError, TypeError):
        return None
    return None if key is None else (key_id, key)


def _imported(entry: dict[str, Any], algorithm: str) -> PublicKey | None:
    """The public half alone: a private key published by mistake is read as its public half."""
    if algorithm == "ES256" and entry.get("kty") == "EC" and entry.get("crv") == "P-256":
        return ECKey.import_key({n: entry[n] for n in ("kty", "crv", "x", "y")})
    if algorithm == "RS256" and entry.get("kty") == "RSA" and _bits(entry["n"]) >= RSA_BITS_MIN:
        return RSAKey.import_key({n: entry[n] for n in ("kty", "n", "e")})
    return None


def _bits(modulus: str) -> int:
    padded = modulus + "=" * (-len(modulus) % 4)
    return int.from_bytes(base64.b64decode(padded, altchars=b"-_", validate=True)).bit_length()
