"""A FHIR server that notifies is recognised by its feed's secret, and may do nothing else.

Invariants: a secret is compared in constant time, with every feed's, and is kept as a digest only.
A sender holds no role and is no service: every other endpoint refuses it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from shared.auth.authenticator import Authenticator
from shared.auth.principal import Principal


@dataclass(frozen=True, slots=True)
class Sender(Principal):
    """A verified sender; `feed` is the one feed that it may notify."""

    feed: str = ""


def sender_of(feed: str) -> Sender:
    """Who sends by this feed."""
    return Sender(f"feed:{feed}", feed, frozenset(), feed=feed)


class SenderAuthenticator:
    """`Authenticator` for the secrets of feeds, and for every other token as before."""

    def __init__(self, others: Authenticator, secrets: Mapping[str, str]) -> None:
        self._others = others
        self._digests = {name: _digest(secret) for name, secret in secrets.items()}

    async def authenticate(self, token: str) -> Principal:
        """The caller. Raises `NotAuthenticatedError` or `IdentityUnavailableError`."""
        shown, found = _digest(token), None
        for name, kept in self._digests.items():
            if hmac.compare_digest(shown, kept):
                found = name
        return sender_of(found) if found is not None else await self._others.authenticate(token)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()
