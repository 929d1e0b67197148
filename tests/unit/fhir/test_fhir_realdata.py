"""Reference material that may not be copied: read where it exists, beside the checkout."""

import gzip
import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from fhir_builders import RECEIVED_AT, SHARED, bundle, line_of, raw

from services.intake.adapters.fhir import BundleReading, Outcome, ProblemCode, Reason, read_bundle
from shared.protocol.statements import parse_statement

pytestmark = pytest.mark.realdata
SMART = sorted(SHARED.glob("smart-r4-synthea2/*.gz"))
CODEX = sorted(SHARED.glob("codex-rt/assembled/*.json"))
EPIC = ["condition-with-icd10", "primary-cancer-condition", "secondary-cancer-condition"]


def names(paths: list[Path]) -> list[str]:
    return [path.name.split("_")[0].removesuffix(".collection.json") for path in paths]


def read_path(path: Path) -> BundleReading:
    return read_bundle(path.read_bytes(), received_at=RECEIVED_AT)


def framework(name: str) -> Any:
    return json.loads((SHARED / "mcode-extraction-framework" / f"{name}.json").read_text())


def test_chemotherapy_after_death_is_rejected_entry_by_entry() -> None:
    # Died 1996-01-21; the survey counts 16 orders of cisplatin and paclitaxel after that day.
    (path,) = [p for p in SMART if p.name.startswith("Fletcher")]

    reading = read_path(path)

    late = [line for line in reading.report if line.outcome == Outcome.REJECTED]
    kinds = Counter(line.resource.split("/")[0] for line in late)
    assert kinds == {"MedicationRequest": 16, "Procedure": 8}
    assert {line.reason for line in late} == {Reason.AFTER_DEATH}
    assert all("1996-01-21" in line.message for line in late)
    assert all(line.pointer.startswith(f"/entry/{line.entry}/resource/") for line in late)
    given = [
        dose["day"][:10]
        for s in reading.statements
        if s["kind"] == "medication" and s["name"] in ("cisplatin", "paclitaxel")
        for dose in s["doses"]
    ]
    assert len(given) == 2 * 36 - 16
    assert max(given) < "1996-01-21"


@pytest.mark.parametrize("path", SMART, ids=names(SMART))
def test_older_synthea_bundles_are_accounted_for(path: Path) -> None:
    reading = read_path(path)

    assert not reading.refused
    counts = reading.counts
    assert counts.used + counts.ignored + counts.rejected == len(reading.report)
    rejected = {line.reason for line in reading.report if line.outcome == Outcome.REJECTED}
    assert rejected <= {Reason.AFTER_DEATH}
    for statement in reading.statements:
        assert not isinstance(
            parse_statement(dict(statement), zone=ZoneInfo("Europe/Istanbul")), tuple
        )


@pytest.mark.parametrize("path", CODEX, ids=names(CODEX))
def test_radiotherapy_bundles_are_accounted_for(path: Path) -> None:
    reading = read_path(path)

    assert not reading.refused
    assert reading.counts.rejected == 0


def test_two_versions_of_one_radiotherapy_course_leave_the_finished_one() -> None:
    (path,) = [p for p in CODEX if "XRTS-03" in p.name]

    reading = read_path(path)

    courses = [s for s in reading.statements if s["kind"] == "treatment"]
    assert {(c["from"][:10], c["to"][:10]) for c in courses} == {("2021-09-06", "2021-09-10")}
    assert Counter(line.reason for line in reading.report)[Reason.OLDER_VERSION] == 2
    person = next(s for s in reading.statements if s["kind"] == "patient")
    assert person["deceased"] is True


@pytest.mark.parametrize("name", EPIC)
def test_epic_shaped_conditions_inside_a_bundle_do_not_crash(name: str) -> None:
    condition = framework(name)
    reference = condition.get("patient") or condition.get("subject")
    reference["reference"] = "Patient/p1"

    reading = read_bundle(raw(bundle(condition)), received_at=RECEIVED_AT)

    assert not reading.refused
    assert len(reading.report) == 2


def test_an_epic_breast_cancer_is_found_through_its_icd_10_code() -> None:
    condition = framework("primary-cancer-condition")
    condition["patient"] = {"reference": "Patient/p1"}
    condition["dateRecorded"] = "2020-01-01"

    reading = read_bundle(raw(bundle(condition)), received_at=RECEIVED_AT)

    assert line_of(reading, f"Condition/{condition['id']}").outcome == Outcome.USED
    assert reading.statements[-1]["concept"] == "breast_cancer"


def test_the_older_patient_shape_is_read() -> None:
    reading = read_bundle(raw(framework("patient-bundle")), received_at=RECEIVED_AT)

    assert reading.subject is not None
    assert reading.subject.family == "Smith-Mitre"
    assert reading.counts.used == 1


def test_the_masked_patient_is_read() -> None:
    content = framework("csv-patient-bundle")
    (entry,) = content["entry"]
    entry["resource"]["name"] = [{"_family": {"extension": [{"valueCode": "masked"}]}}]

    assert read_bundle(raw(content), received_at=RECEIVED_AT).counts.rejected == 0


@pytest.mark.parametrize(
    ("name", "element"),
    [
        ("csv-medication-request-bundle", "authoredOn"),
        ("csv-medication-administration-bundle", "effectivePeriod/start"),
    ],
)
def test_placeholder_dates_cost_their_entry_only(name: str, element: str) -> None:
    (entry,) = framework(name)["entry"]
    entry["resource"]["subject"] = {"reference": "Patient/p1"}

    reading = read_bundle(raw(bundle(entry["resource"])), received_at=RECEIVED_AT)

    assert reading.counts.used == 1
    assert (reading.report[1].reason, reading.report[1].pointer) == (
        Reason.BAD_DATE,
        f"/entry/1/resource/{element}",
    )


def test_every_other_file_is_read_or_refused_with_a_located_reason() -> None:
    files = [p for p in SHARED.rglob("*.json") if "assembled" not in p.parts]
    assert len(files) > 200

    for path in files:
        reading = read_bundle(path.read_bytes(), received_at=datetime(2026, 11, 23, tzinfo=UTC))
        assert reading.refused or reading.report
        for problem in reading.problems:
            assert problem.message
            assert problem.pointer
            assert problem.code in {
                ProblemCode.NOT_A_BUNDLE,
                ProblemCode.NO_PATIENT,
                ProblemCode.NO_ENTRIES,
                ProblemCode.SEVERAL_PATIENTS,
            }


def test_every_rejection_names_a_place_that_is_in_its_file() -> None:
    bundles = [*SMART, *CODEX, *SHARED.glob("mcode-extraction-framework/*.json")]
    rejected = 0

    for path in bundles:
        raw_bytes = path.read_bytes()
        content = json.loads(gzip.decompress(raw_bytes) if path.suffix == ".gz" else raw_bytes)
        for line in read_path(path).report:
            if line.outcome == Outcome.REJECTED:
                rejected += 1
                # The last part may be the element that is missing; all above it must be there.
                node: Any = content
                for part in line.pointer.split("/")[1:-1]:
                    node = node[int(part)] if isinstance(node, list) else node[part]
    assert rejected > 24
