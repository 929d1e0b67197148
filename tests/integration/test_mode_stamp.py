"""A store is used in one mode for good: a demo's or a shadow's never becomes a live one."""

from itertools import product

import pytest

from services.notification.bootstrap import PROGRAM
from services.notification.settings import NotificationSettings
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.runtime.mode_stamp import ModeMixedError, hold_to_mode, mode_migrations
from shared.runtime.service import _opened_database
from shared.testing.infra import Infra

pytestmark = [pytest.mark.integration]
MODES = ("demo", "shadow", "live")


async def test_every_other_mode_than_that_of_the_first_start_is_refused(infra: Infra) -> None:
    outcomes = {}
    for first, later in product(MODES, MODES):
        dsn = await infra.create_database("mode")
        await migrate(dsn, mode_migrations())
        database = await PostgresDatabase.open(dsn, size_max=2)
        await hold_to_mode(database, first)
        try:
            await hold_to_mode(database, later)
            outcomes[first, later] = "starts"
        except ModeMixedError:
            outcomes[first, later] = "refused"
        await hold_to_mode(database, first)
        await database.close()
        await infra.drop_database(dsn)

    assert outcomes == {
        ("demo", "demo"): "starts", ("demo", "shadow"): "refused", ("demo", "live"): "refused",
        ("shadow", "demo"): "refused", ("shadow", "shadow"): "starts",
        ("shadow", "live"): "refused", ("live", "demo"): "refused",
        ("live", "shadow"): "refused", ("live", "live"): "starts",
    }  # fmt: skip


async def test_a_service_on_a_store_of_shadow_mode_does_not_start_live_and_says_why(
    infra: Infra, capsys: pytest.CaptureFixture[str]
) -> None:
    dsn = await infra.create_database("mode")
    database = await _opened_database(PROGRAM, settings("shadow", dsn))
    await database.close()

    with pytest.raises(SystemExit) as stopped:
        await _opened_database(PROGRAM, settings("live", dsn))

    assert stopped.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("notification: this database was first used in shadow mode")
    assert "TANDEM_MODE" in said
    again = await _opened_database(PROGRAM, settings("shadow", dsn))
    await again.close()
    await infra.drop_database(dsn)


def settings(mode: str, dsn: str) -> NotificationSettings:
    return NotificationSettings.model_validate(
        {
            "mode": mode, "kafka_bootstrap": "unused:1", "oidc_issuer": "http://127.0.0.1:1",
            "oidc_jwks_url": "http://127.0.0.1:1/jwks", "oidc_token_url": "http://127.0.0.1:1/t",
            "client_secret": "unused", "TANDEM_DATABASE_URL_NOTIFICATION": dsn,
            "fallback_email": "desk@clinic.invalid", "coordinator_email": "co@clinic.invalid",
        }
    )  # fmt: skip
