"""Server-side sessions: the browser holds a random id and nothing else.

The database holds the id's digest and the access token, sealed with a key made from the id: who
reads the table can neither take over a session nor use a token. The token is verified anew at each
request, so that a session never outlives it and its roles are those that the issuer signed.
"""

import hashlib
import secrets
from datetime import datetime
from typing import Final

from fastapi import Request
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from shared.auth.authenticator import Authenticator, NotAuthenticatedError
from shared.auth.principal import Principal
from shared.persistence.database import Database
from shared.persistence.statements import load_statements
from shared.ports import Clock
from shared.web.middleware import bearer_token

STATEMENTS: Final = load_statements("services.console.sign_in")
COOKIE: Final = "tandem_session"
ID_BYTES: Final = 32
#: marks, between the two functions below, that the "token" is a session's id
_PREFIX: Final = "session:"
_SEAL: Final = {"alg": "dir", "enc": "A256GCM"}


def credential_of(request: Request) -> str | None:
    """The bearer token, or else the session's id out of the cookie; None for neither."""
    session_id = request.cookies.get(COOKIE)
    return bearer_token(request) or (f"{_PREFIX}{session_id}" if session_id else None)


class Sessions:
    """The sessions of all replicas. `clock` is the machine's."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def open(self, token: str, ends_at: datetime) -> str:
        """The id of a new session that stands for the token until it ends."""
        session_id = secrets.token_urlsafe(ID_BYTES)
        sealed = jwe.encrypt_compact(dict(_SEAL), token, _key(session_id))
        async with self._database.transaction() as tx:
            await tx.run(STATEMENTS["forget_sessions"], self._clock.now())
            await tx.run(STATEMENTS["add_session"], digest(session_id), sealed, ends_at)
        return session_id

    async def token(self, session_id: str) -> str | None:
        """The token that the session stands for, None for an ended or unknown one."""
        async with self._database.transaction() as tx:
            row = await tx.row(STATEMENTS["read_session"], digest(session_id), self._clock.now())
        if row is None:
            return None
        try:
            opened = jwe.decrypt_compact(row["sealed_token"], _key(session_id))
        except (JoseError, ValueError):
            return None
        return (opened.plaintext or b"").decode()

    async def token_behind(self, credential: str) -> str | None:
        """The access token that a credential stands for: its session's, or the token itself."""
        if credential.startswith(_PREFIX):
            return await self.token(credential.removeprefix(_PREFIX))
        return credential

    async def end(self, session_id: str) -> None:
        """The session stands for nobody any more."""
        async with self._database.transaction() as tx:
            await tx.run(STATEMENTS["end_session"], digest(session_id))


class SessionAuthenticator:
    """Lets in whom a session's token, or the bearer token itself, vouches for."""

    def __init__(self, sessions: Sessions, tokens: Authenticator) -> None:
        self._sessions = sessions
        self._tokens = tokens

    async def authenticate(self, token: str) -> Principal:
        """The caller. Raises `NotAuthenticatedError` or `IdentityUnavailableError`."""
        found = await self._sessions.token_behind(token)
        if found is None:
            raise NotAuthenticatedError("no-session")
        return await self._tokens.authenticate(found)


def digest(secret: str) -> bytes:
    """What the database knows of a secret that the browser holds."""
    return hashlib.sha256(b"tandem-console:" + secret.encode()).digest()


def _key(session_id: str) -> OctKey:
    """The key of the seal: another function of the id than the digest that is stored."""
    material = hashlib.sha256(b"tandem-console-seal:" + session_id.encode()).digest()
    return OctKey.import_key(material)
