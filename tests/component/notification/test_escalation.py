"""The durable timer: one step, once, at its minute; late rather than never, and never twice."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from uuid import uuid4

import pytest

from services.notification.application.answer_alert import Seen, acknowledge_alert
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Cause
from shared.runtime.paths import CHECKOUT
from shared.testing.mail_sink import MailSink
from tests.component.notification.conftest import START, Desk
from tests.unit.notification.samples import hold, red_flag, released

pytestmark = pytest.mark.component

ESCALATED = "SELECT FROM outbox WHERE headers->>'ce_type' LIKE '%alert-escalated%'"
COORDINATOR = Principal("u-coord", "Cora", frozenset({Role.COORDINATOR}))


async def acknowledge(desk: Desk, version: int = 1) -> None:
    (alert,) = await desk.rows("SELECT alert_id FROM alert")
    async with desk.units.begin(Cause(COORDINATOR.subject, uuid4())) as work:
        await acknowledge_alert(desk.policy, work, Seen(alert["alert_id"], (version,), COORDINATOR))


async def test_an_unacknowledged_alert_escalates_once_after_the_minutes_of_its_level(
    desk: Desk, sink: MailSink
) -> None:
    await desk.on_duty(Role.MEDICAL_DIRECTOR, "director@clinic.example")
    await desk.on_duty(Role.TREATING_PHYSICIAN, "doctor@clinic.example")
    await desk.hear(hold(uuid4()))  # L3: 30 minutes by the rulebook
    await desk.deliver(sink)

    desk.clock.advance(minutes=29, seconds=59)
    early = await desk.escalate()
    desk.clock.advance(seconds=1)
    fired = [await desk.escalate() for _ in range(3)]
    await desk.deliver(sink)

    assert (early, fired) == (0, [1, 0, 0])
    assert len(await desk.rows(ESCALATED)) == 1
    first, second = sink.messages
    assert first.recipients == ("desk@clinic.example",)
    assert set(second.recipients) == {"director@clinic.example", "doctor@clinic.example"}
    assert "nobody has acknowledged it" in second.subject


async def test_an_emergency_escalates_after_five_minutes(desk: Desk) -> None:
    await desk.hear(red_flag("L4"))

    (step,) = await desk.rows("SELECT due_at FROM escalation")

    assert step["due_at"] == START + timedelta(minutes=5)


async def test_a_step_that_fell_due_while_the_service_was_down_fires_once_when_it_is_back(
    desk: Desk,
) -> None:
    await desk.hear(hold(uuid4()))
    desk.clock.advance(hours=9)

    fired = await asyncio.gather(*[desk.escalate() for _ in range(4)])

    assert sum(fired) == 1
    assert len(await desk.rows(ESCALATED)) == 1


async def test_an_acknowledged_alert_does_not_escalate(desk: Desk) -> None:
    await desk.hear(hold(uuid4()))
    await acknowledge(desk)

    desk.clock.advance(hours=1)

    assert await desk.escalate() == 0
    assert await desk.rows("SELECT state FROM escalation") == [{"state": "stopped"}]


async def test_a_closed_alert_does_not_escalate(desk: Desk) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id))
    await desk.hear(released(hold_id))

    desk.clock.advance(hours=1)

    assert await desk.escalate() == 0


async def test_a_new_version_after_an_acknowledgement_is_told_and_timed_anew(
    desk: Desk, sink: MailSink
) -> None:
    chain = uuid4()
    await desk.hear(hold(uuid4()), chain=chain)
    await desk.deliver(sink)
    await acknowledge(desk)
    desk.clock.advance(minutes=20)

    await desk.hear(hold(uuid4()), chain=chain)
    await desk.deliver(sink)

    (alert,) = await desk.rows("SELECT state, version FROM alert")
    assert alert == {"state": "open", "version": 2}
    assert len(sink.messages) == 2
    pending = await desk.rows("SELECT alert_version, due_at FROM escalation WHERE state='pending'")
    assert pending == [{"alert_version": 2, "due_at": START + timedelta(minutes=50)}]
    answers = await desk.rows("SELECT alert_version FROM answer")
    assert answers == [{"alert_version": 1}]


@pytest.mark.timeout(90)
async def test_a_kill_at_the_due_minute_neither_loses_nor_doubles_the_step(
    desk: Desk, sink: MailSink
) -> None:
    """The timer runs in a process of its own that is killed at many points around the due time."""
    await desk.hear(hold(uuid4()))
    due_at = START + timedelta(minutes=30)

    for delay_ms in (0, 5, 15, 40, 90, 200):
        process = await _timer(desk, sink, due_at)
        assert process.stdout is not None
        await asyncio.wait_for(process.stdout.readline(), 30)  # "ready"
        await _pass_time(delay_ms)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    survivor = await _timer(desk, sink, due_at)
    try:
        await _until_escalated(desk, sink)
    finally:
        survivor.send_signal(signal.SIGKILL)
        await survivor.wait()

    assert len(await desk.rows(ESCALATED)) == 1
    assert [r["state"] for r in await desk.rows("SELECT state FROM escalation")] == ["fired"]
    escalation = [m for m in sink.messages if "nobody has acknowledged" in m.subject]
    assert len({m.message_id for m in escalation}) == 1


async def _timer(desk: Desk, sink: MailSink, at: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(CHECKOUT / "tests/component/notification/timer_process.py"),
        desk.dsn,
        str(sink.port),
        str(at),
        stdout=asyncio.subprocess.PIPE,
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )


async def _pass_time(milliseconds: int) -> None:
    """The kill's own moment is the input of this test; nothing is awaited here."""
    await asyncio.sleep(milliseconds / 1000)


async def _until_escalated(desk: Desk, sink: MailSink) -> None:
    for _ in range(600):
        sent = await desk.rows(
            "SELECT FROM delivery WHERE step=1 AND channel='email' AND state='sent'"
        )
        if sent:
            return
        await asyncio.sleep(0.05)
    pytest.fail("the escalation's message did not leave within 30 s")
