"""Facts, holds by rule, reviews and overrides, through intake's own endpoints.

Expected values are those of the protocol: STER-001 (above 10 mg/day prednisone equivalent, 7 days),
ELIG-003 (ECOG 2 is a review), dexamethasone 0.75 mg = prednisone 5 mg.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from services.intake.application.reassess_due import reassess_due
from shared.contracts.vocabulary import Role, Service
from tests.component.intake.conftest import NOW, Intake

pytestmark = pytest.mark.component
BUNDLES = Path(__file__).parents[2] / "data" / "fhir"


def steroid(last: str | None = "2027-03-12") -> dict[str, object]:
    dose = {"mg_per_day": 8, "from": "2027-03-08"}  # 8 / 0.75 * 5 = 53.3 mg prednisone a day
    if last is not None:
        dose["to"] = last
    return {
        "kind": "medication", "name": "dexamethasone", "route": "oral", "intent": "treatment",
        "doses": [dose],
    }  # fmt: skip


async def test_a_steroid_course_places_its_rules_hold_in_the_same_answer(intake: Intake) -> None:
    case_id = await intake.refer()

    answer = await intake.report(case_id, steroid())

    assert answer.status_code == 201, answer.text
    case = await intake.case(case_id)
    holds = [h for h in case["open_holds"] if h["rule"] == "STER-001"]
    assert len(holds) == 1
    assert set(holds[0]["gates"]) >= {"collection", "infusion"}
    assert holds[0]["state"] == "EFFECTIVE"
    types = await intake.events(case_id)
    assert "tandem.coordination.hold-recorded.v1" in types
    assert "tandem.coordination.fact-recorded.v1" in types


async def test_the_same_fact_twice_changes_nothing(intake: Intake) -> None:
    case_id = await intake.refer()
    fact = {**steroid(), "id": "note-1"}
    await intake.report(case_id, fact)
    before = await intake.events(case_id)

    again = await intake.report(case_id, fact)

    assert again.json()["recorded"] == []
    assert len(again.json()["unchanged"]) == 1
    assert await intake.events(case_id) == before


async def test_an_idempotency_key_makes_a_repetition_harmless(intake: Intake) -> None:
    case_id = await intake.refer()
    headers = intake.headers(Role.COORDINATOR, key=uuid4().hex)
    body = {"facts": [steroid()]}

    first = await intake.client.post(f"/cases/{case_id}/facts", headers=headers, json=body)
    again = await intake.client.post(f"/cases/{case_id}/facts", headers=headers, json=body)

    assert first.status_code == again.status_code == 201
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    assert await intake.rows("SELECT fact_id FROM fact WHERE case_id = $1", UUID(case_id)) != []
    assert len(await intake.rows("SELECT 1 FROM fact WHERE case_id = $1", UUID(case_id))) == 1


async def test_a_withdrawn_fact_lets_its_rule_release_its_hold(intake: Intake) -> None:
    case_id = await intake.refer()
    fact_id = (await intake.report(case_id, steroid())).json()["recorded"][0]

    answer = await intake.client.post(
        f"/cases/{case_id}/facts/{fact_id}/corrections",
        headers=intake.headers(Role.COORDINATOR),
        json={"status": "entered-in-error"},
    )

    assert answer.status_code == 201, answer.text
    case = await intake.case(case_id)
    assert [h["rule"] for h in case["open_holds"]] == []
    assert "tandem.coordination.hold-released.v1" in await intake.events(case_id)
    assert "tandem.coordination.fact-corrected.v1" in await intake.events(case_id)


async def test_ecog_two_is_a_review_that_a_new_value_reopens(intake: Intake) -> None:
    case_id = await intake.refer()
    await intake.report(case_id, {"kind": "performance", "ecog": 2}, role=Role.TREATING_PHYSICIAN)
    assert await intake.blocking(case_id, "infusion", "ELIG-003") == ["review"]
    body = {
        "gate": "infusion", "rule": "ELIG-003", "decision": "proceed",
        "reason": "discussed at the tumour board",
        "valid_until": (NOW + timedelta(days=2)).isoformat(),
    }  # fmt: skip

    refused = await intake.client.post(
        f"/cases/{case_id}/reviews", headers=intake.headers(Role.INFUSION_NURSE), json=body
    )
    signed = await intake.client.post(
        f"/cases/{case_id}/reviews", headers=intake.headers(Role.ONCOLOGIST), json=body
    )

    assert (refused.status_code, refused.json()["code"]) == (403, "not-your-rule")
    assert signed.status_code == 201, signed.text
    assert await intake.blocking(case_id, "infusion", "ELIG-003") == ["info"]

    intake.clock.advance(hours=1)
    await intake.report(case_id, {"kind": "performance", "ecog": 2}, role=Role.TREATING_PHYSICIAN)
    assert await intake.blocking(case_id, "infusion", "ELIG-003") == ["review"]


async def test_an_override_needs_a_soft_rule_a_second_person_and_a_day(intake: Intake) -> None:
    case_id = await intake.refer()
    await intake.report(case_id, steroid())
    second = intake.headers(Role.ONCOLOGIST, subject="u-2")["authorization"].split()[1]
    own = intake.headers(Role.MEDICAL_DIRECTOR)["authorization"].split()[1]
    now = intake.clock.now()

    async def override(rule: str, token: str, hours: int) -> tuple[int, str]:
        body = {
            "gate": "infusion", "rule": rule, "reason": "single short course",
            "valid_until": (now + timedelta(hours=hours)).isoformat(),
            "second_signer_token": token,
        }  # fmt: skip
        answer = await intake.client.post(
            f"/cases/{case_id}/overrides",
            headers=intake.headers(Role.MEDICAL_DIRECTOR),
            json=body,
        )
        return answer.status_code, answer.json().get("code", "")

    assert await override("ELIG-009", second, 4) == (409, "hard-rule")
    assert await override("STER-001", own, 4) == (409, "second-person")
    assert await override("STER-001", "no-token", 4) == (422, "second-signature")
    assert await override("STER-001", second, 25) == (409, "too-long")
    assert (await override("STER-001", second, 4))[0] == 201
    assert await intake.blocking(case_id, "infusion", "STER-001") == ["info"]


def chemotherapy(day: date) -> dict[str, object]:
    """WO-CHEMO: 14 days before a collection, 3 before an infusion."""
    return {
        "kind": "medication", "class": "cytotoxic_systemic", "name": "cisplatin",
        "doses": [{"day": day.isoformat()}], "more_planned": False,
    }  # fmt: skip


#: an infusion's dose is handed out under the rules, and the answers, of the infusion
GIVING = {"dose_issue", "infusion"}


@contextmanager
def later(intake: Intake, **kind_of_time: float) -> Iterator[None]:
    """Time passes for what is inside; the module's other tests have days of their own."""
    before = intake.clock.instant
    intake.clock.advance(**kind_of_time)
    try:
        yield
    finally:
        intake.clock.instant = before


async def gates_held(intake: Intake, case_id: str, rule: str) -> list[set[str]]:
    """The gates of each open hold of a rule."""
    holds = (await intake.case(case_id))["open_holds"]
    return [set(h["gates"]) for h in holds if h["rule"] == rule]


async def test_an_override_opens_its_gate_and_no_other(intake: Intake) -> None:
    case_id = await intake.refer()
    now = intake.clock.now()
    await intake.report(case_id, chemotherapy(now.date()))
    before = await gates_held(intake, case_id, "WO-CHEMO")
    second = intake.headers(Role.ONCOLOGIST, subject="u-2")["authorization"].split()[1]

    signed = await intake.client.post(
        f"/cases/{case_id}/overrides",
        headers=intake.headers(Role.MEDICAL_DIRECTOR),
        json={
            "gate": "infusion", "rule": "WO-CHEMO", "reason": "a tenth of the usual dose",
            "valid_until": (now + timedelta(hours=4)).isoformat(), "second_signer_token": second,
        },
    )  # fmt: skip
    overridden = await gates_held(intake, case_id, "WO-CHEMO")
    with later(intake, hours=5):
        await intake.report(case_id, {"kind": "performance", "ecog": 1}, role=Role.ONCOLOGIST)

    assert signed.status_code == 201, signed.text
    assert before == [{"collection", *GIVING}]
    assert overridden == [{"collection"}]
    assert await gates_held(intake, case_id, "WO-CHEMO") == before


async def test_a_hold_leaves_the_gate_whose_washout_has_ended(intake: Intake) -> None:
    case_id = await intake.refer()
    now = intake.clock.now()
    await intake.report(case_id, chemotherapy(now.date()))
    before = await gates_held(intake, case_id, "WO-CHEMO")

    with later(intake, days=4):
        await intake.report(case_id, {"kind": "performance", "ecog": 1}, role=Role.ONCOLOGIST)

    assert before == [{"collection", *GIVING}]
    assert await gates_held(intake, case_id, "WO-CHEMO") == [{"collection"}]


async def test_a_new_dose_widens_the_hold_that_an_older_one_left(intake: Intake) -> None:
    case_id = await intake.refer()
    today = intake.clock.now().date()
    await intake.report(case_id, chemotherapy(today - timedelta(days=7)))
    before = await gates_held(intake, case_id, "WO-CHEMO")

    await intake.report(case_id, chemotherapy(today))

    assert before == [{"collection"}]
    assert await gates_held(intake, case_id, "WO-CHEMO") == [{"collection", *GIVING}]


async def test_the_oncologists_acknowledgement_is_not_typed_in_by_others(intake: Intake) -> None:
    case_id = await intake.refer()
    fact = {"kind": "evidence", "item": "oncology_plan_ack"}

    refused = await intake.report(case_id, fact)
    accepted = await intake.report(case_id, fact, role=Role.ONCOLOGIST)

    assert (refused.status_code, refused.json()["code"]) == (403, "not-your-kind-of-fact")
    assert accepted.status_code == 201
    types = await intake.events(case_id)
    assert "tandem.coordination.oncology-plan-acknowledged.v1" in types


@pytest.mark.parametrize(
    ("fact", "code"),
    [
        ({"kind": "lab", "metric": "anc", "value": 2, "unit": "10*9/L",
          "effective": "2027-03-11T12:00:00Z"}, "future-date"),
        ({"kind": "lab", "metric": "anc", "value": {}, "unit": "10*9/L"}, "refused"),
        ({"kind": "no-such-kind"}, "refused"),
        ({"kind": "performance", "ecog": 1, "colour": "blue"}, "refused"),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_refused_with_its_place(
    intake: Intake, fact: dict[str, object], code: str
) -> None:
    case_id = await intake.refer()

    answer = await intake.report(case_id, {"kind": "performance", "ecog": 1}, fact)

    assert answer.status_code == 422
    errors = answer.json()["errors"]
    assert errors[0]["code"] == code
    assert errors[0]["pointer"].startswith("/facts/1")
    assert await intake.rows("SELECT 1 FROM fact WHERE case_id = $1", UUID(case_id)) == []


async def test_a_value_in_an_unknown_unit_is_unknown_and_never_a_pass(intake: Intake) -> None:
    case_id = await intake.refer()
    await intake.report(case_id, {"kind": "lab", "metric": "anc", "value": 3, "unit": "furlong"})

    decision = await intake.decision(case_id, "infusion")

    assert decision["verdict"] == "hold"
    assert any(f["rule"] in {"DATA-006", "EV-CBC", "LAB-ANC"} for f in decision["findings"])


async def test_time_alone_ends_a_wash_out_and_the_timer_sees_it(intake: Intake) -> None:
    case_id = await intake.refer()
    await intake.report(case_id, steroid("2027-03-09"))
    held = {h["rule"] for h in (await intake.case(case_id))["open_holds"]}
    assert held == {"STER-001", "WO-STEROID"}  # the pointer fires with its rule

    parts = intake.app.state.parts
    intake.clock.advance(days=8)
    while await reassess_due(parts.uow, parts.rulebooks):
        pass

    assert (await intake.case(case_id))["open_holds"] == []


async def test_a_service_may_put_vital_signs_on_record_and_nothing_else(intake: Intake) -> None:
    case_id = await intake.refer()
    headers = intake.sign_in.service(Service.INFUSION_SCHEDULING)
    vital = {"kind": "vital", "metric": "heart_rate", "value": 80, "unit": "/min"}

    accepted = await intake.client.post(
        f"/cases/{case_id}/facts", headers=headers, json={"facts": [vital]}
    )
    refused = await intake.client.post(
        f"/cases/{case_id}/facts", headers=headers, json={"facts": [steroid()]}
    )

    assert accepted.status_code == 201, accepted.text
    assert refused.status_code == 403


async def test_a_real_bundle_is_imported_once(intake: Intake) -> None:
    raw = next(BUNDLES.rglob("Lucien408*.gz")).read_bytes()
    headers = intake.headers(Role.COORDINATOR)

    first = await intake.client.post("/fhir/Bundle", headers=headers, content=raw)
    facts = first.json()["facts"]
    before = await intake.events(first.json()["case_id"])
    again = await intake.client.post("/fhir/Bundle", headers=headers, content=raw)

    assert first.status_code == 201
    assert (again.status_code, again.json()["case_id"]) == (200, first.json()["case_id"])
    assert facts["recorded"] > 0
    assert again.json()["facts"] == {"recorded": 0, "unchanged": facts["recorded"]}
    assert await intake.events(first.json()["case_id"]) == before
    counts = first.json()["resources"]
    assert sum(counts.values()) == len(first.json()["report"])


async def test_a_bundle_with_two_patients_is_refused_whole(intake: Intake) -> None:
    raw = next(BUNDLES.rglob("cancer-patient-eve*.json")).read_bytes()
    before = await intake.rows("SELECT count(*) AS n FROM patient_case")

    answer = await intake.client.post(
        "/fhir/Bundle", headers=intake.headers(Role.COORDINATOR), content=raw
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "bundle-refused")
    problem = answer.json()["problems"][0]
    assert problem["code"] == "several-patients"
    assert len(problem["subjects"]) == 2
    assert problem["entries"]
    after = await intake.rows("SELECT count(*) AS n FROM patient_case")
    assert after[0]["n"] == before[0]["n"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b'{"resourceType":"Patient"}', b"\xff\xfe"])
async def test_what_is_no_bundle_is_refused_with_a_problem(intake: Intake, raw: bytes) -> None:
    answer = await intake.client.post(
        "/fhir/Bundle", headers=intake.headers(Role.COORDINATOR), content=raw
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "bundle-refused")


async def test_concurrent_referrals_of_one_patient_make_one_case(intake: Intake) -> None:
    identifiers = [["urn:example:mrn", uuid4().hex], ["urn:example:ssn", uuid4().hex]]
    headers = intake.headers(Role.COORDINATOR)

    answers = await asyncio.gather(
        *(
            intake.client.post("/cases", headers=headers, json={"identifiers": identifiers})
            for _ in range(8)
        )
    )

    assert {a.status_code for a in answers} <= {200, 201}
    assert len({a.json()["case_id"] for a in answers}) == 1
    assert sorted(a.status_code for a in answers).count(201) == 1
