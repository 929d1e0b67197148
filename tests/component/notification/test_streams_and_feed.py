"""The dead-man's alarm, and the feed of changes that misses and repeats nothing."""

import asyncio
from datetime import datetime
from uuid import uuid4

import pytest

from services.notification.adapters.views import PostgresAlertViews
from services.notification.application.absorb_evidence import absorb_evidence
from services.notification.application.ports import Origin
from services.notification.application.views import Mark
from services.notification.application.watch_streams import watch_streams
from services.notification.entrypoints import feed
from shared.contracts.vocabulary import Role, Service
from shared.messaging.unit_of_work import Cause
from shared.persistence.statements import Statement
from shared.testing.mail_sink import MailSink
from tests.component.notification.conftest import START, Desk, Web
from tests.unit.notification.samples import evidence, hold, released

pytestmark = pytest.mark.component

BEAT = Statement(
    "beat",
    "INSERT INTO applied_through VALUES ('notification', $1, $2, $3, 0, 1, 0, 1, NULL)"
    " ON CONFLICT (consumer, source, partition) DO UPDATE SET beat_at = EXCLUDED.beat_at",
)
OTHERS = (Service.MANUFACTURING, Service.INFUSION_SCHEDULING)


async def beat(desk: Desk, *sources: Service, partition: int = 0) -> None:
    async with desk.database.transaction() as tx:
        for source in sources:
            await tx.run(BEAT, source.value, partition, desk.machine.now())


async def look(desk: Desk, since: datetime = START) -> list[Service]:
    return list(await watch_streams(desk.policy, desk.units, watching_since=since))


async def test_a_silent_source_is_told_once_by_mail_and_restored_by_its_heartbeat(
    desk: Desk, web: Web, sink: MailSink
) -> None:
    await beat(desk, *Service)
    desk.machine.advance(seconds=14)
    await beat(desk, *OTHERS)
    early = await look(desk)
    desk.machine.advance(seconds=1)
    broken = [await look(desk) for _ in range(3)]
    await desk.deliver(sink)
    alert = await web.only_alert(Role.OPS)
    await beat(desk, Service.INTAKE)
    restored = await look(desk)

    assert early == []
    assert broken == [[Service.INTAKE]] * 3
    assert len(sink.messages) == 1
    assert "intake" in alert["facts"][0]["text"]
    assert restored == []
    closed = await web.only_alert(Role.OPS)
    assert (closed["state"], closed["close_reason"]) == ("closed", "cause_gone")
    types = [
        r["t"].split(".")[2] for r in await desk.rows("SELECT headers->>'ce_type' t FROM outbox")
    ]
    assert [t for t in types if t.startswith("stream")] == ["stream-broken", "stream-restored"]


async def test_one_partition_that_is_not_heard_is_enough(desk: Desk) -> None:
    await beat(desk, *Service)
    await beat(desk, Service.INTAKE, partition=1)
    desk.machine.advance(seconds=15)
    await beat(desk, *Service)

    assert await look(desk) == [Service.INTAKE]


async def test_two_replicas_tell_a_silence_once(desk: Desk) -> None:
    desk.machine.advance(seconds=15)

    await asyncio.gather(*[look(desk) for _ in range(4)])

    events = await desk.rows("SELECT FROM outbox WHERE headers->>'ce_type' LIKE '%stream-broken%'")
    assert len(events) == 3


async def test_a_silence_that_comes_again_is_a_new_alert(desk: Desk) -> None:
    for _ in range(2):
        await beat(desk, *Service)
        await look(desk)
        desk.machine.advance(seconds=20)
        desk.clock.advance(seconds=20)
        await beat(desk, *OTHERS)
        await look(desk)

    assert len(await desk.rows("SELECT FROM alert")) == 2


async def test_the_feed_resumes_without_gap_or_repetition(desk: Desk) -> None:
    hold_id = uuid4()
    await desk.hear(hold(hold_id))
    await desk.hear(hold(uuid4()))
    first = await some_changes(desk, Mark(0, 0), limit=1)
    rest = await some_changes(desk, first[0][0])
    await desk.hear(released(hold_id))
    news = await some_changes(desk, rest[-1][0])

    assert [what for _, what in first + rest] == ["raised", "raised"]
    assert [what for _, what in news] == ["closed"]


async def test_the_feed_never_passes_a_slow_transaction(desk: Desk) -> None:
    """A later sequence number that commits first must wait, or the slow one would be lost."""
    slow_case, begun, go_on = uuid4(), asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with desk.units.begin(Cause("test", uuid4())) as work:
            await work.rows.lock_case(slow_case)
            piece = evidence(hold(uuid4(), case_id=slow_case))
            await absorb_evidence(desk.policy, work, piece, Origin(None, None))
            begun.set()
            await go_on.wait()

    task = asyncio.create_task(slow())
    await begun.wait()
    await desk.hear(hold(uuid4()))
    meanwhile = await changes(desk, Mark(0, 0))
    go_on.set()
    await task
    afterwards = await some_changes(desk, Mark(0, 0), at_least=2)

    assert meanwhile == []
    assert len(afterwards) == 2


async def test_the_stream_endpoint_sends_ids_and_states_only_and_takes_last_event_id(
    desk: Desk, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "STREAM_SECONDS_MAX", 1.5)
    await desk.hear(hold(uuid4()))
    headers = web.sign_in.person(Role.COORDINATOR)
    await some_changes(desk, Mark(0, 0))

    fresh = await web.client.get("/alerts/stream", headers=headers)
    resumed = await web.client.get("/alerts/stream", headers={**headers, "last-event-id": "0-0"})

    assert fresh.headers["content-type"].startswith("text/event-stream")
    assert "event: alert" not in fresh.text
    assert resumed.text.count("event: alert") == 1
    assert '"urgency":"critical"' in resumed.text.replace(" ", "")
    assert "STER-001" not in resumed.text
    assert "retry: 500" in resumed.text


async def changes(desk: Desk, mark: Mark, limit: int = 100) -> list[tuple[Mark, str]]:
    async with desk.database.transaction() as tx:
        views = PostgresAlertViews(tx, desk.policy.routes)
        return [(c.mark, c.what) for c in await views.changes_after(mark, limit)]


async def some_changes(
    desk: Desk, mark: Mark, limit: int = 100, *, at_least: int = 1
) -> list[tuple[Mark, str]]:
    """The changes, once there are so many: transactions in other databases delay them."""
    async with asyncio.timeout(10):
        while len(found := await changes(desk, mark, limit)) < at_least:
            await desk.world.waiter.sleep(0.02)
    return found
