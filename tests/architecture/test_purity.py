"""Domain and protocol are pure in ways that imports cannot show: no clock, chance, env or await."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.tree import Module, modules

PURE = ("/domain/", "shared/protocol/")
#: what reaches the world, as it is written
IMPURE_NAMES = frozenset(
    {
        *("datetime.now", "datetime.utcnow", "datetime.today", "date.today"),
        *("uuid.uuid1", "uuid.uuid4", "uuid4", "uuid1", "uuid7", "os.environ", "os.getenv"),
    }
)
IMPURE_CALLS = frozenset({"open", "print", "input", "exec", "eval"})
IMPURE_MODULES = frozenset(
    {"random", "secrets", "time", "logging", "asyncio", "socket", "subprocess", "os"}
)


def impurities(module: Module) -> Iterator[str]:
    """What a module does that a pure one may not, with its line."""
    for node in ast.walk(module.tree):
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"{module.path}:{node.lineno} awaits"
            case ast.Attribute() | ast.Name() if ast.unparse(node) in IMPURE_NAMES:
                yield f"{module.path}:{node.lineno} uses {ast.unparse(node)}"
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE_CALLS:
                yield f"{module.path}:{node.lineno} calls {name}"
            case ast.Import(names=names):
                for name in names:
                    if name.name.partition(".")[0] in IMPURE_MODULES:
                        yield f"{module.path}:{node.lineno} imports {name.name}"
            case ast.ImportFrom(module=str() as source):
                if source.partition(".")[0] in IMPURE_MODULES:
                    yield f"{module.path}:{node.lineno} imports {source}"
            case _:
                continue


def pure_modules() -> list[Module]:
    return [m for m in modules() if any(part in f"/{m.path}" for part in PURE)]


def test_domain_and_protocol_are_pure() -> None:
    found = [fault for module in pure_modules() for fault in impurities(module)]

    assert found == []


def test_there_is_something_to_look_at() -> None:
    looked_at = {module.path.partition("/domain/")[0] for module in pure_modules()}

    assert {
        "services/intake",
        "services/manufacturing",
        "services/infusion_scheduling",
        "services/notification",
    } <= looked_at


@pytest.mark.parametrize(
    "planted",
    [
        "from datetime import datetime\nnow = datetime.now()",
        "from datetime import date\ntoday = date.today()",
        "import uuid\nfresh = uuid.uuid4()",
        "from uuid import uuid4\nfresh = uuid4()",
        "import random",
        "from random import choice",
        "import os\nmode = os.environ['MODE']",
        "async def decide(): ...",
        "import logging",
        "text = open('x')",
        "import time",
    ],
)
def test_a_planted_impurity_is_found(planted: str) -> None:
    assert list(impurities(Module("services/intake/domain/x.py", planted))) != []
