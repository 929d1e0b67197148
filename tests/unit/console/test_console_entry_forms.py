"""What a person types becomes intake's form: nothing defaulted, nothing guessed, all kept."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pydantic import TypeAdapter

from services.console.entry.forms import (
    EntryForm,
    Field,
    bare_form,
    filled,
    typed_of,
    without_case,
)
from services.intake.domain.entries import PlannedDose
from services.intake.entrypoints.form_bodies import FORMS, FormBody
from services.intake.entrypoints.form_fields import described
from shared.protocol import load_protocol

ZONE = ZoneInfo("Europe/Berlin")
DOSES = (PlannedDose(date(2027, 4, 1), "cisplatin", frozenset()),)
READ: TypeAdapter[Any] = TypeAdapter(FormBody)


def forms() -> dict[str, EntryForm]:
    found = TypeAdapter(tuple[EntryForm, ...]).validate_python(described(load_protocol(), DOSES))
    return {form.form: form for form in found}


#: a whole form of each kind, as typed
TYPED = {
    "steroid-course": {"drug": "dexamethasone", "mg_per_day": "0.75", "first": "2027-03-01"},
    "infection-episode": {"type": "serious", "fever_until": "2027-03-10T14:30"},
    "chemotherapy-plan": {
        "regimen": "cisplatin", "cycle_days": "21", "first_day": "2027-04-01", "cycles": "3",
        "days": "1, 8", "nothing_after": "no",
    },
    "chemotherapy-cycle": {"from_day": "2027-04-01", "to_day": "2027-04-08", "only_this": "yes"},
    "symptom": {"symptom": "RF-CHEST", "temperature_cel": "38.4"},
    "other-product": {"product": "moon root", "kind": "herbal", "note": "since May"},
}  # fmt: skip


def test_there_is_an_example_of_every_form() -> None:
    assert set(TYPED) == set(forms())
    assert len(TYPED) == len(FORMS)


@pytest.mark.parametrize("name", sorted(TYPED))
def test_what_was_typed_is_a_form_that_intake_reads(name: str) -> None:
    body, wrong = filled(forms()[name], TYPED[name], ZONE)

    assert wrong == {}
    assert READ.validate_python(body).form == name


@pytest.mark.parametrize("name", sorted(TYPED))
def test_a_correction_shows_what_was_typed(name: str) -> None:
    body, _ = filled(forms()[name], TYPED[name], ZONE)
    kept = READ.validate_python(body).model_dump(mode="json", exclude_unset=True)

    assert typed_of(forms()[name], kept, ZONE) == TYPED[name]


def test_what_is_left_empty_is_left_out() -> None:
    body, wrong = filled(forms()["symptom"], {"symptom": "RF-CHEST", "since": " "}, ZONE)

    assert (body, wrong) == ({"form": "symptom", "symptom": "RF-CHEST"}, {})


def test_only_a_tick_says_that_there_is_no_value() -> None:
    steroid = forms()["steroid-course"]

    _, asked = filled(steroid, {"drug": "dexamethasone"}, ZONE)
    ticked, _ = filled(steroid, {"drug": "dexamethasone", "mg_per_day.none": "yes"}, ZONE)
    _, both = filled(
        steroid, {"drug": "dexamethasone", "mg_per_day": "8", "mg_per_day.none": "yes"}, ZONE
    )

    assert asked == {"mg_per_day": "Fill this in, or tick “The dose is not known”."}
    assert ticked["mg_per_day"] is None
    assert both == {"mg_per_day": "Give a value or tick the box, not both."}
    assert typed_of(steroid, ticked, ZONE)["mg_per_day.none"] == "yes"


def field(kind: Any, **more: Any) -> EntryForm:
    return EntryForm("f", "F", "", frozenset(), (Field("x", "X", kind, required=True, **more),))


@pytest.mark.parametrize(
    ("form", "text", "says"),
    [
        (field("number"), "0,75", "with a point"),
        (field("number"), "1e3", "with a point"),
        (field("number"), "nan", "with a point"),
        (field("number", above=Decimal(0)), "0", "above 0"),
        (field("number", minimum=Decimal(25), maximum=Decimal(45)), "24.9", "from 25 to 45"),
        (field("number", maximum=Decimal(45)), "45.1", "at most 45"),
        (field("whole"), "2.5", "whole numbers"),
        (field("whole"), "²", "whole numbers"),
        (field("whole-list"), "1; 8", "whole numbers"),
        (field("date"), "31.3.2027", "2027-03-31"),
        (field("instant"), "yesterday", "2027-03-31 14:30"),
        (field("instant"), "2027-03-28T02:30", "clocks skip"),
        (field("text", max_length=3), "four", "At most 3"),
        (field("text"), "  ", "Fill this in"),
    ],
)
def test_what_cannot_be_read_says_what_to_type(form: EntryForm, text: str, says: str) -> None:
    body, wrong = filled(form, {"x": text}, ZONE)

    assert says in wrong["x"]
    assert "x" not in body


def test_times_are_the_clinics() -> None:
    body, _ = filled(field("instant"), {"x": "2027-07-01T14:30"}, ZONE)

    assert datetime.fromisoformat(body["x"]) == datetime(2027, 7, 1, 12, 30, tzinfo=UTC)


def test_an_hour_that_the_clocks_show_twice_is_the_later_one() -> None:
    body, _ = filled(field("instant"), {"x": "2027-10-31T02:30"}, ZONE)

    assert datetime.fromisoformat(body["x"]) == datetime(2027, 10, 31, 1, 30, tzinfo=UTC)


def test_seconds_that_were_given_are_kept() -> None:
    shown = typed_of(field("instant"), {"x": "2027-07-01T12:30:15Z"}, ZONE)

    assert shown == {"x": "2027-07-01T14:30:15"}


def test_the_days_of_one_case_are_not_offered_for_another() -> None:
    form = forms()["chemotherapy-cycle"]
    assert any(f.choices for f in form.fields)

    assert not any(f.choices for f in without_case(form).fields)
    assert without_case(forms()["symptom"]) == forms()["symptom"]


def test_a_form_that_nobody_can_describe_keeps_what_was_typed() -> None:
    form = bare_form("steroid-course", {"drug": "dexamethasone", "mg_per_day.none": "yes"})

    assert [f.name for f in form.fields] == ["drug"]
