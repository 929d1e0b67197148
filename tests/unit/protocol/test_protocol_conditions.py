"""Eligibility, consent, evidence ages, course rules, red flags."""

from datetime import date, timedelta
from typing import Any

import pytest
from protocol_asking import PROTOCOL, ask, blocking, iso, lab, one

from shared.protocol import FindingKind

DAY = "2027-03-10"


def condition(concept: str, **more: Any) -> dict[str, Any]:
    return {"kind": "condition", "concept": concept, "onset": "2027-03-01", **more}


def evidence(item: str, effective: str, **more: Any) -> dict[str, Any]:
    return {"kind": "evidence", "item": item, "effective": effective, **more}


CONDITIONS = [
    (
        "severe_organ_failure",
        "ELIG-004",
        "contraindicated",
        {"eligibility", "collection", "infusion"},
    ),
    ("autoimmune_uncontrolled", "ELIG-005", "hold", {"eligibility", "collection", "infusion"}),
    ("autoimmune_controlled", "ELIG-006", "review", {"eligibility"}),
    ("urgent_oncology_need", "ELIG-007", "hold", {"eligibility", "collection", "infusion"}),
    (
        "pregnancy_or_lactation",
        "ELIG-010",
        "contraindicated",
        {"eligibility", "collection", "infusion"},
    ),
    ("excipient_allergy", "ELIG-012", "contraindicated", {"eligibility", "infusion"}),
    ("primary_immunodeficiency", "ELIG-013", "review", {"eligibility"}),
    ("cns_mets_symptomatic", "ELIG-014", "hold", {"eligibility", "infusion"}),
    (
        "deceased",
        "ELIG-018",
        "contraindicated",
        {"eligibility", "collection", "manufacturing_start", "infusion"},
    ),
]


@pytest.mark.parametrize(("concept", "rule", "effect", "scope"), CONDITIONS)
def test_a_condition_blocks_exactly_the_gates_of_its_scope(
    concept: str, rule: str, effect: str, scope: set[str]
) -> None:
    for gate in ("eligibility", "collection", "manufacturing_start", "release", "infusion"):
        decision = ask(condition(concept), at=DAY, gate=gate)
        assert (rule in decision.blocking_rules) is (gate in scope), gate
        if gate in scope:
            assert one(decision, rule).effect.value == effect


@pytest.mark.parametrize(
    ("more", "blocks"),
    [
        ({"status": "suspected"}, True),
        ({"status": "refuted", "effective": "2027-03-02"}, False),
        ({"resolved": "2027-03-10"}, False),
        ({"resolved": "2027-03-11"}, True),
        ({"onset": "2027-03-11"}, False),
    ],
)
def test_a_condition_lasts_from_onset_to_resolution(more: dict[str, Any], blocks: bool) -> None:
    assert bool(blocking(condition("autoimmune_uncontrolled", **more), at=DAY)) is blocks


def test_death_is_taken_from_the_patient_too() -> None:
    for deceased in (True, "2027-03-10"):
        assert ask({"kind": "patient", "deceased": deceased}, at=DAY).code == "NO_GO_STOP"
    assert ask({"kind": "patient", "deceased": "2027-03-11"}, at=DAY).code == "GO"


def test_a_cancer_outside_the_list_is_reviewed_and_none_is_unknown() -> None:
    assert "ELIG-015" not in blocking(condition("nsclc"), at=DAY, gate="eligibility")
    other = ask(condition("other_cancer"), at=DAY, gate="eligibility")
    assert one(other, "ELIG-015").effect.value == "review"
    nothing = ask(at=DAY, gate="eligibility", assume=False)
    assert one(nothing, "ELIG-015").kind is FindingKind.MISSING


# Evidence ages: item, gate, last good age in days (from the table)


AGES = [
    ("medication_reconciliation", "collection", 3, "EV-MEDREC"),
    ("medication_reconciliation", "infusion", 1, "EV-MEDREC"),
    ("oncology_plan_ack", "collection", 28, "EV-ONCPLAN"),
    ("oncology_plan_ack", "infusion", 14, "EV-ONCPLAN"),
    ("consent", "collection", 90, "EV-CONSENT"),
    ("consent", "infusion", 180, "EV-CONSENT"),
    ("baseline_imaging", "infusion", 28, "EV-IMG"),
    ("infection_markers_hbv_hcv_hiv_htlv_syphilis", "collection", 30, "EV-IDM"),
    ("infection_markers_hbv_hcv_hiv_htlv_syphilis", "infusion", 180, "EV-IDM"),
    ("sars_cov_2_test", "infusion", 3, "EV-SARS"),
    ("immune_status_lymphocyte_subsets", "eligibility", 28, "EV-IMMUNE"),
    ("prior_treatments", "eligibility", 28, "EV-PRIORTX"),
    ("imaging_baseline", "eligibility", 28, "EV-ELIGIMG"),
    ("cbc_differential", "collection", 3, "EV-CBC"),
    ("creatinine_lft_albumin", "infusion", 7, "EV-CHEM"),
    ("coagulation", "collection", 7, "EV-INR"),
    ("cmv_dna", "infusion", 30, "EV-CMV"),
    ("ecog", "infusion", 7, "EV-ECOG"),
    ("ecog", "collection", 14, "EV-ECOG"),
    ("echocardiogram", "infusion", 180, "EV-LVEF"),
    ("echocardiogram", "collection", 90, "EV-LVEF"),
    ("body_weight", "infusion", 7, "EV-WEIGHT"),
    ("crp", "infusion", 3, "EV-CRP"),
    ("pregnancy_test", "infusion", 7, "EV-HCG"),
]


@pytest.mark.parametrize(("item", "gate", "days", "rule"), AGES)
def test_evidence_is_good_for_its_days_and_not_one_longer(
    item: str, gate: str, days: int, rule: str
) -> None:
    given = date(2027, 3, 10)
    last, late = given + timedelta(days=days), given + timedelta(days=days + 1)
    stated = evidence(item, given.isoformat())

    assert rule not in blocking(stated, at=last.isoformat(), gate=gate)
    decision = ask(stated, at=late.isoformat(), gate=gate)
    assert one(decision, rule).kind is FindingKind.STALE
    assert "DATA-009" in decision.blocking_rules
    assert decision.plan == "go"


def test_evidence_dated_after_the_gate_is_not_yet_a_fact() -> None:
    decision = ask(evidence("consent", "2027-03-11"), at=DAY)

    assert one(decision, "EV-CONSENT").kind is FindingKind.MISSING


def test_pathology_and_stage_are_on_file_at_any_age() -> None:
    old = [evidence(item, "2001-01-01") for item in ("pathology_report", "stage")]

    assert not blocking(*old, at=DAY, gate="eligibility") & {
        "EV-ELIGPATH",
        "EV-ELIGSTG",
        "ELIG-001",
    }


def test_vital_signs_are_good_for_one_hour_at_infusion_and_a_day_at_collection() -> None:
    stated = evidence("vital_signs", "2027-03-10T09:00")

    assert "EV-VITALS" not in blocking(stated, at="2027-03-10T10:00")
    assert "EV-VITALS" in blocking(stated, at="2027-03-10T10:00:01")
    assert "EV-VITALS" not in blocking(stated, at="2027-03-11T09:00", gate="collection")
    assert "EV-VITALS" in blocking(stated, at="2027-03-11T09:00:01", gate="collection")


def test_dose_issue_asks_for_no_bedside_evidence() -> None:
    infusion = blocking(at=DAY, assume=False)
    issue = blocking(at=DAY, gate="dose_issue", assume=False)

    assert infusion - issue == {"EV-VITALS"}
    assert issue < infusion


def test_permit_questions_are_not_findings() -> None:
    assert not blocking(at=DAY, assume=False) & {"IFU-002", "IFU-003", "CLR-003"}


def test_a_withdrawn_consent_is_a_condition_not_a_gap() -> None:
    given = evidence("consent", "2027-02-01")
    withdrawn = evidence("consent", "2027-03-09", withdrawn=True)

    decision = ask(given, withdrawn, at=DAY)
    finding = one(decision, "ELIG-009")
    assert decision.blocking_rules == ("ELIG-009",)
    assert finding.kind is FindingKind.CONDITION
    assert decision.plan == "hold"
    assert ask(given, withdrawn, evidence("consent", "2027-03-10"), at=DAY).code == "GO"


def test_information_is_given_when_every_topic_is_explained() -> None:
    topics = list(PROTOCOL.tables.topics)
    some = evidence("information_given", "2027-03-01", topics=topics[:-1])
    rest = evidence("information_given", "2027-03-02", topics=topics[-1:])

    assert "ELIG-009" in blocking(some, at=DAY)
    assert blocking(some, rest, at=DAY) == set()


@pytest.mark.parametrize(("until", "blocks"), [("2027-03-10", False), ("2027-03-09", True)])
def test_the_regulatory_basis_is_valid_on_the_day(until: str, blocks: bool) -> None:
    stated = evidence("regulatory_basis", "2027-01-01", valid_until=until)

    assert ("ELIG-017" in blocking(stated, at=DAY)) is blocks


def test_baseline_imaging_is_asked_before_the_first_infusion_only() -> None:
    first = {"kind": "infusion", "n": 1, "dose_id": "D0", "day": "2027-02-01"}
    stated = evidence("baseline_imaging", "2026-01-01")

    assert "EV-IMG" in blocking(stated, at=DAY)
    assert "EV-IMG" not in blocking(stated, first, at=DAY)


def test_the_identity_check_is_of_the_day_of_collection() -> None:
    yesterday = [evidence(item, "2027-03-09") for item in ("identity_check", "coi_label")]
    today = [evidence(item, "2027-03-10") for item in ("identity_check", "coi_label")]

    assert "COL-001" in blocking(*yesterday, at=DAY, gate="collection")
    assert "COL-001" not in blocking(*today, at=DAY, gate="collection")
    collected = {"kind": "collection", "day": "2027-03-10T08:00"}
    at = "2027-03-10T20:00"
    assert "COL-001" not in blocking(*today, collected, at=at, gate="manufacturing_start")
    assert "COL-001" in blocking(*yesterday, collected, at=at, gate="manufacturing_start")


def test_due_says_what_when_and_from_whom() -> None:
    decision = ask(evidence("consent", DAY), lab("anc", 2.0, "10*9/L", "2027-01-01"), at=DAY)

    (due,) = decision.due
    assert (due.item, due.owner) == ("cbc_differential", "coordinator")
    assert (iso(due.not_before), iso(due.not_after)) == ("2027-03-07", "2027-03-10")


def test_due_is_told_for_the_earliest_possible_day() -> None:
    taper = {
        "kind": "medication",
        "name": "prednisone",
        "route": "oral",
        "doses": [{"mg_per_day": 20, "to": "2027-03-05"}],
    }

    decision = ask(taper, lab("anc", 2.0, "10*9/L", "2027-01-01"), at=DAY)

    (due,) = decision.due
    assert iso(decision.earliest) == "2027-03-12"
    assert (iso(due.not_before), iso(due.not_after)) == ("2027-03-09", "2027-03-12")


# The course


@pytest.mark.parametrize(("at", "blocks"), [("2027-03-07", True), ("2027-03-08", False)])
def test_seven_days_lie_between_infusions(at: str, blocks: bool) -> None:
    given = {"kind": "infusion", "n": 1, "dose_id": "D0", "day": "2027-03-01"}

    assert ("IFU-001" in blocking(given, at=at)) is blocks
    collected = {"kind": "collection", "day": "2027-03-01"}
    assert ("COL-002" in blocking(collected, at=at, gate="collection")) is blocks


def reaction(scale: str, grade: int, **more: Any) -> dict[str, Any]:
    return {
        "kind": "reaction",
        "infusion": 1,
        "scale": scale,
        "grade": grade,
        "from": "2027-02-01T10:00",
        "grade_le_1_since": "2027-02-01T12:00",
        **more,
    }


@pytest.mark.parametrize(
    ("scale", "grade", "rules"),
    [
        ("irr_ctcae5", 1, set()),
        ("irr_ctcae5", 2, set()),
        ("irr_ctcae5", 3, {"IFU-004"}),
        ("irr_ctcae5", 4, {"IFU-005"}),
        ("irr_ctcae5", 5, {"IFU-005"}),
        ("allergic_ctcae5", 2, set()),
        ("allergic_ctcae5", 3, {"IFU-005"}),
        ("crs_astct", 2, set()),
        ("crs_astct", 3, {"IFU-005"}),
    ],
)
def test_an_earlier_reaction_decides_by_scale_and_grade(
    scale: str, grade: int, rules: set[str]
) -> None:
    assert blocking(reaction(scale, grade), at=DAY) == rules


def test_grade_three_waits_for_a_restart_decision_and_grade_four_for_nothing() -> None:
    signed = {"restart_decision": "2027-03-01"}

    assert blocking(reaction("irr_ctcae5", 3, **signed), at=DAY) == set()
    assert blocking(reaction("irr_ctcae5", 4, **signed), at=DAY) == {"IFU-005"}


def test_an_unresolved_event_of_grade_two_holds() -> None:
    assert blocking(reaction("irr_ctcae5", 2, grade_le_1_since=None), at=DAY) == {"IFU-006"}


@pytest.mark.parametrize(
    ("at", "rules"),
    [("2027-11-20T10:39", {"IFU-006"}), ("2027-11-20T10:40", set())],
)
def test_a_paused_infusion_resumes_after_thirty_stable_minutes(at: str, rules: set[str]) -> None:
    running = {
        "kind": "infusion",
        "n": 1,
        "dose_id": "D1",
        "day": "2027-11-20",
        "paused_at": "2027-11-20T09:20",
        "stable_since": "2027-11-20T10:10",
    }
    mild = {
        "kind": "reaction",
        "infusion": 1,
        "scale": "irr_ctcae5",
        "grade": 2,
        "from": "2027-11-20T09:20",
        "grade_le_1_since": "2027-11-20T10:10",
    }

    assert blocking(running, mild, at=at) == rules


def test_progression_since_the_last_infusion_needs_oncology() -> None:
    given = {"kind": "infusion", "n": 1, "dose_id": "D0", "day": "2027-02-01"}
    since = condition("progression_confirmed", onset="2027-02-20")
    before = condition("progression_confirmed", onset="2027-01-20")

    assert blocking(since, given, at=DAY) == {"IFU-007"}
    assert blocking(before, given, at=DAY) == set()
    assert blocking(since, at=DAY) == set()  # applies only after a first infusion


def test_a_red_flag_holds_infusion_until_a_physician_closes_it() -> None:
    flag = {"kind": "red_flag", "symptom": "chest_pain", "from": "2027-03-09T20:00"}

    assert blocking(flag, at=DAY) == {"RF-HOLD"}
    assert blocking({**flag, "closed": "2027-03-10T08:00"}, at="2027-03-10T08:00") == set()
    assert blocking(flag, at=DAY, gate="collection") == set()


@pytest.mark.parametrize(
    ("concept", "effect"),
    [("cll", None), ("nhl", None), ("leukaemia", None), ("cancer_site_unstated", "review")],
)
def test_a_kind_of_an_indication_is_one_and_an_unnamed_cancer_is_reviewed(
    concept: str, effect: str | None
) -> None:
    decision = ask(condition(concept), at=DAY, gate="eligibility")

    found = [f.effect.value for f in decision.blocking if f.rule == "ELIG-015"]
    assert found == ([] if effect is None else [effect])


def test_evidence_without_a_date_is_no_evidence_of_an_age() -> None:
    undated = {"kind": "evidence", "item": "consent"}

    assert one(ask(undated, at=DAY), "EV-CONSENT").kind is FindingKind.MISSING
    on_file = {"kind": "evidence", "item": "regulatory_basis"}
    assert "ELIG-017" not in blocking(on_file, at=DAY, assume=False)


def test_preliminary_evidence_does_not_clear() -> None:
    stated = evidence("consent", DAY, status="preliminary")

    assert {"EV-CONSENT", "ELIG-009", "DATA-007"} == blocking(stated, at=DAY)


def test_evidence_entered_in_error_is_not_on_file() -> None:
    stated = evidence("consent", DAY, status="entered-in-error")

    assert {"EV-CONSENT", "ELIG-009", "DATA-001"} == blocking(stated, at=DAY)


def test_a_stated_irae_resolution_ends_it() -> None:
    event = {"kind": "irae", "grade": 3, "organ": "colon", "effective": "2027-03-01"}

    assert blocking({**event, "resolved": "2027-03-09"}, at=DAY) == set()
    assert blocking({**event, "resolved": "2027-03-11"}, at=DAY) == {"IRAE-001"}


def test_a_negative_test_stated_as_evidence_answers_a_positive_infection() -> None:
    covid = {
        "kind": "infection",
        "type": "sars_cov_2",
        "first_positive": "2027-02-01",
        "symptom_free_since": "2027-02-05",
    }
    stated = evidence("sars_cov_2_negative_after", "2027-03-01")
    before = evidence("sars_cov_2_negative_after", "2027-01-01")

    assert "INF-005" not in blocking(covid, stated, at=DAY, assume=False)
    assert "INF-005" in blocking(covid, before, at=DAY, assume=False)
