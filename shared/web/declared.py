"""Reads from a built app who may call which endpoint, and refuses an app that does not say so."""

from collections.abc import Iterator, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from shared.web.middleware import PROBES
from shared.web.security import Access


class UndeclaredAccessError(Exception):
    """An endpoint does not say who may call it."""


def accesses(app: FastAPI) -> Iterator[tuple[str, str, Access]]:
    """Every endpoint of the app as (method, path, who may call it).

    Raises `UndeclaredAccessError` for one that declares nobody, or more than once.
    """
    for context in iter_route_contexts(app.routes):
        for method in sorted(context.methods or {"GET"}):
            yield method, str(context.path), _access(context)


def refuse_undeclared(app: FastAPI, *, allowed_open: Sequence[str] = ()) -> None:
    """Returns when every endpoint says who may call it and only the probes are for everybody."""
    for method, path, access in accesses(app):
        anonymous_allowed = path in PROBES or any(path.startswith(p) for p in allowed_open)
        if access.anonymous and not anonymous_allowed:
            raise UndeclaredAccessError(f"{method} {path} is open to everybody")


def _access(context: RouteContext) -> Access:
    if not isinstance(context.original_route, APIRoute):
        raise UndeclaredAccessError(f"{context.path} is no endpoint that can say who may call it")
    found = list(_accesses_in(context.dependant))
    if len(found) != 1:
        count = "nobody" if not found else "its callers more than once"
        raise UndeclaredAccessError(f"{context.path} declares {count}: use requires(...)")
    return found[0]


def _accesses_in(dependant: Any) -> Iterator[Access]:  # noqa: ANN401 - FastAPI's own tree
    for dependency in dependant.dependencies:
        if isinstance(dependency.call, Access):
            yield dependency.call
        yield from _accesses_in(dependency)
