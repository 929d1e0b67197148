"""Pages as a person gets them: signed in for real, escaped, with reasons where nothing is."""

import re
from uuid import UUID

import httpx
import pytest

from services.console.sign_in.sessions import COOKIE
from shared.contracts import coordination as coord
from shared.contracts.case_code import case_code
from shared.contracts.vocabulary import Role, Verdict
from tests.component.console.conftest import Desk
from tests.component.console.console_story import (
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
)
from tests.unit.console.console_app_rig import choose_user, made_console
from tests.unit.console.console_events import CASE, START

pytestmark = pytest.mark.component

EVIL = "<img src=x onerror=alert(1)>'\"&"


async def page(desk: Desk, path: str, *roles: Role, **headers: str) -> httpx.Response:
    async with desk.console.browser() as browser:
        signed = desk.console.sign_in.person(*(roles or (Role.COORDINATOR,)))
        return await browser.get(path, headers={**signed, **headers})


def text_of(answer: httpx.Response) -> str:
    """What a person reads, without tags and repeated blanks."""
    body = re.sub(r"<[^>]+>", " ", answer.text.split("<main", 1)[1])
    return re.sub(r"\s+", " ", body)


async def stopped_case(desk: Desk) -> None:
    await desk.sources_heard()
    await desk.hear(
        opened(), timeline(), planned(), hold(), effective(), fenced(), suspended(1), raised(),
        timeline(version=2, start=Verdict.HOLD, rules=("INF-001", "EV-CBC")),
    )  # fmt: skip


async def test_the_case_page_says_why_the_infusion_cannot_go_ahead(desk: Desk) -> None:
    await stopped_case(desk)

    answer = await page(desk, f"/cases/{CASE}")

    text = text_of(answer)
    assert "No: 1 open hold, 1 rule against it and 1 item of evidence missing or too old." in text
    assert "INF-001" in text
    assert "Infection suspected, by a person" in text
    assert "fenced by scheduling" in text
    assert "2027-03-15 12:00 UTC+03:00" in text  # the rule's interval ends on day 5
    assert answer.text.index("Can this infusion go ahead") < answer.text.index("What led here")


async def test_a_case_with_everything_known_and_open_is_left_to_the_permit(desk: Desk) -> None:
    await desk.sources_heard()
    await desk.hear(opened(), timeline(), planned())

    assert "Nothing on record stands against it now." in text_of(await page(desk, f"/cases/{CASE}"))


@pytest.mark.parametrize("spoil", ["silent", "parked", "no-timeline", "early"])
async def test_what_is_not_known_never_reads_as_a_go(desk: Desk, spoil: str) -> None:
    if spoil != "silent":
        await desk.sources_heard()
    await desk.hear(opened())
    if spoil != "no-timeline":
        await desk.hear(timeline())
    if spoil == "parked":
        await desk.hear(parked())
    if spoil == "early":
        await desk.run(
            "INSERT INTO early (consumer, topic, partition, \"offset\", case_id, record, reason)"
            " VALUES ('console', 't', 0, 0, $1, '{}', 'gap')", CASE,
        )  # fmt: skip

    text = text_of(await page(desk, f"/cases/{CASE}"))

    assert "Not known, so it may not start." in text
    assert "Nothing on record stands against it" not in text


async def test_a_silent_source_is_named_with_since_when_until_it_is_heard_again(
    desk: Desk,
) -> None:
    name = {
        "case_id": CASE,
        "silence_id": "silence/lab-north/1",
        "source_name": "lab-north",
        "feed": "laboratory_feed",
    }
    await desk.hear(opened(), coord.SourceSilent.model_validate({**name, "since": START}))
    silent = (await page(desk, f"/cases/{CASE}")).text
    worklist = (await page(desk, "/")).text
    await desk.hear(coord.SourceHeardAgain.model_validate(name))
    heard = (await page(desk, f"/cases/{CASE}")).text

    assert "what it supplies is not known in" not in (await page(desk, "/")).text
    line = silent[silent.index("Laboratory feed") : silent.index("what it supplies is not known")]
    assert "<code>lab-north</code> silent since" in line
    assert START.isoformat().replace("+00:00", "Z") in line
    assert "what it supplies is not known" not in heard
    banner = worklist[worklist.index("Laboratory feed") :]
    assert "what it supplies is not known in 1 open case." in banner
    assert START.isoformat().replace("+00:00", "Z") in banner[: banner.index("open case")]


async def test_planted_markup_in_codes_is_shown_as_text(desk: Desk) -> None:
    await desk.sources_heard()
    await desk.hear(
        opened(), planned(), hold(rule=EVIL), suspended(1), raised(cause=EVIL),
        timeline(start=Verdict.HOLD, rules=(EVIL,)),
    )  # fmt: skip

    for path in ("/", f"/cases/{CASE}", f"/cases/{CASE}?zoom=full", "/stream", "/alerts"):
        answer = await page(desk, path)
        assert answer.status_code == 200
        assert "<img src=x" not in answer.text, path
        assert "&lt;img src=x onerror=alert(1)&gt;" in answer.text, path


@pytest.mark.parametrize(
    "path",
    [
        "/stream?case=%3Cscript%3Ealert(1)%3C/script%3E",
        "/cases?code=%3Cscript%3Ealert(1)%3C/script%3E",
        "/?code=%3Cscript%3E",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
    ],
)
async def test_planted_markup_in_addresses_is_shown_as_text(desk: Desk, path: str) -> None:
    answer = await page(desk, path)

    assert "<script>" not in answer.text.lower()


async def test_operations_staff_see_that_something_happened_but_nothing_clinical(
    desk: Desk,
) -> None:
    await stopped_case(desk)

    for path in ("/", f"/cases/{CASE}", f"/cases/{CASE}?zoom=full", "/stream", "/alerts"):
        seen = await page(desk, path, Role.OPS)
        full = await page(desk, path, Role.ONCOLOGIST)
        for word in (
            "INF-001",
            "EV-CBC",
            "nfection suspected",
            "nfection_suspected",
            "cbc_differential",
        ):
            assert word not in seen.text, (path, word)
        assert "nfection suspected" in full.text, path
    assert "Hold recorded" in (await page(desk, "/stream", Role.OPS)).text


async def test_no_name_of_a_person_but_the_viewers_own_is_on_a_page(desk: Desk) -> None:
    await stopped_case(desk)

    answer = await page(desk, f"/cases/{CASE}")

    assert case_code(CASE) in answer.text
    assert "u-1" in answer.text


async def test_every_page_says_mode_and_status_of_the_protocol(desk: Desk) -> None:
    await stopped_case(desk)

    for path in ("/", f"/cases/{CASE}", "/stream", "/alerts", "/parked", "/lag", "/sign-in"):
        text = (await page(desk, path)).text
        assert "demo mode" in text
        assert "draft" in text


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/", "No open case yet."),
        ("/?urgency=critical", "No case fits this filter."),
        ("/stream", "No service has sent an event yet."),
        ("/stream?type=hold-recorded", "No event fits this filter yet."),
        ("/alerts", "No alert is open."),
        ("/alerts?closed=true", "Notification has raised no alert yet."),
        ("/parked", "No service has put a case aside."),
        ("/lag", "No service has read anything yet."),
    ],
)
async def test_an_empty_page_says_why(desk: Desk, path: str, reason: str) -> None:
    assert reason in text_of(await page(desk, path))


async def test_a_source_that_was_not_heard_is_named_on_every_page(desk: Desk) -> None:
    await desk.sources_heard()
    quiet = await page(desk, "/")
    desk.console.clock.advance(seconds=16)

    for path in ("/", "/stream", "/alerts", "/parked", "/lag"):
        assert (
            "for more than 15 s: what is shown may be out of date" in (await page(desk, path)).text
        )
    assert "for more than 15 s" not in quiet.text


@pytest.mark.parametrize(
    "path", [f"/cases/{UUID(int=7)}", "/cases?code=AAAA-BBBB", "/stream?case=AAAA-BBBB",
             "/stream?type=no-such-event"],
)  # fmt: skip
async def test_what_does_not_exist_is_a_page_that_says_so(desk: Desk, path: str) -> None:
    answer = await page(desk, path)

    assert answer.status_code == 404
    assert "There is no such" in answer.text
    assert "content-security-policy" in answer.headers


async def test_who_opened_a_case_is_in_the_audit_once_and_not_with_each_refresh(
    desk: Desk,
) -> None:
    await desk.hear(opened())

    await page(desk, f"/cases/{CASE}")
    await page(desk, f"/cases/{CASE}", **{"hx-request": "true"})
    await page(desk, f"/cases/{UUID(int=8)}")

    rows = await desk.rows("SELECT body FROM audit_entry")
    assert len(rows) == 1
    assert '"action":"case-read"' in rows[0]["body"]
    assert '"actor":"u-1"' in rows[0]["body"]


async def test_a_code_out_of_a_message_leads_to_its_case(desk: Desk) -> None:
    await desk.hear(opened())

    answer = await page(desk, f"/cases?code={case_code(CASE).lower()}")

    assert (answer.status_code, answer.headers["location"]) == (303, f"/cases/{CASE}")


async def test_the_stream_page_goes_on_right_behind_its_rows(desk: Desk) -> None:
    await desk.hear(opened(), hold(), raised())
    for topic, offset in (("tandem.coordination.v1", 2), ("tandem.notification.v1", 3)):
        await desk.run(
            "INSERT INTO next_offset (consumer, topic, partition, next_offset)"
            " VALUES ('console', $1, 3, $2)", topic, offset,
        )  # fmt: skip

    every = await page(desk, "/stream")
    filtered = await page(desk, f"/stream?case={case_code(CASE)}&type=hold-recorded")

    assert 'data-feed="/stream/events?after=c3%3A2%2Cn3%3A3"' in every.text
    assert every.text.count("<tr") == 4
    assert filtered.text.count("<tr") == 2
    assert f"case={CASE}&amp;type=hold-recorded&amp;after=c3%3A2" in filtered.text


async def test_a_page_that_looks_the_same_is_not_sent_again(desk: Desk) -> None:
    await desk.sources_heard()
    await desk.hear(opened(), hold())
    first = await page(desk, "/")
    looks = re.search(r'"Tandem-Seen": "([0-9a-f]+)"', first.text)
    assert looks is not None

    same = await page(desk, "/", **{"Tandem-Seen": looks[1], "hx-request": "true"})
    await desk.hear(released())
    changed = await page(desk, "/", **{"Tandem-Seen": looks[1], "hx-request": "true"})

    assert (same.status_code, same.content) == (204, b"")
    assert changed.status_code == 200


async def signed_in_browser(desk: Desk, user: str) -> httpx.AsyncClient:
    """A browser that has gone through the whole sign-in, as a person does."""
    browser = desk.console.browser()
    asked = await browser.get("/cases/1?zoom=full")
    onward = (await browser.get(asked.headers["location"])).text
    start = re.search(r'content="0;url=([^"]+)"', onward)
    assert start is not None
    away = await browser.get(start[1])
    assert away.status_code == 303
    back = await choose_user(desk.console.provider, away.headers["location"], user)
    done = await browser.get(back.removeprefix("http://127.0.0.1:8080"))
    assert done.status_code == 200
    assert 'content="0;url=/cases/1?zoom=full"' in done.text
    return browser


async def test_a_person_signs_in_looks_and_signs_out(desk: Desk) -> None:
    browser = await signed_in_browser(desk, "demo-infusion-nurse-2")

    page_seen = await browser.get("/")
    out = await browser.post("/sign-out", headers={"origin": "http://127.0.0.1:8080"})
    after = await browser.get("/")

    assert page_seen.status_code == 200
    assert "Rosa (infusion nurse)" in page_seen.text
    assert out.status_code == 200
    assert after.status_code == 303
    assert await desk.rows("SELECT 1 FROM session") == []


async def test_the_sessions_cookie_is_kept_from_scripts_and_foreign_links(desk: Desk) -> None:
    browser = desk.console.browser()
    away = await browser.get("/sign-in/start")
    back = await choose_user(desk.console.provider, away.headers["location"], "demo-ops-1")
    done = await browser.get(back.removeprefix("http://127.0.0.1:8080"))

    attempt = away.headers["set-cookie"].lower()
    cookies = [c.lower() for c in done.headers.get_list("set-cookie")]
    session = next(c for c in cookies if c.startswith(COOKIE))
    assert "httponly" in session
    assert "samesite=strict" in session
    assert "path=/" in session
    assert "httponly" in attempt
    assert "samesite=lax" in attempt
    assert any("tandem_sign_in=" in c and "max-age=0" in c for c in cookies)


async def test_a_sign_in_is_good_once_and_only_in_the_browser_that_began_it(desk: Desk) -> None:
    browser, thief = desk.console.browser(), desk.console.browser()
    away = await browser.get("/sign-in/start")
    back = await choose_user(desk.console.provider, away.headers["location"], "demo-ops-1")
    path = back.removeprefix("http://127.0.0.1:8080")

    stolen = await thief.get(path)
    done = await browser.get(path)
    again = await browser.get(path)

    assert [stolen.status_code, done.status_code, again.status_code] == [403, 200, 403]
    assert COOKIE not in thief.cookies


async def test_a_sign_in_that_took_too_long_is_refused(desk: Desk) -> None:
    browser = desk.console.browser()
    away = await browser.get("/sign-in/start")
    desk.console.clock.advance(minutes=11)
    back = await choose_user(desk.console.provider, away.headers["location"], "demo-ops-1")

    assert (await browser.get(back.removeprefix("http://127.0.0.1:8080"))).status_code == 403


async def test_a_session_outlives_the_process_but_not_its_token(desk: Desk) -> None:
    browser = await signed_in_browser(desk, "demo-oncologist-1")
    restarted = made_console(desk.console.sign_in.identity.folder.parent, database=desk.database)
    restarted.clock.instant = desk.console.clock.instant

    async with restarted.browser() as again:
        again.cookies.set(COOKIE, browser.cookies[COOKIE])
        seen = await again.get("/")
        restarted.clock.advance(hours=8, seconds=6)
        late = await again.get("/")

    assert "Eero (oncologist)" in seen.text
    assert late.status_code == 303


async def test_the_table_of_sessions_is_of_no_use_to_a_thief(desk: Desk) -> None:
    browser = await signed_in_browser(desk, "demo-auditor-1")
    session_id = browser.cookies[COOKIE]

    row = (await desk.rows("SELECT session_hash, sealed_token FROM session"))[0]

    assert session_id.encode() not in row["session_hash"]
    assert len(row["sealed_token"].split(".")) == 5  # a JWE, which nobody can use as a token
    for cookie in (row["session_hash"].hex(), row["sealed_token"]):
        async with desk.console.browser() as thief:
            thief.cookies.set(COOKIE, cookie)
            assert (await thief.get("/")).status_code == 303
