"""Events that never came are asked for or shown; a watermark says how far a feed is whole."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from services.intake.application.fhir_server import LAGGING_ATTEMPTS_MAX
from shared.contracts.vocabulary import Role
from tests.component.intake.conftest import NOW, Intake
from tests.component.intake.subscribed import Ehr, notification, observation, subscribed

pytestmark = pytest.mark.component
ANC, ONE, TWO = "Observation/anc", "Observation/one", "Observation/two"
EVENTS = "Subscription/s1/$events"
HOUR = timedelta(hours=1)


@pytest.fixture
async def ehr(intake: Intake) -> AsyncIterator[Ehr]:
    async with subscribed(intake) as found:
        found.server.put(observation(id="one"), observation(id="two"))
        yield found
    intake.clock.instant = NOW


def remembers(ehr: Ehr, total: int, events: dict[int, list[str]], *, of: str = "") -> None:
    """The server answers `$events` with these."""
    told = notification(of or ehr.base, "query-event", total=total, events=events)
    ehr.server.plant(EVENTS, 200, json.dumps(told).encode())


async def gaps(ehr: Ehr) -> list[tuple[int, int, str, str | None]]:
    return [
        (one["first_number"], one["last_number"], one["state"], one["code"])
        for one in await ehr.owed()
        if one["reference"] is None
    ]


async def test_events_that_were_lost_are_asked_for_and_fetched(ehr: Ehr) -> None:
    remembers(ehr, 3, {1: [ONE], 2: [TWO]})
    answer = await ehr.notifies(3, ANC)
    await ehr.runs()
    await ehr.runs()

    assert answer["gaps"] == 1
    assert await gaps(ehr) == [(1, 2, "done", "filled")]
    asked = next(path for path in ehr.server.paths if path.startswith(EVENTS))
    assert asked == f"{EVENTS}?eventsSinceNumber=1&eventsUntilNumber=2&content=id-only"
    found = {fact["source_id"] for fact in await ehr.facts()}
    assert {ANC, ONE, TWO} <= found


async def test_a_gap_is_not_asked_for_while_notifications_may_overtake_each_other(
    ehr: Ehr,
) -> None:
    await ehr.notifies(2, TWO)
    await ehr.errands()  # what is due now, and no more
    asked = list(ehr.server.paths)
    await ehr.notifies(1, ONE)
    await ehr.runs()

    assert not any(path.startswith(EVENTS) for path in (*asked, *ehr.server.paths))
    assert await gaps(ehr) == [(1, 1, "done", "filled")]
    assert {"Observation/one", "Observation/two"} <= {f["source_id"] for f in await ehr.facts()}


async def test_a_heartbeat_alone_shows_that_events_were_lost(ehr: Ehr) -> None:
    remembers(ehr, 2, {1: [ONE], 2: [TWO]})
    answer = await ehr.tells("heartbeat", 2)
    await ehr.runs(rounds=2)

    assert answer["gaps"] == 1
    assert await gaps(ehr) == [(1, 2, "done", "filled")]


async def test_what_the_server_remembers_only_in_part_is_asked_for_again(ehr: Ehr) -> None:
    remembers(ehr, 4, {2: [ONE]})
    await ehr.notifies(4, ANC)
    await ehr.runs()

    assert await gaps(ehr) == [(1, 1, "waiting", "asked-in-part"), (3, 3, "waiting", None)]


async def test_events_that_the_server_has_forgotten_stand_before_a_person(ehr: Ehr) -> None:
    remembers(ehr, 2, {})
    await ehr.notifies(2, ANC)
    await ehr.runs(rounds=LAGGING_ATTEMPTS_MAX)

    (waiting,) = await ehr.listed()
    assert (waiting["what"], waiting["events"]) == ("gap", [1, 1])
    assert (waiting["state"], waiting["code"]) == ("parked", "events-missing")


@pytest.mark.parametrize("status", [404, 400, 501, 405])
async def test_a_gap_stays_open_where_the_server_does_not_offer_events(
    ehr: Ehr, status: int
) -> None:
    ehr.server.plant(EVENTS, status)
    await ehr.notifies(2, ANC)
    rounds = 30 if status == 501 else 1
    await ehr.runs(rounds=rounds)

    (gap,) = await ehr.listed()
    expected = "server-failed" if status == 501 else "events-not-offered"
    assert (gap["what"], gap["state"], gap["code"]) == ("gap", "parked", expected)
    assert (await ehr.state())["gaps_open"] == 1


async def test_a_late_notification_fills_a_gap_that_a_person_has(ehr: Ehr) -> None:
    await ehr.notifies(4, ANC)
    await ehr.runs()
    before = await gaps(ehr)
    await ehr.notifies(2, TWO)
    await ehr.runs()

    assert before == [(1, 3, "parked", "events-not-offered")]
    assert await gaps(ehr) == [
        (1, 1, "parked", "events-not-offered"), (3, 3, "parked", "events-not-offered"),
    ]  # fmt: skip
    assert TWO in [fact["source_id"] for fact in await ehr.facts()]


async def test_a_person_accepts_a_gap_with_a_reason_and_a_late_event_still_counts(
    ehr: Ehr,
) -> None:
    await ehr.notifies(2, ANC)
    await ehr.runs()
    (gap,) = await ehr.listed()
    await ehr.decides(gap["errand_id"], "discard", reason="the result was telephoned")
    accepted = (await ehr.state())["gaps_open"]
    await ehr.notifies(1, ONE)
    await ehr.runs()

    assert accepted == 0
    assert ONE in [fact["source_id"] for fact in await ehr.facts()]


async def test_an_answer_about_another_subscription_fills_nothing(ehr: Ehr) -> None:
    remembers(ehr, 1, {1: [ONE]}, of="https://elsewhere.example/fhir")
    await ehr.notifies(2, ANC)
    await ehr.runs()

    assert await gaps(ehr) == [(1, 1, "parked", "another-resource")]


async def test_a_subscription_that_begins_anew_keeps_its_old_gaps_in_sight(ehr: Ehr) -> None:
    await ehr.notifies(3, ANC, at="2027-03-10T07:00:00Z")
    await ehr.tells("handshake", 0, at="2027-03-10T08:00:00Z")
    again = await ehr.notifies(1, ONE, at="2027-03-10T08:01:00Z")
    await ehr.runs()

    assert again["outcome"] == "noted"
    assert await gaps(ehr) == [(1, 2, "parked", "numbered-anew")]
    assert ONE in [fact["source_id"] for fact in await ehr.facts()]
    assert (await ehr.state())["subscriptions"][0]["run"] == 2


async def test_a_handshake_that_was_merely_delayed_begins_nothing(ehr: Ehr) -> None:
    await ehr.notifies(1, ANC, at="2027-03-10T08:00:00Z")
    await ehr.tells("handshake", 0, at="2027-03-10T07:00:00Z")
    again = await ehr.notifies(1, ANC, at="2027-03-10T08:00:00Z")

    assert again["outcome"] == "repeated"


async def watermark(ehr: Ehr) -> datetime | None:
    found = (await ehr.state())["watermark"]
    return None if found is None else datetime.fromisoformat(found)


@pytest.mark.parametrize("kind", ["handshake", "heartbeat", "event-notification"])
async def test_a_word_from_a_sound_subscription_moves_the_watermark(ehr: Ehr, kind: str) -> None:
    await ehr.expected()
    before = await watermark(ehr)
    ehr.intake.clock.instant = NOW + HOUR
    await ehr.tells(kind, 0)

    assert (before, await watermark(ehr)) == (None, NOW + HOUR)
    assert (await ehr.state())["heard_at"] is not None


@pytest.mark.parametrize(
    ("kind", "status"),
    [("query-status", "active"), ("heartbeat", "error"), ("query-status", "error"),
     ("handshake", "off"), ("event-notification", "off"), ("heartbeat", "entered-in-error")],
)  # fmt: skip
async def test_an_error_or_a_mere_status_does_not_move_it_and_is_shown(
    ehr: Ehr, kind: str, status: str
) -> None:
    await ehr.expected()
    await ehr.tells(kind, 0, status=status)

    assert await watermark(ehr) is None
    (one,) = (await ehr.state())["subscriptions"]
    assert (one["status"], one["is_sound"]) == (status, status == "active")


async def test_a_server_that_recovers_is_heard_again(ehr: Ehr) -> None:
    await ehr.expected()
    await ehr.tells("query-status", 0, status="error", at="2027-03-10T07:00:00Z")
    await ehr.tells("heartbeat", 0, at="2027-03-10T08:00:00Z")
    await ehr.tells("query-status", 0, status="error", at="2027-03-10T07:00:00Z")  # delayed

    assert await watermark(ehr) == NOW
    assert (await ehr.state())["subscriptions"][0]["status"] == "active"


async def test_heartbeats_move_the_watermark_no_further_than_what_is_owed(ehr: Ehr) -> None:
    await ehr.expected()
    await ehr.notifies(2, ANC)  # 1 was lost
    await ehr.runs()
    ehr.intake.clock.instant = NOW + HOUR
    await ehr.tells("heartbeat", 2)
    held_back = await watermark(ehr)
    (gap,) = await ehr.listed()
    await ehr.decides(gap["errand_id"], "discard", reason="the result was telephoned")
    await ehr.tells("heartbeat", 2)

    assert (held_back, await watermark(ehr)) == (NOW, NOW + HOUR)


async def test_what_a_person_has_together_with_its_case_holds_no_watermark_back(ehr: Ehr) -> None:
    await ehr.expected()
    ehr.server.put(observation(effectiveDateTime="2031-01-01"))
    await ehr.notifies(1, ANC)
    await ehr.runs()
    ehr.intake.clock.instant = NOW + HOUR
    await ehr.tells("heartbeat", 1)

    assert [one["case_id"] for one in await ehr.listed()] == [ehr.case_id]
    assert await watermark(ehr) == NOW + HOUR


async def test_silence_of_the_feed_closes_what_its_evidence_opens(ehr: Ehr) -> None:
    await ehr.expected()
    await ehr.tells("heartbeat", 0)
    heard = await blocking(ehr, NOW + HOUR)

    assert (heard, await blocking(ehr, NOW + 25 * HOUR)) == ([], ["hold"])


async def blocking(ehr: Ehr, at: datetime) -> list[str]:
    ehr.intake.clock.instant = at
    answer = await ehr.client.get(
        f"/cases/{ehr.case_id}/decisions/infusion", headers=ehr.intake.headers(Role.ONCOLOGIST)
    )
    found: list[dict[str, Any]] = answer.json()["findings"]
    return [one["effect"] for one in found if one["rule"] == "FEED-LAB"]
