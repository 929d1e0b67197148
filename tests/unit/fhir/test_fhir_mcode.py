"""The official mCODE examples of Jenny M and Adam Everyman (expectations read off their JSON)."""

from collections import Counter
from typing import Any

import pytest
from fhir_builders import line_of, read_file

from services.intake.adapters.fhir import Outcome, Reason

JENNY = "mcode/assembled/cancer-patient-jenny-m.collection.json"
JENNY_OWN_BUNDLE = "mcode/Bundle-mcode-patient-bundle-jenny-m.json"
ADAM = "mcode/assembled/cancer-patient-adam-everyman.collection.json"


def by_id(name: str) -> dict[str, dict[str, Any]]:
    return {str(s["id"]): dict(s) for s in read_file(name).statements}


@pytest.mark.parametrize(("name", "resources"), [(JENNY, 62), (JENNY_OWN_BUNDLE, 40), (ADAM, 7)])
def test_every_resource_is_accounted_for(name: str, resources: int) -> None:
    reading = read_file(name)

    assert len(reading.report) == resources
    assert reading.counts.rejected == 0
    assert reading.counts.used + reading.counts.ignored == resources


def test_jennys_cancer_in_remission_stays_a_breast_cancer() -> None:
    found = by_id(JENNY)["Condition/primary-cancer-condition-jenny-m"]

    assert (found["concept"], found["status"], found["onset"]) == (
        "breast_cancer",
        "confirmed",
        "2018-03-16",
    )
    assert "resolved" not in found


def test_jennys_performance_status_is_found_by_code_alone() -> None:
    found = by_id(JENNY)["Observation/ecog-performance-status-jenny-m"]

    assert (found["kind"], found["ecog"], found["effective"]) == ("performance", 0, "2018-04-12")


def test_jennys_impossible_neutrophils_are_stated_as_sent() -> None:
    found = by_id(JENNY)["Observation/us-core-observation-lab-neutrophils-jenny-m"]

    assert (found["metric"], found["value"], found["unit"]) == ("anc", 3000, "10*3/uL")
    assert (found["range_low"], found["range_high"]) == (2500, 5000)


def test_jennys_weight_keeps_pounds() -> None:
    found = by_id(JENNY)["Observation/bodyweight-jenny-m-2018-04-22"]

    assert (found["metric"], found["value"], found["unit"]) == ("weight", 150, "[lb_av]")


def test_jennys_chemotherapy_was_given_on_one_day_and_its_orders_are_still_active() -> None:
    medications = {k: v for k, v in by_id(JENNY).items() if v["kind"] == "medication"}

    given = {v["name"]: v["doses"] for k, v in medications.items() if "Administration" in k}
    ordered = {v["name"]: v["doses"] for k, v in medications.items() if "Request" in k}
    assert given == {
        "cyclophosphamide": [{"day": "2018-04-22", "mg": 932.59}],
        "doxorubicin": [{"day": "2018-04-22", "mg": 105.96}],
        "paclitaxel": [{"day": "2018-04-22", "mg": 272.01}],
    }
    # Doxorubicin's administration names its order, so the order goes on from the next day.
    assert ordered == {
        "anastrozole": [{"from": "2018-09-30"}],
        "cyclophosphamide": [{"from": "2018-04-01"}],
        "doxorubicin": [{"from": "2018-04-23"}],
        "paclitaxel": [{"from": "2018-04-12"}],
    }


def test_jennys_treatments() -> None:
    treatments = [s for s in by_id(JENNY).values() if s["kind"] == "treatment"]

    assert Counter(t["class"][0] for t in treatments) == {
        "surgery_minor": 1,
        "surgery_major": 1,
        "radiotherapy_curative": 2,
    }
    spans = {(t["from"], t["to"]) for t in treatments if "from" in t}
    assert spans == {("2018-08-15", "2018-10-25")}


def test_jennys_evidence_on_file() -> None:
    evidence = Counter(s["item"] for s in by_id(JENNY).values() if s["kind"] == "evidence")

    # Stage: the condition's own, the clinical and the pathological group.
    assert evidence == {"stage": 3, "pathology_report": 1, "disease_status_baseline": 1}


@pytest.mark.parametrize(
    ("reference", "reason", "words"),
    [
        ("Observation/genomic-variant-jenny-m", Reason.NO_RULE, "genomic"),
        ("DiagnosticReport/genomics-report-jenny-m", Reason.NO_RULE, "genomic"),
        ("Observation/tumor-marker-test-her2-jenny-m", Reason.NO_RULE, "tumour marker"),
        ("Observation/tumor-size-jenny-m", Reason.NO_RULE, "the report itself counts"),
        ("Procedure/us-core-procedure-mammogram-jenny-m", Reason.CODE_NOT_NEEDED, "no rule"),
        ("Condition/us-core-condition-anxiety-jenny-m", Reason.CODE_NOT_NEEDED, "checklist"),
        ("Practitioner/us-core-practitioner-kyle-anydoc", Reason.TYPE_NOT_NEEDED, "colleague"),
        (
            "Observation/tnm-clinical-primary-tumor-category-jenny-m",
            Reason.NO_RULE,
            "stage group",
        ),
    ],
)
def test_jennys_other_resources_are_ignored_with_the_reason(
    reference: str, reason: Reason, words: str
) -> None:
    line = line_of(read_file(JENNY), reference)

    assert (line.outcome, line.reason) == (Outcome.IGNORED, reason)
    assert words in line.message


def test_adams_leukaemia_metastasis_and_haemoglobin() -> None:
    found = by_id(ADAM)

    assert found["Condition/primary-cancer-condition-cll"]["concept"] == "cll"
    assert found["Condition/primary-cancer-condition-nonspecific"]["concept"] == "metastasis_other"
    haemoglobin = found["Observation/lab-result-observation-hemoglobin"]
    assert (haemoglobin["value"], haemoglobin["unit"]) == (13.5, "g/dl")
