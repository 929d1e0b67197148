"""Looks at servers of one's own that the settings name: do they answer, do their clocks agree."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import asyncpg

from shared.persistence.postgres import DRIVER_ERRORS
from shared.runtime.doctor import Finding, Severity
from shared.runtime.topics import broker_answers

CONNECT_SECONDS_MAX = 5.0
# Leases and permits use the boot clock and survive more; what people read side by side does not.
SKEW_SECONDS_MAX = 2.0


async def examine_servers(environ: Mapping[str, str]) -> list[Finding]:
    """Findings about the Kafka and the PostgreSQL that the settings name, if they name any."""
    found: list[Finding] = []
    if bootstrap := environ.get("TANDEM_KAFKA_BOOTSTRAP"):
        found += await _kafka(bootstrap)
    for name in sorted(environ):
        if name == "TANDEM_DATABASE_URL" or name.startswith("TANDEM_DATABASE_URL_"):
            found += await _postgres(name, environ[name])
    return found


async def _kafka(bootstrap: str) -> list[Finding]:
    try:
        answers = await broker_answers(bootstrap)
    except ValueError:
        answers = False
    if answers:
        return []
    problem = f"no Kafka answers at TANDEM_KAFKA_BOOTSTRAP={bootstrap}"
    fix = "unset TANDEM_KAFKA_BOOTSTRAP   # to use the Kafka that tandem up starts"
    return [Finding("kafka", Severity.PROBLEM, problem, fix)]


async def _postgres(name: str, dsn: str) -> list[Finding]:
    where = f"{urlsplit(dsn).hostname}:{urlsplit(dsn).port or 5432}"
    try:
        skew = await _clock_skew(dsn)
    except (ValueError, *DRIVER_ERRORS) as e:
        problem = f"{name}: no database answers at {where} ({type(e).__name__})"
        return [Finding("database", Severity.PROBLEM, problem, f"psql ${name} -c 'select 1'")]
    if abs(skew.total_seconds()) <= SKEW_SECONDS_MAX:
        return []
    problem = f"{name}: the clock of {where} differs by {skew.total_seconds():+.1f} s from ours"
    fix = "sudo timedatectl set-ntp true   # on both machines"
    return [Finding("clock", Severity.PROBLEM, problem, fix)]


async def _clock_skew(dsn: str) -> timedelta:
    """How far the server's clock is ahead, counting for us the whole time that the answer took."""
    connection = await asyncpg.connect(dsn, timeout=CONNECT_SECONDS_MAX)
    try:
        asked = datetime.now(UTC)
        there: datetime = await connection.fetchval("SELECT clock_timestamp()")
        answered = datetime.now(UTC)
    finally:
        await connection.close()
    if there < asked:
        return there - asked
    return max(there - answered, timedelta())
