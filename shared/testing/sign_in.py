"""Sign-in for tests: a real issuer's keys over a fake wire, and tokens for any person or service.

Tests of endpoints use `SignIn`: the app verifies real signatures, as in the product.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shared.auth.tokens import Issuer, TokenAuthenticator
from shared.contracts.vocabulary import Role, Service
from shared.ports import Clock, HttpAnswer
from shared.runtime.dev_tokens import AUDIENCE, SERVICE_AUDIENCE, DevIdentity
from shared.testing.doubles import FunctionHttp

ISSUER: Final = "http://127.0.0.1:8090"


class JwksServer:
    """Serves the issuer's keys until it is taken down."""

    def __init__(self, identity: DevIdentity) -> None:
        self.documents: dict[str, object] = identity.jwks()
        self.up = True

    async def __call__(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str]
    ) -> HttpAnswer:
        """The keys, 503 while it is down, 404 for any other address."""
        if (method, url) != ("GET", f"{ISSUER}/jwks"):
            return HttpAnswer(404, b"")
        return HttpAnswer(200 if self.up else 503, json.dumps(self.documents).encode())


class SignIn:
    """One issuer with a fresh key below `var`, trusted by `authenticator`."""

    def __init__(self, var: Path, clock: Clock) -> None:
        self.clock = clock
        self.identity = DevIdentity.prepare(var, ISSUER)
        self.jwks = JwksServer(self.identity)
        self.http = FunctionHttp(self.jwks)
        issuer = Issuer(ISSUER, f"{ISSUER}/jwks", AUDIENCE, SERVICE_AUDIENCE)
        self.authenticator = TokenAuthenticator([issuer], http=self.http, clock=clock)

    def person(
        self, *roles: Role | str, subject: str = "u-1", site: str | None = None
    ) -> dict[str, str]:
        """The headers of a request by a person with these roles."""
        token = self.identity.issue_token(
            subject, [str(role) for role in roles], now=self.clock.now(), site=site
        )
        return {"authorization": f"Bearer {token}"}

    def service(self, service: Service) -> dict[str, str]:
        """The headers of a request by a service."""
        token = self.identity.issue_service_token(service, now=self.clock.now())
        return {"authorization": f"Bearer {token}"}
