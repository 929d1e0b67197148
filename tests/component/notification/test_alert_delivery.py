"""Messages on a real SMTP server: one per alert version, retried, and never lost from sight."""

import asyncio
from uuid import uuid4

import pytest

from services.notification.domain.case_code import case_code
from services.notification.domain.delivery import ATTEMPTS_MAX
from shared.contracts.vocabulary import InFlight, Role
from shared.persistence.statements import Statement
from shared.testing.mail_sink import MailSink
from tests.component.notification.conftest import Desk
from tests.unit.notification.samples import (
    CASE,
    effective,
    held_by_scheduling,
    hold,
    proposed,
    released,
    suspended,
)

pytestmark = pytest.mark.component


async def test_one_cause_told_five_times_sends_one_e_mail(desk: Desk, sink: MailSink) -> None:
    cause, event_id, chain = hold(uuid4()), uuid4(), uuid4()

    for _ in range(5):
        await desk.hear(cause, event_id=event_id, chain=chain)
        await desk.deliver(sink)

    assert len(sink.messages) == 1
    assert len(await desk.rows("SELECT FROM alert")) == 1
    events = await desk.rows("SELECT FROM outbox WHERE headers->>'ce_type' LIKE '%alert-raised%'")
    assert len(events) == 1


async def test_one_cause_told_five_times_at_once_sends_one_e_mail(
    desk: Desk, sink: MailSink
) -> None:
    cause, chain = hold(uuid4()), uuid4()

    await asyncio.gather(*[desk.hear(cause, chain=chain) for _ in range(5)])
    await asyncio.gather(*[desk.deliver(sink) for _ in range(5)])

    assert len(sink.messages) == 1


async def test_the_e_mail_goes_to_oncologist_and_coordinator_and_tells_nothing_of_the_case(
    desk: Desk, sink: MailSink
) -> None:
    await desk.on_duty(Role.ONCOLOGIST, "onco@clinic.example")
    await desk.on_duty(Role.COORDINATOR, "coord@clinic.example")

    await desk.hear(hold(uuid4()))
    await desk.deliver(sink)

    (message,) = sink.messages
    assert message.recipients == ("onco@clinic.example", "coord@clinic.example")
    assert case_code(CASE) in message.subject
    assert "https://t.example/alerts/" in message.body
    assert str(CASE) not in message.subject + message.body
    assert "STER-001" not in message.subject + message.body


async def test_what_follows_from_the_hold_sends_no_further_e_mail(
    desk: Desk, sink: MailSink
) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id))
    await desk.deliver(sink)

    await desk.hear(suspended(hold_id))
    await desk.hear(effective(hold_id))
    desk.clock.advance(minutes=5)
    await desk.hear(released(hold_id))
    await desk.deliver(sink)

    assert len(sink.messages) == 1
    (alert,) = await desk.rows("SELECT state, close_reason FROM alert")
    assert alert == {"state": "closed", "close_reason": "hold_released"}


async def test_a_rise_of_the_level_sends_the_new_version_once(desk: Desk, sink: MailSink) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id))
    await desk.deliver(sink)

    for _ in range(2):
        await desk.hear(held_by_scheduling(hold_id, InFlight.RUNNING))
        await desk.deliver(sink)

    assert len(sink.messages) == 2
    assert len({m.message_id for m in sink.messages}) == 2


async def test_a_message_that_was_not_sent_yet_gives_way_to_the_newer_version(
    desk: Desk, sink: MailSink
) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id))
    await desk.hear(held_by_scheduling(hold_id, InFlight.RUNNING))

    await desk.deliver(sink)

    assert len(sink.messages) == 1
    states = await desk.rows("SELECT state, outcome FROM delivery WHERE channel='email' ORDER BY 1")
    assert [s["state"] for s in states] == ["dropped", "sent"]


async def test_a_server_that_is_down_is_tried_again_until_it_is_back(
    desk: Desk, sink: MailSink
) -> None:
    await sink.stop()
    await desk.hear(hold(uuid4()))

    await desk.deliver(sink)
    (waiting,) = await desk.rows(
        "SELECT state, attempt, outcome FROM delivery WHERE channel='email'"
    )
    await desk.deliver(sink)
    (not_yet,) = await desk.rows("SELECT attempt FROM delivery WHERE channel='email'")
    await sink.start()
    desk.machine.advance(seconds=2)
    await desk.deliver(sink)

    assert waiting == {"state": "queued", "attempt": 1, "outcome": "connection"}
    assert not_yet == {"attempt": 1}
    assert len(sink.messages) == 1
    types = [
        r["t"] for r in await desk.rows("SELECT headers->>'ce_type' AS t FROM outbox ORDER BY id")
    ]
    assert [t.split(".")[2] for t in types] == [
        "alert-raised",
        "delivery-failed",
        "alert-delivered",
    ]


async def test_a_server_that_stays_down_leaves_the_alert_marked_as_not_delivered(
    desk: Desk, sink: MailSink
) -> None:
    await sink.stop()
    await desk.hear(hold(uuid4()))

    for _ in range(ATTEMPTS_MAX + 2):
        await desk.deliver(sink)
        desk.machine.advance(seconds=80)

    (row,) = await desk.rows("SELECT state, attempt FROM delivery WHERE channel='email'")
    assert row == {"state": "failed", "attempt": ATTEMPTS_MAX}
    final = await desk.rows(
        "SELECT convert_from(payload, 'UTF8')::jsonb->>'final' AS final FROM outbox"
        " WHERE headers->>'ce_type' LIKE '%delivery-failed%' ORDER BY id"
    )
    assert [f["final"] for f in final] == ["false"] * (ATTEMPTS_MAX - 1) + ["true"]


async def test_a_mailbox_that_does_not_exist_does_not_keep_the_others_waiting(
    desk: Desk, sink: MailSink
) -> None:
    await desk.on_duty(Role.ONCOLOGIST, "gone@clinic.example")
    await desk.on_duty(Role.COORDINATOR, "coord@clinic.example")
    sink.refuse_recipients = frozenset({"gone@clinic.example"})

    await desk.hear(hold(uuid4()))
    await desk.deliver(sink)

    assert [m.recipients for m in sink.messages] == [("coord@clinic.example",)]
    (row,) = await desk.rows("SELECT state, remaining FROM delivery WHERE channel='email'")
    assert row == {"state": "sent", "remaining": ["gone@clinic.example"]}


async def test_a_server_that_refuses_for_now_gets_the_same_message_id_again(
    desk: Desk, sink: MailSink
) -> None:
    await desk.hear(hold(uuid4()))
    sink.refuse = "451 later"
    await desk.deliver(sink)
    sink.refuse = None
    desk.machine.advance(seconds=2)
    await desk.deliver(sink)

    (message,) = sink.messages
    (row,) = await desk.rows("SELECT delivery_id, attempt FROM delivery WHERE channel='email'")
    assert message.message_id == f"<{row['delivery_id']}@t.example>"
    assert row["attempt"] == 2


async def test_a_crash_between_the_servers_answer_and_the_mark_repeats_the_same_message_id(
    desk: Desk, sink: MailSink
) -> None:
    """The honest bound: the message may arrive twice, and both copies carry one Message-ID."""
    await desk.hear(hold(uuid4()))
    await desk.deliver(sink)
    async with desk.database.transaction() as tx:
        await tx.run(
            Statement(
                "as-if-killed",
                "UPDATE delivery SET state='sending', claimed_until=$1, finished_at=NULL,"
                " remaining='{desk@clinic.example}'"
                " WHERE channel='email'",
            ),
            desk.machine.now(),
        )

    await desk.deliver(sink)
    before = len(sink.messages)
    desk.machine.advance(seconds=61)
    await desk.deliver(sink)

    assert before == 1
    assert len(sink.messages) == 2
    assert len({m.message_id for m in sink.messages}) == 1
    assert [m.repeated for m in sink.messages] == [False, True]


async def test_information_that_interrupts_nobody_sends_no_e_mail(
    desk: Desk, sink: MailSink
) -> None:
    await desk.hear(proposed(uuid4()))
    await desk.deliver(sink)

    assert not sink.messages
    (alert,) = await desk.rows("SELECT level, state FROM alert")
    assert alert == {"level": "L1", "state": "open"}


async def test_nobody_on_the_roster_brings_in_the_fallback_and_shows_it(
    desk: Desk, sink: MailSink
) -> None:
    await desk.hear(hold(uuid4()))
    await desk.deliver(sink)

    assert [m.recipients for m in sink.messages] == [("desk@clinic.example",)]
    (alert,) = await desk.rows("SELECT fallback, unreachable FROM alert")
    assert alert == {"fallback": True, "unreachable": ["oncologist", "coordinator"]}
