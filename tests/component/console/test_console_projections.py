"""Read models: every event twice equals once, old events change nothing, a rebuild is equal."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.contracts import coordination as coord
from shared.contracts import notification as note
from shared.contracts.catalogue import EVENTS
from shared.contracts.example_events import example_of
from shared.contracts.vocabulary import Gate, OnRunning, Verdict
from tests.component.console.conftest import Desk, read_models
from tests.component.console.console_story import (
    ALERT,
    INFUSIONS,
    acknowledged,
    closed,
    effective,
    fenced,
    hold,
    opened,
    parked,
    planned,
    raised,
    released,
    suspended,
    timeline,
    unparked,
)
from tests.unit.console.console_events import CASE, START, envelope_of

pytestmark = pytest.mark.component

STORY = (
    opened(), timeline(), planned(), hold(), effective(), fenced(), suspended(1), suspended(2),
    raised(), timeline(version=2, start=Verdict.HOLD, rules=("INF-001",)), acknowledged(), parked(),
)  # fmt: skip


async def test_every_event_of_the_catalogue_twice_equals_once(desk: Desk) -> None:
    await desk.hear(*STORY)

    for wire_type, model in sorted(EVENTS.items()):
        example = example_of(model).model_copy(update={"case_id": CASE})
        again = envelope_of(example, sequence=1_000, at=START, offset=999)
        await desk.project(again)
        once = await read_models(desk.database)
        await desk.project(again)

        assert await read_models(desk.database) == once, wire_type


async def test_a_story_heard_again_from_its_beginning_changes_nothing(desk: Desk) -> None:
    await desk.hear(*STORY, closed(), released(), unparked())
    once = await read_models(desk.database)

    for envelope in list(desk.told):
        await desk.project(envelope)

    assert await read_models(desk.database) == once


async def test_the_topics_may_be_read_in_any_order_of_each_other(
    desk: Desk, other_desk: Desk
) -> None:
    await desk.hear(*STORY, released())
    by_source: dict[Any, list[Any]] = {}
    for envelope in desk.told:
        by_source.setdefault(envelope.source, []).append(envelope)

    for source in sorted(by_source, reverse=True):
        for envelope in by_source[source]:
            await other_desk.project(envelope)

    assert await read_models(other_desk.database) == await read_models(desk.database)


def source(since: bool) -> coord.SourceSilent | coord.SourceHeardAgain:
    name = {
        "case_id": CASE,
        "silence_id": "silence/lab-north/1",
        "source_name": "lab-north",
        "feed": "laboratory_feed",
    }
    if since:
        return coord.SourceSilent.model_validate({**name, "since": START})
    return coord.SourceHeardAgain.model_validate(name)


async def test_what_was_said_of_a_source_earlier_never_replaces_what_was_said_later(
    desk: Desk,
) -> None:
    await desk.hear(opened(), source(since=True), source(since=False))
    once = await read_models(desk.database)

    await desk.project(next(e for e in desk.told if isinstance(e.data, coord.SourceSilent)))

    assert await read_models(desk.database) == once


async def test_an_older_timeline_never_replaces_a_newer_one(desk: Desk) -> None:
    await desk.hear(timeline(version=2, start=Verdict.HOLD, rules=("INF-001",)))
    await desk.hear(timeline(version=1))

    rows = await desk.rows("SELECT start, rules FROM gate_interval ORDER BY starts_at")
    assert rows == [{"start": "hold", "rules": ["INF-001"]}, {"start": "go", "rules": []}]


async def test_an_epochs_snapshot_replaces_what_was_known_of_holds(desk: Desk) -> None:
    other = uuid4()
    kept = coord.OpenHold(
        hold_id=other, version=5, gates=frozenset({Gate.INFUSION}), dose_ids=None,
        on_running=OnRunning.TELL,
    )  # fmt: skip
    await desk.hear(hold())

    await desk.hear(
        coord.EpochStarted(case_id=CASE, epoch=1, version=5, open_holds=(kept,)),
        at=START + timedelta(hours=1),
    )

    rows = await desk.rows("SELECT hold_id FROM hold WHERE released_at IS NULL")
    assert [row["hold_id"] for row in rows] == [other]


async def test_a_course_placed_anew_drops_what_it_no_longer_names(desk: Desk) -> None:
    await desk.hear(planned(), suspended(1), planned(numbers=(1, 2), version=2))

    rows = await desk.rows("SELECT infusion_id, state FROM infusion ORDER BY number")
    assert [(row["infusion_id"], row["state"]) for row in rows] == [
        (INFUSIONS[0], "planned"), (INFUSIONS[1], "planned"), (INFUSIONS[2], "unplanned"),
    ]  # fmt: skip


async def test_an_answer_to_an_older_version_leaves_the_newer_one_open(desk: Desk) -> None:
    update = note.AlertUpdated(case_id=CASE, alert_id=ALERT, alert_version=2, urgency="critical")
    await desk.hear(raised(), update, acknowledged(version=1))
    assert await _states(desk) == ["open"]

    await desk.hear(acknowledged(version=2))
    assert await _states(desk) == ["acknowledged"]


async def _states(desk: Desk) -> list[str]:
    return [row["state"] for row in await desk.rows("SELECT state FROM alert")]


async def test_the_log_holds_no_clinical_value_and_no_free_text(desk: Desk) -> None:
    await desk.hear(*STORY)

    details = await desk.rows("SELECT detail::text AS text FROM event_log")
    columns = await desk.rows(
        "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'event_log'"
    )
    assert {row["name"] for row in columns} == {
        "event_id", "case_id", "type", "source", "topic", "partition", "offset", "epoch",
        "sequence", "occurred_at", "sent_at", "correlation_id", "causation_id", "trace_id",
        "safety", "detail",
    }  # fmt: skip
    assert not any("intervals" in row["text"] for row in details)


async def test_pages_are_told_after_the_commit_and_by_case(desk: Desk) -> None:
    other = UUID(int=7)
    before = desk.console.changes.count(None)

    await desk.hear(hold())

    assert desk.console.changes.count(CASE) > before
    assert desk.console.changes.count(other) == 0
    changed = await desk.console.changes.after(before, CASE, seconds=1)
    assert changed > before


async def test_what_a_parked_case_says_is_taken_back_by_unparking(desk: Desk) -> None:
    await desk.hear(opened(), parked(), unparked(), at=START)

    rows = await desk.rows("SELECT unparked_at FROM parking")
    assert [row["unparked_at"] for row in rows] == [START]
