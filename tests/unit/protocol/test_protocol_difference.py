"""What changed between two rulebooks, in words; expected from the changes as they were made."""

from dataclasses import replace

import pytest

from shared.protocol import packaged_texts
from shared.protocol.difference import ChangeKind, differences
from tests.made_up_rulebook import made_up

OLD = packaged_texts()


def said(coordination: str) -> list[str]:
    return [c.text for c in differences(OLD, replace(OLD, coordination=coordination))]


def edited(before: str, after: str) -> str:
    assert OLD.coordination.count(before) == 1, before
    return OLD.coordination.replace(before, after)


def test_the_made_up_version_is_told_change_by_change() -> None:
    assert set(said(made_up())) == {
        "meta, version: 1.0.0 → 1.1.0.",
        "meta, effective_from: 2026-12-01 → 2027-02-01.",
        "WO-CHEMO: days before infusion 3 → 5.",
        "WO-CHEMO: days to the next planned dose 5 → 6.",
        "LAB-PLT: infusion lowest that passes 30 → 40.",
        "EV-CBC: collection 3 is gone.",
        "EV-CBC: infusion 3 → 2.",
        "WO-ADC is new: antibody_drug_conjugate.",
        "LAB-K is new: potassium.",
        "units, potassium is new.",
        "INF-016 is new: transplant donor alert.",
        "EV-ECG is new: ecg.",
        "items, ecg is new.",
        "WO-ANTICOAG is gone: anticoagulant_therapeutic.",
        "EV-PRIORTX is gone: prior_treatments.",
        "ELIG-006 is gone: controlled autoimmune disease, no systemic immunosuppression.",
        "retired: now also WO-ANTICOAG, EV-PRIORTX, ELIG-006.",
    }


def test_the_other_way_round_what_came_goes() -> None:
    back = differences(replace(OLD, coordination=made_up()), OLD)
    kinds = {(c.place, c.kind) for c in back}
    assert ("WO-ADC", ChangeKind.REMOVED) in kinds
    assert ("WO-ANTICOAG", ChangeKind.ADDED) in kinds
    assert "EV-CBC: collection is now 3." in {c.text for c in back}
    assert "retired: no longer WO-ANTICOAG, EV-PRIORTX, ELIG-006." in {c.text for c in back}


@pytest.mark.parametrize(
    ("before", "after", "text"),
    [
        ("scope: [collection], effect: hold, override: soft, by: [apheresis_physician]",
         "scope: [collection], effect: hold, override: soft, by: [medical_director]",
         "COL-002: who may override now also medical_director;"
         " who may override no longer apheresis_physician."),
        ("require: [emergency_kit, physician_on_site]",
         "require: [physician_on_site, emergency_kit]",
         "IFU-003: require in another order: physician_on_site, emergency_kit."),
        ("  schema_version: 1\n", "  schema_version: 1\n  reviewed: true\n",
         "meta, reviewed is new: yes."),
        ("scope: [collection], effect: hold, override: soft, by: [apheresis_physician]",
         "scope: [collection], effect: hold, override: soft",
         "COL-002: who may override apheresis_physician is gone."),
        ("item: baseline_imaging,       collection: null,",
         "item: baseline_imaging,       collection: {max: 14, review_max: 7},",
         "EV-IMG: collection none → highest that passes 14, review above 7."),
        ('title: "minimum days between collections", min_days: 7',
         'title: "minimum days between collections", min_days: 8', "COL-002: min days 7 → 8."),
    ],
)  # fmt: skip
def test_one_edit_is_one_sentence(before: str, after: str, text: str) -> None:
    assert said(edited(before, after)) == [text]


def test_a_change_is_shown_with_kind_and_place() -> None:
    (one,) = differences(OLD, replace(OLD, coordination=edited("version: 1.0.0", "version: 1.0.1")))
    assert one.to_json() == {
        "kind": "changed", "place": "meta, version", "text": "meta, version: 1.0.0 → 1.0.1.",
    }  # fmt: skip


def test_comments_and_the_order_of_rows_are_no_difference() -> None:
    lines = OLD.coordination.split("\n")
    first = next(i for i, line in enumerate(lines) if "{id: DATA-004" in line)
    lines[first], lines[first + 1] = lines[first + 1], lines[first]
    assert said("# a remark\n" + "\n".join(lines)) == []


def test_codes_and_sentences_are_compared_too() -> None:
    changed = OLD.sentences.replace('data.unknown: "Not known: {items}."',
                                    'data.unknown: "Unknown: {items}."')  # fmt: skip
    (one,) = differences(OLD, replace(OLD, sentences=changed))
    assert one.place == "sentences, templates, data.unknown"
    assert one.text.endswith("“Not known: {items}.” → “Unknown: {items}.”.")
