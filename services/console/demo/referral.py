"""Referral: bundles that nobody here wrote come in, and what they lack keeps every gate shut."""

from collections.abc import Iterable
from typing import Any

from services.console.demo.patient import MAIN_BUNDLE, OTHER_BUNDLES, Patient, bundle_text
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Gate, Role, Service

_UNPROCESSABLE = 422
_OK = 200


async def import_bundles(stage: Stage) -> tuple[Patient, list[Patient]]:
    """The main case and the others, with a line for each import."""
    main = await _import(stage, MAIN_BUNDLE)
    others = [await _import(stage, name) for name in OTHER_BUNDLES]
    again = await _send(stage, MAIN_BUNDLE)
    stage.check(
        again.status == _OK and again.body["facts"]["recorded"] == 0,
        "the same bundle a second time changes nothing",
    )
    refused = await stage.one(Role.COORDINATOR).send_file(
        Service.INTAKE, "/fhir/Bundle", b'{"resourceType": "Bundle", "type": '
    )
    stage.check(
        refused.status == _UNPROCESSABLE,
        f"a bundle that is cut off is refused as a whole ({refused.status} {refused.code})",
    )
    return main, others


async def _import(stage: Stage, name: str) -> Patient:
    reply = await _send(stage, name)
    stage.check(reply.status == 201, f"{name.partition('.')[0]}: a case is opened")  # noqa: PLR2004
    counts, facts = reply.body["resources"], reply.body["facts"]
    stage.note(
        f"resources used {counts['used']}, ignored {counts['ignored']}, rejected "
        f"{counts['rejected']}; facts imported {facts['recorded']}"
    )
    return Patient(reply.body["case_id"], stage)


async def _send(stage: Stage, name: str) -> Any:  # noqa: ANN401 - Reply
    coordinator = stage.one(Role.COORDINATOR)
    return await coordinator.send_file(Service.INTAKE, "/fhir/Bundle", bundle_text(name))


async def show_no_go(stage: Stage, patient: Patient) -> None:
    """Every gate is shut, with the list of what is not known."""
    for gate in (Gate.ELIGIBILITY, Gate.COLLECTION, Gate.INFUSION):
        decision = await patient.decision(gate)
        stage.check(
            decision["decision"].startswith("NO_GO"),
            f"{gate.value}: {decision['decision']}, {len(decision['unknown'])} rules lack evidence",
        )
        if gate is Gate.ELIGIBILITY:
            tell_findings(stage, decision["findings"])
    due = await stage.one(Role.COORDINATOR).get(Service.INTAKE, f"/cases/{patient.case_id}/due")
    stage.note(f"the worklist of what to obtain has {len(due['due'])} entries")


def tell_findings(stage: Stage, findings: Iterable[Any]) -> None:
    """One line for each finding that blocks."""
    for finding in findings:
        if finding["effect"] != "info":
            stage.note(f"{finding['rule']:<12} {finding['message']}")
