"""FHIR subscription notifications end to end: a server on loopback, and the record in PostgreSQL.

The rule that the neutrophil count breaks: below 1.0 10*9/L an infusion is on hold (the protocol's
table of laboratory limits).
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from services.intake.adapters.fhir_server import HttpFhirServer
from services.intake.application.fhir_server import ATTEMPTS_MAX, LAGGING_ATTEMPTS_MAX
from shared.contracts.vocabulary import Role
from shared.persistence.database import (
    CommitUnknownError,
    LockTimeoutError,
    StoreUnavailableError,
)
from shared.testing.doubles import FunctionHttp
from tests.component.intake.conftest import Intake
from tests.component.intake.subscribed import (
    TOKEN,
    Ehr,
    notification,
    observation,
    subscribed,
)

pytestmark = pytest.mark.component
SAMPLES = Path(__file__).parents[2] / "data" / "subscriptions"
ANC = "Observation/anc"


@pytest.fixture
async def ehr(intake: Intake) -> AsyncIterator[Ehr]:
    async with subscribed(intake) as found:
        yield found


async def test_a_notified_result_is_fetched_and_places_its_hold(ehr: Ehr) -> None:
    ehr.server.put(observation(0.4))

    answer = await ehr.notifies(1, f"{ehr.base}/{ANC}")
    await ehr.runs()

    assert answer == {
        "outcome": "noted", "subscription": "Subscription/s1", "fetches": 1, "gaps": 0,
    }  # fmt: skip
    assert await ehr.states() == [("done", "stated")]
    holds = (await ehr.intake.case(ehr.case_id))["open_holds"]
    assert any("ANC" in hold["rule"] for hold in holds), holds


async def test_a_fact_tells_its_feed_subscription_and_resource(ehr: Ehr) -> None:
    await ehr.notifies(1, ANC)
    await ehr.runs()

    told = await ehr.fact(ANC)

    assert told["reporter"] == f"feed:{ehr.name}"
    assert told["statement"]["source"] == f"FHIR {ehr.name} Subscription/s1 {ANC}"


async def test_the_server_sees_its_own_token_and_no_other(ehr: Ehr) -> None:
    await ehr.notifies(1, ANC)
    await ehr.runs()

    assert ehr.server.paths == [ANC, "Patient/p1"]
    assert {headers["authorization"] for _, headers in ehr.server.asked} == {f"Bearer {TOKEN}"}
    assert {headers["accept"] for _, headers in ehr.server.asked} == {"application/fhir+json"}


async def test_the_same_result_by_bundle_and_by_notification_is_one_fact(ehr: Ehr) -> None:
    bundle = {
        "resourceType": "Bundle", "type": "collection",
        "entry": [{"resource": ehr.patient()}, {"resource": observation()}],
    }  # fmt: skip
    imported = await ehr.client.post(
        "/fhir/Bundle",
        headers=ehr.intake.headers(Role.COORDINATOR),
        content=json.dumps(bundle).encode(),
    )
    before = await ehr.facts()
    await ehr.notifies(1, ANC)
    await ehr.runs()

    assert imported.json()["case_id"] == ehr.case_id
    assert [f["source_id"] for f in before if f["source_id"] == ANC] == [ANC]
    assert await ehr.facts() == before


async def test_an_event_told_twice_is_fetched_once(ehr: Ehr) -> None:
    first = await ehr.notifies(1, ANC)
    again = await ehr.notifies(1, ANC)
    await ehr.runs()
    late = await ehr.notifies(1, ANC)
    await ehr.runs()

    assert [a["outcome"] for a in (first, again, late)] == ["noted", "repeated", "repeated"]
    assert await ehr.states() == [("done", "stated")]
    assert ehr.server.paths == [ANC, "Patient/p1"]


async def test_a_medication_order_is_understood_by_the_drug_that_it_refers_to(ehr: Ehr) -> None:
    drug = {"coding": [{"system": "http://www.whocc.no/atc", "code": "H02AB02"}]}
    ehr.server.put(
        {"resourceType": "Medication", "id": "m1", "code": drug},
        {
            "resourceType": "MedicationRequest", "id": "r1", "status": "active", "intent": "order",
            "meta": {"versionId": "1"}, "subject": {"reference": f"{ehr.base}/Patient/p1"},
            "medicationReference": {"reference": "Medication/m1"}, "authoredOn": "2027-03-09",
        },
    )  # fmt: skip

    await ehr.notifies(1, "MedicationRequest/r1")
    await ehr.runs()

    stated = (await ehr.fact("MedicationRequest/r1"))["statement"]
    assert stated["kind"] == "medication"
    assert stated["class"], stated


@pytest.mark.parametrize(
    ("written", "kind"),
    [("2027-03-01T08:00:00Z", "condition"), ("1995-05-03T08:00:00Z", "infection"),
     (None, "infection"), ("soon", "infection")],
)  # fmt: skip
async def test_an_infection_that_was_never_closed_is_as_old_as_its_server_last_wrote_it(
    ehr: Ehr, written: str | None, kind: str
) -> None:
    sepsis = {
        "resourceType": "Condition", "id": "c1", "subject": {"reference": "Patient/p1"},
        "meta": {"versionId": "1", **({"lastUpdated": written} if written else {})},
        "clinicalStatus": {"coding": [{"code": "active"}]},
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "91302008"}]},
        "onsetDateTime": "1995-05-01", "recordedDate": "1995-05-01",
    }  # fmt: skip
    ehr.server.put(sepsis)
    await ehr.notifies(1, "Condition/c1")
    await ehr.runs()

    assert (await ehr.fact("Condition/c1"))["statement"]["kind"] == kind


async def test_versions_in_any_order_leave_the_newest(ehr: Ehr) -> None:
    ehr.server.put(observation(0.4, meta={"versionId": "2"}))
    await ehr.notifies(1, f"{ANC}/_history/2")
    await ehr.runs()
    ehr.server.put(observation(5.0, meta={"versionId": "1"}))  # a copy of the store lags behind
    await ehr.notifies(2, f"{ANC}/_history/1")
    await ehr.runs()

    assert await ehr.states() == [("done", "stated"), ("done", "stated")]
    holds = (await ehr.intake.case(ehr.case_id))["open_holds"]
    assert any("ANC" in hold["rule"] for hold in holds), holds


async def test_a_patient_who_is_not_one_here_is_counted_and_can_be_tried_after_a_referral(
    ehr: Ehr,
) -> None:
    known, ehr.number = ehr.number, uuid4().hex
    ehr.server.put(ehr.patient())
    await ehr.notifies(1, ANC)
    await ehr.runs()
    counted = (await ehr.state())["unknown_patients"]
    (waiting,) = await ehr.listed()
    await ehr.refer()
    again = await ehr.decides(waiting["errand_id"], "retry")
    await ehr.runs()

    assert known != ehr.number
    assert (waiting["state"], waiting["reference"], counted) == ("not-here", ANC, 1)
    assert again.json() == {"outcome": "waiting"}
    assert ANC in [fact["source_id"] for fact in await ehr.facts()]
    assert await ehr.listed() == []


async def test_no_case_is_opened_by_a_notification(ehr: Ehr) -> None:
    ehr.number = uuid4().hex
    ehr.server.put(ehr.patient())
    before = await ehr.intake.rows("SELECT count(*) FROM patient_case")
    await ehr.notifies(1, ANC)
    await ehr.runs()

    assert await ehr.intake.rows("SELECT count(*) FROM patient_case") == before


async def test_a_number_of_somebody_born_another_day_holds_the_case_and_records_nothing(
    ehr: Ehr,
) -> None:
    ehr.server.put(ehr.patient(birthDate="1991-01-01"))
    await ehr.notifies(1, ANC)
    await ehr.runs()

    (waiting,) = await ehr.listed()
    assert (waiting["code"], waiting["case_id"]) == ("identity-conflict", ehr.case_id)
    assert [h["kind"] for h in (await ehr.intake.case(ehr.case_id))["open_holds"]] == ["identity"]
    assert await ehr.facts() == []


async def test_a_patient_without_a_number_is_nobody_here(ehr: Ehr) -> None:
    ehr.server.put(ehr.patient(identifier=[]))
    await ehr.notifies(1, ANC)
    await ehr.runs()

    assert await ehr.states() == [("parked", "patient-without-number")]


async def test_a_resource_that_cannot_be_read_stands_before_a_person_with_its_place(
    ehr: Ehr,
) -> None:
    ehr.server.put(observation(effectiveDateTime="2031-01-01"))
    await ehr.notifies(1, ANC)
    await ehr.runs()

    (waiting,) = await ehr.listed()
    assert (waiting["state"], waiting["code"]) == ("parked", "future-date")
    assert (waiting["place"], waiting["case_id"]) == ("/effectiveDateTime", ehr.case_id)


async def test_a_type_that_no_rule_reads_is_done(ehr: Ehr) -> None:
    encounter = {
        "resourceType": "Encounter", "id": "e1", "status": "finished",
        "subject": {"reference": "Patient/p1"},
    }  # fmt: skip
    ehr.server.put(encounter)
    await ehr.notifies(1, "Encounter/e1")
    await ehr.notifies(2, "Practitioner/d1")
    await ehr.runs()

    assert await ehr.states() == [
        ("done", "resource-type-not-needed"), ("done", "not-about-a-patient"),
    ]  # fmt: skip
    assert "Practitioner/d1" not in ehr.server.paths


FOREIGN = [
    "https://elsewhere.example/fhir/Observation/anc",
    "http://169.254.169.254/fhir/Observation/anc",
    "http://localhost/fhir/Observation/anc",
    "{base}/../Observation/anc",
    "{base}/Observation/..",
    "{base}x/Observation/anc",
    "file:///etc/passwd",
]


@pytest.mark.parametrize("reference", FOREIGN)
async def test_a_reference_elsewhere_is_never_asked_for_and_shown(ehr: Ehr, reference: str) -> None:
    written = reference.format(base=ehr.base)
    await ehr.notifies(1, written)
    await ehr.runs()

    (waiting,) = await ehr.listed()
    assert (waiting["state"], waiting["code"]) == ("parked", "foreign-address")
    assert waiting["reference"] == written
    assert ehr.server.asked == []


async def test_a_patient_elsewhere_is_never_asked_for(ehr: Ehr) -> None:
    ehr.server.put(observation(subject={"reference": "https://elsewhere.example/Patient/p1"}))
    await ehr.notifies(1, ANC)
    await ehr.runs()

    (waiting,) = await ehr.listed()
    assert (waiting["code"], waiting["place"]) == ("foreign-address", f"{ANC}/subject")
    assert ehr.server.paths == [ANC]


async def test_a_redirect_is_not_followed(ehr: Ehr) -> None:
    ehr.server.plant(ANC, 302, location=f"{ehr.base}/Observation/other")
    await ehr.notifies(1, ANC)
    await ehr.runs()

    assert await ehr.states() == [("parked", "redirected")]
    assert ehr.server.paths == [ANC]


OTHER = b'{"resourceType": "Observation", "id": "other"}'
TOO_LARGE = b'{"resourceType": "Observation", "id": "anc", "note": "' + b"x" * 4_200_000 + b'"}'


@pytest.mark.parametrize(
    ("status", "body", "content_type", "code"),
    [
        (200, TOO_LARGE, "application/fhir+json", "too-large"),
        (200, b"<html>", "text/html", "not-fhir-json"),
        (200, b"{", "application/fhir+json", "not-json"),
        (200, b'{"a":' * 40 + b"1" + b"}" * 40, "application/fhir+json", "too-deep"),
        (
            200,
            b'{"resourceType": "Observation", "id": "b"}',
            "application/json",
            "another-resource",
        ),
        (410, b"", "application/fhir+json", "deleted"),
        (400, b"", "application/fhir+json", "not-supported"),
    ],
    ids=["large", "html", "broken", "deep", "other", "deleted", "refused"],
)
async def test_an_answer_that_cannot_be_used_stands_before_a_person_at_once(
    ehr: Ehr, status: int, body: bytes, content_type: str, code: str
) -> None:
    ehr.server.plant(ANC, status, body, content_type=content_type)
    await ehr.notifies(1, ANC)
    await ehr.runs()

    assert await ehr.states() == [("parked", code)]
    assert await ehr.facts() == []


@pytest.mark.parametrize(
    ("status", "code", "attempts"),
    [
        (404, "not-found", LAGGING_ATTEMPTS_MAX),
        (401, "access-refused", ATTEMPTS_MAX),
        (403, "access-refused", ATTEMPTS_MAX),
        (429, "server-busy", ATTEMPTS_MAX),
        (503, "server-failed", ATTEMPTS_MAX),
    ],
)
async def test_what_may_pass_is_tried_again_later_and_then_given_to_a_person(
    ehr: Ehr, status: int, code: str, attempts: int
) -> None:
    ehr.server.plant(ANC, status)
    await ehr.notifies(1, ANC)
    await ehr.runs(rounds=attempts - 1)
    before = await ehr.states()
    await ehr.runs(rounds=2)

    assert before == [("waiting", code)]
    assert await ehr.states() == [("parked", code)]
    assert ehr.server.paths == [ANC] * attempts


async def test_attempts_are_further_and_further_apart_and_as_far_as_the_server_asks(
    ehr: Ehr,
) -> None:
    async def wait() -> timedelta:
        (one,) = await ehr.intake.rows(
            "SELECT next_try_at - now() AS wait FROM subscription_errand WHERE feed = $1", ehr.name
        )
        found: timedelta = one["wait"]
        return found

    ehr.server.plant(ANC, 503)
    await ehr.notifies(1, ANC)
    waits = []
    for _ in range(3):
        await ehr.runs()
        waits.append(await wait())
    ehr.server.plant(ANC, 503, retry_after="900")
    await ehr.runs()

    expected = [timedelta(seconds=s) for s in (5, 10, 20)]
    slow = timedelta(seconds=4)
    assert all(e - slow < w <= e for w, e in zip(waits, expected, strict=True)), waits
    assert timedelta(seconds=890) < await wait() <= timedelta(seconds=900)


async def test_a_server_that_is_away_is_asked_once_a_round(ehr: Ehr) -> None:
    nobody = FunctionHttp()
    ehr.errands = replace(
        ehr.errands, fetching=replace(ehr.errands.fetching, server=HttpFhirServer(nobody))
    )
    await ehr.notifies(3, "Observation/a", "Observation/b", "Observation/c")
    await ehr.runs()

    fetches = [one for one in await ehr.owed() if one["reference"]]
    assert [(one["state"], one["code"]) for one in fetches] == [("waiting", "unreachable")] * 3
    assert nobody.calls == [("GET", f"{ehr.base}/Observation/a")]


async def test_after_a_repair_a_person_has_it_fetched(ehr: Ehr) -> None:
    ehr.server.plant(ANC, 410)
    await ehr.notifies(1, ANC)
    await ehr.runs()
    (waiting,) = await ehr.listed()
    ehr.server.put(observation())

    again = await ehr.decides(waiting["errand_id"], "retry")
    await ehr.runs()
    late = await ehr.decides(waiting["errand_id"], "retry")

    assert (again.status_code, late.status_code) == (200, 404)
    assert await ehr.states() == [("done", "stated")]


async def test_a_person_discards_with_a_reason_that_stays(ehr: Ehr) -> None:
    ehr.server.plant(ANC, 410)
    await ehr.notifies(1, ANC)
    await ehr.runs()
    (waiting,) = await ehr.listed()

    answer = await ehr.decides(waiting["errand_id"], "discard", reason="entered by hand")

    assert answer.json() == {"outcome": "discarded"}
    assert await ehr.listed() == []
    (row,) = await ehr.intake.rows(
        "SELECT state, settled_by, reason FROM subscription_errand WHERE feed = $1", ehr.name
    )
    assert tuple(row.values()) == ("discarded", "u-1", "entered by hand")


async def test_operations_see_no_reference_and_decide_nothing(ehr: Ehr) -> None:
    ehr.server.plant(ANC, 410)
    await ehr.notifies(1, ANC)
    await ehr.runs()
    (waiting,) = await ehr.listed(Role.OPS)

    refused = await ehr.client.post(
        f"/feeds/errands/{waiting['errand_id']}/retry", headers=ehr.intake.headers(Role.OPS)
    )

    assert (waiting["reference"], waiting["place"], waiting["code"]) == (None, None, "deleted")
    assert refused.status_code == 403


async def test_a_process_that_dies_while_fetching_leaves_the_errand_to_the_next(
    ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ehr.notifies(1, ANC)

    async def dies(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr("services.intake.application.run_errands.fetch_notified", dies)
        with pytest.raises(asyncio.CancelledError):
            await ehr.runs()
    claimed = await ehr.owed()
    await ehr.errands()  # the claim still holds
    untouched = await ehr.states()
    await ehr.runs()

    assert [one["attempts"] for one in claimed] == [1]
    assert untouched == [("waiting", None)]
    assert await ehr.states() == [("done", "stated")]
    assert len([f for f in await ehr.facts() if f["source_id"] == ANC]) == 1


async def test_a_crash_between_record_and_errand_records_nothing_twice(
    ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ehr.notifies(1, ANC)

    async def dies(*_: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr("services.intake.application.run_errands.Errands._settle", dies)
        with pytest.raises(asyncio.CancelledError):
            await ehr.runs()
    before = await ehr.facts()
    await ehr.runs()

    assert ANC in [fact["source_id"] for fact in before]
    assert await ehr.facts() == before
    assert await ehr.states() == [("done", "stated")]


async def test_an_errand_whose_every_attempt_broke_off_stands_before_a_person(ehr: Ehr) -> None:
    await ehr.notifies(1, ANC)
    await ehr.intake.rows(
        "UPDATE subscription_errand SET attempts = $2 WHERE feed = $1 RETURNING 1",
        ehr.name, ATTEMPTS_MAX,
    )  # fmt: skip
    await ehr.runs()

    assert await ehr.states() == [("parked", "keeps-failing")]
    assert ehr.server.asked == []


async def test_a_store_that_is_away_leaves_the_errand_waiting(
    ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ehr.notifies(1, ANC)

    async def is_away(*_: object) -> None:
        raise StoreUnavailableError

    with monkeypatch.context() as patched:
        patched.setattr("services.intake.application.run_errands.fetch_notified", is_away)
        with pytest.raises(StoreUnavailableError):
            await ehr.runs()
    before = await ehr.states()
    await ehr.runs()

    assert before == [("waiting", None)]
    assert await ehr.states() == [("done", "stated")]


async def test_a_record_that_others_work_on_is_tried_again_soon(
    ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ehr.notifies(1, ANC)

    async def is_busy(*_: object) -> None:
        raise LockTimeoutError

    with monkeypatch.context() as patched:
        patched.setattr("services.intake.application.run_errands.fetch_notified", is_busy)
        await ehr.runs()

    assert await ehr.states() == [("waiting", "record-busy")]


async def test_a_notification_whose_commit_is_not_known_is_not_answered_as_noted(
    ehr: Ehr, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = type(ehr.parts.uow)
    real = kind.begin

    @asynccontextmanager
    async def lost(self: Any, *args: Any, **named: Any) -> AsyncIterator[Any]:
        async with real(self, *args, **named) as work:
            yield work
        raise CommitUnknownError("the connection broke while committing")

    told = notification(ehr.base, "event-notification", total=1, events={1: [ANC]})
    with monkeypatch.context() as patched:
        patched.setattr(kind, "begin", lost)
        unsure = await ehr.sends(told)
    again = await ehr.sends(told)

    assert unsure.status_code == 503
    assert again.json()["outcome"] == "repeated"
    assert len(await ehr.owed()) == 1


@pytest.mark.parametrize("shown", ["", "0" * 32, None])
async def test_only_the_feeds_own_secret_opens_its_endpoint(ehr: Ehr, shown: str | None) -> None:
    headers = {} if shown is None else {"authorization": f"Bearer {shown}"}

    answer = await ehr.client.post(
        f"/fhir/notifications/{ehr.name}", headers=headers, content=b"{}"
    )

    assert answer.status_code == 401
    assert answer.json()["code"] == "not-signed-in"


async def test_a_secret_opens_nothing_else(ehr: Ehr) -> None:
    headers = {"authorization": f"Bearer {ehr.secret}"}

    refused = [
        (await ehr.client.get(path, headers=headers)).status_code
        for path in ("/cases", "/feeds", "/feeds/errands", f"/cases/{ehr.case_id}")
    ]
    other = await ehr.client.post("/fhir/notifications/other", headers=headers, content=b"{}")
    bundle = await ehr.client.post("/fhir/Bundle", headers=headers, content=b"{}")

    assert refused == [403] * 4
    assert (other.status_code, bundle.status_code) == (403, 403)


async def test_a_notification_of_another_server_is_refused(ehr: Ehr) -> None:
    other = await ehr.sends(notification("https://elsewhere.example/fhir", "handshake", total=0))
    sample = await ehr.sends((SAMPLES / "Bundle-r4-notification-id-only.json").read_bytes())
    broken = await ehr.sends(b"{")

    assert [a.status_code for a in (other, sample, broken)] == [422] * 3
    assert [a.json()["code"] for a in (other, sample, broken)] == ["notification-refused"] * 3
    assert other.json()["errors"][0]["code"] == "foreign-address"
    assert await ehr.intake.rows("SELECT 1 FROM subscription WHERE feed = $1", ehr.name) == []


@pytest.mark.parametrize(
    ("name", "base", "owed"),
    [
        ("Bundle-r4-notification-handshake", "https://example.org/fhir", []),
        ("Bundle-r4-notification-heartbeat", "https://example.org/fhir", [(1, 2, None)]),
        ("Bundle-r4-notification-empty", "https://example.org/fhir", [(1, 2, None)]),
        ("Bundle-r4-notification-error", "https://example.org/fhir", [(1, 3, None)]),
        ("Bundle-r4-notification-id-only", "https://example.org/fhir", [
            (1, 1, None), (2, 2, "Encounter/86009987-eabe-42bf-8c02-b112b18cb616"),
        ]),
        ("fhir-candle-Bundle-notification-handshake", "https://subscriptions.argo.run/fhir/r4", []),
        ("fhir-candle-Bundle-notification-id", "https://subscriptions.argo.run/fhir/r4", [
            (1, 1, "Encounter/36e1c9d9-6878-4ef0-b1ff-9f5986e2def6"), (1, 1, "Patient/example"),
        ]),
    ],
)  # fmt: skip
async def test_what_real_servers_send_is_noted(
    ehr: Ehr, name: str, base: str, owed: list[tuple[int, int, str | None]]
) -> None:
    raw = (SAMPLES / f"{name}.json").read_bytes().replace(base.encode(), ehr.base.encode())

    answer = await ehr.sends(raw)

    assert answer.status_code == 200, answer.text
    found = [(o["first_number"], o["last_number"], o["reference"]) for o in await ehr.owed()]
    assert found == owed


async def test_a_patient_of_ours_may_be_notified_alone(ehr: Ehr) -> None:
    await ehr.notifies(1, "Patient/p1")
    await ehr.runs()

    assert (await ehr.fact("Patient/p1"))["statement"]["kind"] == "patient"
    assert ehr.server.paths == ["Patient/p1"]
