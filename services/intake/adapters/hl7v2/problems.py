"""DG1 -> conditions, AL1 -> allergies, PR1 -> procedures.

Invariant: only a diagnosis that its sender calls final is confirmed; anything else is suspected.
"""

from services.intake.adapters.hl7v2.parsing import Segment
from services.intake.adapters.hl7v2.translated import (
    PATIENT,
    Answer,
    Around,
    Json,
    Left,
    Translated,
    concept,
    identity,
    made,
)


def read_diagnosis(segment: Segment, around: Around) -> Answer:
    """Return one DG1 as a condition."""
    code = concept(segment, 3, default=segment.get(2)) or made({"text": segment.get(4)})
    if not code:
        return Left(segment, "required-element-missing", "no code", segment.at(3), rejected=True)
    withdrawn = segment.get(21).upper() == "D"
    known = "confirmed" if segment.get(6).upper() == "F" else "provisional"
    recorded = around.time(segment, 19) or around.sent
    resource: Json = {
        "resourceType": "Condition",
        "code": code,
        "subject": PATIENT,
        "verificationStatus": "entered-in-error" if withdrawn else known,
        **made({"onsetDateTime": around.time(segment, 5), "recordedDate": recorded}),
    }
    named = identity("diagnosis", segment.get(20) or segment.get(3) or segment.get(4))
    places = {
        "/code": segment.at(3),
        "/onset": segment.at(5),
        "/recordedDate": segment.at(19) if segment.get(19) else "MSH[1]-7",
    }
    return Translated(segment, resource, named, around.sent, places, int(withdrawn))


def read_allergy(segment: Segment, around: Around) -> Answer:
    """Return one AL1 as an allergy that a person has yet to confirm."""
    code = concept(segment, 3)
    if not code:
        return Left(segment, "required-element-missing", "no code", segment.at(3), rejected=True)
    resource: Json = {
        "resourceType": "AllergyIntolerance",
        "code": code,
        "patient": PATIENT,
        "verificationStatus": "unconfirmed",
        **made({"onsetDateTime": around.time(segment, 6), "recordedDate": around.sent}),
    }
    places = {"/code": segment.at(3), "/onset": segment.at(6), "/recordedDate": "MSH[1]-7"}
    return Translated(segment, resource, identity("allergy", segment.get(3)), around.sent, places)


def read_procedure(segment: Segment, around: Around) -> Answer:
    """Return one PR1 as a procedure that was done."""
    code = concept(segment, 3, default=segment.get(2))
    if not code:
        return Left(segment, "required-element-missing", "no code", segment.at(3), rejected=True)
    withdrawn = segment.get(20).upper() == "D"
    done = around.time(segment, 5)
    resource: Json = {
        "resourceType": "Procedure",
        "code": code,
        "subject": PATIENT,
        "status": "entered-in-error" if withdrawn else "completed",
        **made({"performedDateTime": done}),
    }
    named = identity(
        "procedure", segment.get(19) or segment.get(3), "" if segment.get(19) else done or ""
    )
    places = {"/code": segment.at(3), "/performed": segment.at(5)}
    return Translated(segment, resource, named, around.sent, places, int(withdrawn))
