"""Wash-outs and leads, counted by hand from the rows of the rulebook."""

from datetime import date, timedelta
from typing import Any

import pytest
from protocol_asking import PROTOCOL, ask, blocking, chemo, infos, instant, iso, one

from shared.protocol import FindingKind, Gate, Record, timeline
from shared.protocol.statements import parse_statement


@pytest.mark.parametrize(
    ("at", "rules"),
    [("2027-01-17", {"WO-CHEMO"}), ("2027-01-18", set()), ("2027-01-04", {"WO-CHEMO"})],
)
def test_collection_opens_14_days_after_chemotherapy(at: str, rules: set[str]) -> None:
    assert blocking(chemo("2027-01-04"), at=at, gate="collection") == rules


@pytest.mark.parametrize(
    ("at", "rules"),
    [
        ("2027-02-03", {"WO-CHEMO"}),  # 2 days after 02-01, 3 are needed
        ("2027-02-04", set()),
        ("2027-02-17", set()),  # lead 5 to 02-22
        ("2027-02-18", {"WO-CHEMO"}),  # lead 4
    ],
)
def test_infusion_fits_between_wash_out_and_lead(at: str, rules: set[str]) -> None:
    assert blocking(chemo("2027-02-01", "2027-02-22"), at=at) == rules


def test_days_are_local_days_not_spans_of_24_hours() -> None:
    stated = chemo("2027-02-01", more_planned=False)

    # The last minute of 02-03 is day 2 after 02-01, the first of 02-04 is day 3.
    assert blocking(stated, at="2027-02-03T23:59") == {"WO-CHEMO"}
    assert blocking(stated, at="2027-02-04T00:00") == set()


def test_a_day_in_another_zone_is_the_clinics_day() -> None:
    stated = {**chemo("2027-02-01"), "more_planned": False}

    # 21:30 UTC on 02-03 is already 02-04 in Istanbul.
    assert blocking(stated, at="2027-02-03T21:30+00:00") == set()


def test_unknown_next_dose_of_an_open_regimen_holds() -> None:
    decision = ask(chemo("2027-02-01"), at="2027-02-10")

    finding = one(decision, "WO-CHEMO")
    assert decision.code == "NO_GO_HOLD"
    assert finding.unknown
    assert finding.clears_at is None
    assert finding.kind is FindingKind.CONDITION
    assert decision.plan == "hold"
    assert "WO-CHEMO" in decision.unknown


def test_no_further_dose_planned_needs_no_lead() -> None:
    assert blocking({**chemo("2027-02-01"), "more_planned": False}, at="2027-02-10") == set()


def test_a_later_statement_on_the_class_closes_administrations() -> None:
    given = [
        {"kind": "medication", "name": "cisplatin", "doses": [{"day": day}]}
        for day in ("2027-01-04", "2027-01-25")
    ]
    closing = {
        "kind": "medication",
        "class": "cytotoxic_systemic",
        "more_planned": False,
        "effective": "2027-01-26",
    }

    assert blocking(*given, at="2027-02-10") == {"WO-CHEMO"}
    assert blocking(*given, closing, at="2027-02-10") == set()


def test_a_dose_after_the_closing_statement_opens_the_question_again() -> None:
    closing = {
        "kind": "medication",
        "class": "cytotoxic_systemic",
        "more_planned": False,
        "effective": "2027-01-26",
    }
    later = {"kind": "medication", "name": "gemcitabine", "doses": [{"day": "2027-02-01"}]}

    assert blocking(closing, later, at="2027-02-10") == {"WO-CHEMO"}


def test_a_statement_naming_other_drugs_closes_nothing() -> None:
    given = {"kind": "medication", "name": "gemcitabine", "doses": [{"day": "2027-02-01"}]}
    closing = {"kind": "medication", "name": "cisplatin", "more_planned": False}

    assert blocking(given, closing, at="2027-02-10") == {"WO-CHEMO"}


def test_violated_lead_clears_on_the_planned_day_plus_i() -> None:
    finding = one(ask(chemo("2027-02-01", "2027-02-22"), at="2027-02-19"), "WO-CHEMO")

    assert iso(finding.clears_at) == "2027-02-25"  # 22 + 3
    assert finding.value == "lead 3 d"
    assert finding.limit == "5 d"


def test_elapsed_and_lead_are_judged_together_for_the_clear_date() -> None:
    # Given 02-01, next 02-06: elapsed passes on 02-04, but the lead is 2 < 5 there; so 02-06 + 3.
    finding = one(ask(chemo("2027-02-01", "2027-02-06"), at="2027-02-02"), "WO-CHEMO")

    assert iso(finding.clears_at) == "2027-02-09"


def test_a_planned_dose_counts_as_given_on_its_day() -> None:
    decision = ask(chemo("2027-02-01", "2027-02-22"), at="2027-02-22")

    assert set(decision.blocking_rules) == {"WO-CHEMO"}
    assert one(decision, "WO-CHEMO").value == "0 d"


def test_a_planned_dose_is_unconfirmed_from_the_following_day() -> None:
    assert blocking(chemo("2027-02-01", "2027-02-22"), at="2027-02-23") == {"WO-CHEMO", "DATA-010"}
    assert blocking(chemo("2027-02-01", "2027-02-22"), at="2027-02-25") == {"DATA-010"}


def test_a_reported_dose_confirms_the_plan() -> None:
    given = {"kind": "medication", "name": "cisplatin", "doses": [{"day": "2027-02-22"}]}
    more = {**chemo("2027-02-01", "2027-02-22"), "more_planned": False}
    next_cycle = {"kind": "medication", "name": "cisplatin", "next_planned": "2027-03-15"}

    assert blocking(more, given, next_cycle, at="2027-02-25") == set()


def test_unconfirmed_last_known_dose_of_an_open_regimen_closes_the_plan_too() -> None:
    open_regimen = ask(chemo("2027-02-01", "2027-02-22"), at="2027-02-26")
    last_dose = ask({**chemo("2027-02-01", "2027-02-22"), "more_planned": False}, at="2027-02-26")

    assert open_regimen.plan == "hold"
    assert last_dose.verdict == "hold"
    assert last_dose.plan == "go"
    assert [due.item for due in last_dose.due] == ["treatment_confirmation"]


def test_a_moved_dose_moves_the_lead() -> None:
    moved = {
        "kind": "plan_change",
        "class": "cytotoxic_systemic",
        "moved_from": "2027-10-12",
        "moved_to": "2027-10-08",
        "recorded": "2027-10-04T09:00+03:00",
    }
    stated = chemo("2027-09-21", "2027-10-12")

    # Lead to 10-12 is 7; after the move 3 < 5, and nobody has acknowledged the change.
    assert blocking(stated, at="2027-10-05") == set()
    decision = ask(stated, moved, at="2027-10-05")
    assert set(decision.blocking_rules) == {"WO-CHEMO", "CLR-004"}
    assert iso(decision.earliest) == "2027-10-11"  # 8 + 3


def test_a_change_that_only_takes_a_conflict_away_needs_no_acknowledgement() -> None:
    later = {
        "kind": "plan_change",
        "class": "cytotoxic_systemic",
        "moved_from": "2027-10-12",
        "moved_to": "2027-10-19",
        "recorded": "2027-10-04T09:00+03:00",
    }

    assert blocking(chemo("2027-09-21", "2027-10-12"), later, at="2027-10-10") == set()


def test_an_acknowledgement_after_the_change_settles_it() -> None:
    moved = {
        "kind": "plan_change",
        "class": "cytotoxic_systemic",
        "moved_from": "2027-10-12",
        "moved_to": "2027-10-11",
        "recorded": "2027-10-04T09:00+03:00",
    }
    seen = {"kind": "evidence", "item": "oncology_plan_ack", "effective": "2027-10-04T10:00"}
    same_day = {"kind": "evidence", "item": "oncology_plan_ack", "effective": "2027-10-04"}
    stated = chemo("2027-09-21", "2027-10-12")

    assert blocking(stated, moved, at="2027-10-05") == {"CLR-004"}
    assert blocking(stated, moved, seen, at="2027-10-05") == set()
    # A day without a time is not known to lie after 09:00 of that day.
    assert blocking(stated, moved, same_day, at="2027-10-05") == {"CLR-004"}


def test_a_cancelled_dose_leaves_the_next_one_unknown() -> None:
    cancelled = {
        "kind": "plan_change",
        "class": "cytotoxic_systemic",
        "moved_from": "2027-10-12",
        "recorded": "2027-10-04T09:00+03:00",
    }

    decision = ask(chemo("2027-09-21", "2027-10-12"), cancelled, at="2027-10-05")

    assert decision.blocking_rules == ("WO-CHEMO",)
    assert one(decision, "WO-CHEMO").unknown


def test_an_ongoing_drug_has_no_clear_date() -> None:
    stated = {"kind": "medication", "name": "bortezomib", "doses": [{"from": "2027-01-01"}]}

    decision = ask(stated, at="2027-03-01")

    assert decision.blocking_rules == ("WO-PROTEA",)
    assert decision.earliest is None
    assert decision.undated == ("WO-PROTEA",)
    assert "not to be stopped" in one(decision, "WO-PROTEA").message


def test_a_drug_of_several_classes_fires_every_row_and_the_latest_date_wins() -> None:
    stated = {
        "kind": "medication",
        "name": "cyclophosphamide",
        "doses": [{"day": "2027-01-04"}],
        "more_planned": False,
    }

    decision = ask(stated, at="2027-01-10", gate="collection")

    assert set(decision.blocking_rules) == {"WO-CYCMTX", "WO-CHEMO"}
    assert iso(decision.earliest) == "2027-01-25"  # 21 days, not 14


# Copied by hand from the sources table: days before collection, before infusion, lead.
TABLE = {
    "WO-CHEMO": ("cytotoxic_systemic", 14, 3, 5, "hold"),
    "WO-CYCMTX": ("cyclophosphamide_mtx", 21, 7, 5, "hold"),
    "WO-LYMPHOTOX": ("lymphotoxic_purine_bendamustine", 90, 14, 5, "hold"),
    "WO-IT": ("intrathecal_chemo", 7, 3, 0, "hold"),
    "WO-ICI": ("checkpoint_inhibitor", 14, 7, 0, "review"),
    "WO-RT": ("radiotherapy_curative", 14, 7, 3, "hold"),
    "WO-RTPALL": ("radiotherapy_palliative_limited", 7, 3, 0, "hold"),
    "WO-SURGMAJ": ("surgery_major", 14, 14, 7, "hold"),
    "WO-SURGMIN": ("surgery_minor", 2, 2, 2, "hold"),
    "WO-TKI": ("targeted_tki", 3, 0, 0, "review"),
    "WO-MABTGT": ("targeted_antibody", 0, 0, 0, "info"),
    "WO-HORMONE": ("hormone_therapy", 0, 0, 0, "info"),
    "WO-IMID": ("imid", 7, 0, 0, "review"),
    "WO-PROTEA": ("proteasome_inhibitor", 21, 7, 0, "hold"),
    "WO-ISUPP": ("immunosuppressant", 14, 14, 0, "hold"),
    "WO-TLYTIC": ("t_cell_lytic_antibody", 42, 42, 28, "hold"),
    "WO-ANTICYT": ("anti_cytokine_antibody", 30, 30, 0, "review"),
    "WO-BCELL": ("b_cell_antibody", 7, 0, 0, "review"),
    "WO-GCSF": ("g_csf_short", 5, 3, 0, "hold"),
    "WO-PEGGCSF": ("g_csf_long", 14, 7, 0, "hold"),
    "WO-CYTOKINE": ("il2_interferon", 14, 7, 0, "review"),
    "WO-VAXLIVE": ("vaccine_live", 28, 28, 28, "hold"),
    "WO-VAXINACT": ("vaccine_inactivated", 3, 3, 7, "review"),
    "WO-UNVERIF": ("unverified_product", 1, 1, 0, "review"),
    "WO-INVEST": ("investigational_drug", 28, 28, 0, "review"),
    "WO-ALLOHCT": ("allogeneic_hct", 100, 100, 0, "review"),
    "WO-ANTICOAG": ("anticoagulant_therapeutic", 1, 0, 0, "review"),
    "WO-TRANSFUS": ("platelet_or_rbc_transfusion", 3, 3, 0, "review"),
}
ROWS = [
    (rule, name, gate, days, effect)
    for rule, (name, before_collection, before_infusion, _, effect) in TABLE.items()
    for gate, days in (("collection", before_collection), ("infusion", before_infusion))
    if days
]


def test_the_table_names_every_row() -> None:
    assert set(TABLE) == {row.rule.id for row in PROTOCOL.washouts}


@pytest.mark.parametrize(("rule", "name", "gate", "days", "effect"), ROWS)
def test_every_row_blocks_the_day_before_its_limit_and_not_on_it(
    rule: str, name: str, gate: str, days: int, effect: str
) -> None:
    given = date(2027, 3, 1)
    stated = {"kind": "treatment", "class": name, "day": given.isoformat(), "more_planned": False}
    limit = given + timedelta(days=days)
    before = ask(stated, at=(limit - timedelta(days=1)).isoformat(), gate=gate)
    on_it = ask(stated, at=limit.isoformat(), gate=gate)

    assert one(before, rule).effect.value == effect
    assert one(before, rule).clears_at == limit
    assert rule not in on_it.blocking_rules


LEADS = [(rule, name, lead) for rule, (name, _, _, lead, _) in TABLE.items() if lead]


@pytest.mark.parametrize(("rule", "name", "lead"), LEADS)
def test_every_lead_blocks_one_day_too_late_and_not_before(rule: str, name: str, lead: int) -> None:
    planned = date(2027, 6, 1)
    stated = {"kind": "treatment", "class": name, "next_planned": planned.isoformat()}

    assert rule not in blocking(stated, at=(planned - timedelta(days=lead)).isoformat())
    assert rule in blocking(stated, at=(planned - timedelta(days=lead - 1)).isoformat())
    # Before a collection no lead is checked.
    assert rule not in blocking(
        stated, at=(planned - timedelta(days=1)).isoformat(), gate="collection"
    )


def test_a_single_vaccination_has_no_next_dose_to_state() -> None:
    stated = {
        "kind": "medication",
        "class": "vaccine_inactivated",
        "doses": [{"day": "2027-03-01"}],
    }

    assert blocking(stated, at="2027-03-04") == set()
    assert blocking(stated, at="2027-03-03") == {"WO-VAXINACT"}


def test_radiotherapy_of_unknown_intent_is_the_curative_row() -> None:
    stated = {
        "kind": "treatment",
        "class": "radiotherapy",
        "from": "2027-02-01",
        "to": "2027-03-12",
    }

    assert blocking(stated, at="2027-03-18") == {"WO-RT"}
    assert blocking(stated, at="2027-03-19") == set()
    assert blocking(stated, at="2027-02-20") == {"WO-RT"}


def test_an_unverified_product_is_reviewed_while_it_is_taken() -> None:
    stated = {
        "kind": "medication",
        "class": "unverified_product",
        "name": "turmeric",
        "doses": [{}],
    }

    decision = ask(stated, at="2027-03-18")

    assert decision.code == "NO_GO_REVIEW"
    assert decision.blocking_rules == ("WO-UNVERIF",)


# Unmapped drugs


def test_an_unmapped_drug_without_code_is_unknown() -> None:
    stated = {"kind": "medication", "name": "mysterine", "doses": [{"day": "2027-03-01"}]}

    decision = ask(stated, at="2027-03-05")

    assert decision.blocking_rules == ("DATA-006",)
    # The longest wash-out before an infusion is 100 days (allogeneic transplant).
    assert iso(decision.earliest) == "2027-06-09"


@pytest.mark.parametrize(
    ("atc", "blocks"), [("L01ZZ99", True), ("H02AX01", True), ("C09ZZ99", False), ("A07EZ", True)]
)
def test_an_unmapped_drug_is_judged_by_its_atc_group(atc: str, blocks: bool) -> None:
    stated: dict[str, Any] = {
        "kind": "medication",
        "name": "mysterine",
        "codes": [{"system": "http://www.whocc.no/atc", "code": atc}],
        "doses": [{"from": "2027-01-01"}],
    }

    decision = ask(stated, at="2027-03-05")

    assert ("DATA-006" in decision.blocking_rules) is blocks
    assert ("DATA-006" in infos(decision)) is not blocks


def test_an_unheard_of_class_is_unknown() -> None:
    stated = {"kind": "medication", "class": "no_such_class", "last_dose": "2027-03-01"}

    assert blocking(stated, at="2027-03-05") == {"DATA-006"}


def test_a_class_given_wins_over_the_name() -> None:
    stated = {
        "kind": "medication",
        "class": "hormone_therapy",
        "name": "cisplatin",
        "last_dose": "2027-03-04",
    }

    assert blocking(stated, at="2027-03-05") == set()


def test_plan_is_open_between_stated_cycles_for_a_whole_series() -> None:
    cycles = ["2027-03-01", "2027-03-22", "2027-04-12", "2027-05-03"]
    statements = [chemo("2027-02-08", cycles[0])]
    statements += [
        {"kind": "medication", "class": "cytotoxic_systemic", "next_planned": c} for c in cycles[1:]
    ]
    parsed = [parse_statement(s, zone=PROTOCOL.zone) for s in statements]
    record = Record(PROTOCOL, parsed)  # type: ignore[arg-type]

    found = timeline(PROTOCOL, record, Gate.INFUSION, instant("2027-02-09"), instant("2027-05-10"))

    opened = [
        (
            i.begins.astimezone(PROTOCOL.zone).date().isoformat(),
            i.ends.astimezone(PROTOCOL.zone).date().isoformat(),
        )
        for i in found
        if i.plan == "go"
    ]
    merged: list[list[str]] = []
    for begin, end in opened:
        if merged and merged[-1][1] == begin:
            merged[-1][1] = end
        else:
            merged.append([begin, end])
    # From three days after a cycle to five before the next: the last lead day is included.
    assert merged == [
        ["2027-02-11", "2027-02-25"],
        ["2027-03-04", "2027-03-18"],
        ["2027-03-25", "2027-04-08"],
        ["2027-04-15", "2027-04-29"],
    ]
    assert all(interval.start == "hold" for interval in found)


ATC = "http://www.whocc.no/atc"


def test_a_code_says_what_a_name_does_not() -> None:
    stated = {
        "kind": "medication",
        "name": "a local brand",
        "codes": [{"system": ATC, "code": "L01XA01"}],
        "doses": [{"day": "2027-03-01"}],
        "more_planned": False,
    }

    assert blocking(stated, at="2027-03-03") == {"WO-CHEMO"}
    assert blocking(stated, at="2027-03-04") == set()


def test_a_code_alone_that_is_not_mapped_is_unknown() -> None:
    stated = {
        "kind": "medication",
        "codes": [{"system": ATC, "code": "L01ZZ01"}],
        "doses": [{"day": "2027-03-01"}],
    }

    assert blocking(stated, at="2027-03-03") == {"DATA-006"}


def test_a_course_without_end_is_ended_by_its_last_dose() -> None:
    stated = {
        "kind": "medication",
        "name": "bortezomib",
        "doses": [{"from": "2027-01-01"}],
        "last_dose": "2027-03-01",
    }

    assert iso(ask(stated, at="2027-03-03").earliest) == "2027-03-08"


def test_a_treatment_without_a_date_counts_as_going_on() -> None:
    assert blocking({"kind": "treatment", "class": "surgery_major"}, at="2027-03-03") == {
        "WO-SURGMAJ"
    }
