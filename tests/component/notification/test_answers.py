"""People answer alerts: the right role, the version they saw, a coded reason; never a hold."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from shared.contracts.vocabulary import HoldKind, InFlight, Role
from shared.testing.mail_sink import MailSink
from tests.component.notification.conftest import START, Desk, Web
from tests.unit.notification.samples import (
    CASE,
    forecast,
    held_by_scheduling,
    hold,
    red_flag,
    released,
    suspended,
)

pytestmark = pytest.mark.component

COORDINATOR, LAB = Role.COORDINATOR, Role.LAB_TECH


async def test_an_alert_shows_facts_times_sources_blocks_actions_and_rule(
    desk: Desk, web: Web
) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id, effective=False, may_be_running_until=START))
    await desk.hear(suspended(hold_id))

    alert = await web.only_alert()

    assert alert["summary"] == "A hold was placed by a protocol rule"
    assert (alert["urgency"], alert["level"], alert["state"]) == ("critical", "L3", "open")
    assert [f["source"] for f in alert["facts"]] == ["intake", "infusion_scheduling"]
    assert alert["facts"][0]["detail"]["rule"] == "STER-001"
    assert alert["blocked"][0] == "Rule STER-001 shuts: infusion."
    assert "cannot be started" in alert["blocked"][1]
    assert alert["actions"][0].startswith("Open the case")
    assert alert["ack_due_at"] == "2027-03-10T09:30:00Z"
    assert "does not release any hold" in alert["acknowledge_text"]
    assert alert["override_by"] == ["medical_director", "oncologist"]


async def test_the_right_person_acknowledges_and_is_named(desk: Desk, web: Web) -> None:
    await desk.hear(hold(uuid4()))
    alert = await web.only_alert()

    answer = await web.post(
        f"/alerts/{alert['alert_id']}/acknowledge", COORDINATOR, version=1, subject="u-cora"
    )

    assert answer.status_code == 200
    body = answer.json()
    assert body["state"] == "acknowledged"
    assert [(a["role"], a["alert_version"]) for a in body["answers"]] == [("coordinator", 1)]
    assert body["ack_due_at"] is None
    (row,) = await desk.rows("SELECT subject, name FROM answer")
    assert row["subject"] == "u-cora"
    audit = await desk.rows("SELECT body FROM audit_entry WHERE action='alert-acknowledged'")
    assert "u-cora" in str(audit[0]["body"])


async def test_an_acknowledgement_tells_nobody_to_release_a_hold(desk: Desk, web: Web) -> None:
    await desk.hear(hold(uuid4()))
    alert = await web.only_alert()

    await web.post(f"/alerts/{alert['alert_id']}/acknowledge", COORDINATOR, version=1)

    types = await desk.rows("SELECT headers->>'ce_type' AS t FROM outbox ORDER BY id")
    assert [t["t"].split(".")[2] for t in types] == ["alert-raised", "alert-acknowledged"]


async def test_a_role_that_was_not_told_is_refused(desk: Desk, web: Web) -> None:
    await desk.hear(hold(uuid4()))
    alert = await web.only_alert()

    answer = await web.post(f"/alerts/{alert['alert_id']}/acknowledge", LAB, version=1)

    assert (answer.status_code, answer.json()["code"]) == (403, "not-your-alert")
    assert answer.json()["roles"] == ["oncologist", "coordinator"]
    assert (await web.only_alert())["state"] == "open"


async def test_who_an_escalation_told_may_acknowledge_from_then_on(desk: Desk, web: Web) -> None:
    await desk.hear(hold(uuid4()))
    path = f"/alerts/{(await web.only_alert())['alert_id']}/acknowledge"

    before = await web.post(path, Role.MEDICAL_DIRECTOR, version=1)
    desk.clock.advance(minutes=30)
    await desk.escalate()
    after = await web.post(path, Role.MEDICAL_DIRECTOR, version=1)

    assert (before.status_code, after.status_code) == (403, 200)


async def test_the_version_that_was_seen_must_be_the_present_one(desk: Desk, web: Web) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id))
    path = f"/alerts/{(await web.only_alert())['alert_id']}/acknowledge"
    await desk.hear(held_by_scheduling(hold_id, InFlight.RUNNING))

    stale = await web.post(path, COORDINATOR, version=1)
    unsaid = await web.post(path, COORDINATOR)

    assert (stale.status_code, stale.json()["code"]) == (412, "stale-version")
    assert stale.json()["current_version"] == '"2"'
    assert (unsaid.status_code, unsaid.json()["code"]) == (428, "version-required")
    assert (await web.only_alert())["state"] == "open"


async def test_the_same_acknowledgement_twice_is_one(desk: Desk, web: Web) -> None:
    await desk.hear(hold(uuid4()))
    path = f"/alerts/{(await web.only_alert())['alert_id']}/acknowledge"

    first = await web.post(path, COORDINATOR, version=1, key="k1")
    again = await web.post(path, COORDINATOR, version=1, key="k1")
    other = await web.post(path, COORDINATOR, version=1, subject="u-2")

    assert [r.status_code for r in (first, again, other)] == [200, 200, 200]
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await desk.rows("SELECT FROM answer")) == 1
    found = await desk.rows("SELECT FROM outbox WHERE headers->>'ce_type' LIKE '%acknowledged%'")
    assert len(found) == 1


async def test_a_closed_or_unknown_alert_cannot_be_answered(desk: Desk, web: Web) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id))
    await desk.hear(released(hold_id))
    alert = await web.only_alert()

    closed = await web.post(f"/alerts/{alert['alert_id']}/acknowledge", COORDINATOR, version=1)
    unknown = await web.post(f"/alerts/{uuid4()}/acknowledge", COORDINATOR, version=1)

    assert (closed.status_code, closed.json()["code"]) == (409, "alert-closed")
    assert closed.json()["close_reason"] == "hold_released"
    assert unknown.status_code == 404


async def test_an_override_needs_a_coded_reason_and_the_role(desk: Desk, web: Web) -> None:
    await desk.hear(hold(uuid4()))
    path = f"/alerts/{(await web.only_alert())['alert_id']}/override"
    reason = {"reason": "already_known", "note": "seen on rounds"}

    wordless = await web.post(path, Role.ONCOLOGIST, version=1, body={"reason": "because"})
    wrong = await web.post(path, COORDINATOR, version=1, body=reason)
    right = await web.post(path, Role.ONCOLOGIST, version=1, body=reason)

    assert wordless.status_code == 422
    assert (wrong.status_code, wrong.json()["code"]) == (403, "not-your-override")
    assert (right.status_code, right.json()["state"]) == (200, "overridden")
    events = await desk.rows("SELECT convert_from(payload, 'UTF8') AS body FROM outbox")
    assert "already_known" in events[-1]["body"]
    assert "rounds" not in events[-1]["body"]


async def test_a_hard_stop_cannot_be_set_aside(desk: Desk, web: Web) -> None:
    await desk.hear(hold(uuid4(), HoldKind.RECALL))
    alert = await web.only_alert()

    answer = await web.post(
        f"/alerts/{alert['alert_id']}/override", Role.MEDICAL_DIRECTOR, version=1,
        body={"reason": "already_known"},
    )  # fmt: skip

    assert alert["override_by"] == []
    assert (answer.status_code, answer.json()["code"]) == (409, "hard-stop")


async def test_a_warning_can_be_snoozed_within_its_own_time_and_a_critical_alert_cannot(
    desk: Desk, web: Web
) -> None:
    await desk.hear(forecast(uuid4(), 14, 12))  # L2: 240 minutes
    path = f"/alerts/{(await web.only_alert())['alert_id']}/snooze"
    desk.clock.advance(minutes=200)

    long = await web.post(path, COORDINATOR, version=1, body={"minutes": 241})
    short = await web.post(path, COORDINATOR, version=1, body={"minutes": 100})

    assert (long.status_code, long.json()["minutes_max"]) == (409, 240)
    assert short.status_code == 200
    (row,) = await desk.rows("SELECT due_at FROM escalation")
    assert row["due_at"] == START + timedelta(minutes=300)

    await desk.hear(red_flag())
    critical = next(a for a in await _items(web) if a["urgency"] == "critical")
    refused = await web.post(
        f"/alerts/{critical['alert_id']}/snooze", COORDINATOR, version=1, body={"minutes": 5}
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "not-snoozable")


async def test_operations_see_that_an_alert_exists_but_not_what_it_is_about(
    desk: Desk, web: Web
) -> None:
    await desk.hear(red_flag())

    seen = await web.only_alert(Role.OPS)

    assert seen["masked"] is True
    assert (seen["facts"], seen["blocked"], seen["cause"]) == ([], [], None)
    assert "RF-DYSP" not in str(seen)
    assert seen["urgency"] == "critical"


async def test_a_server_that_is_down_shows_not_delivered_within_a_minute(
    desk: Desk, web: Web, sink: MailSink
) -> None:
    await sink.stop()
    await desk.hear(hold(uuid4()))
    await desk.deliver(sink)
    at_once = await web.only_alert(Role.OPS)
    desk.machine.advance(seconds=46)

    later = await web.only_alert(Role.OPS)

    assert (at_once["not_delivered"], later["not_delivered"]) == (False, True)
    mail = next(d for d in later["deliveries"] if d["channel"] == "email")
    assert [r["reached"] for r in mail["recipients"]] == [False]
    assert later["fallback_used"] is True


async def test_pages_of_the_list_show_each_old_alert_once_while_new_ones_come(
    desk: Desk, web: Web
) -> None:
    for _ in range(5):
        desk.clock.advance(minutes=1)
        await desk.hear(hold(uuid4()))
    first = (await web.get("/alerts", COORDINATOR, limit=2)).json()
    desk.clock.advance(minutes=1)
    await desk.hear(hold(uuid4()))

    second = (await web.get("/alerts", COORDINATOR, limit=2, cursor=first["next"])).json()
    third = (await web.get("/alerts", COORDINATOR, limit=2, cursor=second["next"])).json()

    ids = [a["alert_id"] for page in (first, second, third) for a in page["items"]]
    assert len(ids) == len(set(ids)) == 5
    assert third["next"] is None


async def test_the_list_is_filtered_by_state_urgency_case_and_role(desk: Desk, web: Web) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id))
    await desk.hear(released(hold_id))
    await desk.hear(forecast(uuid4(), 14, 12))

    async def count(*roles: Role, **params: Any) -> int:
        return len(await _items(web, *roles, **params))

    assert await count(state="open") == 1
    assert await count(state="closed") == 1
    assert await count(urgency="warning") == 1
    assert await count(case_id=str(CASE)) == 2
    assert await count(case_id=str(uuid4())) == 0
    assert await count(Role.ONCOLOGIST, mine="true") == 1
    assert await count(role="treating_physician") == 1
    assert (await web.get("/alerts", COORDINATOR, cursor="x")).status_code == 400


async def _items(web: Web, *roles: Role, **params: Any) -> list[dict[str, Any]]:
    answer = await web.get("/alerts", *(roles or (COORDINATOR,)), **params)
    found: list[dict[str, Any]] = answer.json()["items"]
    return found
