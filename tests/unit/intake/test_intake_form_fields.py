"""The forms as pages show them ask for, require and offer what the endpoint reads."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from services.intake.domain import entries as e
from services.intake.entrypoints.form_bodies import FORMS
from services.intake.entrypoints.form_fields import TITLES, described
from shared.protocol import load_protocol

PROTOCOL = load_protocol()
NOW = datetime(2027, 3, 10, 7, 0, tzinfo=UTC)
DOSES = (
    e.PlannedDose(date(2027, 4, 1), "cisplatin", frozenset({"cytotoxic_systemic"})),
    e.PlannedDose(date(2027, 4, 1), "pemetrexed", frozenset({"cytotoxic_systemic"})),
)


def form_named(name: str, planned: tuple[e.PlannedDose, ...] = ()) -> dict[str, Any]:
    (found,) = [form for form in described(PROTOCOL, planned) if form["form"] == name]
    return found


def field_of(form: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [field for field in form["fields"] if field["name"] == name]
    return dict(found)


def test_every_form_is_described() -> None:
    assert set(TITLES) == set(FORMS)


@pytest.mark.parametrize("model", sorted(TITLES, key=str), ids=lambda model: model.__name__)
def test_a_form_shows_the_fields_of_its_model(model: Any) -> None:
    form = next(f for f in described(PROTOCOL, ()) if f["title"] == TITLES[model])

    fields = {n: m for n, m in model.model_fields.items() if n != "form"}
    assert {f["name"]: f["required"] for f in form["fields"]} == {
        name: field.is_required() for name, field in fields.items()
    }
    assert all(f["title"] and f["title"][0].isupper() for f in form["fields"])


def test_kinds_of_fields_are_those_of_the_models() -> None:
    kinds = {
        (form["form"], field["name"]): field["type"]
        for form in described(PROTOCOL, ())
        for field in form["fields"]
    }

    assert kinds["steroid-course", "mg_per_day"] == "number"
    assert kinds["steroid-course", "first"] == "date"
    assert kinds["infection-episode", "fever_until"] == "instant"
    assert kinds["chemotherapy-plan", "cycles"] == "whole"
    assert kinds["chemotherapy-plan", "days"] == "whole-list"
    assert kinds["chemotherapy-plan", "nothing_after"] == "yes-no-unknown"
    assert kinds["chemotherapy-cycle", "only_this"] == "yes-no"


def test_where_nothing_is_an_answer_the_form_says_which() -> None:
    said = {
        (form["form"], field["name"]): field["null_means"]
        for form in described(PROTOCOL, ())
        for field in form["fields"]
        if field["null_means"]
    }

    assert said == {
        ("steroid-course", "mg_per_day"): "The dose is not known",
        ("chemotherapy-cycle", "to_day"): "The dose is cancelled",
    }


def test_symptoms_are_the_red_flags_of_the_protocol() -> None:
    choices = field_of(form_named("symptom"), "symptom")["choices"]

    assert {c["value"] for c in choices} == {f.id for f in PROTOCOL.plans.red_flags}
    assert {"value": "RF-CHEST", "title": "Chest pain"} in choices
    assert e.made_of(PROTOCOL, e.Symptom(choices[0]["value"]), (), NOW).statements


def test_a_planned_day_is_offered_once_with_all_its_drugs() -> None:
    assert field_of(form_named("chemotherapy-cycle", DOSES), "from_day")["choices"] == [
        {"value": "2027-04-01", "title": "2027-04-01: cisplatin, pemetrexed"}
    ]
    assert field_of(form_named("chemotherapy-cycle"), "from_day")["choices"] == []


def test_a_moved_cycle_is_for_those_who_may_change_the_plan() -> None:
    assert form_named("chemotherapy-cycle")["entered_by"] == [
        "coordinator", "oncologist", "treating_physician",
    ]  # fmt: skip
    assert "infusion_nurse" in form_named("symptom")["entered_by"]
