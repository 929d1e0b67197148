"""Who is asking: the verified content of a bearer token."""

from dataclasses import dataclass
from datetime import datetime

from shared.contracts.vocabulary import Role, Service


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified caller. `subject` is the stable id that signatures and audits keep.

    A person has `roles`; a service has `service` and no roles. `site` limits which cases a person
    may see (None: all sites of the installation). `authenticated_at` is when the person last
    proved to the issuer who they are, in machine time (None: the issuer does not say).
    """

    subject: str
    name: str
    roles: frozenset[Role]
    service: Service | None = None
    site: str | None = None
    specialities: frozenset[str] = frozenset()
    authenticated_at: datetime | None = None

    def has_any(self, *roles: Role) -> bool:
        """Whether the caller holds one of these roles."""
        return any(role in self.roles for role in roles)
