"""Procedures, vaccinations and reports as treatments, doses and evidence."""

from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fhir_builders import (
    LOINC,
    SNOMED,
    administration,
    concept,
    line_of,
    only,
    procedure,
    read,
    resource,
)

from services.intake.adapters.fhir import Outcome, Reason
from shared.protocol import Record, load_protocol, parse_statement
from shared.protocol.facts import Treatment

ZONE = ZoneInfo("Europe/Istanbul")
CVX = "http://hl7.org/fhir/sid/cvx"
INTENT = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-procedure-intent"
SESSIONS = "http://hl7.org/fhir/us/mcode/StructureDefinition/mcode-radiotherapy-sessions"
COURSE, CURATIVE, PALLIATIVE = "1217123003", "373808002", "363676003"


def radiotherapy(
    identity: str, intent: str | None, sessions: int | None, **fields: Any
) -> dict[str, Any]:
    said: list[dict[str, Any]] = []
    if intent:
        said.append({"url": INTENT, "valueCodeableConcept": concept(SNOMED, intent)})
    if sessions is not None:
        said.append({"url": SESSIONS, "valueUnsignedInt": sessions})
    span = {
        "performedPeriod": {"start": "2026-02-01", "end": "2026-03-12"},
        "performedDateTime": None,
    }
    return procedure(identity, COURSE, extension=said, **(span | fields))


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("43075005", "surgery_major"),
        ("90470006", "surgery_major"),
        ("65575008", "surgery_minor"),
        ("33195004", "radiotherapy_curative"),
        ("447759004", "radiotherapy_curative"),
        ("71493000", "platelet_or_rbc_transfusion"),
        ("12719002", "platelet_or_rbc_transfusion"),
        ("58390007", "allogeneic_hct"),
    ],
)
def test_treatments_by_code(code: str, expected: str) -> None:
    found = only(procedure("t1", code))

    assert (found["kind"], found["class"], found["day"]) == ("treatment", [expected], "2026-03-01")


def test_an_autologous_transplant_is_not_an_allogeneic_one() -> None:
    assert line_of(read(procedure("t1", "425983008")), "Procedure/t1").outcome == Outcome.IGNORED


@pytest.mark.parametrize(
    ("intent", "sessions", "expected"),
    [
        (PALLIATIVE, 1, "radiotherapy_palliative_limited"),
        (PALLIATIVE, 5, "radiotherapy_palliative_limited"),
        (PALLIATIVE, 6, "radiotherapy_curative"),
        (PALLIATIVE, None, "radiotherapy_curative"),
        (CURATIVE, 3, "radiotherapy_curative"),
        (None, 3, "radiotherapy_curative"),
    ],
)
def test_radiotherapy_is_limited_only_when_palliative_and_short(
    intent: str | None, sessions: int | None, expected: str
) -> None:
    found = only(radiotherapy("t1", intent, sessions))

    assert (found["class"], found["from"], found["to"]) == (
        [expected],
        "2026-02-01",
        "2026-03-12",
    )


def test_running_radiotherapy_has_no_end_though_its_newest_fraction_has() -> None:
    found = only(radiotherapy("t1", CURATIVE, 2, status="in-progress"))

    assert found["from"] == "2026-02-01"
    assert "to" not in found


UID = "Procedure?identifier=urn:dicom:uid|urn:oid:1.2.3"
NAMED = [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.3"}]


def course(identity: str, day: str, status: str, versions: str | None) -> dict[str, Any]:
    """One of several resources of a course that began on 2026-02-01; `day` is its newest."""
    return radiotherapy(
        identity,
        CURATIVE,
        1,
        status=status,
        identifier=NAMED,
        performedPeriod={"start": "2026-02-01", "end": day},
    ) | ({"meta": {"versionId": versions}} if versions else {})


@pytest.mark.parametrize(
    ("early", "late"),
    [
        (("2026-02-01", "in-progress", "1"), ("2026-03-12", "completed", "6")),
        # Each resource id counts its own versions, so a later one may have the smaller number.
        (("2026-02-20", "in-progress", "9"), ("2026-03-12", "completed", "1")),
        (("2026-03-12", "in-progress", "1"), ("2026-03-12", "completed", "2")),
        (("2026-03-12", "in-progress", "1"), ("2026-03-12", "completed", "1")),
        (("2026-02-20", "in-progress", None), ("2026-03-12", "completed", None)),
    ],
)
@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("order", [1, -1])
def test_of_two_versions_of_one_course_the_newer_one_counts_in_either_order(
    early: tuple[str, str, str | None],
    late: tuple[str, str, str | None],
    together: bool,
    order: int,
) -> None:
    versions = [course("early", *early), course("late", *late)][::order]

    bundles = [versions] if together else [[one] for one in versions]

    facts = [
        parse_statement(dict(statement), zone=ZONE)
        for entries in bundles
        for statement in read(*entries).statements
    ]
    known = [fact for fact in facts if not isinstance(fact, tuple)]
    assert len(known) == len(facts)
    (found,) = Record(load_protocol(), known).all(Treatment)
    assert (found.id, str(found.first), str(found.last)) == (UID, "2026-02-01", "2026-03-12")


def test_an_older_version_of_a_course_says_so() -> None:
    early = course("early", "2026-02-01", "in-progress", "1")
    late = course("late", "2026-03-12", "completed", "6")

    reading = read(late, early)

    assert line_of(reading, "Procedure/early").reason == Reason.OLDER_VERSION


def test_combined_chemoradiotherapy_is_both() -> None:
    found = {s["id"]: s for s in read(procedure("t1", "703423002")).statements[1:]}

    chemotherapy = found["Procedure/t1#chemotherapy"]
    assert (chemotherapy["kind"], chemotherapy["class"]) == ("medication", ["cytotoxic_systemic"])
    assert chemotherapy["doses"] == [{"day": "2026-03-01"}]
    assert found["Procedure/t1#radiotherapy"]["class"] == ["radiotherapy_curative"]


def test_chemotherapy_whose_drugs_are_named_is_stated_by_its_drugs_only() -> None:
    visit = {"reference": "Encounter/e1"}
    reading = read(
        procedure("same-visit", "367336001", encounter=visit, performedDateTime="2026-03-02"),
        procedure("same-day", "703423002"),
        procedure("other-day", "367336001", performedDateTime="2026-03-09"),
        administration("a1", "1736776", context=visit),
    )

    assert [s["id"] for s in reading.statements[1:]] == [
        "MedicationAdministration/a1",
        "Procedure/same-day#radiotherapy",
        "Procedure/other-day",
    ]
    merged = line_of(reading, "Procedure/same-visit")
    assert (merged.outcome, merged.reason) == (Outcome.USED, Reason.MERGED)
    assert merged.statements == ("MedicationAdministration/a1",)
    assert "by name" in line_of(reading, "Procedure/same-day").message


def test_leucovorin_alone_does_not_name_the_chemotherapy() -> None:
    reading = read(procedure("t1", "367336001"), administration("a1", "1803932"))

    assert {s["id"] for s in reading.statements[1:]} == {
        "MedicationAdministration/a1",
        "Procedure/t1",
    }


def test_a_chemotherapy_procedure_is_a_dose() -> None:
    found = only(procedure("t1", "367336001"))

    assert (found["kind"], found["doses"]) == ("medication", [{"day": "2026-03-01"}])


def test_of_dialysis_sessions_the_last_one_is_stated() -> None:
    sessions = [
        procedure(f"d{day}", "265764009", performedDateTime=f"2026-03-0{day}") for day in (2, 3, 1)
    ]

    reading = read(*sessions)

    assert [(s["id"], s["concept"]) for s in reading.statements[1:]] == [
        ("Procedure/d3", "renal_dialysis")
    ]
    assert reading.counts.ignored == 2


def test_an_echocardiogram_is_evidence() -> None:
    assert only(procedure("e1", "40701008"))["item"] == "echocardiogram"


@pytest.mark.parametrize("status", ["not-done", "preparation"])
def test_a_procedure_that_was_not_done_states_nothing(status: str) -> None:
    line = line_of(read(procedure("t1", "43075005", status=status)), "Procedure/t1")

    assert (line.outcome, line.reason) == (Outcome.IGNORED, Reason.NOT_DONE)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("430193006", Reason.NO_RULE),
        ("387713003", Reason.NO_RULE),
        ("171207006", Reason.CODE_NOT_NEEDED),
    ],
)
def test_procedures_that_no_rule_reads_are_ignored(code: str, reason: Reason) -> None:
    line = line_of(read(procedure("t1", code)), "Procedure/t1")

    assert (line.outcome, line.reason) == (Outcome.IGNORED, reason)


def test_a_procedure_without_a_day_is_rejected() -> None:
    line = line_of(read(procedure("t1", "43075005", performedDateTime=None)), "Procedure/t1")

    assert (line.reason, line.pointer) == (Reason.MISSING, "/entry/1/resource/performedDateTime")


@pytest.mark.parametrize(("written", "day"), [("2026-02", "2026-02-28"), ("2025", "2025-12-31")])
def test_of_an_imprecise_day_the_last_one_counts(written: str, day: str) -> None:
    assert only(procedure("t1", "43075005", performedDateTime=written))["day"] == day


@pytest.mark.parametrize(
    ("code", "expected"),
    [("121", ["vaccine_live"]), ("140", ["vaccine_inactivated"]), ("208", ["vaccine_inactivated"])],
)
def test_vaccines_by_cvx_code(code: str, expected: list[str]) -> None:
    given = resource(
        "Immunization",
        "v1",
        status="completed",
        vaccineCode=concept(CVX, code, "a vaccine"),
        occurrenceDateTime="2026-03-01",
    )

    found = only(given)

    assert (found["class"], found["doses"]) == (expected, [{"day": "2026-03-01"}])


def test_an_unknown_vaccine_has_no_class_but_its_group() -> None:
    given = resource(
        "Immunization", "v1", vaccineCode=concept(CVX, "9999"), occurrenceDateTime="2026-03-01"
    )

    found = only(given)

    assert "class" not in found
    assert {"system": "http://www.whocc.no/atc", "code": "J07"} in found["codes"]


def test_a_vaccine_that_was_not_given_states_nothing() -> None:
    given = resource("Immunization", "v1", status="not-done", vaccineCode=concept(CVX, "121"))

    assert line_of(read(given), "Immunization/v1").reason == Reason.NOT_DONE


@pytest.mark.parametrize(
    ("code", "item"), [("22637-3", "pathology_report"), ("24627-2", "imaging_baseline")]
)
def test_reports_are_evidence_on_file(code: str, item: str) -> None:
    report = resource(
        "DiagnosticReport",
        "r1",
        status="final",
        code=concept(LOINC, code),
        effectiveDateTime="2026-03-01",
        issued="2026-03-05T00:00:00Z",
    )

    found = only(report)

    assert (found["item"], found["effective"], found["recorded"]) == (
        item,
        "2026-03-01",
        "2026-03-05T00:00:00+00:00",
    )


def test_a_panel_report_is_left_to_its_results() -> None:
    report = resource(
        "DiagnosticReport", "r1", code=concept(LOINC, "58410-2"), effectiveDateTime="2026-03-01"
    )

    assert "results are read" in line_of(read(report), "DiagnosticReport/r1").message
