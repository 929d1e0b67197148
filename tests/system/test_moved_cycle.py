"""A chemotherapy cycle moves: exactly the infusions in its new windows are suspended.

The windows are counted by hand from protocol WO-CHEMO at the infusion gate: at least 3 days after a
dose, at least 5 days before the next planned one (docs/clinical, WO-CHEMO columns i and lead).
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.contracts.vocabulary import Role
from tests.system.deployment import Deployment, eventually
from tests.system.staff import SCHEDULING, Staff

pytestmark = [pytest.mark.system, pytest.mark.timeout(180)]
ISTANBUL = ZoneInfo("Europe/Istanbul")
CYCLES = (3, 24, 45, 66, 87, 108)


async def test_only_the_infusions_in_the_moved_cycles_window_are_suspended(
    deployment: Deployment,
) -> None:
    today = datetime.now(UTC).astimezone(ISTANBUL).date()
    day = {n: (today + timedelta(days=n)).isoformat() for n in range(400)}
    staff = Staff(deployment)
    case_id = await staff.refer()
    await staff.report(
        case_id,
        {
            "kind": "medication", "class": "cytotoxic_systemic", "name": "oxaliplatin",
            "doses": [{"day": day[n]} for n in CYCLES], "more_planned": False,
        },
    )  # fmt: skip

    course = await staff.plan_course(case_id)

    planned = [
        datetime.fromisoformat(i["starts_at"]).astimezone(ISTANBUL).date() - today
        for i in course["infusions"]
    ]
    # Day 6 is day 3 after the cycle on 3; 13; 20 is 4 days before 24, so 27; 34; +14 = 48 (3 after
    # 45); +14 = 62 is 4 before 66, so 69; +14 = 83 is 4 before 87, so 90; +14 = 104, so 111.
    assert [p.days for p in planned] == [6, 13, 27, 34, 48, 69, 90, 111]

    await staff.report(
        case_id,
        {
            "kind": "plan_change", "class": "cytotoxic_systemic",
            "moved_from": day[45], "moved_to": day[50],
        },
        roles=(Role.ONCOLOGIST,),
    )  # fmt: skip

    async def suspended() -> list[str]:
        states = await staff.states(course["course_id"])
        return states if "suspended" in states else []

    # The cycle on 50 closes days 46 to 52: only the fifth infusion, on day 48, stands in them.
    assert await eventually(suspended, "an infusion suspended") == (
        ["planned"] * 4 + ["suspended"] + ["planned"] * 3
    )
    found = await staff.get(SCHEDULING, f"/courses/{course['course_id']}/proposals")
    proposal = found["items"][0]
    assert (proposal["status"], proposal["moved"], proposal["impossible"]) == ("open", [5], [])
    fifth = next(p for p in proposal["plan"] if p["number"] == 5)
    moved_to = datetime.fromisoformat(fifth["starts_at"]).astimezone(ISTANBUL).date()
    assert (moved_to - today).days == 53  # three days after the moved cycle

    accept = f"/courses/{course['course_id']}/proposals/{proposal['proposal_id']}/accept"
    await staff.post(SCHEDULING, accept, {}, 200)

    assert await staff.states(course["course_id"]) == ["planned"] * 8
    again = await staff.post(SCHEDULING, accept, {}, 409)
    assert again["code"] == "superseded"
