"""Who may call which of intake's endpoints: the table is policy, the app must agree with it."""

import pytest

from shared.testing.role_matrix import ANY_ROLE, OPERATIONS, Table, check_role_matrix
from tests.component.intake.conftest import Intake

pytestmark = pytest.mark.component

READERS = ANY_ROLE - {"ops"}
PHYSICIANS = {"treating_physician", "oncologist", "medical_director", "apheresis_physician"}
CLINICAL = PHYSICIANS | {"coordinator", "consultant", "infusion_nurse", "nurse_lead", "lab_tech"}
IDENTITY = {"coordinator", "qa_release", "medical_director"}
HOLDERS = {"service:manufacturing", "service:infusion_scheduling"}

TABLE: Table = {
    **OPERATIONS,
    "POST /ops/recover": {"ops"},
    "POST /fhir/Bundle": PHYSICIANS | {"coordinator"},
    "POST /identity/merges": IDENTITY,
    "POST /identity/unmerges": IDENTITY,
    "GET /identity/changes": IDENTITY,
    "POST /identity/changes/{change_id}/{decision}": {"qa_release", "medical_director"},
    "GET /identity/questions": IDENTITY,
    "POST /identity/questions/{question_id}/answer": IDENTITY,
    "POST /fhir/notifications/{feed}": set(),  # a feed's own secret alone
    "GET /feeds": PHYSICIANS | {"coordinator", "ops"},
    "GET /feeds/errands": PHYSICIANS | {"coordinator", "ops"},
    "POST /feeds/errands/{errand_id}/retry": PHYSICIANS | {"coordinator"},
    "POST /feeds/errands/{errand_id}/discard": PHYSICIANS | {"coordinator"},
    "POST /feeds/messages": PHYSICIANS | {"coordinator"},
    "GET /feeds/quarantine": PHYSICIANS | {"coordinator", "ops"},
    "POST /feeds/quarantine/{quarantine_id}/retry": PHYSICIANS | {"coordinator"},
    "POST /feeds/quarantine/{quarantine_id}/discard": PHYSICIANS | {"coordinator"},
    "POST /cases": PHYSICIANS | {"coordinator"},
    "GET /cds-services": PHYSICIANS | {"coordinator"},
    "POST /cds-services/order-sign": PHYSICIANS | {"coordinator"},
    "POST /cds-services/appointment-book": PHYSICIANS | {"coordinator"},
    "POST /cds-services/{service_id}/feedback": PHYSICIANS | {"coordinator"},
    "GET /sources": ANY_ROLE,
    "GET /shadow/daily": {"coordinator", "medical_director"},
    "POST /sources/{name}/heartbeat": {"ops"},
    "GET /cases": ANY_ROLE,
    "GET /cases/{case_id}": READERS,
    "GET /cases/{case_id}/facts/{fact_id}": READERS,
    "POST /cases/{case_id}/facts": CLINICAL | HOLDERS,
    "POST /cases/{case_id}/facts/{fact_id}/corrections": CLINICAL | HOLDERS,
    "GET /cases/{case_id}/decisions/{gate}": {*READERS, "service:manufacturing"},
    "GET /cases/{case_id}/timeline/{gate}": READERS,
    "GET /cases/{case_id}/due": READERS,
    "GET /cases/{case_id}/checklist": READERS,
    "POST /cases/{case_id}/what-if": READERS | HOLDERS,
    "GET /protocol/versions": ANY_ROLE,
    "GET /protocol/versions/{digest}/{part}": ANY_ROLE,
    "GET /protocol/diff": ANY_ROLE,
    "POST /protocol/versions": {"medical_director", "coordinator"},
    "POST /protocol/versions/{digest}/signature": {"medical_director"},
    "POST /protocol/versions/{digest}/retirement": {"medical_director"},
    "GET /replay": {"medical_director", "coordinator", "auditor"},
    "POST /protocol/shadow": {"medical_director", "coordinator", "auditor"},
    "POST /cases/{case_id}/reviews": CLINICAL,
    "POST /cases/{case_id}/overrides": CLINICAL,
    "POST /cases/{case_id}/eligibility": PHYSICIANS,
    "GET /cases/{case_id}/entries": READERS,
    "GET /cases/{case_id}/entry-forms": READERS,
    "POST /cases/{case_id}/entries": CLINICAL,
    "GET /cases/{case_id}/entries/{entry_id}": READERS,
    "PUT /cases/{case_id}/entries/{entry_id}": CLINICAL,
    "POST /cases/{case_id}/entries/{entry_id}/withdrawal": CLINICAL,
    "POST /information-documents": {"medical_director"},
    "GET /cases/{case_id}/information": READERS,
    "POST /cases/{case_id}/information": {"treating_physician", "medical_director"},
    "POST /cases/{case_id}/questions": CLINICAL,
    "POST /cases/{case_id}/questions/{question_id}/answer": PHYSICIANS,
    "POST /cases/{case_id}/consent": {"treating_physician", "medical_director"},
    "POST /cases/{case_id}/consent/withdrawal": CLINICAL,
    "GET /cases/{case_id}/red-flag-card": CLINICAL,
    "POST /cases/{case_id}/red-flag-card/handed-over": CLINICAL,
    "GET /cases/{case_id}/clearance": ANY_ROLE | HOLDERS,
    "POST /cases/{case_id}/holds": CLINICAL | {"qa_release"} | HOLDERS,
    "POST /holds/{hold_id}/release": {
        "treating_physician",
        "oncologist",
        "medical_director",
        "qa_release",
        "coordinator",
    },
    "PUT /cases/{case_id}/permits/{permit_id}": HOLDERS,
    "POST /cases/{case_id}/permits/{permit_id}/{outcome}": HOLDERS,
    "POST /internal/holders/restored": HOLDERS,
}


async def test_every_endpoint_is_called_by_whom_the_table_says(intake: Intake) -> None:
    checked = await check_role_matrix(intake.app, intake.sign_in, TABLE)

    assert checked > len(TABLE) * len(ANY_ROLE)
