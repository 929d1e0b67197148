"""CDS Hooks at intake, as an oncologist's EHR meets it.

Expected dates are worked from the protocol by hand: WO-CHEMO (3 free days before an infusion, 5
before the next dose, 14 before a collection), WO-RT (7 before an infusion), STER-001 (7 days after
the last day above 10 mg prednisone equivalent).
"""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from services.intake.bootstrap import reactions
from services.intake.entrypoints.parts import IntakeParts
from shared.contracts.event import Envelope, Event
from shared.contracts.infusion import CoursePlanned, InfusionRescheduled, PlannedInfusion
from shared.contracts.manufacturing import (
    CollectionBooked,
    CollectionDone,
    ManufacturingSlotFreed,
)
from shared.contracts.vocabulary import Role, Service
from shared.messaging.unit_of_work import Cause
from tests.component.intake.conftest import NOW, Intake

pytestmark = pytest.mark.component
SAMPLES = Path(__file__).parents[2] / "data" / "cds-hooks"
SYSTEM = "urn:example:mrn"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
INFUSION_2 = uuid4()
Resource = dict[str, Any]
_sequence = count(1)


class Ehr:
    """The oncologist's system, and a patient of theirs whose case has planned steps."""

    def __init__(self, intake: Intake, number: str, case_id: str) -> None:
        self.intake, self.number, self.case_id = intake, number, case_id

    def patient(self) -> Resource:
        identifier = [{"system": SYSTEM, "value": self.number}]
        return {"resourceType": "Patient", "id": "p-1", "identifier": identifier}

    def request(self, hook: str, *resources: Resource, **changed: Any) -> Resource:
        bundle = {"resourceType": "Bundle", "entry": [{"resource": r} for r in resources]}
        name = "draftOrders" if hook == "order-sign" else "appointments"
        return {
            "hook": hook,
            "hookInstance": str(uuid4()),
            "fhirServer": "https://ehr.example.org/fhir",
            "fhirAuthorization": {"access_token": "not-for-us", "token_type": "Bearer"},
            "context": {"userId": "Practitioner/onc", "patientId": "p-1", name: bundle},
            "prefetch": {"patient": self.patient()},
        } | changed

    async def post(self, body: Resource, hook: str | None = None, **who: Any) -> Any:
        headers = self.intake.headers(Role.ONCOLOGIST) | who.get("headers", {})
        return await self.intake.client.post(
            f"/cds-services/{hook or body['hook']}", headers=headers, json=body
        )

    async def cards(self, hook: str, *resources: Resource) -> list[Resource]:
        answer = await self.post(self.request(hook, *resources))
        assert answer.status_code == 200, answer.text
        return cast(list[Resource], answer.json()["cards"])


async def tell(intake: Intake, event: Event) -> None:
    parts = cast(IntakeParts, intake.app.state.parts)
    envelope: Envelope[Any] = Envelope(
        id=uuid4(), source=event.owner, time=NOW, epoch=1, sequence=next(_sequence),
        correlation_id=uuid4(), causation_id=None, traceparent=None, data=event,
    )  # fmt: skip
    cause = Cause.of_event(envelope, Service.INTAKE)
    async with parts.uow.begin(cause) as work:
        await reactions(parts.rulebooks).handlers[type(event)](work, envelope)


def planned(case_id: str) -> CoursePlanned:
    """Infusion 2 on 24 March 2027 and infusion 3 on 14 April."""
    days = ((INFUSION_2, 2, datetime(2027, 3, 24, 7, tzinfo=UTC)),
            (uuid4(), 3, datetime(2027, 4, 14, 7, tzinfo=UTC)))  # fmt: skip
    return CoursePlanned(
        case_id=UUID(case_id), course_id=uuid4(), plan_version=1, schedule="s",
        infusions=tuple(
            PlannedInfusion(infusion_id=i, number=n, planned_at=at) for i, n, at in days
        ),
    )  # fmt: skip


async def refer(intake: Intake, *numbers: str) -> str:
    answer = await intake.client.post(
        "/cases",
        headers=intake.headers(Role.COORDINATOR),
        json={"identifiers": [[SYSTEM, number] for number in numbers]},
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["case_id"])


@pytest.fixture
async def ehr(intake: Intake) -> Ehr:
    number = uuid4().hex
    found = Ehr(intake, number, await refer(intake, number))
    await tell(intake, planned(found.case_id))
    return found


def drug(code: str, *days: str, subject: str = "Patient/p-1", **dosage: Any) -> Resource:
    timing = {"event": list(days)} if days else {}
    return {
        "resourceType": "MedicationRequest", "id": f"o-{code}", "status": "draft",
        "intent": "order", "authoredOn": "2027-03-10", "subject": {"reference": subject},
        "medicationCodeableConcept": {"coding": [{"system": RXNORM, "code": code}]},
        "dosageInstruction": [{"timing": timing} | dosage],
    }  # fmt: skip


CARBOPLATIN = "40048"


def prednisone(first: str, last: str) -> Resource:
    repeat = {"frequency": 1, "period": 1, "periodUnit": "d",
              "boundsPeriod": {"start": first, "end": last}}  # fmt: skip
    dose = [{"doseQuantity": {"value": 40, "unit": "mg", "code": "mg"}}]
    oral = {"coding": [{"system": SNOMED, "code": "26643006"}]}
    return drug("8640", timing={"repeat": repeat}, doseAndRate=dose, route=oral)


def radiotherapy(first: str, last: str) -> Resource:
    return {
        "resourceType": "ServiceRequest", "id": "rt", "status": "draft", "intent": "order",
        "code": {"coding": [{"system": SNOMED, "code": "108290001", "display": "Radiotherapy"}]},
        "subject": {"reference": "Patient/p-1"},
        "occurrencePeriod": {"start": first, "end": last},
    }  # fmt: skip


def appointment(code: str, start: str | None, **changed: Any) -> Resource:
    when = {} if start is None else {"start": start}
    return {
        "resourceType": "Appointment", "id": "a-1", "status": "proposed", **when,
        "serviceType": [{"coding": [{"system": SNOMED, "code": code}]}],
        "participant": [
            {"actor": {"reference": "Practitioner/onc"}, "status": "accepted"},
            {"actor": {"reference": "Patient/p-1"}, "status": "needs-action"},
        ],
    } | changed  # fmt: skip


CHEMOTHERAPY = "367336001"


async def test_discovery_names_both_services_and_what_to_send(ehr: Ehr) -> None:
    answer = await ehr.intake.client.get(
        "/cds-services", headers=ehr.intake.headers(Role.ONCOLOGIST)
    )

    services = answer.json()["services"]
    assert {(s["hook"], s["id"]) for s in services} == {
        ("order-sign", "order-sign"), ("appointment-book", "appointment-book"),
    }  # fmt: skip
    assert {json.dumps(s["prefetch"]) for s in services} == {
        '{"patient": "Patient/{{context.patientId}}"}'
    }
    assert all(s["description"] for s in services)


async def test_a_chemotherapy_order_tells_which_infusion_it_collides_with(ehr: Ehr) -> None:
    (card,) = await ehr.cards("order-sign", drug(CARBOPLATIN, "2027-03-22"))

    assert card["summary"] == (
        "CIK infusion 2 on 24 Mar 2027 collides with this order; "
        "the infusion will be moved around it, to 25 Mar 2027 or later."
    )
    assert card["indicator"] == "warning"
    assert "WO-CHEMO; free of it from 25 Mar 2027" in card["detail"]
    assert "The order stands as it is" in card["detail"]
    assert card["source"]["label"]
    assert {r["code"] for r in card["overrideReasons"]} >= {"treatment-keeps-date"}
    assert UUID(card["uuid"])
    assert "suggestions" not in card


async def test_in_shadow_mode_a_card_is_shown_to_the_coordinator_alone(ehr: Ehr) -> None:
    state, order = ehr.intake.app.state, drug(CARBOPLATIN, "2027-03-22")
    coordinator, as_it_was = ehr.intake.headers(Role.COORDINATOR), state.parts
    state.parts = replace(as_it_was, mode="shadow")
    try:
        to_oncologist = await ehr.cards("order-sign", order)
        to_coordinator = await ehr.post(ehr.request("order-sign", order), headers=coordinator)
    finally:
        state.parts = as_it_was

    assert to_oncologist == []
    assert len(to_coordinator.json()["cards"]) == 1


async def test_a_dose_soon_after_an_infusion_collides_by_its_lead(ehr: Ehr) -> None:
    (card,) = await ehr.cards("order-sign", drug(CARBOPLATIN, "2027-03-27"))

    assert "CIK infusion 2" in card["summary"]
    assert "30 Mar 2027 or later" in card["summary"]  # the dose's day and 3 free days
    assert "WO-CHEMO" in card["detail"]


@pytest.mark.parametrize("day", ["2027-03-21", "2027-03-29"])
async def test_a_dose_just_far_enough_from_every_step_gives_no_card(ehr: Ehr, day: str) -> None:
    order = drug(CARBOPLATIN, day)

    found = await ehr.cards("order-sign", order)

    assert [c for c in found if "infusion 2" in c["summary"] and "collides" in c["summary"]] == []


async def test_a_steroid_course_collides_until_seven_days_after_it(ehr: Ehr) -> None:
    found = await ehr.cards("order-sign", prednisone("2027-03-20", "2027-03-24"))

    assert "STER-001" in found[0]["detail"]
    assert "31 Mar 2027 or later" in found[0]["summary"]
    assert len(found) == 1


async def test_a_radiotherapy_request_is_compared_by_its_period(ehr: Ehr) -> None:
    (card,) = await ehr.cards("order-sign", radiotherapy("2027-03-15", "2027-03-26"))

    assert "CIK infusion 2" in card["summary"]
    assert "2 Apr 2027 or later" in card["summary"]
    assert "WO-RT" in card["detail"]


@pytest.mark.parametrize("code", [CHEMOTHERAPY, "108290001"])
async def test_a_treatment_appointment_is_compared_likewise(ehr: Ehr, code: str) -> None:
    found = await ehr.cards("appointment-book", appointment(code, "2027-03-23T09:00:00+03:00"))

    assert "CIK infusion 2 on 24 Mar 2027 collides with this appointment" in found[0]["summary"]


async def test_a_visit_that_is_no_treatment_gives_no_card(ehr: Ehr) -> None:
    visit = appointment("11429006", "2027-03-23T09:00:00+03:00")

    assert await ehr.cards("appointment-book", visit) == []


async def test_a_cancelled_appointment_gives_no_card(ehr: Ehr) -> None:
    visit = appointment(CHEMOTHERAPY, "2027-03-23T09:00:00+03:00", status="cancelled")

    assert await ehr.cards("appointment-book", visit) == []


async def test_a_treatment_without_a_date_is_said_not_to_be_compared(ehr: Ehr) -> None:
    (card,) = await ehr.cards("appointment-book", appointment(CHEMOTHERAPY, None))

    assert "could not be compared" in card["summary"]
    assert card["indicator"] == "info"


async def test_a_booked_collection_is_compared_until_it_is_done_or_cancelled(ehr: Ehr) -> None:
    case_id, collection_id = UUID(ehr.case_id), uuid4()
    order = drug(CARBOPLATIN, "2027-04-29")
    booked = CollectionBooked(
        case_id=case_id, collection_id=collection_id, method="apheresis",
        planned_on=date(2027, 5, 3),
    )  # fmt: skip

    async def summaries() -> list[str]:
        found = [card["summary"] for card in await ehr.cards("order-sign", order)]
        return [summary for summary in found if "collection" in summary]

    await tell(ehr.intake, booked)
    await tell(ehr.intake, booked)
    assert await summaries() == [
        "CIK cell collection on 3 May 2027 collides with this order; "
        "the collection will be moved around it, to 13 May 2027 or later."
    ]
    slot = ManufacturingSlotFreed(case_id=case_id, slot_id=uuid4(), day=date(2027, 5, 4))
    await tell(ehr.intake, slot)
    assert await summaries() == []
    await tell(ehr.intake, booked)
    assert len(await summaries()) == 1
    done = CollectionDone(
        case_id=case_id, collection_id=collection_id, method="apheresis", collected_at=NOW
    )
    await tell(ehr.intake, done)
    assert await summaries() == []


async def test_a_slot_freed_much_later_cancels_no_earlier_collection(ehr: Ehr) -> None:
    case_id = UUID(ehr.case_id)
    booked = CollectionBooked(
        case_id=case_id, collection_id=uuid4(), method="apheresis", planned_on=date(2027, 5, 3)
    )
    await tell(ehr.intake, booked)

    slot = ManufacturingSlotFreed(case_id=case_id, slot_id=uuid4(), day=date(2027, 5, 10))
    await tell(ehr.intake, slot)

    rows = await ehr.intake.rows("SELECT 1 FROM planned_collection WHERE case_id = $1", case_id)
    assert len(rows) == 1


async def test_a_moved_infusion_is_compared_at_its_new_day(ehr: Ehr) -> None:
    moved = InfusionRescheduled(
        case_id=UUID(ehr.case_id), infusion_id=INFUSION_2, number=2,
        planned_at=datetime(2027, 3, 31, 7, tzinfo=UTC),
        previous_at=datetime(2027, 3, 24, 7, tzinfo=UTC),
    )  # fmt: skip
    await tell(ehr.intake, moved)

    found = await ehr.cards("order-sign", drug(CARBOPLATIN, "2027-03-22"))

    assert [c for c in found if "collides" in c["summary"]] == []


async def test_an_order_on_record_is_compared_as_it_is_edited(ehr: Ehr) -> None:
    fact = {"kind": "medication", "id": f"MedicationRequest/o-{CARBOPLATIN}",
            "class": "cytotoxic_systemic", "doses": [{"day": "2027-03-23"}],
            "more_planned": False}  # fmt: skip
    answer = await ehr.intake.report(ehr.case_id, fact)
    assert answer.status_code == 201, answer.text

    found = await ehr.cards("order-sign", drug(CARBOPLATIN, "2027-03-20"))

    assert [c for c in found if "collides" in c["summary"]] == []


async def test_an_unknown_patient_gives_no_cards(ehr: Ehr) -> None:
    stranger = Ehr(ehr.intake, uuid4().hex, "")

    assert await stranger.cards("order-sign", drug(CARBOPLATIN, "2027-03-22")) == []


async def test_a_patient_of_another_site_is_an_unknown_patient(ehr: Ehr) -> None:
    await ehr.intake.rows(
        "UPDATE patient_case SET site = 'ankara' WHERE case_id = $1 RETURNING 1", UUID(ehr.case_id)
    )
    body = ehr.request("order-sign", drug(CARBOPLATIN, "2027-03-22"))

    def of(site: str) -> dict[str, str]:
        return ehr.intake.sign_in.person(Role.ONCOLOGIST, site=site)

    elsewhere = await ehr.post(body, headers=of("izmir"))
    there = await ehr.post(body, headers=of("ankara"))

    assert elsewhere.json() == {"cards": []}
    assert len(there.json()["cards"]) == 1


async def test_two_records_of_one_patient_are_told_of_and_not_disclosed(ehr: Ehr) -> None:
    other = uuid4().hex
    other_case = await refer(ehr.intake, other)
    body = ehr.request("order-sign", drug(CARBOPLATIN, "2027-03-22"))
    body["prefetch"]["patient"]["identifier"].append({"system": SYSTEM, "value": other})

    (card,) = (await ehr.post(body)).json()["cards"]

    assert "Several coordination records" in card["summary"]
    for secret in (ehr.case_id, other_case, ehr.number, other, "infusion", "2027"):
        assert secret not in json.dumps({k: v for k, v in card.items() if k != "uuid"})


async def test_nothing_is_stored_but_the_audit_of_the_reading(ehr: Ehr) -> None:
    before = await counts(ehr.intake)

    (card,) = await ehr.cards("order-sign", drug(CARBOPLATIN, "2027-03-22"))

    after = await counts(ehr.intake)
    changed = {table for table in after if after[table] != before[table]}
    assert changed in ({"audit_entry"}, {"audit_entry", "audit_head"})
    assert before["outbox"] == after["outbox"]
    noted = await ehr.intake.rows(AUDITED, UUID(ehr.case_id), "cds-cards-shown")
    assert [card["uuid"] in row["body"] for row in noted] == [True]


AUDITED = "SELECT body FROM audit_entry WHERE case_id IS NOT DISTINCT FROM $1 AND action = $2"


async def counts(intake: Intake) -> dict[str, int]:
    """The number of rows of each table."""
    tables = await intake.rows(
        "SELECT table_name::text AS name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    return {row["name"]: len(await intake.rows(f'TABLE "{row["name"]}"')) for row in tables}


@pytest.mark.parametrize(
    "name", ["order-sign-01-context.json", "current-04-context.json", "examples-02-request.json"]
)
async def test_the_specifications_samples_are_answered(ehr: Ehr, name: str) -> None:
    sample = json.loads((SAMPLES / name).read_text(encoding="utf-8"))
    context = {"userId": "Practitioner/example", **sample["context"]}
    patient_id = context.setdefault("patientId", "1288992")
    body = ehr.request("order-sign", context=context)
    body["prefetch"]["patient"]["id"] = patient_id

    answer = await ehr.post(body)

    assert answer.status_code == 200, answer.text
    for card in answer.json()["cards"]:
        assert len(card["summary"]) <= 140
        assert card["indicator"] in {"info", "warning"}


def with_patient(**changed: Any) -> Any:
    def change(body: Resource) -> None:
        body["prefetch"]["patient"] |= changed

    return change


def with_order(order: Any) -> Any:
    def change(body: Resource) -> None:
        body["context"]["draftOrders"]["entry"] = [order]

    return change


def with_context(**changed: Any) -> Any:
    def change(body: Resource) -> None:
        body["context"] |= changed

    return change


MALFORMED = {
    "no Bundle": (with_context(draftOrders={"resourceType": "List"}),
                  "#/context/draftOrders/resourceType", "not-a-bundle"),
    "no array": (with_context(draftOrders={"resourceType": "Bundle", "entry": {}}),
                 "#/context/draftOrders/entry", "not-a-bundle"),
    "no patient id": (with_context(patientId=None), "#/context/patientId", "string-type"),
    "no resource": (with_order({}), "#/context/draftOrders/entry/0", "not-a-resource"),
    "another patient's order": (
        with_order({"resource": drug(CARBOPLATIN, "2027-03-22", subject="Patient/p-2")}),
        "#/context/draftOrders/entry/0/resource", "several-patients"),
    "no date": (with_order({"resource": drug(CARBOPLATIN, "next week")}),
                "#/context/draftOrders/entry/0/resource/dosageInstruction/0/timing/event/0",
                "bad-date"),
    "too many": (with_context(draftOrders={
        "resourceType": "Bundle", "entry": [{"resource": drug(CARBOPLATIN)}] * 101}),
        "#/context/draftOrders/entry", "too-many-entries"),
    "no Patient": (with_patient(resourceType="Person"),
                   "#/prefetch/patient/resourceType", "not-a-patient"),
    "another Patient": (with_patient(id="p-9"), "#/prefetch/patient/id", "another-patient"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_request_is_refused_with_its_place(ehr: Ehr, name: str) -> None:
    change, pointer, code = MALFORMED[name]
    body = ehr.request("order-sign", drug(CARBOPLATIN, "2027-03-22"))
    change(body)

    answer = await ehr.post(body)

    assert answer.status_code == 422, answer.text
    told = [(e["pointer"], e["code"]) for e in answer.json()["errors"]]
    assert told == [(pointer, code)]
    assert "next week" not in answer.text


async def test_a_hook_sent_to_another_service_is_refused(ehr: Ehr) -> None:
    body = ehr.request("order-sign", drug(CARBOPLATIN, "2027-03-22"))

    answer = await ehr.post(body, hook="appointment-book")

    assert answer.status_code == 422
    assert "#/hook" in {e["pointer"] for e in answer.json()["errors"]}


@pytest.mark.parametrize("prefetch", [None, {}, {"patient": None}])
async def test_without_the_patient_the_precondition_fails(ehr: Ehr, prefetch: Any) -> None:
    body = ehr.request("order-sign", drug(CARBOPLATIN, "2027-03-22"), prefetch=prefetch)

    answer = await ehr.post(body)

    assert (answer.status_code, answer.json()["code"]) == (412, "prefetch-missing")
    assert [e["pointer"] for e in answer.json()["errors"]] == ["#/prefetch/patient"]


async def test_an_oversize_request_is_refused(ehr: Ehr) -> None:
    order = drug(CARBOPLATIN, "2027-03-22") | {"note": [{"text": "x" * 1_000_000}]}

    answer = await ehr.post(ehr.request("order-sign", order))

    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")


async def test_an_unknown_service_is_not_found(ehr: Ehr) -> None:
    answer = await ehr.post(ehr.request("order-sign"), hook="order-select")

    assert answer.status_code in {404, 405}


def said(card: str, **changed: Any) -> Resource:
    reason = {"code": "treatment-keeps-date", "system": "urn:tandem:cds-hooks:override-reason"}
    return {
        "card": card, "outcome": "overridden", "outcomeTimestamp": "2027-03-10T07:05:00Z",
        "overrideReason": {"reason": reason, "userComment": "agreed by telephone"},
    } | changed  # fmt: skip


async def feedback(ehr: Ehr, *items: Resource) -> Any:
    return await ehr.intake.client.post(
        "/cds-services/order-sign/feedback",
        headers=ehr.intake.headers(Role.ONCOLOGIST, subject="ehr-1"),
        json={"feedback": items},
    )


async def test_feedback_is_kept_once_and_audited(ehr: Ehr) -> None:
    (card,) = await ehr.cards("order-sign", drug(CARBOPLATIN, "2027-03-22"))

    answers = [await feedback(ehr, said(card["uuid"])) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    rows = await ehr.intake.rows(
        "SELECT * FROM cds_feedback WHERE card_id = $1", UUID(card["uuid"])
    )
    assert len(rows) == 1
    assert (rows[0]["outcome"], rows[0]["reason_code"]) == ("overridden", "treatment-keeps-date")
    assert (rows[0]["reporter"], rows[0]["user_comment"]) == ("ehr-1", "agreed by telephone")
    noted = await ehr.intake.rows(AUDITED, None, "cds-feedback-recorded")
    mine = [row["body"] for row in noted if card["uuid"] in row["body"]]
    assert len(mine) == 1
    assert "telephone" not in mine[0]


async def test_an_accepted_card_is_kept_too(ehr: Ehr) -> None:
    card = str(uuid4())
    item = said(card, outcome="accepted", acceptedSuggestions=[{"id": "s-1"}])
    del item["overrideReason"]

    answer = await feedback(ehr, item)

    assert answer.status_code == 200, answer.text
    rows = await ehr.intake.rows("SELECT * FROM cds_feedback WHERE card_id = $1", UUID(card))
    assert [(row["outcome"], row["suggestions"]) for row in rows] == [("accepted", ["s-1"])]


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"card": "no-uuid"}, "#/feedback/0/card"),
        ({"outcome": "ignored"}, "#/feedback/0/outcome"),
        ({"outcomeTimestamp": "2027-03-10T07:05:00"}, "#/feedback/0/outcomeTimestamp"),
        ({"patient": "Ada"}, "#/feedback/0/patient"),
    ],
)
async def test_malformed_feedback_is_refused(ehr: Ehr, changed: Resource, pointer: str) -> None:
    answer = await feedback(ehr, said(str(uuid4())) | changed)

    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]
