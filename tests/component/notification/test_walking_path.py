"""A recorded hold becomes one stored alert: the first thing that notification must do."""

from uuid import uuid4

import pytest

from shared.contracts.coordination import HoldRecorded
from shared.contracts.vocabulary import Gate, HoldKind, OnRunning
from tests.component.notification.conftest import Desk

pytestmark = pytest.mark.component


async def test_a_recorded_hold_becomes_one_stored_alert(desk: Desk) -> None:
    case_id, hold_id = uuid4(), uuid4()
    hold = HoldRecorded(
        case_id=case_id,
        hold_id=hold_id,
        epoch=0,
        version=3,
        kind=HoldKind.RULE,
        rule="STER-001",
        gates=frozenset({Gate.INFUSION}),
        on_running=OnRunning.STOP,
        effective=True,
    )

    await desk.hear(hold)

    alerts = await desk.rows("SELECT * FROM alert")
    assert [(a["case_id"], a["state"], a["level"], a["version"]) for a in alerts] == [
        (case_id, "open", "L3", 1)
    ]
    assert alerts[0]["roles"] == ["oncologist", "coordinator"]
    outbox = await desk.rows("SELECT headers->>'ce_type' AS type FROM outbox")
    assert [row["type"] for row in outbox] == ["tandem.notification.alert-raised.v1"]
    audit = await desk.rows("SELECT action FROM audit_entry")
    assert [row["action"] for row in audit] == ["alert-raised"]
