"""No app escapes `create_app`, which refuses endpoints that do not say who may call them.

The refusal itself, with planted endpoints, is tested in tests/unit/web/test_web_access.py.
"""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.tree import Module, modules

#: the one builder; the development sign-in and the servers of tests, which are no services
BUILDERS = ("shared/web/app.py", "shared/runtime/dev_identity.py", "shared/testing/")
ADDERS = frozenset(
    {"mount", "add_route", "add_api_route", "include_router", "get", "post", "put", "delete"}
)


def app_builders(module: Module) -> Iterator[str]:
    """Where a module makes an app of its own, mounts one, or adds routes past `create_app`."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Name(id="FastAPI" | "Starlette")):
                yield f"{module.path}:{node.lineno} builds an app"
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="app") | ast.Attribute(attr="app"), attr=added)
            ) if added in ADDERS:
                yield f"{module.path}:{node.lineno} adds a route to a finished app"
            case _:
                continue


def test_only_create_app_builds_apps() -> None:
    found = [f for m in modules() if not m.path.startswith(BUILDERS) for f in app_builders(m)]

    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "app = FastAPI()",
        "app.mount('/x', other)",
        "@app.get('/x')\ndef x(): ...",
        "app.put('/x')",
        "parts.app.include_router(ops)",
    ],
)
def test_a_planted_app_is_found(planted: str) -> None:
    assert list(app_builders(Module("services/intake/x.py", planted))) != []
