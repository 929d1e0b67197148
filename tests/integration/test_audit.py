"""The audit on a real database: chained, append-only, and every kind of tampering is found."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import typer
from joserfc.jwk import ECKey
from typer.testing import CliRunner

from shared import audit
from shared.audit.keys import PUBLIC_KEY_FILE, root_key
from shared.audit.roots import RootError, RootExporter, RootFolder
from shared.audit.verify import Report, verify, verify_against
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.persistence.migrations import migrate, migrations_in
from shared.persistence.postgres import PostgresDatabase
from shared.runtime import audit_command
from shared.runtime.world import machine_world
from shared.testing.doubles import SOME_INSTANT, FunctionHttp, StandingClock
from shared.testing.infra import Infra

pytestmark = pytest.mark.integration

CASE_A = UUID("01890000-0000-7000-8000-00000000000a")
CASE_B = UUID("01890000-0000-7000-8000-00000000000b")
APP_ROLE = "audit_test_app"


@dataclass
class Store:
    """A migrated database, by the application's role and (for tampering) by its owner."""

    dsn: str
    database: PostgresDatabase
    owner: asyncpg.Connection

    async def tamper(self, sql: str, *args: object) -> None:
        """Changes entries behind the trigger's back, as only the owner can."""
        async with self.owner.transaction():
            await self.owner.execute("ALTER TABLE audit_entry DISABLE TRIGGER USER")
            await self.owner.execute(sql, *args)
            await self.owner.execute("ALTER TABLE audit_entry ENABLE TRIGGER USER")

    async def report(self) -> Report:
        async with self.database.transaction() as tx:
            return await verify(tx)


@pytest.fixture
async def store(infra: Infra) -> AsyncIterator[Store]:
    dsn = await infra.create_database("audit")
    owner = await asyncpg.connect(dsn)
    await owner.execute(
        f"DO $$ BEGIN CREATE ROLE {APP_ROLE} NOLOGIN; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$"
    )
    await owner.execute(
        f"ALTER DEFAULT PRIVILEGES GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {APP_ROLE}"
    )
    await migrate(dsn, [*migrations_in("shared.messaging"), *migrations_in("shared.audit")])
    database = await PostgresDatabase.open(dsn)
    yield Store(dsn, database, owner)
    await database.close()
    await owner.close()
    await infra.drop_database(dsn)


async def write(store: Store, case_id: UUID | None, *actions: str) -> None:
    for action in actions:
        async with store.database.transaction() as tx:
            await audit.append(tx, case_id, action, "u-1", None, {"count": 1}, SOME_INSTANT)


async def filled(store: Store) -> None:
    await write(store, CASE_A, "case-opened", "hold-recorded", "hold-released", "case-closed")
    await write(store, CASE_B, "case-opened", "hold-recorded")
    await write(store, None, "roster-changed", "route-changed")


async def test_a_chain_is_the_hash_over_the_entry_before_and_canonical_json(store: Store) -> None:
    await write(store, CASE_A, "case-opened", "hold-recorded")

    rows = await store.owner.fetch("SELECT * FROM audit_entry ORDER BY seq")

    first = (
        '{"action":"case-opened","actor":"u-1","at":"2027-03-09T08:00:00+00:00",'
        f'"chain":"case:{CASE_A}","detail":{{"count":1}},"reason":null}}'
    )
    assert rows[0]["body"] == first
    assert rows[0]["prev"] == bytes(32)
    assert rows[0]["hash"] == hashlib.sha256(bytes(32) + first.encode()).digest()
    assert rows[1]["prev"] == rows[0]["hash"]
    assert [row["seq"] for row in rows] == [1, 2]


async def test_an_untouched_audit_is_intact(store: Store) -> None:
    await filled(store)

    report = await store.report()

    assert report.faults == []
    assert (report.entries, report.chains) == (8, 3)


async def test_text_beyond_ascii_is_hashed_as_written(store: Store) -> None:
    async with store.database.transaction() as tx:
        reason = 'Grüße "quoted" \\ and \u0000 and 漢'
        await audit.append(tx, CASE_A, "hold-released", "u-1", reason, {}, SOME_INSTANT)

    assert (await store.report()).faults == []


async def test_an_entry_is_there_exactly_when_the_change_is(store: Store) -> None:
    world = machine_world(FunctionHttp())
    unit = UnitOfWork(
        database=store.database, repository=lambda tx: None, source=Service.INTAKE, world=world
    )
    cause = Cause(actor="u-1", correlation_id=CASE_B)
    async with unit.begin(cause) as work:
        work.note("hold-recorded", CASE_A, hold_id=str(CASE_B), reason="fever")

    async def breaks() -> None:
        async with unit.begin(cause) as work:
            work.note("hold-released", CASE_A)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await breaks()

    rows = await store.owner.fetch("SELECT body FROM audit_entry")

    (body,) = [json.loads(row["body"]) for row in rows]
    assert body["action"] == "hold-recorded"
    assert body["reason"] == "fever"
    assert body["detail"] == {"correlation_id": str(CASE_B), "hold_id": str(CASE_B)}


async def test_fifty_writers_at_once_make_one_unbroken_chain(store: Store) -> None:
    await asyncio.gather(*(write(store, None, f"change-{n}") for n in range(50)))

    report = await store.report()

    assert report.faults == []
    assert (report.entries, report.chains) == (50, 1)


Tampering = Callable[[Store], Awaitable[None]]


async def edit(store: Store) -> None:
    await store.tamper(
        "UPDATE audit_entry SET body = replace(body, 'hold-released', 'hold-recorded') "
        "WHERE chain = $1 AND seq = 3",
        f"case:{CASE_A}",
    )


async def edit_a_column(store: Store) -> None:
    await store.tamper("UPDATE audit_entry SET action = 'nothing' WHERE seq = 3")


async def delete(store: Store) -> None:
    await store.tamper("DELETE FROM audit_entry WHERE chain = $1 AND seq = 2", f"case:{CASE_A}")


async def reorder(store: Store) -> None:
    await store.tamper(
        "UPDATE audit_entry a SET body = b.body, action = b.action FROM audit_entry b "
        "WHERE a.chain = $1 AND b.chain = $1 AND (a.seq, b.seq) IN ((2, 3), (3, 2))",
        f"case:{CASE_A}",
    )


async def truncate(store: Store) -> None:
    await store.tamper("DELETE FROM audit_entry WHERE chain = $1 AND seq > 2", f"case:{CASE_A}")


async def truncate_a_whole_chain(store: Store) -> None:
    await store.tamper("DELETE FROM audit_entry WHERE chain = $1", f"case:{CASE_B}")


async def swap(store: Store) -> None:
    """Gives each case the other one's second entry, each with its hash."""
    await store.tamper(
        "UPDATE audit_entry a SET body = b.body, prev = b.prev, hash = b.hash FROM audit_entry b "
        "WHERE a.seq = 2 AND b.seq = 2 AND a.chain LIKE 'case:%' AND b.chain LIKE 'case:%' "
        "AND a.chain <> b.chain"
    )


async def insert(store: Store) -> None:
    await store.tamper(
        "INSERT INTO audit_entry (chain, seq, prev, hash, body, case_id, action, at) "
        "SELECT chain, 5, hash, sha256(hash || convert_to(body, 'UTF8')), body, case_id, action, at"
        " FROM audit_entry WHERE chain = $1 AND seq = 4",
        f"case:{CASE_A}",
    )
    await store.owner.execute("DELETE FROM audit_head WHERE chain = $1", f"case:{CASE_A}")


TAMPERINGS = [
    edit, edit_a_column, delete, reorder, truncate, truncate_a_whole_chain, swap, insert,
]  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERINGS, ids=lambda t: t.__name__)
async def test_tampering_with_entries_breaks_the_chain(tampering: Tampering, store: Store) -> None:
    await filled(store)

    await tampering(store)

    assert (await store.report()).faults != []


async def rewrite(store: Store, keep: int) -> None:
    """Rewrites a case's chain with all hashes and its head, as one who owns the database can."""
    chain = f"case:{CASE_A}"
    await store.tamper("DELETE FROM audit_entry WHERE chain = $1", chain)
    await store.owner.execute("DELETE FROM audit_head WHERE chain = $1", chain)
    await write(store, CASE_A, *["case-opened", "nothing-happened", "quiet", "quiet"][:keep])


@pytest.mark.parametrize("keep", [2, 4])
async def test_a_chain_rewritten_as_a_whole_is_found_by_the_exported_root(
    keep: int, store: Store, tmp_path: Path
) -> None:
    await filled(store)
    folder, key = RootFolder(tmp_path, Service.INTAKE), root_key(tmp_path / "key", tmp_path)
    clock = StandingClock()
    exporter = RootExporter(database=store.database, folder=folder, key=key, clock=clock)
    assert await exporter.export() == 1

    await rewrite(store, keep)

    report = await store.report()
    assert report.faults == []
    async with store.database.transaction() as tx:
        await verify_against(tx, folder.replay(key).heads, report)
    assert [fault.chain for fault in report.faults] == [f"case:{CASE_A}"]


async def test_roots_follow_the_chains_and_survive_a_restart(store: Store, tmp_path: Path) -> None:
    folder, key = RootFolder(tmp_path, Service.INTAKE), root_key(tmp_path / "key", tmp_path)
    clock = StandingClock()

    def exporter() -> RootExporter:
        return RootExporter(database=store.database, folder=folder, key=key, clock=clock)

    await write(store, CASE_A, "case-opened")
    first = exporter()
    assert await first.export() == 1
    assert await first.export() is None
    await write(store, CASE_B, "case-opened")
    assert await first.export() == 2
    await write(store, CASE_A, "case-closed")
    assert await exporter().export() == 3
    clock.advance(hours=1)
    assert await exporter().export() == 4

    exported = folder.replay(key)
    assert {name: seq for name, (seq, _) in exported.heads.items()} == {
        f"case:{CASE_A}": 2,
        f"case:{CASE_B}": 1,
    }


async def exported_twice(store: Store, path: Path) -> tuple[RootFolder, ECKey]:
    folder, key = RootFolder(path, Service.INTAKE), root_key(path / "key", path)
    clock = StandingClock()
    exporter = RootExporter(database=store.database, folder=folder, key=key, clock=clock)
    for _ in range(2):
        await write(store, CASE_A, "hold-recorded")
        await exporter.export()
    return folder, key


async def test_a_changed_missing_or_foreign_root_file_is_found(
    store: Store, tmp_path: Path
) -> None:
    folder, key = await exported_twice(store, tmp_path)
    first, second = folder.file(1), folder.file(2)
    content = first.read_bytes()

    first.write_bytes(content[:-8] + b"AAAAAAAA")
    with pytest.raises(RootError, match="signature"):
        folder.replay(key)
    first.unlink()
    with pytest.raises(RootError, match="missing"):
        folder.replay(key)
    first.write_bytes(second.read_bytes())
    with pytest.raises(RootError, match="does not follow"):
        folder.replay(key)
    first.write_bytes(content)
    assert folder.replay(key).number == 2
    with pytest.raises(RootError, match="signature"):
        folder.replay(ECKey.generate_key("P-256"))


async def test_a_root_file_is_never_written_again(store: Store, tmp_path: Path) -> None:
    folder, _ = await exported_twice(store, tmp_path)

    with pytest.raises(FileExistsError):
        folder.add(1, b"another")

    assert sorted(path.suffix for path in folder.file(1).parent.iterdir()) == [".jws", ".jws"]


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_entry SET action = 'x'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "ALTER TABLE audit_entry DISABLE TRIGGER USER",
        "DROP TABLE audit_entry",
        "DELETE FROM audit_head",
    ],
)
async def test_the_applications_role_can_only_add(sql: str, store: Store) -> None:
    await write(store, CASE_A, "case-opened")

    async with store.owner.transaction():
        await store.owner.execute(f"SET LOCAL ROLE {APP_ROLE}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with store.owner.transaction():
                await store.owner.execute(sql)

    assert (await store.report()).entries == 1


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_entry SET action = 'x'",
        "DELETE FROM audit_entry",
        "TRUNCATE audit_entry",
        "TRUNCATE audit_entry CASCADE",
    ],
)
async def test_the_trigger_refuses_even_the_owner(sql: str, store: Store) -> None:
    await write(store, CASE_A, "case-opened")

    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added"):
        await store.owner.execute(sql)


async def test_the_applications_role_can_append(store: Store) -> None:
    async with store.owner.transaction():
        await store.owner.execute(f"SET LOCAL ROLE {APP_ROLE}")
        statement = audit.chain.STATEMENTS["append_audit_entry"]
        for _ in range(2):
            await store.owner.fetchrow(statement.sql, "service", "{}", None, "x", SOME_INSTANT)

    assert await store.owner.fetchval("SELECT count(*) FROM audit_entry") == 2


async def test_the_command_tells_intact_from_broken(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = typer.Typer()
    audit_command.register(app)
    await exported_twice(store, tmp_path)
    monkeypatch.setenv("TANDEM_DATABASE_URL_INTAKE", store.dsn)
    arguments = ["audit", "verify", "--roots", str(tmp_path), "--json"]

    intact = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    await store.tamper("UPDATE audit_entry SET body = body || ' ' WHERE seq = 1")
    broken = await asyncio.to_thread(CliRunner().invoke, app, arguments)
    (tmp_path / PUBLIC_KEY_FILE).unlink()
    no_key = await asyncio.to_thread(CliRunner().invoke, app, arguments)

    assert intact.exit_code == 0, intact.output
    assert json.loads(intact.stdout)["services"]["intake"]["roots"] == 2
    assert broken.exit_code == 1
    assert json.loads(broken.stdout)["intact"] is False
    assert no_key.exit_code == 2


async def test_a_database_that_is_gone_is_exit_code_4(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    audit_command.register(app)
    monkeypatch.setenv("TANDEM_DATABASE_URL_INTAKE", "postgresql://nobody@127.0.0.1:1/none")

    gone = await asyncio.to_thread(CliRunner().invoke, app, ["audit", "verify"])

    assert gone.exit_code == 4


async def test_machine_time_goes_into_the_audit_and_not_the_demos(store: Store) -> None:
    clock = StandingClock()
    clock.advance(days=30)
    world = replace(machine_world(FunctionHttp()), clock=clock, machine_clock=StandingClock())
    unit = UnitOfWork(
        database=store.database, repository=lambda tx: None, source=Service.INTAKE, world=world
    )
    async with unit.begin(Cause(actor="u-1", correlation_id=CASE_A)) as work:
        work.note("case-opened", CASE_A)

    assert await store.owner.fetchval("SELECT at FROM audit_entry") == SOME_INSTANT
