"""What a filled-in form states: its defaults, planned days, moved doses and refusals.

Expected values are of the protocol: dexamethasone 0.75 mg = prednisone 5 mg; chest pain is L4; a
product that the terminology does not know is `unverified_product`.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

import pytest

from services.intake.domain import entries as e
from services.intake.domain.red_flags import red_flag_of, urgency_of
from services.intake.entrypoints.form_bodies import FORMS, ChemotherapyPlanBody
from shared.protocol import Fact, load_protocol, parse_statement

PROTOCOL = load_protocol()
NOW = datetime(2027, 3, 10, 7, 0, tzinfo=UTC)
TODAY = date(2027, 3, 10)
#: beyond these, a form is not quicker than a note
REQUIRED_MAX = 4


def made(form: e.Form, *facts: Fact) -> e.Made:
    return e.made_of(PROTOCOL, form, e.planned_doses(PROTOCOL, facts), NOW)


def read(statement: e.Statement, name: str, at: datetime = NOW) -> Fact:
    given = {"effective": at.isoformat(), "recorded": at.isoformat(), **statement, "id": name}
    fact = parse_statement(given, zone=PROTOCOL.zone)
    assert not isinstance(fact, tuple), fact
    return fact


def plan(*, cycles: int = 3, regimen: str = "cisplatin") -> list[Fact]:
    form = e.ChemotherapyPlan(regimen, 21, date(2027, 4, 1), cycles)
    return [read(s, f"{regimen}-{n}") for n, s in enumerate(made(form).statements)]


def only(form: e.Form) -> dict[str, Any]:
    (statement,) = made(form).statements
    return dict(statement)


@pytest.mark.parametrize("body", sorted(FORMS, key=str), ids=lambda body: body.__name__)
def test_a_form_asks_for_at_most_four_things(body: Any) -> None:
    asked = [n for n, f in body.model_fields.items() if f.is_required() and n != "form"]

    assert 1 <= len(asked) <= REQUIRED_MAX


def test_a_form_that_asks_for_five_things_is_found() -> None:
    class TooLong(ChemotherapyPlanBody):
        why: str

    asked = [n for n, f in TooLong.model_fields.items() if f.is_required() and n != "form"]

    assert len(asked) > REQUIRED_MAX


def test_a_steroid_course_is_oral_from_today_and_still_taken() -> None:
    found = made(e.SteroidCourse("dexamethasone", Decimal(3)))

    (statement,) = found.statements
    assert statement == {
        "kind": "medication", "name": "dexamethasone", "route": "oral",
        "doses": [{"mg_per_day": 3.0, "from": "2027-03-10"}],
    }  # fmt: skip
    assert found.shown["prednisone_mg_per_day"] == 20.0
    assert found.assumed == ("first", "route")


def test_a_steroid_of_unknown_dose_or_name_stays_unknown() -> None:
    no_dose, no_name = (
        made(e.SteroidCourse("prednisone", None, first=date(2027, 3, 1), last=date(2027, 3, 4))),
        made(e.SteroidCourse("cortiblend", Decimal(5))),
    )

    assert no_dose.statements[0]["doses"] == [{"from": "2027-03-01", "to": "2027-03-04"}]
    assert no_dose.shown["prednisone_mg_per_day"] is None
    assert no_name.statements[0]["class"] == "corticosteroid_systemic"
    assert (no_name.shown["unmapped"], no_name.shown["route"]) == (("cortiblend",), None)
    assert no_name.assumed == ("first",)


def test_two_steroids_in_one_name_have_no_equivalent() -> None:
    found = made(e.SteroidCourse("prednisone + dexamethasone", Decimal(5), route="iv"))

    assert found.shown["prednisone_mg_per_day"] is None
    assert found.shown["route"] == "iv"


def test_a_course_that_is_over_does_not_begin_after_its_end() -> None:
    assert made(e.SteroidCourse("prednisone", None, last=date(2027, 3, 2))).shown["first"] == date(
        2027, 3, 2
    )


def test_an_infection_is_as_of_today_and_not_over() -> None:
    found = made(e.InfectionEpisode("serious", antimicrobial="meropenem"))

    assert found.statements[0] == {
        "kind": "infection", "type": "serious", "onset": "2027-03-10",
        "antimicrobials": [
            {"name": "meropenem", "intent": "treatment", "from": "2027-03-10"}
        ],
    }  # fmt: skip
    assert found.assumed == ("onset", "antimicrobial_first")


def test_an_infection_without_a_drug_states_none() -> None:
    assert "antimicrobials" not in only(e.InfectionEpisode("cmv"))


def test_a_form_that_nobody_made_is_a_bug() -> None:
    with pytest.raises(AssertionError):
        made(cast(e.Form, "poem"))


def test_an_infection_keeps_what_was_stated() -> None:
    found = made(
        e.InfectionEpisode(
            "uncomplicated", onset=date(2027, 3, 1), resolved=date(2027, 3, 7),
            antimicrobial="amoxicillin", antimicrobial_first=date(2027, 3, 2),
        )
    )  # fmt: skip

    assert found.statements[0]["antimicrobials"][0]["from"] == "2027-03-02"
    assert found.statements[0]["resolved"] == "2027-03-07"
    assert found.assumed == ()


def test_a_regimen_and_its_cycle_give_the_planned_days() -> None:
    found = made(e.ChemotherapyPlan("cisplatin + etoposide", 21, date(2027, 4, 1), 2, (1, 2)))

    # 1 April + 21 days is 22 April; nothing says whether more follows
    assert [s["next_planned"] for s in found.statements] == [
        "2027-04-01", "2027-04-02", "2027-04-22", "2027-04-23",
    ]  # fmt: skip
    assert not any("more_planned" in s for s in found.statements)
    assert found.shown["unmapped"] == ()


def test_only_a_stated_end_ends_a_plan() -> None:
    found = made(e.ChemotherapyPlan("cisplatin", 21, date(2027, 4, 1), 2, nothing_after=True))

    assert [s.get("more_planned") for s in found.statements] == [None, False]


def test_a_cycle_takes_the_later_ones_of_its_regimen_along() -> None:
    # a delay of a whole cycle: each dose must go before the one before it comes
    facts = [*plan(), *plan(regimen="paclitaxel", cycles=1)]
    move = e.ChemotherapyMove(date(2027, 4, 22), date(2027, 5, 13))

    found = made(move, *facts)

    changes = [read(s, f"move-{n}", NOW) for n, s in enumerate(found.statements)]
    left = e.planned_doses(PROTOCOL, [*facts, *changes])
    assert [(d.day.isoformat(), d.name) for d in left] == [
        ("2027-04-01", "cisplatin"), ("2027-04-01", "paclitaxel"), ("2027-05-13", "cisplatin"),
        ("2027-06-03", "cisplatin"),
    ]  # fmt: skip


def test_an_earlier_cycle_takes_the_later_ones_along_too() -> None:
    found = made(e.ChemotherapyMove(date(2027, 4, 22), date(2027, 4, 20)), *plan())

    assert found.shown["moved"] == [
        {"from": date(2027, 4, 22), "to": date(2027, 4, 20)},
        {"from": date(2027, 5, 13), "to": date(2027, 5, 11)},
    ]


def test_one_cycle_alone_moves_or_is_cancelled() -> None:
    moved = made(e.ChemotherapyMove(date(2027, 4, 1), date(2027, 4, 5), only_this=True), *plan())
    gone = made(e.ChemotherapyMove(date(2027, 4, 1), None), *plan())

    assert [dict(s) for s in moved.statements] == [
        {"kind": "plan_change", "class": ["cytotoxic_systemic"], "moved_from": "2027-04-01",
         "moved_to": "2027-04-05"}
    ]  # fmt: skip
    assert [dict(s) for s in gone.statements] == [
        {"kind": "plan_change", "class": ["cytotoxic_systemic"], "moved_from": "2027-04-01"}
    ]


@pytest.mark.parametrize(
    ("form", "place"),
    [
        (e.InfectionEpisode("cmv", onset=date(2027, 3, 11)), "onset"),
        (e.ChemotherapyPlan("cisplatin", 7, TODAY, 2, (1, 8)), "days"),
        (e.ChemotherapyMove(date(2027, 4, 1), date(2027, 4, 1)), "to_day"),
        (e.ChemotherapyMove(date(2027, 4, 1), date(2027, 4, 2)), "from_day"),
        (e.Symptom("tiredness"), "symptom"),
        (e.Symptom("RF-CHEST", since=NOW.replace(hour=8)), "since"),
    ],
    ids=["onset-to-come", "beyond-cycle", "not-moved", "not-planned", "no-flag", "to-come"],
)
def test_what_cannot_be_meant_is_refused_with_its_field(form: e.Form, place: str) -> None:
    with pytest.raises(e.FormRefusedError) as caught:
        made(form)

    assert caught.value.place == place


def test_a_symptom_is_a_red_flag_with_its_level_and_the_measured_temperature() -> None:
    found = made(e.Symptom("chest pain", temperature_cel=Decimal("38.4")))

    assert found.shown == {"red_flag": "RF-CHEST", "level": "L4", "since": NOW}
    assert [s["kind"] for s in found.statements] == ["red_flag", "vital"]
    assert found.statements[0]["symptom"] == "chest_pain"
    assert found.assumed == ("since",)
    assert made(e.Symptom("RF-CONF", since=NOW)).assumed == ()


def test_every_red_flag_is_found_by_its_id_and_by_its_words() -> None:
    flags = PROTOCOL.plans.red_flags
    found = {flag.id: red_flag_of(flags, flag.symptom.partition("(")[0]) for flag in flags}

    assert found == {flag.id: flag for flag in flags}
    assert urgency_of(flags, "high_fever") == ("RF-FEVER", "L3")


def test_a_red_flag_that_nobody_listed_is_most_urgent() -> None:
    assert urgency_of(PROTOCOL.plans.red_flags, "Sudden Blindness") == ("sudden_blindness", "L4")


def test_an_unknown_product_is_unverified_and_its_words_match_nothing() -> None:
    stated = only(e.OtherProduct("tea with prednisone", "herbal", note="from a friend"))

    assert stated == {
        "kind": "medication",
        "name": "tea with prednisone",
        "class": "unverified_product",
    }


def test_a_product_of_the_terminology_is_what_the_terminology_says() -> None:
    stated = only(e.OtherProduct("prednisone", "supplement", date(2027, 3, 1), date(2027, 3, 2)))

    assert stated == {
        "kind": "medication", "name": "prednisone",
        "doses": [{"to": "2027-03-02", "from": "2027-03-01"}],
    }  # fmt: skip


def test_an_unknown_medicine_stays_unknown() -> None:
    assert only(e.OtherProduct("xyzumab", "medicine")) == {"kind": "medication", "name": "xyzumab"}


@pytest.mark.parametrize(
    "form",
    [
        e.SteroidCourse("dexamethasone", None),
        e.InfectionEpisode("serious", antimicrobial="amoxicillin"),
        e.Symptom("RF-CHEST"),
    ],
    ids=["steroid", "infection", "symptom"],
)
def test_what_was_assumed_is_shown(form: e.Form) -> None:
    found = made(form)

    assert found.assumed
    assert all(found.shown[name] is not None for name in found.assumed)


def test_what_was_made_is_told_again_as_of_then() -> None:
    form = e.SteroidCourse("dexamethasone", Decimal("0.75"))

    again = e.shown_again(PROTOCOL, form, made(form).statements, NOW)

    assert again == made(form)


def test_a_move_is_told_again_from_what_is_on_record() -> None:
    moved = made(e.ChemotherapyMove(date(2027, 4, 22), date(2027, 4, 29)), *plan())

    again = e.shown_again(
        PROTOCOL, e.ChemotherapyMove(date(2027, 4, 22), date(2027, 4, 29)), moved.statements, NOW
    )

    assert again is not None
    assert again.shown["moved"] == [
        {"from": "2027-04-22", "to": "2027-04-29"},
        {"from": "2027-05-13", "to": "2027-05-20"},
    ]


def test_what_todays_rulebook_would_refuse_is_not_told_again() -> None:
    assert e.shown_again(PROTOCOL, e.Symptom("RF-GONE"), (), NOW) is None
