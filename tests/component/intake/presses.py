"""A press of start that is refused, and how much stands in the database."""

from uuid import uuid4

from shared.contracts.vocabulary import Role, Service
from tests.component.intake.conftest import Intake


async def ask_permit(intake: Intake, case_id: str, gate: str = "infusion") -> None:
    """A refused press of start: the decision of that instant is kept with the refusal."""
    clearance = await intake.client.get(
        f"/cases/{case_id}/clearance", headers=intake.headers(Role.COORDINATOR)
    )
    answer = await intake.client.put(
        f"/cases/{case_id}/permits/{uuid4()}",
        headers={
            **intake.sign_in.service(Service.INFUSION_SCHEDULING),
            "if-match": clearance.headers["etag"],
        },
        json={
            "gate": gate, "subject_id": str(uuid4()), "attempt": 1, "dose_id": str(uuid4()),
            "requested_by": "nurse-1", "second_checker": "nurse-2", "band_scanned": "AAAA-BBBB",
        },
    )  # fmt: skip
    assert answer.status_code == 409, answer.text


async def everything(intake: Intake) -> dict[str, int]:
    """How many rows each table of the database has, the outbox and the audit among them."""
    tables = await intake.rows(
        "SELECT table_name AS name FROM information_schema.tables"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY table_name"
    )
    counts = {}
    for table in tables:
        (row,) = await intake.rows(f'SELECT count(*) AS n FROM "{table["name"]}"')  # noqa: S608
        counts[table["name"]] = row["n"]
    assert {"outbox", "audit_entry", "decision"} <= counts.keys()
    return counts
