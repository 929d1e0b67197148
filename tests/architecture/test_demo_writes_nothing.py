"""The demo changes the services through their public endpoints alone.

It imports no store and no bus (the stranger's one malformed record apart), holds no SQL that
writes, and what it asks the stores is asked in read-only sessions.
"""

import ast
import json
import re
from collections.abc import Iterator

import pytest

from services.console.demo import asking, outsider
from tests.architecture.tree import ROOT, Module, modules

DEMO = "services/console/demo/"
OUTSIDER = f"{DEMO}outsider.py"
#: a driver, a store, a bus, or another service's inside
FORBIDDEN = (
    "asyncpg", "psycopg", "psycopg2", "sqlalchemy", "sqlite3", "aiokafka", "confluent_kafka",
    "kafka", "faststream", "shared.persistence", "shared.messaging", "shared.permits",
    "shared.audit", "services.intake", "services.manufacturing", "services.infusion_scheduling",
    "services.notification", "services.console.projections",
)  # fmt: skip
_WRITES = re.compile(
    r"\b(INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|MERGE\s+INTO|TRUNCATE\b|COPY\s+\w+"
    r"|CREATE\s+\w+|ALTER\s+\w+|DROP\s+\w+|GRANT\s+\w+|SELECT\s[^;]*\bINTO\s+\w+|nextval|setval"
    r"|SET\s+(SESSION|LOCAL|TRANSACTION)|pg_write|lo_import|dblink)",
    re.IGNORECASE,
)


def demo_modules() -> list[Module]:
    return [module for module in modules() if module.path.startswith(DEMO)]


def imported(module: Module) -> Iterator[str]:
    """Every name that a module imports, with what it takes from there."""
    for node in ast.walk(module.tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str() as source, names=names):
                yield from (f"{source}.{alias.name}" for alias in names)
            case ast.Call(func=ast.Name(id="__import__") | ast.Attribute(attr="import_module")):
                yield "an import by name"
            case _:
                continue


def forbidden_imports(module: Module) -> list[str]:
    allowed = {"aiokafka.AIOKafkaProducer"} if module.path == OUTSIDER else set()
    return [
        f"{module.path} imports {name}"
        for name in imported(module)
        if name not in allowed
        and (name == "an import by name" or name.startswith(tuple(f"{f}." for f in FORBIDDEN))
             or name in FORBIDDEN)
    ]  # fmt: skip


def writing_sql(path: str, text: str) -> list[str]:
    """Statements that write, outside comments."""
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("--"))
    return [f"{path}: {found.group(0)}" for found in _WRITES.finditer(code)]


def strings_of(module: Module) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_demo_imports_no_store_and_no_bus() -> None:
    faults = [fault for module in demo_modules() for fault in forbidden_imports(module)]

    assert faults == []
    assert len(demo_modules()) > 10


def test_the_demo_holds_no_sql_that_writes() -> None:
    files = sorted((ROOT / DEMO).rglob("*.sql"))
    faults = [f for file in files for f in writing_sql(file.name, file.read_text())]
    for module in demo_modules():
        # a docstring may speak of a table; a statement begins the string
        texts = [text for text in strings_of(module) if _WRITES.match(text.strip())]
        faults += [fault for text in texts for fault in writing_sql(module.path, text)]

    assert faults == []
    assert files


def test_its_sessions_are_read_only_for_the_server() -> None:
    assert asking.READ_ONLY == "-c default_transaction_read_only=on"
    (module,) = [m for m in demo_modules() if m.path.endswith("/asking.py")]
    assert module.text.count("create_subprocess_exec") == module.text.count("PGOPTIONS") == 1
    others = [m.path for m in demo_modules() if "subprocess" in m.text and m is not module]
    assert others == []


def test_the_strangers_record_can_never_be_an_event() -> None:
    with pytest.raises(json.JSONDecodeError):
        json.loads(outsider.NONSENSE)


@pytest.mark.parametrize(
    "planted",
    [
        "import asyncpg",
        "from shared.persistence.postgres import PostgresDatabase",
        "from aiokafka import AIOKafkaProducer",
        "from services.intake.adapters.record import PostgresRecordRows",
        "import importlib\nimportlib.import_module('asyncpg')",
    ],
)
def test_a_planted_import_is_found(planted: str) -> None:
    assert forbidden_imports(Module(f"{DEMO}planted.py", planted)) != []


def test_the_stranger_may_produce_and_nothing_else() -> None:
    planted = Module(OUTSIDER, "from aiokafka import AIOKafkaConsumer\nimport asyncpg")

    assert len(forbidden_imports(planted)) == 2


@pytest.mark.parametrize(
    "planted",
    [
        "INSERT INTO hold VALUES (1)",
        "update hold set state = 'RELEASED'",
        "DELETE FROM fact",
        "SELECT 1; TRUNCATE fact",
        "WITH x AS (DELETE FROM outbox RETURNING id) SELECT * FROM x",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
    ],
)
def test_planted_sql_that_writes_is_found(planted: str) -> None:
    assert writing_sql("planted.sql", planted) != []
