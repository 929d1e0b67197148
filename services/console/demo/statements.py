"""What staff enter because no bundle carries it, in the words of the fact endpoints.

Invariant: nothing here is a default. Each statement is sent by a person whose role may make it, and
is counted and shown as entered. Values are those of an unremarkable patient of the demo.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final

Statement = dict[str, Any]

INFORMATION_TOPICS: Final = (
    "procedure_and_schedule",
    "realistic_expectations_no_guarantee",
    "not_a_replacement_for_standard_treatment",
    "laboratory_standards",
    "sterility_testing",
    "cell_viability",
    "product_documentation",
    "regulatory_status",
    "possible_risks",
    "side_effect_management",
    "red_flags_and_whom_to_call",
    "costs_and_alternatives",
)
CHEMOTHERAPY: Final = "cisplatin + etoposide"
_CYTOTOXIC: Final = "cytotoxic_systemic"


def lab(metric: str, value: object, unit: str | None = None, **more: object) -> Statement:
    """A laboratory result of now."""
    stated = {"kind": "lab", "metric": metric, "value": value, "status": "final", **more}
    return stated if unit is None else {**stated, "unit": unit}


def evidence(item: str, **more: object) -> Statement:
    """Something that is on file as of now."""
    return {"kind": "evidence", "item": item, **more}


def blood_count() -> list[Statement]:
    """A blood count with differential."""
    return [
        lab("anc", 3.1, "10*9/L"),
        lab("alc", 1.2, "10*9/L"),
        lab("platelets", 210, "10*9/L"),
        lab("haemoglobin", 121, "g/L"),
    ]


def chemistry() -> list[Statement]:
    """Kidney and liver values."""
    return [
        lab("creatinine", 0.9, "mg/dL"),
        lab("alt", 32, "U/L", range_high=40),
        lab("ast", 28, "U/L", range_high=40),
        lab("bilirubin_total", 9, "umol/L"),
        lab("albumin", 40, "g/L"),
    ]


def infection_markers() -> list[Statement]:
    """The markers that a collection needs."""
    names = ("hbsag", "hcv_ab", "hiv_ag_ab", "htlv_ab", "syphilis_treponemal")
    return [lab(name, "negative") for name in names]


def infection_status() -> list[Statement]:
    """CRP and the SARS-CoV-2 test."""
    return [lab("crp", 4, "mg/L"), lab("sars_cov_2_pcr", "negative")]


def weight() -> Statement:
    """Body weight."""
    return {"kind": "vital", "metric": "weight_kg", "value": 78, "unit": "kg"}


#: vital signs as measured at the chair
VITAL_SIGNS: Final[Mapping[str, Mapping[str, object]]] = {
    "body_temp": {"value": 36.7, "unit": "Cel"},
    "heart_rate": {"value": 76, "unit": "/min"},
    "sbp": {"value": 124, "unit": "mm[Hg]"},
    "resp_rate": {"value": 14, "unit": "/min"},
    "spo2_room_air": {"value": 97, "unit": "%"},
}


def vital_signs() -> list[Statement]:
    """Vital signs, entered where no bedside endpoint takes them."""
    return [{"kind": "vital", "metric": name, **value} for name, value in VITAL_SIGNS.items()]


def planned_cycles(cycles: Iterable[Iterable[date]]) -> list[Statement]:
    """The oncologist's plan: each day of each cycle, and that nothing is planned after them."""
    days = [day for cycle in cycles for day in cycle]
    planned: list[Statement] = [
        {
            "kind": "medication",
            "class": _CYTOTOXIC,
            "name": CHEMOTHERAPY,
            "next_planned": day.isoformat(),
        }
        for day in days
    ]
    planned[-1]["more_planned"] = False
    return [
        *planned,
        {"kind": "treatment", "class": "radiotherapy_curative", "more_planned": False},
    ]


def cycle_given(days: Iterable[date]) -> list[Statement]:
    """The report that a planned cycle was given."""
    doses = [{"day": day.isoformat()} for day in days]
    return [{"kind": "medication", "class": _CYTOTOXIC, "name": CHEMOTHERAPY, "doses": doses}]
