"""What the store says when PostgreSQL is killed under it: "unavailable", never a bug."""

import pytest

from shared.persistence.database import LockTimeoutError, StoreUnavailableError
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.testing.infra import Infra

pytestmark = [pytest.mark.integration, pytest.mark.timeout(120)]
ONE = Statement("one", "SELECT 1")


async def test_a_killed_server_is_unavailable_at_every_step_and_comes_back(
    own_infra: Infra,
) -> None:
    dsn = await own_infra.create_database("store")
    database = await PostgresDatabase.open(dsn)

    async def killed_in_the_middle() -> None:
        async with database.transaction() as tx:
            assert await tx.value(ONE) == 1
            await own_infra.kill_postgres()
            await tx.value(ONE)

    with pytest.raises(StoreUnavailableError):
        await killed_in_the_middle()
    for _ in range(3):  # pooled connections that are dead, then none to be had
        for urgent in (False, True):
            with pytest.raises(StoreUnavailableError):
                async with database.transaction(urgent=urgent) as tx:
                    await tx.value(ONE)
    with pytest.raises(StoreUnavailableError):
        async with database.session() as session:
            await session.value(ONE)

    await own_infra.start_postgres()
    async with database.transaction() as tx:
        assert await tx.value(ONE) == 1
    await database.close()


async def test_a_statement_timeout_is_unavailable(own_infra: Infra) -> None:
    dsn = await own_infra.create_database("store")
    database = await PostgresDatabase.open(dsn)

    with pytest.raises(StoreUnavailableError):
        async with database.transaction(timeout_seconds=0.2) as tx:
            await tx.value(Statement("nap", "SELECT pg_sleep(5)"))

    await database.close()


async def test_what_a_transaction_sets_ends_with_it(own_infra: Infra) -> None:
    # connections go back to the pool without being reset: nothing may stay on them
    dsn = await own_infra.create_database("store")
    database = await PostgresDatabase.open(dsn, size_max=1)
    wait = Statement("wait", "SELECT current_setting('lock_timeout')")
    shorten = Statement("shorten", "SELECT set_config('lock_timeout', '7ms', true)")

    async def failing() -> None:
        async with database.transaction() as tx:
            await tx.value(shorten)
            raise ZeroDivisionError

    async with database.transaction() as tx:
        await tx.value(shorten)
        assert await tx.value(wait) == "7ms"
    async with database.transaction() as tx:
        after_commit = await tx.value(wait)
    with pytest.raises(ZeroDivisionError):
        await failing()
    async with database.transaction() as tx:
        after_rollback = await tx.value(wait)

    assert (after_commit, after_rollback) == ("1s", "1s")
    await database.close()


async def test_a_lock_that_a_commit_waits_for_in_vain_is_a_lock_timeout(infra: Infra) -> None:
    """A deferred constraint is checked at COMMIT and may wait there; then nothing was committed."""
    dsn = await infra.create_database("deferred")
    database = await PostgresDatabase.open(dsn, size_max=3)
    put = Statement("put", "INSERT INTO slot VALUES (1)")
    async with database.transaction() as tx:
        await tx.run(
            Statement("make", "CREATE TABLE slot (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
        )

    async with database.transaction() as first:
        await first.run(put)
        with pytest.raises(LockTimeoutError):
            async with database.transaction() as second:
                await second.run(put)

    async with database.transaction() as tx:
        assert await tx.value(Statement("count", "SELECT count(*) FROM slot")) == 1
    await database.close()
    await infra.drop_database(dsn)
