"""Random but plausible statements, for the properties that must hold for any record."""

from datetime import date, datetime, timedelta, timezone
from typing import Any

from hypothesis import strategies as st

FIRST = date(2027, 3, 1)
ISTANBUL = timezone(timedelta(hours=3))

days = st.integers(0, 60).map(lambda n: (FIRST + timedelta(days=n)).isoformat())
instants = st.integers(0, 60 * 24 * 4).map(
    lambda q: datetime(2027, 3, 1, tzinfo=ISTANBUL) + timedelta(minutes=15 * q)
)
times = st.one_of(days, instants.map(lambda at: at.isoformat()))
maybe_day = st.one_of(st.none(), days)
maybe_time = st.one_of(st.none(), times)


def _spans() -> st.SearchStrategy[dict[str, Any]]:
    def ordered(pair: tuple[str, str], mg: Any) -> dict[str, Any]:
        return {"mg_per_day": mg, "from": min(pair), "to": max(pair)}

    amounts = st.sampled_from([0.5, 4, 8, 10, 20, 40])
    return st.one_of(
        st.builds(lambda day, mg: {"mg": mg, "day": day}, days, amounts),
        st.builds(ordered, st.tuples(days, days), amounts),
        st.builds(lambda day, mg: {"mg_per_day": mg, "from": day}, days, amounts),
        st.builds(lambda day: {"day": day}, days),
    )


medications = st.fixed_dictionaries(
    {"kind": st.just("medication")},
    optional={
        "class": st.sampled_from(
            [
                "cytotoxic_systemic",
                "g_csf_short",
                "vaccine_inactivated",
                "targeted_tki",
                "unheard_of",
            ]
        ),
        "last_dose": days,
        "next_planned": days,
        "more_planned": st.booleans(),
    },
).map(lambda m: {"name": "cisplatin", **m})
steroids = st.fixed_dictionaries(
    {
        "kind": st.just("medication"),
        "name": st.sampled_from(["prednisone", "dexamethasone", "hydrocortisone", "budesonide"]),
        "doses": st.lists(_spans(), min_size=1, max_size=3),
    },
    optional={
        "route": st.sampled_from(["oral", "iv", "inhaled", "rectal"]),
        "intent": st.sampled_from(["antiemetic", "treatment", "premedication", "replacement"]),
        "premedication_for": st.sampled_from(["chemotherapy", "contrast", "cik"]),
    },
)
treatments = st.fixed_dictionaries(
    {
        "kind": st.just("treatment"),
        "class": st.sampled_from(
            ["radiotherapy_curative", "surgery_major", "platelet_or_rbc_transfusion"]
        ),
        "day": days,
    },
    optional={"next_planned": days},
)
plan_changes = st.builds(
    lambda old, new, at: {
        "kind": "plan_change",
        "class": "cytotoxic_systemic",
        "moved_from": old,
        "moved_to": new,
        "recorded": at.isoformat(),
    },
    days,
    days,
    instants,
)
labs = st.fixed_dictionaries(
    {
        "kind": st.just("lab"),
        "metric": st.sampled_from(["anc", "platelets", "haemoglobin", "alc", "cd3_abs"]),
        "value": st.sampled_from([0.05, 0.4, 0.9, 1.2, 2.5, 42, 60, 75, 150, 600]),
        "unit": st.sampled_from(["10*9/L", "g/L", "/uL"]),
        "effective": times,
    },
    optional={
        "status": st.sampled_from(["preliminary", "final", "corrected", "entered-in-error"]),
        "id": st.sampled_from(["lab-1", "lab-2", "lab-3"]),
        "version": st.integers(1, 3),
        "recorded": instants.map(lambda at: at.isoformat()),
    },
)
chemistry = st.builds(
    lambda metric, value, unit, at: {
        "kind": "lab",
        "metric": metric,
        "value": value,
        "unit": unit,
        "effective": at,
        "range_high": 40,
    },
    st.sampled_from(["creatinine", "alt", "crp", "cmv_dna", "albumin"]),
    st.sampled_from([0.8, 3, 25, 30, 60, 130, 220, 1500]),
    st.sampled_from(["mg/dL", "U/L", "mg/L", "[IU]/mL", "g/L"]),
    times,
)
vitals = st.builds(
    lambda metric, value, at: {
        "kind": "vital",
        "metric": metric,
        "value": value,
        "unit": {"body_temp": "Cel", "sbp": "mm[Hg]", "heart_rate": "/min"}[metric],
        "effective": at,
    },
    st.sampled_from(["body_temp", "sbp", "heart_rate"]),
    st.sampled_from([36.8, 38.0, 39.2, 88, 100, 130]),
    times,
)
tests = st.builds(
    lambda metric, value, at: {"kind": "lab", "metric": metric, "value": value, "effective": at},
    st.sampled_from(["sars_cov_2_pcr", "hbsag", "hcg", "blood_culture"]),
    st.sampled_from(["positive", "negative"]),
    times,
)


def _infection(kind: str, onset: str, length: int, **rest: Any) -> dict[str, Any]:
    begin = date.fromisoformat(onset)
    end = (begin + timedelta(days=length)).isoformat()
    stated = {"kind": "infection", "type": kind, "onset": onset, **rest}
    if length % 4:
        stated["resolved"] = end
    if length % 3 == 0:
        drug = {"name": "levofloxacin", "from": onset, "intent": "treatment"}
        stated["antimicrobials"] = [{**drug, "to": end} if length % 2 else drug]
    if kind == "sars_cov_2":
        stated["first_positive"] = onset
        stated["symptom_free_since"] = end
    return stated


infections = st.builds(
    _infection,
    st.sampled_from(["uncomplicated", "serious", "unspecified", "sars_cov_2", "hbv"]),
    days,
    st.integers(0, 12),
)
conditions = st.fixed_dictionaries(
    {
        "kind": st.just("condition"),
        "concept": st.sampled_from(
            ["autoimmune_uncontrolled", "infection_active", "gilbert_syndrome", "hbv_active"]
        ),
        "onset": times,
    },
    optional={
        "resolved": times,
        "status": st.sampled_from(["suspected", "confirmed", "refuted"]),
        "effective": times,
    },
)
events = st.one_of(
    st.builds(
        lambda grade, at: {"kind": "irae", "grade": grade, "organ": "colon", "effective": at},
        st.integers(0, 4),
        times,
    ),
    st.builds(
        lambda ecog, at: {"kind": "performance", "ecog": ecog, "effective": at},
        st.integers(0, 4),
        times,
    ),
    st.builds(
        lambda at, end: {"kind": "red_flag", "symptom": "chest_pain", "from": at, "closed": end},
        instants.map(lambda at: at.isoformat()),
        maybe_time,
    ),
    st.builds(
        lambda n, at: {"kind": "infusion", "n": n, "dose_id": f"D{n}", "day": at},
        st.integers(1, 3),
        times,
    ),
    st.builds(
        lambda grade, at, mild: {
            "kind": "reaction",
            "infusion": 1,
            "scale": "irr_ctcae5",
            "grade": grade,
            "from": at,
            "grade_le_1_since": mild,
        },
        st.integers(1, 4),
        times,
        maybe_time,
    ),
    st.builds(
        lambda at, method: {"kind": "collection", "day": at, "method": method},
        times,
        st.sampled_from(["apheresis", "blood_draw"]),
    ),
)
evidence = st.fixed_dictionaries(
    {
        "kind": st.just("evidence"),
        "item": st.sampled_from(
            [
                "consent",
                "oncology_plan_ack",
                "medication_reconciliation",
                "cbc_differential",
                "infection_clearance_signed",
                "sars_cov_2_negative_after",
                "regulatory_basis",
                "identity_check",
                "baseline_imaging",
            ]
        ),
        "effective": times,
    },
    optional={"valid_until": times, "withdrawn": st.booleans()},
)
products = st.fixed_dictionaries(
    {
        "kind": st.just("product"),
        "dose_id": st.sampled_from(["D1", "D2", "D3"]),
        "lot": st.just("L1"),
        "state": st.sampled_from(["released", "quarantine", "recalled"]),
        "form": st.sampled_from(["fresh", "cryopreserved"]),
        "formulated_at": instants.map(lambda at: at.isoformat()),
        "cryopreserved_on": days,
    },
    optional={
        "expires_at": instants.map(lambda at: at.isoformat()),
        "thawed_at": instants.map(lambda at: at.isoformat()),
    },
)
answers = st.one_of(
    st.builds(
        lambda rule, at: {
            "kind": "review_decision",
            "rule": rule,
            "gate": "infusion",
            "decision": "proceed",
            "by": ["oncologist", "medical_director"],
            "facts": ["lab-1", "lab-2"],
            "valid_until": at,
        },
        st.sampled_from(["LAB-ANC", "LAB-PLT", "WO-TKI"]),
        times,
    ),
    st.builds(
        lambda rule, at: {
            "kind": "override",
            "rule": rule,
            "gate": "infusion",
            "by": ["oncologist", "medical_director"],
            "reason": "timing",
            "valid_until": at,
        },
        st.sampled_from(["WO-CHEMO", "LAB-ANC", "STER-001", "INF-001"]),
        instants.map(lambda at: at.isoformat()),
    ),
    st.builds(
        lambda at: {"kind": "clearance", "version": 1, "gate": "infusion", "issued_at": at},
        instants.map(lambda at: at.isoformat()),
    ),
    st.builds(
        lambda of, at: {
            "kind": "correction",
            "of": of,
            "status": "entered-in-error",
            "recorded": at,
        },
        st.sampled_from(["lab-1", "lab-2"]),
        instants.map(lambda at: at.isoformat()),
    ),
)
FAMILIES = {
    "medications": medications,
    "steroids": steroids,
    "treatments": treatments,
    "plan changes": st.one_of(plan_changes, medications),
    "labs": labs,
    "chemistry": chemistry,
    "vitals": vitals,
    "tests": tests,
    "infections": infections,
    "conditions": conditions,
    "events": events,
    "evidence": evidence,
    "products": products,
    "answers": st.one_of(answers, labs),
}
statement = st.one_of(*FAMILIES.values())
records = st.lists(statement, min_size=1, max_size=9)


def mostly(family: str) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return records in which facts of one family meet each other, and a few others."""
    own = FAMILIES[family]
    return st.tuples(st.lists(own, min_size=1, max_size=4), st.lists(statement, max_size=3)).map(
        lambda parts: [*parts[0], *parts[1]]
    )
