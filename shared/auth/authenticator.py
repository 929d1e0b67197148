"""What the web layer asks of authentication: a token in, a verified caller out."""

from typing import Protocol

from shared.auth.principal import Principal


class NotAuthenticatedError(Exception):
    """The token is refused. `code` says why, for logs; the caller learns no more than 401."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class IdentityUnavailableError(Exception):
    """The issuer's keys cannot be had, so nobody can be let in."""


class Authenticator(Protocol):
    """Verifies bearer tokens."""

    async def authenticate(self, token: str) -> Principal:
        """The caller. Raises `NotAuthenticatedError` or `IdentityUnavailableError`."""
        ...
