"""Who may enter or report which statement."""

import pytest

from services.intake.domain.reporting import (
    CLINICAL,
    NOT_ENTERED,
    PHYSICIANS,
    may_report,
    roles_for,
)
from shared.contracts.vocabulary import Role, Service

PATIENT_METRICS = frozenset({"anc", "body_temp"})


@pytest.mark.parametrize("kind", sorted(NOT_ENTERED))
def test_what_is_signed_or_made_elsewhere_is_never_typed_in(kind: str) -> None:
    assert roles_for({"kind": kind}) == frozenset()


@pytest.mark.parametrize(
    ("statement", "roles"),
    [
        ({"kind": "evidence", "item": "oncology_plan_ack"}, {Role.ONCOLOGIST}),
        ({"kind": "evidence", "item": "consent"}, set()),
        ({"kind": "evidence", "item": "information_given"}, set()),
        (
            {"kind": "evidence", "item": "infection_clearance_signed"},
            PHYSICIANS | {Role.CONSULTANT},
        ),
        ({"kind": "evidence", "item": "stage"}, CLINICAL),
        ({"kind": "irae"}, PHYSICIANS),
        ({"kind": "medication"}, CLINICAL),
        ({}, CLINICAL),
    ],
    ids=[
        "acknowledgement",
        "consent",
        "information",
        "infection-over",
        "stage",
        "irae",
        "medication",
        "no-kind",
    ],
)
def test_roles_follow_what_is_stated(statement: dict[str, str], roles: set[Role]) -> None:
    assert roles_for(statement) == roles


@pytest.mark.parametrize(
    ("service", "statement", "may"),
    [
        (Service.INFUSION_SCHEDULING, {"kind": "vital", "metric": "body_temp"}, True),
        (Service.INFUSION_SCHEDULING, {"kind": "lab", "metric": "anc"}, False),
        (Service.INFUSION_SCHEDULING, {"kind": "release_test"}, False),
        (Service.MANUFACTURING, {"kind": "release_test", "test": "cd3_pct"}, True),
        (Service.MANUFACTURING, {"kind": "lab", "metric": "start_viability"}, True),
        (Service.MANUFACTURING, {"kind": "lab", "metric": "anc"}, False),
        (Service.MANUFACTURING, {"kind": "evidence", "item": "coi_label"}, True),
        (Service.MANUFACTURING, {"kind": "evidence", "item": "consent"}, False),
        (Service.MANUFACTURING, {"kind": "condition"}, False),
        (Service.NOTIFICATION, {"kind": "vital"}, False),
    ],
)
def test_a_service_reports_what_it_measured_and_no_more(
    service: Service, statement: dict[str, str], may: bool
) -> None:
    assert may_report(service, statement, PATIENT_METRICS) is may
