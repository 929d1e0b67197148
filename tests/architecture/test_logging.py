"""Log calls say only what the filter lets through, so that nothing is lost without notice."""

import ast
import re
from collections.abc import Iterator

import pytest

from shared.observability.logs import ALLOWED_KEYS
from tests.architecture.tree import Module, modules

METHODS = frozenset(["debug", "info", "warning", "error", "exception", "critical"])
_EVENT = re.compile(r"[a-z][a-z0-9_]{2,60}")
#: the command line and the runner of programs talk to a person at a terminal
TERMINAL = ("services/console/running.py", "shared/runtime/logs.py")


def log_faults(module: Module) -> Iterator[str]:
    """The log calls of a module with a wrong event name, an unknown key or a formatted text."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)) if (
                name.lower().strip("_") in {"log", "logger", "logging"} and method in METHODS
            ):
                yield from _faults(module, node)
            case _:
                continue


def _faults(module: Module, call: ast.Call) -> Iterator[str]:
    place = f"{module.path}:{call.lineno}"
    match call.args:
        case [ast.Constant(value=str() as event)] if _EVENT.fullmatch(event):
            pass
        case [ast.Name() | ast.Attribute()]:
            pass
        case _:
            yield f"{place} needs one event name in snake_case"
    for keyword in call.keywords:
        if keyword.arg == "extra" and isinstance(keyword.value, ast.Dict):
            for key in keyword.value.keys:
                if isinstance(key, ast.Constant) and key.value not in ALLOWED_KEYS:
                    yield f"{place} logs the unlisted key {key.value}"


def test_every_log_call_keeps_to_the_list() -> None:
    found = [f for m in modules() if m.path not in TERMINAL for f in log_faults(m)]

    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        '_LOG.info(f"patient {name}")',
        '_LOG.info("hold recorded")',
        '_LOG.info("hold_recorded", name)',
        '_LOG.info("hold_recorded", extra={"patient": 1})',
        "_LOG.exception()",
    ],
)
def test_a_planted_log_call_is_found(planted: str) -> None:
    assert list(log_faults(Module("shared/x.py", planted))) != []
