"""Feeds on real PostgreSQL: a press sees silence at once, cases are told once."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.intake.application import watch_sources
from services.intake.application.hear_source import UnknownSourceError, heard
from services.intake.application.reassess_case import facts_of
from services.intake.application.watch_sources import SourceWatch
from services.intake.domain.permits import DecisionSeen
from services.intake.domain.sources import configured_sources
from shared.contracts.vocabulary import Gate, Role
from shared.messaging.unit_of_work import Cause
from shared.persistence.statements import Statement
from shared.protocol import canonical, decide, fact_from_json
from tests.component.intake.conftest import Intake
from tests.component.intake.test_boundaries import at, published
from tests.component.intake.test_keys_of_intake import bundle

pytestmark = pytest.mark.component
FEEDS = "lab-north=laboratory_feed"
START = datetime(2027, 3, 20, 10, tzinfo=UTC)
LIMIT = timedelta(hours=24)
SECOND = timedelta(seconds=1)
TELLS = "tandem.coordination.fact-recorded.v1"


class Site:
    """An intake that expects to hear its laboratory, last heard at START."""

    def __init__(self, intake: Intake, client: httpx.AsyncClient) -> None:
        self.intake, self.client = intake, client
        self.parts = intake.app.state.parts
        self.watch = self.expecting(FEEDS)

    def expecting(self, feeds: str) -> SourceWatch:
        """The timer of a process with these settings."""
        sources = configured_sources(feeds, self.parts.protocol.feeds)
        return SourceWatch(self.parts.uow, self.parts.rulebooks, sources)

    async def told(self, instant: datetime, watch: SourceWatch | None = None) -> int:
        """How many cases the timer's rounds told at that instant, until there is nothing left."""
        total, watch = 0, watch or self.watch
        async with at(self.intake, instant):
            while found := await watch():
                total += found
        return total

    async def hear(self, instant: datetime, *, said: datetime | None = None) -> datetime:
        async with at(self.intake, instant), self.parts.uow.begin(self.cause()) as work:
            return await heard(work, "lab-north", said or instant)

    def cause(self) -> Cause:
        return Cause("service:intake", self.parts.world.ids.new())

    async def press(self, case_id: str, instant: datetime) -> DecisionSeen:
        """What the grant decides on, in its own transaction; the timer has not run."""
        async with self.parts.uow.begin(self.cause()) as work:
            found: DecisionSeen = await self.parts.authority.decide(
                work.tx, UUID(case_id), Gate.INFUSION, instant, None
            )
        return found

    async def silences(self, case_id: str) -> list[str]:
        """Versions of the silences on the case's record, in order of arrival."""
        rows = await self.intake.rows(
            "SELECT source_version FROM fact WHERE case_id = $1 AND kind = 'silence' "
            "ORDER BY ordinal", UUID(case_id),
        )  # fmt: skip
        return [row["source_version"] for row in rows]


@pytest.fixture
async def site(intake: Intake) -> AsyncIterator[Site]:
    running = await intake.restarted(sources=FEEDS)
    transport = httpx.ASGITransport(running.app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://intake") as client:
        made = Site(running, client)
        async with intake.database.transaction() as tx:
            for table in ("source_silence", "source", "fact WHERE kind = 'silence'"):
                await tx.run(Statement("test", f"DELETE FROM {table}"))  # noqa: S608
        await made.told(START)
        await made.hear(START)
        await made.told(START)
        yield made


async def test_a_press_at_the_limit_is_refused_although_no_timer_has_run(site: Site) -> None:
    case_id = await site.intake.refer()

    before = await site.press(case_id, START + LIMIT - SECOND)
    at_limit = await site.press(case_id, START + LIMIT)

    assert "FEED-LAB" not in before.rules
    assert before.valid_until is not None
    assert before.valid_until <= START + LIMIT
    assert {"FEED-LAB", "DATA-011"} <= set(at_limit.rules)
    assert await site.silences(case_id) == []


async def test_a_decision_is_made_again_from_what_was_kept_with_it(site: Site) -> None:
    case_id = await site.intake.refer()
    instant = START + timedelta(hours=1)
    await site.press(case_id, instant)
    await site.hear(START + timedelta(hours=9))

    async with site.parts.uow.begin(site.cause()) as work:
        kept = (await work.rows.record.decisions_page(None, UUID(case_id), None, 200))[-1]
        facts = facts_of(await work.rows.record.facts_of_case(UUID(case_id)))
    marks = [fact_from_json(mark) for mark in kept.watermarks.values()]

    again = decide(site.parts.protocol, (*facts, *marks), Gate.INFUSION, instant)
    bare = decide(site.parts.protocol, facts, Gate.INFUSION, instant)
    assert len(marks) == 1
    assert canonical(again.to_json()) == kept.body
    assert bare.valid_until != again.valid_until  # without the watermark it would be another


async def test_cases_are_told_of_the_beginning_and_the_end_once_each(site: Site) -> None:
    case_id = await site.intake.refer()
    events = len(await published(site.intake, case_id))

    early = await site.told(START + LIMIT - SECOND)
    late = await site.told(START + LIMIT)
    again = await site.told(START + LIMIT + SECOND)
    shut = await published(site.intake, case_id)
    await site.hear(START + LIMIT + timedelta(hours=4))
    over = await site.told(START + LIMIT + timedelta(hours=4))

    assert (early, again) == (0, 0)
    assert late == over >= 1
    assert await site.silences(case_id) == ["1", "2"]
    assert len(shut) == events + 1
    assert "FEED-LAB" in shut[-1]["intervals"][0]["rules"]
    assert "FEED-LAB" not in (await published(site.intake, case_id))[-1]["intervals"][0]["rules"]
    assert "FEED-LAB" not in (await site.press(case_id, START + LIMIT + LIMIT)).rules
    told = [event for event in await site.intake.events(case_id) if ".source-" in event]
    assert told == [
        "tandem.coordination.source-silent.v1", "tandem.coordination.source-heard-again.v1",
    ]  # fmt: skip


async def test_planning_goes_on_and_no_hold_is_placed_while_a_source_is_silent(site: Site) -> None:
    case_id = await site.intake.refer()
    await site.told(START + LIMIT)

    (interval, *_) = (await published(site.intake, case_id))[-1]["intervals"]
    holds = (await site.intake.case(case_id))["open_holds"]

    assert "FEED-LAB" in interval["rules"]
    assert "FEED-LAB" not in interval["plan_rules"]
    assert "laboratory_feed" in {due["item"] for due in interval["due"]}
    assert [hold for hold in holds if hold["rule"] in {"FEED-LAB", "DATA-011"}] == []


async def test_a_hold_that_is_known_stays_through_silence_and_after_it(site: Site) -> None:
    case_id = await site.intake.refer()
    low = {"kind": "lab", "metric": "platelets", "value": 12, "unit": "10*9/L"}
    async with at(site.intake, START):
        assert (await site.intake.report(case_id, low, role=Role.LAB_TECH)).status_code == 201
    held = {hold["rule"] for hold in (await site.intake.case(case_id))["open_holds"]}

    await site.told(START + LIMIT)
    during = {hold["rule"] for hold in (await site.intake.case(case_id))["open_holds"]}
    await site.hear(START + LIMIT)
    await site.told(START + LIMIT)
    after = {hold["rule"] for hold in (await site.intake.case(case_id))["open_holds"]}

    assert "LAB-PLT" in held
    assert held == during == after


async def test_beats_write_one_row_and_touch_no_case(site: Site) -> None:
    case_id = await site.intake.refer()
    events = await site.intake.events(case_id)

    for minutes in range(60):
        await site.hear(START + timedelta(minutes=minutes))
        assert await site.told(START + timedelta(minutes=minutes)) == 0

    assert await site.intake.events(case_id) == events
    assert len(await site.intake.rows("SELECT FROM source")) == 1


async def test_a_boundary_that_passed_while_nobody_ran_is_told_when_intake_is_back(
    site: Site,
) -> None:
    case_id = await site.intake.refer()

    back = site.expecting(FEEDS)  # a new process, two days later
    await site.told(START + 3 * LIMIT, back)

    assert await site.silences(case_id) == ["1"]


async def test_a_watermark_goes_neither_backwards_nor_ahead_of_our_clock(site: Site) -> None:
    now = START + timedelta(hours=2)

    ahead = await site.hear(now, said=now + timedelta(days=300))
    back = await site.hear(now + SECOND, said=START)

    assert (ahead, back) == (now, now)


async def test_many_cases_are_told_in_bounded_rounds_that_go_on_after_a_crash(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = [await site.intake.refer() for _ in range(25)]
    monkeypatch.setattr(watch_sources, "CASES_PER_ROUND_MAX", 10)

    async with at(site.intake, START + LIMIT):
        first = await site.watch()
        second = await site.expecting(FEEDS)()  # as if the first process had died here
    await site.told(START + LIMIT)

    assert (first, second) == (10, 10)
    assert [await site.silences(case) for case in cases] == [["1"]] * 25
    for case in cases:
        assert (await site.intake.events(case)).count(TELLS) == 1


async def test_a_case_opened_during_a_silence_is_told_and_shut_at_once(site: Site) -> None:
    await site.told(START + LIMIT)
    case_id = await site.intake.refer()

    pressed = await site.press(case_id, START + LIMIT + SECOND)
    told = await site.told(START + LIMIT + SECOND)

    assert "FEED-LAB" in pressed.rules
    assert told == 1


async def test_who_learns_late_of_a_silence_that_is_over_is_told_nothing(site: Site) -> None:
    """Between reading the silence and the case's turn it ended: nobody may be left shut."""
    await site.told(START + LIMIT)
    case_id = await site.intake.refer()
    async with site.parts.uow.begin(site.cause()) as work:
        (stale,) = await work.rows.sources.unsettled_silences()
    await site.hear(START + LIMIT)
    await site.told(START + LIMIT)

    await site.watch._tell_case(UUID(case_id), stale)

    assert await site.silences(case_id) == []


async def test_a_source_that_falls_silent_again_after_the_same_word_shuts_again(
    site: Site,
) -> None:
    """As when its limit was raised and then lowered: the watermark stands where it stood."""
    case_id = await site.intake.refer()
    await site.told(START + LIMIT)
    await site.told(START + SECOND)  # judged as if not yet silent: the first one ends

    await site.told(START + LIMIT)

    assert await site.silences(case_id) == ["1", "2", "1"]
    assert "FEED-LAB" in (await site.press(case_id, START + LIMIT)).rules


async def test_a_source_taken_out_of_the_settings_leaves_no_case_shut(site: Site) -> None:
    case_id = await site.intake.refer()
    await site.told(START + LIMIT)

    await site.told(START + LIMIT + SECOND, site.expecting(""))

    assert await site.silences(case_id) == ["1", "2"]
    with pytest.raises(UnknownSourceError):
        await site.hear(START + LIMIT + SECOND)


async def test_a_source_that_was_never_heard_is_silent_from_its_configuration_on(
    site: Site,
) -> None:
    case_id = await site.intake.refer()
    both = site.expecting(f"{FEEDS},ordering_feed")

    await site.told(START, both)

    assert "FEED-ORD" in (await site.press(case_id, START)).rules


async def test_sources_are_listed_with_since_when_they_are_silent(site: Site) -> None:
    async def listed(instant: datetime) -> dict[str, Any]:
        async with at(site.intake, instant):
            headers = site.intake.headers(Role.COORDINATOR)
            answer = await site.client.get("/sources", headers=headers)
        assert answer.status_code == 200, answer.text
        (item,) = json.loads(answer.content)["items"]
        return dict(item)

    early, late = await listed(START + LIMIT - SECOND), await listed(START + LIMIT)

    assert (early["name"], early["silent_after_hours"]) == ("lab-north", 24)
    assert early["silent_since"] is None
    assert late["heard_at"] == "2027-03-20T10:00:00Z"
    assert late["silent_since"] == "2027-03-21T10:00:00Z"


async def test_a_heartbeat_counts_and_one_of_a_stranger_is_404(site: Site) -> None:
    beat = START + timedelta(hours=5)
    headers = site.intake.headers(Role.OPS)

    async with at(site.intake, beat):
        known = await site.client.post("/sources/lab-north/heartbeat", headers=headers)
        stranger = await site.client.post("/sources/lab-south/heartbeat", headers=headers)

    assert (known.status_code, known.json()["heard_at"]) == (200, "2027-03-20T15:00:00Z")
    assert stranger.status_code == 404


async def test_an_import_that_names_its_source_counts_as_heard(site: Site) -> None:
    raw, arrived = bundle("Bundle-mcode-patient-bundle-jenny-m.json"), START + timedelta(hours=7)
    headers = site.intake.headers(Role.COORDINATOR)

    async with at(site.intake, arrived):
        person = await site.client.post("/fhir/Bundle", headers=headers, content=raw)
        by_hand = await site.hear(START)
        feed = await site.client.post(
            "/fhir/Bundle", headers={**headers, "tandem-source": "lab-north"}, content=raw
        )
        stranger = await site.client.post(
            "/fhir/Bundle", headers={**headers, "tandem-source": "lab-south"}, content=raw
        )
    (row,) = await site.intake.rows("SELECT heard_at FROM source")

    assert (person.status_code, feed.status_code) == (201, 200)
    assert by_hand == START  # a person's import is nobody's heartbeat
    assert row["heard_at"] == arrived
    assert (stranger.status_code, stranger.json()["code"]) == (422, "no-such-source")
