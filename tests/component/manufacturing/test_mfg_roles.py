"""Who may do what: every endpoint times every caller."""

import pytest
from mfg_rig import Plant

from shared.contracts.vocabulary import Role
from shared.testing.role_matrix import OPERATIONS, Table, check_role_matrix

pytestmark = pytest.mark.component

READERS = {
    *(role.value for role in Role if role is not Role.OPS),
    "service:intake",
    "service:infusion_scheduling",
    "service:console",
}
BOOKING = {"coordinator", "apheresis_physician"}
CHAIR = {"apheresis_physician", "infusion_nurse", "nurse_lead"}
BENCH = {"lab_tech"}
TESTERS = {"lab_tech", "qa_release"}
QA = {"qa_release"}
SIGNERS = {"qa_release", "medical_director"}
WARD = {"infusion_nurse", "nurse_lead"}

TABLE: Table = {
    **OPERATIONS,
    "POST /slots": {"coordinator", "nurse_lead"},
    "GET /slots": READERS,
    "POST /collections": BOOKING,
    "GET /collections": READERS,
    "GET /collections/{collection_id}": READERS,
    "POST /collections/{collection_id}/cancel": BOOKING,
    "POST /collections/{collection_id}/label": CHAIR,
    "POST /collections/{collection_id}/start": CHAIR,
    "POST /collections/{collection_id}/done": CHAIR,
    "POST /collections/{collection_id}/receive": BENCH,
    "GET /batches": READERS,
    "GET /batches/{batch_id}": READERS,
    "GET /batches/{batch_id}/dossier": READERS,
    "GET /batches/{batch_id}/genealogy": READERS,
    "POST /batches/{batch_id}/start": BENCH,
    "POST /batches/{batch_id}/steps": BENCH,
    "POST /batches/{batch_id}/measures": BENCH,
    "POST /batches/{batch_id}/forecast": BENCH,
    "POST /batches/{batch_id}/qc-results": TESTERS,
    "POST /batches/{batch_id}/deviations": TESTERS,
    "POST /batches/{batch_id}/deviations/{deviation_id}/close": QA,
    "POST /batches/{batch_id}/release": SIGNERS,
    "POST /batches/{batch_id}/reject": QA,
    "POST /batches/{batch_id}/recall": SIGNERS,
    "POST /batches/{batch_id}/expiry-answer": SIGNERS,
    "GET /doses/{dose_id}": READERS,
    "GET /doses/{dose_id}/custody": READERS,
    "POST /doses/{dose_id}/thaw": BENCH,
    "POST /doses/{dose_id}/issue": BENCH,
    "POST /doses/{dose_id}/return": {"lab_tech", *WARD},
    "POST /doses/{dose_id}/discard": TESTERS,
    "POST /doses/{dose_id}/custody": {"lab_tech", "coordinator", *WARD},
    "PUT /internal/holds/{hold_id}": {"service:intake"},
}


async def test_every_endpoint_and_caller_is_as_the_table_says(plant: Plant) -> None:
    checked = await check_role_matrix(plant.app, plant.sign_in, TABLE)

    assert checked == len(TABLE) * 18  # 12 roles, 5 services, nobody


async def test_no_role_of_the_bench_alone_can_release(plant: Plant) -> None:
    assert not BENCH & set(TABLE["POST /batches/{batch_id}/release"])
