"""Functions stay readable: 70 lines are the hard limit."""

import ast
from collections.abc import Iterator

from tests.architecture.tree import Module, modules

FUNCTION_LINES_MAX = 70


def long_functions(module: Module) -> Iterator[str]:
    """The functions of a module beyond the limit."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{module.path}:{node.lineno} {node.name} has {lines} lines"


def test_no_function_has_more_than_70_lines() -> None:
    assert [fault for module in modules() for fault in long_functions(module)] == []


def test_a_planted_long_function_is_found() -> None:
    planted = "def long():\n" + "    x = 1\n" * 70

    assert list(long_functions(Module("shared/x.py", planted))) == [
        "shared/x.py:1 long has 71 lines"
    ]
    assert list(long_functions(Module("shared/x.py", planted.replace("    x = 1\n", "", 1)))) == []
