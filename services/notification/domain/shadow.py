"""The routing table of shadow mode: the coordinator is told, and nobody else.

Invariant: no route of it names another role, at no step, so no roster entry of another role is
ever looked up. An alert that nobody acknowledges is not taken to anybody else: Tandem runs beside
the clinic's own way of working, which does not wait for it.
"""

from dataclasses import replace
from types import MappingProxyType

from services.notification.domain.routing import Route, Routes
from shared.contracts.vocabulary import Role


def for_the_coordinator_alone(routes: Routes) -> Routes:
    """The same kinds and levels; whoever would have been told, it is the coordinator."""
    return Routes(
        f"{routes.version}-shadow",
        MappingProxyType({kind: _alone(route) for kind, route in routes.by_kind.items()}),
    )


def _alone(route: Route) -> Route:
    return replace(
        route,
        roles=(Role.COORDINATOR,) if route.roles else (),
        escalate_to=(),
        override_by=tuple(role for role in route.override_by if role is Role.COORDINATOR),
    )
