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
_DOCUMENT: Final = {"version": 1, "language": "en"}


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


async def inform_and_consent(stage: Stage, patient: Patient) -> None:
    """Every topic is explained and nothing is left to ask; only then the consent is signed."""
    director, physician = stage.one(Role.MEDICAL_DIRECTOR), stage.one(Role.TREATING_PHYSICIAN)
    case = f"/cases/{patient.case_id}"
    signed = {**_DOCUMENT, "document": "consent-form", "realistic_expectations": True}
    early = await physician.ask(Service.INTAKE, f"{case}/consent", signed)
    stage.check(
        early.status == 409,  # noqa: PLR2004
        "a consent cannot be signed before every topic was explained",
    )
    leaflet = {"document": "patient-information", "version": 1, "topics": say.INFORMATION_TOPICS}
    await director.ask(Service.INTAKE, "/information-documents", leaflet)
    explained = {**_DOCUMENT, "document": "patient-information", "topics": say.INFORMATION_TOPICS}
    reply = await physician.post(Service.INTAKE, f"{case}/information", explained)
    stage.check(reply.body["still_to_explain"] == [], "every information topic was explained")
    await physician.post(Service.INTAKE, f"{case}/questions", {"question": None})
    reply = await physician.post(Service.INTAKE, f"{case}/consent", signed)
    stage.check(len(reply.body["rests_on"]) == len(say.INFORMATION_TOPICS), "consent is signed")


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
    await inform_and_consent(stage, patient)
    decision = await patient.decision(Gate.ELIGIBILITY)
    tell_findings(stage, decision["findings"])
    stage.check(decision["decision"] == GO, "eligibility: GO on imported and entered facts alone")


async def sign_eligibility(stage: Stage, patient: Patient) -> None:
    """The physician's decision, kept apart from the engine's advice."""
    physician = stage.one(Role.TREATING_PHYSICIAN)
    body = {"outcome": "suitable", "reason": "suitable alongside the planned chemotherapy"}
    reply = await physician.post(Service.INTAKE, f"/cases/{patient.case_id}/eligibility", body)
    stage.check(reply.body["id"], "a treating physician signs: suitable")
