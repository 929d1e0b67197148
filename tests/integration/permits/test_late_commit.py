"""`transaction_timeout` does not bound COMMIT: shown on a server whose COMMIT really is late.

A synchronous standby that does not exist lets every COMMIT hang until the setting is taken back,
which no time-out of the transaction ends. Clocks are the machine's own, at 1/20 of their length.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
from permit_world import BOTH, Site, a_site, authority_migrations, holder_migrations

from shared.contracts.vocabulary import Service
from shared.permits.press_start import DoNotStart, Go, StartAnswer
from shared.permits.starts import Start
from shared.permits.times import PermitTimes
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.runtime.world import BootClock
from shared.testing.infra import Infra

pytestmark = pytest.mark.integration
INFUSION = Service.INFUSION_SCHEDULING
TTL_SECONDS = 1.5
TIMES = replace(
    PermitTimes(), ttl_seconds=TTL_SECONDS, ttl_min_seconds=0.2, commit_bound_seconds=0.25
)


@pytest.fixture
async def real_site(own_infra: Infra) -> AsyncIterator[Site]:
    """A site whose lease clock is the machine's, on a server of its own."""
    opened = {}
    for service in (Service.INTAKE, *BOTH):
        dsn = await own_infra.create_database("late")
        of_intake = service is Service.INTAKE
        await migrate(dsn, authority_migrations() if of_intake else holder_migrations())
        opened[service] = await PostgresDatabase.open(dsn, size_max=4)
    site = a_site(opened, TIMES)
    site.use_lease_clock(BootClock())
    yield site
    for database in opened.values():
        await database.close()


class HangingCommits:
    """From `begin` on every COMMIT of the server hangs, for `seconds`."""

    def __init__(self, infra: Infra, seconds: float) -> None:
        self._infra = infra
        self._seconds = seconds
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Returns when a COMMIT has been seen to hang: the server takes its time to reload."""
        admin = await asyncpg.connect(self._infra.postgres_dsn())
        await admin.execute("SET synchronous_commit = local")
        await admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        await admin.execute("SELECT pg_reload_conf()")
        async with asyncio.timeout(2):
            while not await self._one_hangs():
                pass
        self._tasks.append(asyncio.create_task(self._let_go(admin)))

    async def end(self) -> None:
        """Returns when all is as before."""
        await asyncio.gather(*self._tasks)

    async def _one_hangs(self) -> bool:
        one = asyncio.create_task(self._commit())
        done, _ = await asyncio.wait({one}, timeout=0.05)
        if not done:
            self._tasks.append(one)
        return not done

    async def _commit(self) -> None:
        connection = await asyncpg.connect(self._infra.postgres_dsn())
        await connection.execute("SELECT pg_logical_emit_message(true, 'test', 'commit')")
        await connection.close()

    async def _let_go(self, admin: Any) -> None:
        await asyncio.sleep(self._seconds)
        await admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
        await admin.execute("SELECT pg_reload_conf()")
        await admin.close()


async def press_with_late_commit(site: Site, infra: Infra, transaction: int) -> StartAnswer:
    case_id = await site.open_case()
    dose_id = await site.issued_dose(case_id)
    commits = HangingCommits(infra, seconds=TTL_SECONDS)
    hooked = site.hook()
    if transaction == 1:
        site.after_answer(commits.begin)
    else:
        hooked.after[transaction - 1] = commits.begin

    began = time.monotonic()
    answer = await site.press(case_id, dose_id=dose_id)
    took = time.monotonic() - began

    await commits.end()
    assert took > TTL_SECONDS, "COMMIT must have outlived its transaction_timeout of 0.25 s"
    return answer


async def test_a_start_whose_commit_outlives_the_permit_is_no_start(
    real_site: Site, own_infra: Infra
) -> None:
    answer = await press_with_late_commit(real_site, own_infra, transaction=1)

    assert isinstance(answer, DoNotStart)
    (row,) = await real_site.query(INFUSION, "SELECT * FROM start")
    assert (row["state"], row["go_at"]) == ("NOT_STARTED", None)


async def test_a_go_whose_commit_outlives_the_permit_is_not_answered(
    real_site: Site, own_infra: Infra
) -> None:
    answer = await press_with_late_commit(real_site, own_infra, transaction=2)

    assert isinstance(answer, DoNotStart)
    (row,) = await real_site.query(INFUSION, "SELECT * FROM start")
    assert row["state"] == "NOT_STARTED"


async def test_planted_trust_in_the_time_out_starts_on_a_late_commit(
    real_site: Site, own_infra: Infra, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def no_look(holder: Any, start: Start, cause: Any) -> StartAnswer:
        """PLANTED DEFECT: transaction_timeout was set, so what was committed was in time."""
        return Go(start, 0)

    monkeypatch.setattr("shared.permits.press_start._look_again", no_look)

    answer = await press_with_late_commit(real_site, own_infra, transaction=1)

    assert isinstance(answer, Go), "the defect must bite: GO long after the permit's end"
