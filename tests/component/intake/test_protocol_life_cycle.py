"""The protocol from draft to signed to retired, in live mode: a draft plans and starts nothing."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from services.intake.application.reassess_due import follow_protocol, reassess_due
from services.intake.application.sign_rulebook import NOTICE
from services.intake.entrypoints.parts import IntakeParts
from shared.contracts.vocabulary import Role
from shared.protocol import packaged_texts
from shared.runtime.world import MachineClock
from shared.testing.infra import Infra
from tests.component.intake.conftest import NOW, Intake, running_intake
from tests.component.intake.presses import ask_permit
from tests.made_up_rulebook import made_up

pytestmark = pytest.mark.component
PACKAGED = packaged_texts().digest
DIRECTOR = "u-director"


@pytest.fixture
async def live(infra: Infra, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Intake]:
    async with running_intake(infra, tmp_path_factory, "live") as found:
        yield found


def director(intake: Intake) -> dict[str, str]:
    return intake.headers(Role.MEDICAL_DIRECTOR, subject=DIRECTOR, key=uuid4().hex)


def sign_in_again(
    intake: Intake, *, subject: str = DIRECTOR, ago: timedelta = timedelta(), **extra: object
) -> str:
    """The token of another sign-in of the person."""
    signed_in = int((MachineClock().now() - ago).timestamp())
    return intake.sign_in.identity.issue_token(
        subject, [Role.MEDICAL_DIRECTOR.value], now=MachineClock().now(),
        extra={"auth_time": signed_in, **extra},
    )  # fmt: skip


async def act(intake: Intake, act: str, digest: str = PACKAGED, **body: object) -> httpx.Response:
    since = intake.clock.now() + NOTICE
    asked = {
        "since": since.isoformat(), "reason": "read and approved",
        "reauthentication_token": sign_in_again(intake), **body,
    }  # fmt: skip
    return await intake.client.post(
        f"/protocol/versions/{digest}/{act}", headers=director(intake), json=asked
    )


async def signed(intake: Intake, digest: str = PACKAGED) -> None:
    """The rulebook is signed, and in force."""
    answer = await act(intake, "signature", digest)
    assert answer.status_code == 201, answer.text
    intake.clock.instant += NOTICE


async def versions(intake: Intake) -> dict[str, Any]:
    answer = await intake.client.get("/protocol/versions", headers=intake.headers(Role.COORDINATOR))
    assert answer.status_code == 200, answer.text
    return {item["digest"]: item for item in answer.json()["items"]}


async def waiting(intake: Intake) -> int:
    """The cases that the rulebook in force has not assessed yet."""
    answer = await intake.client.get("/protocol/versions", headers=intake.headers(Role.COORDINATOR))
    return int(answer.json()["in_force"]["cases_waiting"])


async def propose(intake: Intake, coordination: str) -> httpx.Response:
    return await intake.client.post(
        "/protocol/versions", headers=director(intake), json={"coordination": coordination}
    )


async def test_an_unsigned_draft_plans_and_starts_nothing_until_it_is_signed(live: Intake) -> None:
    case_id = await live.refer()

    before = await live.decision(case_id, "collection")
    await signed(live)
    after = await live.decision(case_id, "collection")

    assert before["protocol"]["status"] == "unsigned"
    assert [f["effect"] for f in before["findings"] if f["rule"] == "DATA-012"] == ["hold"]
    assert ("protocol_signature", "medical_director") in {
        (due["item"], due["owner"]) for due in before["due"]
    }
    assert after["protocol"]["status"] == "signed"
    assert not [f for f in after["findings"] if f["rule"] == "DATA-012"]
    assert before["plan"] == after["plan"]


async def test_a_press_under_an_unsigned_draft_is_refused_by_it(live: Intake) -> None:
    case_id = await live.refer()
    await ask_permit(live, case_id)
    (kept,) = await live.rows(
        "SELECT body, protocol_status FROM decision WHERE gate = 'infusion'"
        " ORDER BY decision_id DESC LIMIT 1"
    )
    assert kept["protocol_status"] == "unsigned"
    assert '"rule":"DATA-012"' in kept["body"]


async def test_a_demo_runs_a_draft_and_says_so(
    infra: Infra, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with running_intake(infra, tmp_path_factory) as demo:
        said = await demo.decision(await demo.refer(), "collection")
    assert said["protocol"]["status"] == "draft"
    assert not [f for f in said["findings"] if f["rule"] == "DATA-012"]


async def test_every_case_is_assessed_anew_when_another_rulebook_comes_into_force(
    live: Intake,
) -> None:
    parts = live.app.state.parts
    assert isinstance(parts, IntakeParts)
    case_id = await live.refer()
    await signed(live)
    while await reassess_due(parts.uow, parts.rulebooks):
        pass  # what time alone has changed
    assert await waiting(live) == 1
    assert await follow_protocol(parts.uow, parts.rulebooks) == 1
    assert await follow_protocol(parts.uow, parts.rulebooks) == 0
    assert await waiting(live) == 0
    rows = await live.rows("SELECT DISTINCT made_by FROM timeline")
    assert [row["made_by"] for row in rows] == [f"{PACKAGED}:signed"]
    assert "tandem.coordination.timeline-published.v1" in await live.events(case_id)


async def test_another_process_knows_of_it_before_it_begins(live: Intake) -> None:
    other = await live.restarted()
    assert (await act(live, "signature")).status_code == 201
    parts = other.app.state.parts
    assert isinstance(parts, IntakeParts)
    await parts.rulebooks.refresh(parts.uow)
    assert parts.protocol.status == "unsigned"
    live.clock.instant += NOTICE
    assert parts.protocol.status == "signed"


async def test_a_retired_rulebook_lets_nothing_start_until_another_is_signed(live: Intake) -> None:
    case_id = await live.refer()
    await signed(live)
    assert (await act(live, "retirement")).status_code == 201
    live.clock.instant += NOTICE
    assert (await versions(live))[PACKAGED]["status"] == "retired"
    retired = await live.decision(case_id, "collection")
    assert "DATA-012" in [f["rule"] for f in retired["findings"]]

    proposed = await propose(live, made_up())
    assert proposed.status_code == 201, proposed.text
    await signed(live, proposed.json()["digest"])
    again = await live.decision(case_id, "collection")
    assert again["protocol"] == {"id": "cik-onc-coordination", "version": "1.1.0",
                                 "status": "signed"}  # fmt: skip
    assert "DATA-012" not in [f["rule"] for f in again["findings"]]
    assert (await act(live, "retirement")).json()["code"] == "not-in-force"


async def test_decisions_of_every_standing_are_made_again_to_the_byte(live: Intake) -> None:
    case_id = await live.refer()
    await ask_permit(live, case_id)
    await signed(live)
    await ask_permit(live, case_id)
    assert (await act(live, "retirement")).status_code == 201
    live.clock.instant += NOTICE
    await ask_permit(live, case_id)
    answer = await live.client.get("/replay", headers=live.headers(Role.AUDITOR))
    standings = await live.rows("SELECT DISTINCT protocol_status AS s FROM decision")
    assert answer.json()["unequal"] == []
    assert {row["s"] for row in standings} == {"unsigned", "signed", "retired"}


async def test_who_signed_what_and_from_when_is_shown(live: Intake) -> None:
    assert (await act(live, "signature")).status_code == 201
    waiting = (await versions(live))[PACKAGED]
    live.clock.instant += NOTICE
    deciding = (await versions(live))[PACKAGED]

    assert (waiting["status"], deciding["status"]) == ("signed", "in-force")
    (signature,) = deciding["signatures"]
    assert signature["meaning"] == "approved-for-use"
    assert signature["signer"] == DIRECTOR
    assert signature["reason"] == "read and approved"
    assert signature["since"].startswith((NOW + NOTICE).strftime("%Y-%m-%dT%H:%M:%S"))


async def test_a_signature_needs_two_components_of_one_person(live: Intake) -> None:
    headers = director(live)
    first = headers["authorization"].removeprefix("Bearer ")
    told = {
        "the request's own token": first,
        "another person's": sign_in_again(live, subject="u-other"),
        "an older sign-in": sign_in_again(live, ago=timedelta(minutes=6)),
        "an issuer that does not say": sign_in_again(live, auth_time=None),
        "no token": "no-token",
    }
    for name, second in told.items():
        answer = await live.client.post(
            f"/protocol/versions/{PACKAGED}/signature",
            headers={**headers, "idempotency-key": uuid4().hex},
            json={
                "since": (live.clock.now() + NOTICE).isoformat(), "reason": "read and approved",
                "reauthentication_token": second,
            },
        )  # fmt: skip
        assert (answer.status_code, answer.json()["code"]) == (422, "reauthentication"), name
    assert (await versions(live))[PACKAGED]["signatures"] == []


async def test_a_signature_is_refused_too_soon_and_for_an_unknown_text(live: Intake) -> None:
    soon = await act(live, "signature", since=live.clock.now().isoformat())
    unknown = await act(live, "signature", "0" * 64)
    assert (soon.status_code, soon.json()["code"]) == (409, "too-soon")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "no-such-rulebook")


async def test_a_signed_version_is_one_text_for_ever(live: Intake) -> None:
    same_name = packaged_texts().coordination + "\n# another word\n"
    early = await propose(live, same_name)
    await signed(live)
    late = await propose(live, same_name + "\n")
    signing = await act(live, "signature", early.json()["digest"])
    assert early.status_code == 201
    assert (late.status_code, late.json()["code"]) == (409, "version-taken")
    assert (signing.status_code, signing.json()["code"]) == (409, "version-taken")


async def test_a_rulebook_that_could_not_be_taken_out_of_force_is_refused(live: Intake) -> None:
    lines = packaged_texts().coordination.split("\n")
    without = "\n".join(line for line in lines if "DATA-012" not in line)
    answer = await propose(live, without)
    assert (answer.status_code, answer.json()["code"]) == (409, "rulebook-refused")


async def test_an_inconsistent_rulebook_is_refused_with_its_line(live: Intake) -> None:
    answer = await propose(live, made_up().replace("metric: potassium,", "metric: kalium,"))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"].startswith("coordination.yaml:")


async def test_the_words_of_a_version_and_what_changed_are_shown(live: Intake) -> None:
    proposed = (await propose(live, made_up())).json()["digest"]
    headers = live.headers(Role.ONCOLOGIST)
    text = await live.client.get(f"/protocol/versions/{proposed}/coordination", headers=headers)
    assert text.text == made_up()
    assert (await versions(live))[proposed]["status"] == "draft"
    diff = await live.client.get(
        "/protocol/diff", headers=headers, params={"old": "1.0.0", "new": proposed}
    )
    texts = [change["text"] for change in diff.json()["changes"]]
    assert "WO-CHEMO: days before infusion 3 → 5." in texts
    missing = await live.client.get("/protocol/versions/9.9/codes", headers=headers)
    assert missing.status_code == 404
