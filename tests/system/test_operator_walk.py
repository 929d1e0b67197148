"""Every operator command against running services, as a person types them."""

import asyncio
import json
import os
import sys
from typing import Any
from uuid import UUID

import pytest

from shared.contracts.vocabulary import Service
from shared.runtime.paths import CHECKOUT
from shared.web.examples import Planted
from tests.system.deployment import Deployment, eventually
from tests.system.outsider import plant
from tests.system.staff import INTAKE, Staff

pytestmark = [pytest.mark.system, pytest.mark.timeout(240)]
BUNDLES = CHECKOUT / "tests" / "data" / "fhir"
NOTIFICATION = Service.NOTIFICATION


async def tandem(deployment: Deployment, *arguments: str) -> tuple[int, list[Any], str]:
    """Exit code, JSON lines and standard error of a command with --json."""
    urls = {f"TANDEM_URL_{s.value.upper()}": deployment.url(s) for s in Service}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.console.cli", *arguments, "--json",
        env={**os.environ, "TANDEM_VAR": str(deployment.logs), **urls},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


async def test_every_command_works_on_running_services(deployment: Deployment) -> None:
    bundle = next(BUNDLES.rglob("Lucien408*.gz"))

    code, (imported,), err = await tandem(deployment, "import", str(bundle))
    assert code == 0, err
    assert sum(imported["resources"].values()) == len(imported["report"])
    case_id = imported["case_id"]

    code, (again,), _ = await tandem(deployment, "import", str(bundle))
    assert (code, again["opened"], again["facts"]["recorded"]) == (0, False, 0)

    code, (shown,), err = await tandem(deployment, "case", case_id)
    assert (code, shown["case_id"]) == (0, case_id), err
    assert len(shown["facts"]) == imported["facts"]["recorded"]

    code, (early,), err = await tandem(
        deployment, "case", case_id, "--as-of", "2020-01-01T00:00:00Z"
    )
    assert code == 0, err
    assert set(early["decisions"].values()) & {"NO_GO_HOLD", "NO_GO_STOP", "NO_GO_REVIEW"}

    code, (why,), err = await tandem(deployment, "why", case_id, "--gate", "infusion")
    assert (code, why["clearance"]["may_start"]) == (0, False), err
    assert why["findings"]

    code, rows, err = await tandem(deployment, "events", "lag")
    assert code == 0, err
    assert {row["service"] for row in rows} == {s.value for s in Service}
    assert {"unsent", "parked_cases"} <= {row["figure"] for row in rows}


async def test_a_parked_case_is_listed_and_a_dry_redrive_says_why_it_stays(
    deployment: Deployment,
) -> None:
    case_id = await Staff(deployment).refer()
    at = ("--service", NOTIFICATION.value)
    await plant(deployment, Planted(INTAKE.value, case_id), UUID(case_id))

    async def listed() -> list[Any]:
        _, rows, _ = await tandem(deployment, "events", "parked", *at)
        return [row for row in rows if row["case_id"] == case_id]

    found = await eventually(listed, "the case parked at notification", within_seconds=60)
    code, (report,), err = await tandem(
        deployment, "events", "redrive", *at, "--case", case_id, "--reason", "looked", "--dry-run"
    )

    assert found[0]["records"] >= 1
    assert code == 1, err
    assert (report["dry_run"], report["unparked"]) == (True, False)
    assert [r["outcome"] for r in report["records"]] == ["still-unreadable"]


async def test_recovery_is_refused_unconfirmed_and_then_begins_an_epoch(
    deployment: Deployment,
) -> None:
    case_id = await Staff(deployment).refer()

    unconfirmed, _, told = await tandem(deployment, "recover", "--reason", "restored")
    code, (done,), err = await tandem(
        deployment, "recover", "--reason", "restored", "--old-primary-is-stopped"
    )
    _, (shown,), _ = await tandem(deployment, "case", case_id)

    assert unconfirmed == 2
    assert "old primary" in told
    assert code == 0, err
    assert done["epoch"] == shown["clearance"]["epoch"] == 1
    assert "reverification" in {hold["kind"] for hold in shown["open_holds"]}
