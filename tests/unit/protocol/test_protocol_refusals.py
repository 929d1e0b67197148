"""Rulebooks that contradict themselves are refused, each with what is wrong."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from protocol_asking import PROTOCOL
from protocol_mutants import book

from shared.protocol.lined import Row, RulebookError
from shared.protocol.loader import protocol_of
from shared.protocol.rulebook.codes import read_codes

Change = Callable[[dict[str, Any]], object]


def row(tree: dict[str, Any], rule: str) -> dict[str, Any]:
    """The row of that id, wherever it stands."""
    found: dict[str, Any] = next(found for found in rows(tree) if found.get("id") == rule)
    return found


def rows(tree: Any) -> Any:
    members = tree.values() if isinstance(tree, dict) else tree
    for member in members:
        if isinstance(member, dict):
            yield member
        if isinstance(member, dict | list):
            yield from rows(member)


def without(tree: dict[str, Any], section: str, rule: str) -> None:
    tree[section] = [r for r in tree[section] if r["id"] != rule]


def give_a_metric_twice(tree: dict[str, Any]) -> None:
    tree["units"]["ratio"]["metrics"] = ["inr", "crp"]


def name_an_item_twice(tree: dict[str, Any]) -> None:
    tree["items"]["crp"]["also"] = ["consent"]


def give_a_drug_twice(tree: dict[str, Any]) -> None:
    tree["steroids"]["equivalence"].append({"drug": "prednisone", "eq_mg": 5})


def drop_prednisone(tree: dict[str, Any]) -> None:
    tree["steroids"]["equivalence"] = tree["steroids"]["equivalence"][1:]


def drop_a_steroid_rule(tree: dict[str, Any]) -> None:
    tree["steroids"]["rules"] = tree["steroids"]["rules"][1:]


def soften_a_hard_band(tree: dict[str, Any]) -> None:
    row(tree, "ELIG-003")["bands"][1]["override"] = "soft"


def empty_a_rule(tree: dict[str, Any]) -> None:
    del row(tree, "IFU-001")["min_days"]


def empty_the_limits(tree: dict[str, Any]) -> None:
    row(tree, "VIT-RR")["infusion"] = {"note": "none"}


def unknown_anchor(rule: str) -> Change:
    return lambda tree: row(tree, rule).update(anchor="full_moon")


REFUSED: list[tuple[Change, str]] = [
    (empty_a_rule, "IFU-001: neither metric, anchor, condition, codes, require nor min_days"),
    (empty_the_limits, "no limit is given"),
    (soften_a_hard_band, "a soft band names who, a hard one nobody"),
    (lambda t: row(t, "INF-005")["require"].pop(), "INF-005: require must name the negative test"),
    (unknown_anchor("INF-003"), "INF-003: unknown anchor 'full_moon'"),
    (unknown_anchor("WO-RT"), "WO-RT: unknown anchor 'full_moon'"),
    (lambda t: row(t, "EV-CRP").update(collection=None, infusion=None), "EV-CRP: no gate needs it"),
    (lambda t: row(t, "WO-RTPALL").update(max_fractions=6), "WO-RTPALL: codes sort radiotherapy"),
    (lambda t: t["manufacturing"]["plan"].update(harvest_day_min=13), "not the days of MFG-004"),
    (lambda t: without(t, "clearance", "CLR-001"), "clearance lacks CLR-001"),
    (lambda t: without(t, "washouts", "WO-STEROID"), "washouts lack the pointer"),
    (drop_a_steroid_rule, "rules must be exactly STER-001"),
    (drop_prednisone, "equivalence lacks prednisone"),
    (give_a_drug_twice, "prednisone is given twice"),
    (lambda t: row(t, "STER-005").update(over_mg=12), "STER-005: over_mg differs"),
    (lambda t: row(t, "STER-003").update(min_days=8), "STER-003: a short course must not wait"),
    (lambda t: row(t, "STER-004")["routes"].append("iv"), "a route stands in two lists"),
    (lambda t: row(t, "STER-004")["routes"].append("otic"), "a route stands in two lists"),
    (give_a_metric_twice, "crp already has a unit table"),
    (lambda t: t["plausible"].update(moonlight=[0, 1]), "moonlight has no unit table"),
    (lambda t: t["items"]["crp"].update(members=["moonlight"]), "crp: moonlight has no unit table"),
    (name_an_item_twice, "consent means two items"),
    (
        lambda t: t["dose_issue"].update(same_as="release"),
        "dose_issue must be the same as infusion",
    ),
    (lambda t: t["plausible"].update(crp=[700, 700]), "the lower bound is not below the upper"),
    (lambda t: row(t, "SCH-SOLID-8").update(n=9), "n infusions need n - 1 intervals"),
    (lambda t: row(t, "REL-CD3").pop("min"), "neither a limit nor words that pass"),
    (lambda t: row(t, "DATA-001").update(misspelt=1), "DATA-001: unknown key misspelt"),
]


@pytest.mark.parametrize(
    ("change", "said"), [pytest.param(c, s, id=s.replace(" ", "-")) for c, s in REFUSED]
)
def test_a_contradiction_is_refused_and_named(change: Change, said: str) -> None:
    tree = book()
    change(tree)

    with pytest.raises(RulebookError, match=re.escape(said)):
        protocol_of(Row(tree, "planted"), PROTOCOL.codes, PROTOCOL.sentences)


def codes(changed: str) -> dict[str, Any]:
    text = f"""
meta: {{version: 1.0.0}}
medication_classes: [{{concept: a, rules: [], members: []}}]
observations: [{{system: s, code: "1", concept: anc}}]
reading: {{radiotherapy: {{palliative_fractions_max: 5}}}}
{changed}"""
    found: dict[str, Any] = yaml.safe_load(text)
    return found


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            "medication_classes: [{concept: a, members: []}, {concept: a, members: []}]",
            "a is given twice",
        ),
        (
            'observations: [{system: s, code: "1", concept: x}, {system: s, code: "1", concept: z}]',  # noqa: E501
            "1 is given twice",
        ),
    ],
)
def test_a_code_with_two_meanings_is_refused(changed: str, said: str) -> None:
    assert read_codes(Row(codes(""), "codes")).palliative_fractions_max == 5
    with pytest.raises(RulebookError, match=said):
        read_codes(Row(codes(changed), "codes"))
