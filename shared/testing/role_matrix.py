"""Every endpoint times every caller, against a table that a person wrote and can read.

A service's test declares who may call what and hands over its app: an endpoint that the table does
not know fails, an endpoint that is gone fails, and each caller who is not in the table is really
sent and must be refused with 403 (401 without a token) before anything else is looked at.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import httpx
from fastapi import FastAPI

from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role, Service
from shared.testing.sign_in import SignIn
from shared.web.declared import accesses
from shared.web.documentation import PATHS
from shared.web.middleware import METRICS, PROBES
from shared.web.security import Access

#: "METHOD /path/{with}/{names}" to the roles and `service:<name>`s that may call it
Table = Mapping[str, Iterable[str]]

#: what every service's app has beside its own endpoints (`shared.web.ops`)
OPERATIONS: Final[Table] = {
    "GET /ops/parked": {"ops"},
    "GET /ops/parked/{case_id}": {"ops"},
    "POST /ops/parked/{case_id}/redrive": {"ops"},
    "POST /ops/parked/{case_id}/skip": {"ops"},
    "POST /ops/parked/{case_id}/accept-gap": {"ops"},
}
ANY_ROLE: Final = frozenset(role.value for role in Role)
_SOME_ID: Final = "01890000-0000-7000-8000-000000000000"
_ANONYMOUS: Final = "nobody"
_UNAUTHENTICATED, _FORBIDDEN = 401, 403


def callers() -> tuple[str, ...]:
    """All labels that a table may use: roles and services."""
    return (*(role.value for role in Role), *(f"service:{service.value}" for service in Service))


async def check_role_matrix(app: FastAPI, sign_in: SignIn, table: Table) -> int:
    """The number of (endpoint, caller) pairs checked. Raises AssertionError naming all faults."""
    declared = {f"{method} {path}": access for method, path, access in _own(app)}
    faults = [*_unknown_labels(table), *_other_endpoints(declared.keys(), table.keys())]
    checked = 0
    for number, endpoint in enumerate(sorted(declared.keys() & table.keys())):
        # an address of its own each: calls without a token are counted, and limited, by address
        transport = httpx.ASGITransport(
            app, raise_app_exceptions=False, client=(_address(number), 1)
        )
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            for caller in (*callers(), _ANONYMOUS):
                allowed = caller in set(table[endpoint])
                fault = (
                    _wrongly_refused(declared[endpoint], caller)
                    if allowed
                    else await _wrongly_let_in(client, endpoint, caller, sign_in)
                )
                faults += [f"{endpoint} by {caller}: {fault}"] if fault else []
                checked += 1
    if faults:
        raise AssertionError("\n".join(faults))
    return checked


def _address(number: int) -> str:
    """An address that nobody else calls from."""
    return f"203.0.{112 + number // 250}.{1 + number % 250}"


def _own(app: FastAPI) -> Iterator[tuple[str, str, Access]]:
    """The endpoints of the service itself: probes, figures and the manual are everybody's."""
    common = (*PROBES, METRICS, *PATHS)
    for method, path, access in accesses(app):
        if not any(path == c or path.startswith(f"{c}/") for c in common):
            yield method, path, access


def _unknown_labels(table: Table) -> Iterator[str]:
    for endpoint, labels in table.items():
        for label in sorted(set(labels) - set(callers())):
            yield f"{endpoint}: the table's {label} is no caller"


def _other_endpoints(declared: Iterable[str], table: Iterable[str]) -> Iterator[str]:
    here, there = set(declared), set(table)
    yield from (f"{endpoint}: not in the table" for endpoint in sorted(here - there))
    yield from (f"{endpoint}: in the table, not in the app" for endpoint in sorted(there - here))


def _wrongly_refused(access: Access, caller: str) -> str | None:
    return None if access.allows(_principal(caller)) else "may call by the table, not by the app"


async def _wrongly_let_in(
    client: httpx.AsyncClient, endpoint: str, caller: str, sign_in: SignIn
) -> str | None:
    method, _, path = endpoint.partition(" ")
    answer = await client.request(
        method, re.sub(r"\{[^}]*\}", _SOME_ID, path), headers=_headers(caller, sign_in)
    )
    expected = _UNAUTHENTICATED if caller == _ANONYMOUS else _FORBIDDEN
    return None if answer.status_code == expected else f"{answer.status_code}, not {expected}"


def _service(caller: str) -> Service | None:
    kind, _, name = caller.partition(":")
    return Service(name) if kind == "service" else None


def _principal(caller: str) -> Principal:
    service = _service(caller)
    roles = frozenset() if service else frozenset({Role(caller)})
    return Principal(caller, caller, roles, service)


def _headers(caller: str, sign_in: SignIn) -> dict[str, str]:
    if caller == _ANONYMOUS:
        return {}
    service = _service(caller)
    return sign_in.service(service) if service else sign_in.person(caller, subject=caller)
