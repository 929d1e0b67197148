"""Evaluation: staff enter what the bundle lacks, and a physician signs the eligibility decision."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.console.demo import statements as say
from services.console.demo.calendar import Calendar
from services.console.demo.patient import Patient
from services.console.demo.referral import tell_findings
from services.console.demo.stage import Stage
from services.console.demo.statements import Statement
from shared.contracts.vocabulary import Gate, Role, Service

GO: Final = "GO"


def _evaluation(calendar: Calendar) -> Mapping[Role, Sequence[Statement]]:
    """Who enters what on the day of the referral."""
    return {
        Role.COORDINATOR: [
            *say.blood_count(),
            *say.chemistry(),
            say.lab("cd3_abs", 0.9, "10*9/L"),
            say.evidence("prior_treatments"),
            say.evidence("medication_reconciliation"),
        ],
        Role.INFUSION_NURSE: [say.weight()],
        Role.TREATING_PHYSICIAN: [
            *say.consent(),
            {"kind": "performance", "ecog": 1},
            say.lab("life_expectancy", 52, "wk"),
        ],
        Role.ONCOLOGIST: [
            say.evidence("pathology_report"),
            say.evidence("imaging_baseline"),
            say.evidence("indication"),
            say.evidence("disease_status_baseline"),
            *say.planned_cycles(calendar.cycles),
            say.evidence("oncology_plan_ack"),
        ],
        Role.MEDICAL_DIRECTOR: [say.evidence("regulatory_basis")],
    }


async def enter_evaluation(stage: Stage, patient: Patient, calendar: Calendar) -> None:
    """The facts of the evaluation, each by its role; then the protocol has nothing against it."""
    wrong = await stage.one(Role.COORDINATOR).ask(
        Service.INTAKE,
        f"/cases/{patient.case_id}/facts",
        {"facts": [say.evidence("oncology_plan_ack")]},
    )
    stage.check(
        wrong.status == 403,  # noqa: PLR2004
        "a coordinator cannot acknowledge the plan in the oncologist's place",
    )
    for role, facts in _evaluation(calendar).items():
        reply = await patient.enter(role, facts)
        stage.note(f"entered by {role.value}: {len(reply.body['recorded'])} facts")
    decision = await patient.decision(Gate.ELIGIBILITY)
    tell_findings(stage, decision["findings"])
    stage.check(decision["decision"] == GO, "eligibility: GO on imported and entered facts alone")


async def sign_eligibility(stage: Stage, patient: Patient) -> None:
    """The physician's decision, kept apart from the engine's advice."""
    physician = stage.one(Role.TREATING_PHYSICIAN)
    body = {"outcome": "suitable", "reason": "suitable alongside the planned chemotherapy"}
    reply = await physician.post(Service.INTAKE, f"/cases/{patient.case_id}/eligibility", body)
    stage.check(reply.body["id"], "a treating physician signs: suitable")
