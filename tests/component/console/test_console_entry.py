"""Forms in the console: intake decides, what was typed is kept, nothing is claimed before it is."""

import re
from html import unescape
from typing import Any

import httpx
import pytest

from services.console.sign_in.sessions import COOKIE
from shared.contracts.vocabulary import Role
from shared.ports import HttpAnswer
from tests.component.console.conftest import Desk
from tests.component.console.console_story import opened
from tests.component.console.intake_desk import ENTRY, IntakeDesk, entry, problem
from tests.unit.console.console_app_rig import BASE, INTAKE
from tests.unit.console.console_events import CASE

pytestmark = pytest.mark.component
FORM = f"/cases/{CASE}/enter/steroid-course"
HERE = f"/cases/{CASE}/entries/{ENTRY}"
TYPED = {"drug": "dexamethasone", "mg_per_day": "8"}
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def intake(desk: Desk) -> IntakeDesk:
    found = IntakeDesk()
    desk.console.neighbours[INTAKE] = found
    return found


async def got(desk: Desk, path: str, *roles: Role) -> httpx.Response:
    signed = desk.console.sign_in.person(*(roles or (Role.COORDINATOR,)))
    async with desk.console.browser() as browser:
        return await browser.get(path, headers=signed)


async def sent(
    desk: Desk, path: str, typed: dict[str, str], *, role: Role = Role.COORDINATOR, **hidden: str
) -> httpx.Response:
    """The page opened, filled in and sent, as a browser without script does it."""
    signed = desk.console.sign_in.person(role)
    async with desk.console.browser() as browser:
        shown = await browser.get(path, headers=signed)
        data = {**hidden_fields(shown), **typed, **hidden}
        return await browser.post(path, headers={**signed, "origin": BASE}, data=data)


def hidden_fields(page: httpx.Response) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', page.text)
    return {name: unescape(value) for name, value in found if name != "to"}


def words(page: httpx.Response) -> str:
    body = re.sub(r"<[^>]+>", " ", page.text.split("<main", 1)[1])
    return re.sub(r"\s+", " ", unescape(body))


async def test_a_form_that_was_sent_leads_to_the_entry(desk: Desk, intake: IntakeDesk) -> None:
    intake.records()

    answer = await sent(desk, FORM, TYPED)

    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=yes")
    ((method, path, body, headers),) = intake.calls
    assert (method, path) == ("POST", f"/cases/{CASE}/entries")
    assert body == {"form": "steroid-course", **TYPED}
    assert headers["authorization"].startswith("Bearer ")


async def test_one_form_sent_twice_has_one_key_and_two_forms_have_two(
    desk: Desk, intake: IntakeDesk
) -> None:
    intake.records()
    signed = desk.console.sign_in.person(Role.COORDINATOR)
    async with desk.console.browser() as browser:
        shown = await browser.get(FORM, headers=signed)
        data = {**hidden_fields(shown), **TYPED}
        for _ in range(2):
            await browser.post(FORM, headers=signed, data=data)
    await sent(desk, FORM, TYPED)

    first, second, other = [headers["idempotency-key"] for *_, headers in intake.calls]
    assert first == second != other


async def test_a_form_asks_in_place_and_keeps_what_was_typed(
    desk: Desk, intake: IntakeDesk
) -> None:
    answer = await sent(desk, FORM, {"drug": EVIL, "mg_per_day": "0,75", "last": "2027-03-20"})

    assert answer.status_code == 422
    assert 'id="error-mg_per_day"' in answer.text
    assert re.search(r'name="mg_per_day" value="0,75"[^>]*aria-invalid="true"', answer.text)
    assert 'aria-describedby="error-mg_per_day"' in answer.text
    assert '<a href="#field-mg_per_day">' in answer.text
    assert 'value="2027-03-20"' in answer.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in answer.text
    assert EVIL not in answer.text
    assert '<details id="more" open>' in answer.text
    assert intake.calls == []


async def test_a_refusal_of_intake_stands_beside_its_field(desk: Desk, intake: IntakeDesk) -> None:
    wrong = {"pointer": "/onset", "code": "future-date", "detail": "is in the future"}
    intake.written = problem(422, "form-refused", errors=[wrong])

    answer = await sent(
        desk, f"/cases/{CASE}/enter/infection-episode", {"type": "serious", "onset": "2027-09-01"}
    )

    assert answer.status_code == 422
    assert "Is in the future" in re.findall(r'id="error-onset">(.*?)</p>', answer.text)[0]
    assert 'value="2027-09-01"' in answer.text
    assert re.search(r'<option value="serious" selected', answer.text)


@pytest.mark.parametrize(
    "written", [None, problem(503, "outcome-unknown"), problem(500, "internal-error"),
                HttpAnswer(502, b"<html>")],
    ids=["silence", "outcome-unknown", "bug", "proxy"],
)  # fmt: skip
async def test_nothing_is_claimed_recorded_before_intake_said_so(
    desk: Desk, intake: IntakeDesk, written: HttpAnswer | None
) -> None:
    intake.written = written

    answer = await sent(desk, FORM, TYPED)

    assert answer.status_code == 503
    assert "It is not known whether this was recorded." in words(answer)
    assert 'value="dexamethasone"' in answer.text
    key = intake.calls[0][3]["idempotency-key"]
    assert hidden_fields(answer)["key"] == key  # so that sending it again records it once


@pytest.mark.parametrize("described_before", [True, False])
async def test_while_intake_is_down_what_was_typed_is_kept(
    desk: Desk, intake: IntakeDesk, described_before: bool
) -> None:
    signed = desk.console.sign_in.person(Role.COORDINATOR)
    async with desk.console.browser() as browser:
        data = {**hidden_fields(await browser.get(FORM, headers=signed)), **TYPED}
    if not described_before:  # another process of the console takes the form
        desk.console.app.state.parts.desk.known = None
    intake.up = False

    async with desk.console.browser() as browser:
        answer = await browser.post(FORM, headers=signed, data=data)
        empty = await browser.get(FORM, headers=signed)

    assert answer.status_code == 503
    assert "Intake does not answer, so nothing was sent." in words(answer)
    assert re.search(r'name="drug" value="dexamethasone"', answer.text)
    assert hidden_fields(answer)["key"] == data["key"]
    assert empty.status_code == 503
    assert '<form method="post" novalidate>' not in empty.text


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (problem(403, "not-your-kind-of-fact", allowed_roles=["oncologist", "coordinator"]),
         "This is entered by coordinator, oncologist."),
        (problem(422, "idempotency-key-reused"), "was recorded already with other words"),
        (problem(409, "case-merged"), "Nothing was recorded. <case-merged>"),
        (problem(503, "store-unavailable"), "nothing was recorded. Send it again"),
        (problem(422, "form-refused", errors=[{"pointer": "/doses", "code": "refused",
                                               "detail": "no such unit"}]), "No such unit"),
    ],
)  # fmt: skip
async def test_a_refusal_is_told_in_words(
    desk: Desk, intake: IntakeDesk, answer: HttpAnswer, says: str
) -> None:
    intake.written = answer

    shown = await sent(desk, FORM, TYPED)

    assert shown.status_code == answer.status
    assert says in words(shown)
    assert 'role="alert"' in shown.text


async def test_the_entry_says_what_it_says_what_it_closes_and_who_entered_it(
    desk: Desk, intake: IntakeDesk
) -> None:
    intake.entries = [entry()]

    text = words(await got(desk, f"{HERE}?done=yes"))

    assert "This is on record now." in text
    assert "Dose in mg a day 8" in text
    assert "First day 2027-03-08 assumed, not said" in text
    assert "Equal to prednisone 53.3 mg a day" in text
    assert "Infusion ■ hold until 2027-03-13 00:00 UTC+03:00" in text
    assert "More than 10 mg of prednisone a day. STER-001 · ends 2027-03-16" in text
    assert "Entered by u-7, 2027-03-10 10:00 UTC+03:00 , typed into this form" in text


async def test_no_end_is_told_of_what_time_alone_does_not_end(
    desk: Desk, intake: IntakeDesk
) -> None:
    closed = entry()["closes"][0]
    lasting = {**closed, "because": [{**closed["because"][0], "clears_at": None}]}
    intake.entries = [entry(closes=[lasting])]

    text = words(await got(desk, HERE))

    assert "ends not by time alone" in text
    assert "until" not in text.split("What it closes now")[1]


async def test_an_entry_that_closes_nothing_promises_nothing(
    desk: Desk, intake: IntakeDesk
) -> None:
    intake.entries = [entry(closes=[])]

    assert "Other things on record may keep one shut." in words(await got(desk, HERE))


async def test_a_correction_keeps_the_days_that_were_assumed_and_names_the_version(
    desk: Desk, intake: IntakeDesk
) -> None:
    intake.entries = [entry(version=3)]
    intake.records(status=200)
    shown = await got(desk, f"{HERE}/correct")
    assert re.search(r'name="first" value="2027-03-08"', shown.text)

    answer = await sent(desk, f"{HERE}/correct", {**TYPED, "mg_per_day": "0.75"})

    assert (answer.status_code, answer.headers["location"]) == (303, f"{HERE}?done=yes")
    ((method, _, body, headers),) = intake.calls
    assert (method, headers["if-match"]) == ("PUT", '"3"')
    assert body["mg_per_day"] == "0.75"


async def test_a_correction_of_what_others_changed_is_told(desk: Desk, intake: IntakeDesk) -> None:
    intake.entries = [entry()]
    intake.written = problem(412, "stale-version")

    answer = await sent(desk, f"{HERE}/correct", TYPED)

    assert answer.status_code == 412
    assert "Somebody has changed this entry" in words(answer)
    assert hidden_fields(answer)["seen"] == "1"


async def test_an_entry_in_error_needs_a_reason(desk: Desk, intake: IntakeDesk) -> None:
    intake.entries = [entry(version=2)]
    intake.records(status=200)

    without = await sent(desk, f"{HERE}/withdraw", {"reason": " "})
    done = await sent(desk, f"{HERE}/withdraw", {"reason": "of another patient"})

    assert without.status_code == 422
    assert "why it was an error" in words(without)
    assert done.status_code == 303
    ((_, path, body, headers),) = intake.calls
    assert path.endswith(f"{ENTRY}/withdrawal")
    assert (body, headers["if-match"]) == ({"reason": "of another patient"}, '"2"')


async def test_what_was_taken_back_is_shown_as_such_and_not_corrected(
    desk: Desk, intake: IntakeDesk
) -> None:
    gone = {"version": 2, "by": "u-8", "at": "2027-03-11T07:00:00Z", "withdrawn": True}
    intake.entries = [
        entry(version=2, withdrawn=True, reason="of another patient", closes=[], shown={},
              assumed=[], history=[*entry()["history"], gone])
    ]  # fmt: skip

    shown, correct = await got(desk, HERE), await got(desk, f"{HERE}/correct")

    assert "Marked as entered in error by u-8" in words(shown)
    assert "of another patient" in words(shown)
    assert f"{HERE}/correct" not in shown.text
    assert correct.status_code == 404


FORGED: dict[str, dict[str, Any]] = {
    "no proof": {"data": {"proof": ""}},
    "another session's proof": {"data": {"proof": "0" * 64}},
    "another site": {"headers": {"origin": "https://elsewhere.example"}},
    "no site that it names": {"headers": {"origin": "null"}},
}


@pytest.mark.parametrize("path", [FORM, f"{HERE}/correct", f"{HERE}/withdraw"])
@pytest.mark.parametrize("forged", sorted(FORGED))
async def test_a_form_that_another_site_made_is_refused(
    desk: Desk, intake: IntakeDesk, path: str, forged: str
) -> None:
    intake.entries = [entry()]
    intake.records()
    signed = desk.console.sign_in.person(Role.COORDINATOR)
    async with desk.console.browser() as browser:
        ours = hidden_fields(await browser.get(path, headers=signed))
        data = {**ours, **TYPED, "reason": "planted", **FORGED[forged].get("data", {})}
        headers = {**signed, "origin": BASE, **FORGED[forged].get("headers", {})}
        answer = await browser.post(path, headers=headers, data=data)

    assert answer.status_code == 403
    assert "not made for your session" in answer.text
    assert intake.calls == []


async def test_the_proof_of_one_person_is_no_proof_for_another(
    desk: Desk, intake: IntakeDesk
) -> None:
    intake.records()
    async with desk.console.browser() as browser:
        theirs = await browser.get(FORM, headers=desk.console.sign_in.person(Role.COORDINATOR))
        mine = desk.console.sign_in.person(Role.COORDINATOR, subject="u-2")
        answer = await browser.post(FORM, headers=mine, data={**hidden_fields(theirs), **TYPED})

    assert answer.status_code == 403
    assert intake.calls == []


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.OPS, Role.CONSULTANT}))
async def test_each_role_is_offered_the_forms_that_are_its_own(
    desk: Desk, intake: IntakeDesk, role: Role
) -> None:
    await desk.hear(opened())
    clinical = role not in {Role.QA_RELEASE, Role.AUDITOR}
    planning = role in {Role.COORDINATOR, Role.ONCOLOGIST, Role.TREATING_PHYSICIAN}

    case = await got(desk, f"/cases/{CASE}", role)
    form = await got(desk, FORM, role)

    assert (f'href="/cases/{CASE}/enter/symptom"' in case.text) == clinical
    assert (f'href="/cases/{CASE}/enter/chemotherapy-cycle"' in case.text) == planning
    assert form.status_code == (200 if clinical else 403)
    assert ('<form method="post" novalidate>' in form.text) == clinical


async def test_operations_staff_see_no_entries_and_ask_intake_for_none(
    desk: Desk, intake: IntakeDesk
) -> None:
    await desk.hear(opened())
    intake.entries = [entry()]

    case = await got(desk, f"/cases/{CASE}", Role.OPS)

    assert "Entered by people" not in case.text
    assert "dexamethasone" not in case.text


async def test_the_case_lists_who_entered_what_when_and_from_where(
    desk: Desk, intake: IntakeDesk
) -> None:
    await desk.hear(opened())
    intake.entries = [entry()]

    text = words(await got(desk, f"/cases/{CASE}"))

    assert "Entered by people" in text
    listed = "Steroid course dexamethasone, 8 Infusion u-7 2027-03-10 10:00 UTC+03:00 typed into"
    assert listed in text
    assert "Correct" in text


async def test_the_page_of_a_case_does_without_intake(desk: Desk, intake: IntakeDesk) -> None:
    await desk.hear(opened())
    intake.up = False

    answer = await got(desk, f"/cases/{CASE}")

    assert answer.status_code == 200
    assert "Intake does not answer, so what people entered is not shown." in words(answer)
    assert "Can this infusion go ahead?" in words(answer)


@pytest.mark.parametrize(("status", "shown"), [(403, 403), (404, 404), (429, 503)])
async def test_what_intake_does_not_show_the_console_does_not_either(
    desk: Desk, intake: IntakeDesk, status: int, shown: int
) -> None:
    intake.read_status = status

    assert (await got(desk, HERE)).status_code == shown
    assert (await got(desk, FORM)).status_code == shown


async def test_an_unknown_form_is_not_found(desk: Desk, intake: IntakeDesk) -> None:
    assert (await got(desk, f"/cases/{CASE}/enter/hold")).status_code == 404


async def test_a_session_sends_its_own_token_and_its_forms_are_its_own(
    desk: Desk, intake: IntakeDesk
) -> None:
    intake.records()
    sessions = desk.console.app.state.parts.own_forms._sessions
    token = desk.console.sign_in.person(Role.ONCOLOGIST)["authorization"].partition(" ")[2]
    ends_at = desk.console.clock.now().replace(year=2028)
    cookies = [{"cookie": f"{COOKIE}={await sessions.open(token, ends_at)}"} for _ in range(2)]
    async with desk.console.browser() as browser:
        shown = await browser.get(FORM, headers=cookies[0])
        data = {**hidden_fields(shown), **TYPED}
        other = await browser.post(FORM, headers=cookies[1], data=data)
        own = await browser.post(FORM, headers=cookies[0], data=data)

    assert (other.status_code, own.status_code) == (403, 303)
    ((*_, headers),) = intake.calls
    assert headers["authorization"] == f"Bearer {token}"
