"""Whether a form that was sent is one that this console made for this very session.

Invariant: what another site sends in a viewer's name is refused before anything else is read of it.
The session's cookie is `SameSite=Strict` besides, so such a form seldom has a session at all.
"""

import hashlib
import secrets
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request

from services.console.sign_in.sessions import Sessions, credential_of
from shared.web.problems import Problem

#: the hidden field
PROOF: Final = "proof"


class OwnForms:
    """Makes and checks the proofs of one console, whose own address is `base_url`."""

    def __init__(self, sessions: Sessions, base_url: str) -> None:
        self._sessions = sessions
        self._origin = "{0.scheme}://{0.netloc}".format(urlsplit(base_url))

    def proof(self, request: Request) -> str:
        """What a form of this session carries: a function of a secret that no other site has."""
        return hashlib.sha256(f"tandem-console-form:{credential_of(request)}".encode()).hexdigest()

    def check(self, request: Request, proof: str) -> None:
        """Returns for a form of ours. Raises `Problem` 403."""
        ours = request.headers.get("origin", self._origin) == self._origin
        if not ours or not secrets.compare_digest(proof.encode(), self.proof(request).encode()):
            raise Problem(
                403, "not-allowed", "This form was not made for your session; nothing was recorded",
                "Open the case again and fill the form in there.",
            )  # fmt: skip

    async def token(self, request: Request) -> str:
        """The viewer's own token, to call intake with. Raises `Problem` 401."""
        credential = credential_of(request)
        token = None if credential is None else await self._sessions.token_behind(credential)
        if token is None:
            raise Problem(401, "not-signed-in", "Your session is over; sign in again.")
        return token
