"""Information, questions, consent and withdrawal through the endpoints, on PostgreSQL."""

from typing import Any
from uuid import uuid4

import pytest

from shared.contracts.vocabulary import Gate, Role
from shared.protocol import load_protocol
from tests.component.intake.conftest import Intake

pytestmark = pytest.mark.component
TOPICS = list(load_protocol().tables.topics)
SECRET = "zyzzogeton"


async def post(
    intake: Intake, path: str, body: Any, role: Role = Role.TREATING_PHYSICIAN, status: int = 201
) -> dict[str, Any]:
    answer = await intake.client.post(path, headers=intake.headers(role), json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def published(intake: Intake, version: int = 1, name: str | None = None) -> str:
    """A leaflet on every topic, which is the current one now."""
    name = name or f"leaflet-{uuid4().hex}"
    body = {"document": name, "version": version, "topics": TOPICS}
    await post(intake, "/information-documents", body, Role.MEDICAL_DIRECTOR)
    return name


def told_from(name: str, topics: list[str], version: int = 1) -> dict[str, Any]:
    return {"topics": topics, "document": name, "version": version, "language": "tr"}


CONSENT = {"document": "form", "version": 7, "language": "tr", "realistic_expectations": True}


async def informed(intake: Intake) -> tuple[str, str]:
    """A case whose patient was told everything and has no questions."""
    case_id, name = await intake.refer(), await published(intake)
    await post(intake, f"/cases/{case_id}/information", told_from(name, TOPICS))
    await post(intake, f"/cases/{case_id}/questions", {"question": None})
    return case_id, name


async def test_a_consent_is_refused_with_all_that_lacks(intake: Intake) -> None:
    case_id, name = await intake.refer(), await published(intake)
    left = await post(intake, f"/cases/{case_id}/information", told_from(name, TOPICS[:10]))
    asked = await post(
        intake, f"/cases/{case_id}/questions", {"question": SECRET}, Role.INFUSION_NURSE
    )

    refused = await post(intake, f"/cases/{case_id}/consent", CONSENT, status=409)

    assert left["still_to_explain"] == TOPICS[10:]
    assert refused["code"] == "consent-not-informed"
    assert refused["lacking"] == ["topics-not-explained", "questions-open"]
    assert refused["topics_missing"] == TOPICS[10:]
    assert refused["questions_open"] == [asked["question_id"]]
    assert "consent" not in " ".join(await intake.events(case_id))


async def test_an_informed_consent_clears_its_rule_and_names_what_it_rests_on(
    intake: Intake,
) -> None:
    case_id, name = await informed(intake)

    signed = await post(intake, f"/cases/{case_id}/consent", CONSENT)

    assert set(signed["rests_on"]) == set(TOPICS)
    assert {(s["document"], s["version"]) for s in signed["rests_on"].values()} == {(name, 1)}
    assert await intake.blocking(case_id, "collection", "ELIG-009") == []
    (event,) = await intake.rows(
        "SELECT convert_from(payload, 'UTF8') AS said FROM outbox WHERE case_id = $1::text::uuid "
        "AND headers->>'ce_type' = 'tandem.coordination.consent-recorded.v1'", case_id,
    )  # fmt: skip
    assert '"document_version":"7"' in event["said"].replace(" ", "")


async def test_a_newer_document_makes_its_topics_stale(intake: Intake) -> None:
    case_id, name = await informed(intake)
    await published(intake, 2, name)

    refused = await post(intake, f"/cases/{case_id}/consent", CONSENT, status=409)
    old = await post(intake, f"/cases/{case_id}/information", told_from(name, TOPICS), status=409)

    assert refused["lacking"] == ["topics-of-an-older-document"]
    assert refused["topics_stale"] == TOPICS
    assert (old["code"], old["current"][TOPICS[0]]) == ("document-not-current", f"{name} 2")
    await post(intake, f"/cases/{case_id}/information", told_from(name, TOPICS, 2))
    await post(intake, f"/cases/{case_id}/consent", CONSENT)


async def test_a_withdrawal_holds_every_gate_and_is_taken_twice(intake: Intake) -> None:
    case_id, _ = await informed(intake)
    await post(intake, f"/cases/{case_id}/consent", CONSENT)
    intake.clock.advance(minutes=1)
    path = f"/cases/{case_id}/consent/withdrawal"

    held = await post(intake, path, {}, Role.INFUSION_NURSE)
    again = await post(intake, path, {"reason": SECRET}, Role.COORDINATOR)

    assert set(held["gates"]) == {gate.value for gate in Gate}
    assert (held["kind"], held["state"], held["on_running"]) == (
        "consent_withdrawn", "EFFECTIVE", "stop",
    )  # fmt: skip
    assert again["hold_id"] == held["hold_id"]
    assert await intake.blocking(case_id, "infusion", "ELIG-009") == ["hold"]
    assert "tandem.coordination.consent-withdrawn.v1" in await intake.events(case_id)
    clearance = await intake.client.get(
        f"/cases/{case_id}/clearance", headers=intake.headers(Role.INFUSION_NURSE)
    )
    gates = clearance.json()["gates"]
    assert {name for name, gate in gates.items() if gate["may_start"]} == set()


async def test_after_a_withdrawal_only_a_new_consent_and_a_release_open(intake: Intake) -> None:
    case_id, _ = await informed(intake)
    await post(intake, f"/cases/{case_id}/consent", CONSENT)
    intake.clock.advance(minutes=1)
    held = await post(intake, f"/cases/{case_id}/consent/withdrawal", {}, Role.COORDINATOR)
    facts = (await intake.case(case_id))["facts"]
    withdrawn = [f for f in facts if f["source_id"].startswith("consent-withdrawn/")]
    undo = await intake.client.post(
        f"/cases/{case_id}/facts/{withdrawn[0]['fact_id']}/corrections",
        headers=intake.headers(Role.COORDINATOR), json={"status": "entered-in-error"},
    )  # fmt: skip
    assert undo.json()["code"] == "not-entered-as-fact"

    intake.clock.advance(minutes=1)
    await post(intake, f"/cases/{case_id}/consent", CONSENT)

    assert await intake.blocking(case_id, "infusion", "ELIG-009") == []
    open_holds = (await intake.case(case_id))["open_holds"]
    assert held["hold_id"] in {hold["hold_id"] for hold in open_holds}
    release = await intake.client.post(
        f"/holds/{held['hold_id']}/release",
        headers=intake.headers(Role.TREATING_PHYSICIAN, subject="u-other"),
        json={"reason": "signed anew"},
    )
    assert release.status_code == 200, release.text


async def test_words_of_patients_stay_in_their_table(intake: Intake) -> None:
    case_id, _ = await informed(intake)
    asked = await post(intake, f"/cases/{case_id}/questions", {"question": SECRET})
    path = f"/cases/{case_id}/questions/{asked['question_id']}/answer"
    await post(intake, path, {"answer": f"{SECRET} again"})
    await post(intake, path, {"answer": "another"}, status=409)

    shown = await intake.client.get(
        f"/cases/{case_id}/information", headers=intake.headers(Role.COORDINATOR)
    )

    assert SECRET in shown.text
    tables = await intake.rows(
        "SELECT tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', "
        "'information_schema')"
    )
    found = [
        row["tablename"]
        for row in tables
        if await intake.rows(
            f"SELECT 1 FROM \"{row['tablename']}\" AS t WHERE t::text LIKE '%{SECRET} again%'"  # noqa: S608  (a test's own words)
        )
    ]
    assert found == ["patient_question"]


async def test_consent_is_no_fact_to_type_in(intake: Intake) -> None:
    case_id = await intake.refer()
    stated = {"kind": "evidence", "item": "consent"}

    answer = await intake.report(case_id, stated, role=Role.TREATING_PHYSICIAN)

    assert (answer.status_code, answer.json()["code"]) == (422, "not-entered-as-fact")
    assert answer.json()["endpoint"] == "consent"


async def test_that_nobody_asked_is_a_physicians_word(intake: Intake) -> None:
    case_id = await intake.refer()

    await post(
        intake, f"/cases/{case_id}/questions", {"question": None}, Role.COORDINATOR, status=403
    )


@pytest.mark.parametrize(
    "body",
    [
        {"topics": ["moods"], "document": "leaflet", "version": 1, "language": "en"},
        {"topics": TOPICS[:1], "document": "leaflet", "version": 1, "language": "not a language"},
    ],
    ids=["topic", "language"],
)
async def test_what_names_nothing_known_is_refused(intake: Intake, body: dict[str, Any]) -> None:
    case_id = await intake.refer()

    await post(intake, f"/cases/{case_id}/information", body, status=422)


async def test_a_published_version_stays(intake: Intake) -> None:
    name = await published(intake)
    body = {"document": name, "version": 1, "topics": TOPICS[:1]}

    found = await post(intake, "/information-documents", body, Role.MEDICAL_DIRECTOR, 409)
    unknown = await post(
        intake, "/information-documents", {**body, "version": 2, "topics": ["moods"]},
        Role.MEDICAL_DIRECTOR, 422,
    )  # fmt: skip

    assert (found["code"], unknown["code"]) == ("document-published", "unknown-topic")
