"""Who may call which endpoint: the table is policy, the app must agree with it."""

import pytest

from shared.testing.role_matrix import ANY_ROLE, OPERATIONS, Table, check_role_matrix
from tests.component.infusion_scheduling.conftest import Scheduling

pytestmark = pytest.mark.component

READERS = ANY_ROLE - {"ops"}
PLANNERS = {"coordinator", "nurse_lead", "treating_physician", "medical_director"}
BEDSIDE = {"infusion_nurse", "nurse_lead", "treating_physician"}

TABLE: Table = {
    **OPERATIONS,
    "GET /cases/{case_id}/timeline": ANY_ROLE,
    "GET /chairs": ANY_ROLE,
    "GET /courses": ANY_ROLE,
    "GET /courses/{course_id}": ANY_ROLE,
    "GET /courses/{course_id}/proposals": ANY_ROLE,
    "GET /follow-ups": ANY_ROLE,
    "GET /infusions": ANY_ROLE,
    "GET /infusions/{infusion_id}": READERS,
    "POST /chairs": {"coordinator", "nurse_lead"},
    "POST /courses": PLANNERS,
    "POST /courses/{course_id}/proposals": PLANNERS,
    "POST /courses/{course_id}/proposals/{proposal_id}/accept": PLANNERS,
    "POST /follow-ups/{follow_up_id}/done": {"coordinator", "infusion_nurse", "nurse_lead"},
    "POST /infusions/{infusion_id}/checks": BEDSIDE,
    "POST /infusions/{infusion_id}/start": BEDSIDE,
    "POST /infusions/{infusion_id}/resume": BEDSIDE,
    "POST /infusions/{infusion_id}/complete": BEDSIDE,
    "POST /infusions/{infusion_id}/vitals": BEDSIDE,
    "POST /infusions/{infusion_id}/reactions": BEDSIDE,
    "POST /infusions/{infusion_id}/stop": BEDSIDE | {"oncologist"},
    "POST /infusions/{infusion_id}/never-opened": BEDSIDE | {"oncologist"},
    "POST /infusions/{infusion_id}/already-running": BEDSIDE | {"oncologist"},
    "PUT /internal/holds/{hold_id}": {"service:intake"},
}


async def test_every_endpoint_is_called_by_whom_the_table_says(scheduling: Scheduling) -> None:
    checked = await check_role_matrix(scheduling.app, scheduling.sign_in, TABLE)

    assert checked > len(TABLE) * len(ANY_ROLE)
