"""Pages past the event stream, the roster, and the routing table over HTTP."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from services.notification.domain.evidence import NO_CASE
from shared.contracts.vocabulary import Role, Service
from shared.testing.mail_sink import MailSink
from tests.component.notification.conftest import Desk, Web
from tests.unit.notification.samples import CASE, hold

pytestmark = pytest.mark.component


async def page(web: Web, **changes: Any) -> Any:
    body: dict[str, Any] = {
        "page_id": str(uuid4()), "case_id": str(CASE), "hold_id": str(uuid4()),
        "cause": "unacknowledged", **changes,
    }  # fmt: skip
    return await web.client.post("/pages", json=body, headers=web.sign_in.service(Service.INTAKE))


async def test_a_page_raises_a_critical_alert_at_once(desk: Desk, web: Web, sink: MailSink) -> None:
    answer = await page(web)
    await desk.deliver(sink)

    assert (answer.status_code, answer.json()) == (202, {"taken": True, "new": True})
    alert = await web.only_alert()
    assert (alert["level"], alert["cause"]) == ("L4", "page_hold_unacknowledged")
    assert "Telephone the bay" in str(alert["actions"])
    assert len(sink.messages) == 1


async def test_the_same_page_again_and_one_about_the_same_hold_are_one_alert(
    desk: Desk, web: Web, sink: MailSink
) -> None:
    page_id, hold_id = str(uuid4()), uuid4()

    for _ in range(3):
        await page(web, page_id=page_id, hold_id=str(hold_id))
    await page(web, hold_id=str(hold_id))
    await desk.hear(hold(hold_id))
    await desk.deliver(sink)

    assert len(await desk.rows("SELECT FROM alert")) == 1
    assert len(sink.messages) == 1


async def test_a_page_makes_an_acknowledged_hold_alert_open_again(desk: Desk, web: Web) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id))
    path = f"/alerts/{(await web.only_alert())['alert_id']}/acknowledge"
    await web.post(path, Role.COORDINATOR, version=1)

    await page(web, hold_id=str(hold_id), cause="not_stopped")

    alert = await web.only_alert()
    assert (alert["state"], alert["version"], alert["level"]) == ("open", 2, "L4")


async def test_a_page_about_no_case_goes_to_operations(desk: Desk, web: Web) -> None:
    await page(web, case_id=None, hold_id=None, cause="operations", code="dead-letter")

    alert = await web.only_alert(Role.OPS)

    assert UUID(alert["case_id"]) == NO_CASE
    assert alert["case_code"] == "SYSTEM"
    assert alert["masked"] is False
    assert "dead-letter" in alert["facts"][0]["text"]


@pytest.mark.parametrize(
    "wrong", [{"cause": "boredom"}, {"extra": 1}, {"code": "Mr Smith, fever"}, {"case_id": "x"}]
)
async def test_a_malformed_page_is_refused(web: Web, wrong: dict[str, Any]) -> None:
    answer = await page(web, **wrong)

    assert answer.status_code == 422


async def test_a_roster_entry_is_added_used_and_ended(desk: Desk, web: Web, sink: MailSink) -> None:
    body = {"role": "oncologist", "subject": "u-ada", "name": "Ada", "email": "ada@clinic.example"}
    added = await web.post("/rosters", Role.COORDINATOR, key="r1", body=body)
    again = await web.post("/rosters", Role.COORDINATOR, key="r1", body=body)
    await desk.hear(hold(uuid4()))
    await desk.deliver(sink)
    ended = await web.client.delete(
        f"/rosters/{added.json()['entry_id']}", headers=web.sign_in.person(Role.COORDINATOR)
    )
    await desk.hear(hold(uuid4()))
    await desk.deliver(sink)

    assert (added.status_code, again.json()) == (201, added.json())
    assert ended.status_code == 200
    assert [m.recipients for m in sink.messages] == [
        ("ada@clinic.example", "desk@clinic.example"),
        ("desk@clinic.example",),
    ]
    assert (await web.get("/rosters", Role.AUDITOR)).json()["items"] == []
    actions = [r["action"] for r in await desk.rows("SELECT action FROM audit_entry")]
    assert actions.count("roster-entry-added") == 1
    assert actions.count("roster-entry-ended") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"email": "ada@clinic.example\r\nBcc: all@x"},
        {"email": "ada@a, bob@b"},
        {"name": "Ada\r\nBcc: x"},
        {"role": "king"},
        {"is_admin": True},
        {"starts_at": "2027-03-10T09:00:00"},
        {"starts_at": "2027-03-10T09:00:00Z", "ends_at": "2027-03-09T09:00:00Z"},
    ],
)
async def test_a_malformed_roster_entry_is_refused(web: Web, wrong: dict[str, Any]) -> None:
    body = {"role": "oncologist", "subject": "u-ada", "name": "Ada", "email": "ada@clinic.example"}

    answer = await web.post("/rosters", Role.COORDINATOR, body={**body, **wrong})

    assert answer.status_code == 422


async def test_the_routing_table_is_readable(web: Web) -> None:
    table = (await web.get("/routes", Role.AUDITOR)).json()

    flag = next(r for r in table["routes"] if r["kind"] == "red_flag")
    assert flag["roles"] == ["treating_physician", "oncologist", "coordinator"]
    assert (flag["urgency"], flag["ack_minutes"]) == ("critical", 30)
    assert table["fallback"] == "Duty desk"
