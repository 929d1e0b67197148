"""SQL that code asks for by name exists and is given what it takes; no other is in code."""

import ast
import importlib
import re
from collections.abc import Iterator, Mapping

import pytest

from shared.persistence.statements import Statements, parse_statements
from tests.architecture.tree import Module, modules

#: where SQL stands in code: the runner of migrations, the connection's own settings, and one probe
SQL_IN_CODE_ALLOWED = frozenset(
    {
        "shared/persistence/migrations.py",
        "shared/persistence/postgres.py",
        "shared/runtime/postgres.py",
        "shared/runtime/doctor_servers.py",
        "shared/runtime/service.py",
        "shared/testing/infra.py",
        "shared/messaging/wakes.py",
        "services/console/programs.py",
    }
)
_SQL = re.compile(
    r"^\s*(SELECT\s|INSERT\s+INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|WITH\s+\w+\s+AS\s)"
)


def used_names(module: Module) -> Iterator[tuple[int, str, str]]:
    """Every `NAME["statement"]` of a module as (line, NAME, statement)."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str() as key)):
                yield node.lineno, name, key
            case _:
                continue


def missing_statements(module: Module, names: Mapping[str, object]) -> Iterator[str]:
    """The statements that a module asks for and that its file does not have."""
    for line, name, key in used_names(module):
        statements = names.get(name)
        if isinstance(statements, Statements) and key not in statements:
            yield f"{module.path}:{line} {name}[{key!r}] does not exist"


def miscounted_arguments(module: Module, names: Mapping[str, object]) -> Iterator[str]:
    """Calls that give a statement another number of arguments than it has parameters.

    Where arguments are starred their number is not in the text; tests that run it tell.
    """
    for node in ast.walk(module.tree):
        match node:
            case ast.Call(
                args=[ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=key)), *given]
            ) if not any(isinstance(one, ast.Starred) for one in given):
                statements = names.get(name)
                if isinstance(statements, Statements) and key in statements:
                    wanted = parameters(statements[key].sql)
                    if wanted != len(given):
                        yield (
                            f"{module.path}:{node.lineno} {key} takes {wanted}, given {len(given)}"
                        )
            case _:
                continue


def parameters(sql: str) -> int:
    """The highest $n outside of comments."""
    code = re.sub(r"--.*", "", sql)
    return max((int(number) for number in re.findall(r"\$(\d+)", code)), default=0)


def sql_in_code(module: Module) -> Iterator[str]:
    """String constants and f-strings of a module that are SQL."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Constant(value=str() as text) if _SQL.match(text):
                yield f"{module.path}:{node.lineno} {text.strip()[:40]!r}"
            case _:
                continue


def test_every_statement_asked_for_exists() -> None:
    faults, looked_at = [], 0
    for module in modules():
        if "STATEMENTS" in module.text or "load_statements" in module.text:
            names = vars(importlib.import_module(module.name))
            faults += list(missing_statements(module, names))
            faults += list(miscounted_arguments(module, names))
            looked_at += sum(isinstance(value, Statements) for value in names.values())

    assert faults == []
    assert looked_at > 10


def test_sql_stands_in_queries_files_alone() -> None:
    found = [
        fault
        for module in modules()
        if module.path not in SQL_IN_CODE_ALLOWED
        for fault in sql_in_code(module)
    ]

    assert found == []


def test_a_planted_wrong_name_is_found() -> None:
    module = Module("shared/x.py", 'tx.run(STATEMENTS["no_such"])')

    assert list(missing_statements(module, {"STATEMENTS": Statements({})})) == [
        "shared/x.py:1 STATEMENTS['no_such'] does not exist"
    ]


def test_a_planted_wrong_number_of_arguments_is_found() -> None:
    module = Module("shared/x.py", 'tx.run(STATEMENTS["two"], a)\ntx.run(STATEMENTS["two"], *b)')
    statements = parse_statements("-- name: two\n-- not $3\nSELECT $1, $2, $1")

    assert list(miscounted_arguments(module, {"STATEMENTS": statements})) == [
        "shared/x.py:1 two takes 2, given 1"
    ]


@pytest.mark.parametrize("planted", ['x = "SELECT 1"', 'x = f"DELETE FROM t WHERE id = {y}"'])
def test_planted_sql_in_code_is_found(planted: str) -> None:
    assert list(sql_in_code(Module("services/intake/adapters/x.py", planted))) != []
