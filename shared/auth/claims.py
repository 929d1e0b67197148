"""From the claims of a verified token to a `Principal`: a person with roles, or a service.

A token speaks for one kind of caller only. Roles that Tandem does not know (an identity provider
carries many) give nothing.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from shared.auth.authenticator import NotAuthenticatedError
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service

SERVICE_PREFIX: Final = "service:"
_CONSULTANT_PREFIX: Final = f"{Role.CONSULTANT.value}:"
TEXT_LENGTH_MAX: Final = 200


def person(claims: Mapping[str, Any]) -> Principal:
    """The person that the claims name. Raises `NotAuthenticatedError`."""
    subject = _text(claims, "sub")
    labels = _labels(claims)
    if subject.startswith(SERVICE_PREFIX) or any(n.startswith(SERVICE_PREFIX) for n in labels):
        raise NotAuthenticatedError("service-as-person")
    site = claims.get("site")
    return Principal(
        subject=subject,
        name=str(claims.get("name") or claims.get("preferred_username") or subject)[
            :TEXT_LENGTH_MAX
        ],
        roles=frozenset(role for role in map(_role, labels) if role is not None),
        site=site if isinstance(site, str) else None,
        specialities=frozenset(
            label.removeprefix(_CONSULTANT_PREFIX)
            for label in labels
            if label.startswith(_CONSULTANT_PREFIX) and label != _CONSULTANT_PREFIX
        ),
        authenticated_at=_instant(claims.get("auth_time")),
    )


def service(claims: Mapping[str, Any]) -> Principal:
    """The service that the claims name: exactly one role `service:<name>`, and no other."""
    labels = _labels(claims)
    names = [label.removeprefix(SERVICE_PREFIX) for label in labels if _is_service(label)]
    if len(names) != 1 or any(_role(label) for label in labels):
        raise NotAuthenticatedError("no-single-service")
    return Principal(
        subject=f"{SERVICE_PREFIX}{names[0]}",
        name=names[0],
        roles=frozenset(),
        service=Service(names[0]),
    )


def _is_service(label: str) -> bool:
    return label.removeprefix(SERVICE_PREFIX) in set(Service) and label.startswith(SERVICE_PREFIX)


def _role(label: str) -> Role | None:
    if label.startswith(_CONSULTANT_PREFIX) and label != _CONSULTANT_PREFIX:
        return Role.CONSULTANT
    return Role(label) if label in set(Role) else None


def _labels(claims: Mapping[str, Any]) -> Sequence[str]:
    labels = claims.get("roles", [])
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise NotAuthenticatedError("malformed-roles")
    return labels


def _instant(seconds: object) -> datetime | None:
    """A claim in seconds since 1970; one that is no such number says nothing."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_LENGTH_MAX:
        raise NotAuthenticatedError(f"malformed-{name}")
    return value
