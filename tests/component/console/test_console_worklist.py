"""The worklist: urgent and long-waiting first, and its counters count exactly its rows."""

from datetime import timedelta
from uuid import UUID

import pytest

from services.console.pages import reads
from services.console.pages.reads import WorklistFilter
from shared.contracts import coordination as coord
from shared.contracts.case_code import case_code
from shared.contracts.notification import Urgency
from tests.component.console.conftest import Desk
from tests.component.console.console_story import (
    acknowledged,
    hold,
    opened,
    parked,
    raised,
    suspended,
)
from tests.unit.console.console_events import START, known_id

pytestmark = pytest.mark.component


def case(number: int) -> UUID:
    return known_id(f"case-{number}")


async def listed(desk: Desk, **asked: object) -> reads.Worklist:
    async with desk.database.transaction() as tx:
        return await reads.worklist(tx, WorklistFilter(**asked))  # type: ignore[arg-type]


async def with_alert(desk: Desk, number: int, urgency: Urgency, minutes_ago: int) -> None:
    await desk.hear(opened(case(number)), at=START - timedelta(days=1))
    alert = raised(case(number), alert_id=known_id(f"alert-{number}"), urgency=urgency)
    await desk.hear(alert, at=START - timedelta(minutes=minutes_ago))


async def six_cases(desk: Desk) -> None:
    await with_alert(desk, 1, "warning", 50)
    await with_alert(desk, 2, "critical", 10)
    await with_alert(desk, 3, "critical", 40)
    await with_alert(desk, 4, "info", 90)
    await desk.hear(opened(case(5)))
    await desk.hear(opened(case(6)), hold(case(6)), at=START - timedelta(minutes=20))


async def test_the_most_urgent_and_longest_waiting_case_stands_first(desk: Desk) -> None:
    await six_cases(desk)

    found = await listed(desk)

    # 3: critical for 40 min; 6: a hold that is not effective yet, for 20; 2: critical for 10
    assert [row.case_id for row in found.rows] == [case(n) for n in (3, 6, 2, 1, 4, 5)]
    assert [row.urgency for row in found.rows] == [3, 3, 3, 2, 1, 0]
    assert found.rows[0].owners == ["coordinator", "oncologist"]
    assert found.rows[0].due_at == START + timedelta(minutes=30)


@pytest.mark.parametrize(
    "asked",
    [
        {}, {"kind": "alert"}, {"kind": "hold-recorded"}, {"owner": "oncologist"},
        {"closed": True}, {"code": case_code(case(1))[:4]}, {"kind": "parked"},
    ],
)  # fmt: skip
async def test_each_counter_equals_the_rows_under_its_filter(
    desk: Desk, asked: dict[str, object]
) -> None:
    await six_cases(desk)

    whole = await listed(desk, **asked)

    assert whole.all_cases == len(whole.rows)
    for urgency in range(4):
        part = await listed(desk, **asked, urgency=urgency)
        assert whole.count(urgency) == part.count(urgency) == len(part.rows)
        assert part.all_cases == whole.all_cases
        assert all(row.urgency == urgency for row in part.rows)


async def test_an_acknowledged_alert_waits_no_longer_as_critical(desk: Desk) -> None:
    await with_alert(desk, 2, "critical", 10)

    await desk.hear(acknowledged(case(2), alert_id=known_id("alert-2")))

    row = (await listed(desk)).rows[0]
    assert (row.urgency, row.kind) == (1, "alert-acknowledged")


async def test_a_parked_case_is_critical_and_belongs_to_operations(desk: Desk) -> None:
    await desk.hear(opened(case(1)), suspended(1, case(1)), parked(case(1)))

    row = (await listed(desk)).rows[0]

    assert (row.urgency, row.kind, row.what, row.owners, row.items) == (
        3, "parked", "manufacturing", ["ops"], 2,
    )  # fmt: skip


async def test_what_the_console_itself_could_not_read_is_critical_too(desk: Desk) -> None:
    await desk.hear(opened(case(1)))
    await desk.run(
        "INSERT INTO parked_case (consumer, case_id, reason) VALUES ('console', $1, 'malformed')",
        case(1),
    )

    row = (await listed(desk)).rows[0]

    assert (row.urgency, row.kind, row.what) == (3, "parked", "console")


async def test_a_closed_case_leaves_the_worklist_and_can_be_asked_for(desk: Desk) -> None:
    await desk.hear(opened(case(1)), coord.CaseClosed(case_id=case(1), reason="completed"))

    assert (await listed(desk)).all_cases == 0
    assert (await listed(desk, closed=True)).all_cases == 1


async def test_pages_hold_each_case_once(desk: Desk) -> None:
    count = reads.WORKLIST_ROWS + 3
    for number in range(count):
        await desk.hear(opened(case(number)))

    first, second = await listed(desk), await listed(desk, page=2)

    assert (len(first.rows), len(second.rows)) == (reads.WORKLIST_ROWS, 3)
    assert len({row.case_id for row in (*first.rows, *second.rows)}) == count
    assert first.all_cases == second.all_cases == count


async def test_alerts_without_a_case_are_no_rows_of_the_worklist(desk: Desk) -> None:
    await desk.hear(raised(UUID(int=0)))

    assert (await listed(desk)).rows == ()
