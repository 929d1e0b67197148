"""Who may call an endpoint, declared where the endpoint is.

Every endpoint carries exactly one of `requires`, `service_only` or (health probes alone) `public`;
`shared.web.app.create_app` refuses to build an app with an endpoint that carries none. A person's
token is refused where only services may call, and a service's token where only persons may.
"""

import ipaddress
from collections.abc import Collection
from enum import StrEnum
from typing import Final

from fastapi import Request

from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service
from shared.web.depth import refuse_deep_body
from shared.web.problems import Problem

_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


class Rate(StrEnum):
    """How often one caller may use an endpoint (limits: `shared.web.rates`)."""

    NORMAL = "normal"
    #: holds: limited apart from everything else, and never below 10 a second
    HOLD = "hold"
    #: stop orders are never limited
    UNLIMITED = "unlimited"


class Access:
    """A FastAPI dependency that answers with the caller, if that caller may use the endpoint."""

    def __init__(
        self,
        *,
        roles: Collection[Role] = (),
        services: Collection[Service] = (),
        anonymous: bool = False,
        rate: Rate = Rate.NORMAL,
    ) -> None:
        self.roles: Final = frozenset(roles)
        self.services: Final = frozenset(services)
        self.anonymous: Final = anonymous
        self.rate: Final = rate

    def allows(self, principal: Principal) -> bool:
        """Whether the caller may use the endpoint."""
        if principal.service is not None:
            return principal.service in self.services
        return principal.has_any(*self.roles)

    async def __call__(self, request: Request) -> Principal | None:
        """The caller. Raises `Problem` 401, 403, 422 (nested too deep) or 429."""
        if self.anonymous:
            return None
        principal = caller(request)
        if not self.allows(principal):
            raise Problem(
                403,
                "not-allowed",
                "Your roles do not allow this.",
                extra={"allowed_roles": sorted(self.labels)},
            )
        request.app.state.rates.count(principal.subject, self.rate)
        refuse_deep_body(request)
        return principal

    @property
    def labels(self) -> frozenset[str]:
        """The names of who may call: roles, and `service:<name>`."""
        names = {role.value for role in self.roles}
        return frozenset(names | {f"service:{service.value}" for service in self.services})


def caller(request: Request) -> Principal:
    """Who sends this request, verified before routing. Raises `Problem` 401 for nobody."""
    principal = request.scope.get("tandem.principal")
    if not isinstance(principal, Principal):
        raise Problem(401, "not-signed-in", "Send a valid bearer token.")
    return principal


def requires(*roles: Role, services: Collection[Service] = (), rate: Rate = Rate.NORMAL) -> Access:
    """A dependency: the caller holds one of `roles`, or is one of `services`.

    Use: `principal: Annotated[Principal, Depends(requires(Role.COORDINATOR))]`.
    """
    if not roles:
        raise ValueError("name at least one role; `signed_in` is for everybody")
    return Access(roles=roles, services=services, rate=rate)


def signed_in(*, services: Collection[Service] = (), rate: Rate = Rate.NORMAL) -> Access:
    """A dependency: any person with any role (and the named services)."""
    return Access(roles=tuple(Role), services=services, rate=rate)


def service_only(*services: Service, rate: Rate = Rate.NORMAL) -> Access:
    """A dependency: the caller is one of these services, by a token made for this service."""
    if not services:
        raise ValueError("name the services that may call")
    return Access(services=services, rate=rate)


def public() -> Access:
    """A dependency for /health/live and /health/ready alone."""
    return Access(anonymous=True)


class MetricsAccess(Access):
    """For the figures: this machine itself without a token, or operations staff with one."""

    def __init__(self) -> None:
        super().__init__(roles=(Role.OPS,))

    async def __call__(self, request: Request) -> Principal | None:
        """The caller, None for this machine. Raises `Problem` 401 or 403."""
        return None if from_this_machine(request) else await super().__call__(request)


def from_this_machine(request: Request) -> bool:
    """Whether the peer is this machine itself, and no proxy speaks for somebody else."""
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
