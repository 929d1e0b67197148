"""A hold that stays merely recorded is an emergency after its bound, also when intake is dead."""

from uuid import uuid4

import pytest

from services.notification.application.watch_holds import watch_holds
from shared.contracts.vocabulary import Role
from shared.testing.mail_sink import MailSink
from tests.component.notification.conftest import START, Desk, Web
from tests.unit.notification.samples import effective, hold, released

pytestmark = pytest.mark.component


async def look(desk: Desk) -> int:
    return len(await watch_holds(desk.policy, desk.units))


async def test_a_hold_that_is_not_effective_in_time_becomes_an_emergency_once(
    desk: Desk, web: Web, sink: MailSink
) -> None:
    await desk.hear(hold(uuid4(), effective=False, may_be_running_until=START))
    await desk.deliver(sink)
    desk.machine.advance(seconds=19.9)
    early = await look(desk)
    desk.machine.advance(seconds=0.1)

    late = [await look(desk) for _ in range(3)]
    await desk.deliver(sink)

    assert (early, late) == (0, [1, 0, 0])
    alert = await web.only_alert(Role.COORDINATOR)
    assert (alert["level"], alert["version"]) == ("L4", 2)
    assert len(sink.messages) == 2


async def test_an_effective_a_released_and_an_at_once_effective_hold_are_left_alone(
    desk: Desk,
) -> None:
    one, two = uuid4(), uuid4()
    await desk.hear(hold(one, effective=False, may_be_running_until=START))
    await desk.hear(effective(one))
    await desk.hear(hold(two, effective=False, may_be_running_until=START))
    await desk.hear(released(two))
    await desk.hear(hold(uuid4()))
    desk.machine.advance(minutes=5)

    assert await look(desk) == 0
