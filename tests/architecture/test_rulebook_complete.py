"""The rulebook says where each number comes from, and SOURCES.md says the same.

Every row with an id names its source; the document lists the row with the same status and
reference and shows each of its numbers; every section and every kind of thing that the rows name
is there.
"""

import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

import pytest
import yaml

from shared.contracts.vocabulary import Gate
from shared.protocol import load_protocol
from tests.architecture.tree import ROOT

BOOK = resources.files("shared.protocol.rulebooks").joinpath("coordination.yaml")
RULEBOOK: dict[str, Any] = yaml.safe_load(BOOK.read_text("utf-8"))
SOURCES = (ROOT / "docs" / "clinical" / "SOURCES.md").read_text("utf-8")
SECTIONS = {
    *("principles", "eligibility", "information_topics", "washouts", "steroids", "infection"),
    *("immune_toxicity", "labs", "plausible", "evidence", "data_rules", "clearance", "collection"),
    *("manufacturing", "release", "release_defaults", "schedules", "infusion", "monitoring"),
    *("reactions", "follow_up", "response", "escalation_levels", "red_flags", "red_flag_effect"),
    *("units", "formulas", "items", "checklist", "meta", "semantics", "references", "retired"),
}
_ROW = re.compile(r"\| ([A-Za-z0-9_-]+) \| (.*?) \| ([a-z-]+(?: \(partial\))?) \| (R\d\d) \|")


def rows(tree: object) -> Iterator[dict[str, Any]]:
    """Yield every row that has an id and is not an effect of the semantics."""
    if isinstance(tree, dict):
        if isinstance(tree.get("id"), str) and "rank" not in tree and "version" not in tree:
            yield tree
        for value in tree.values():
            yield from rows(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from rows(value)


def numbers(tree: object) -> Iterator[float]:
    """Yield the numbers of a row, without its source."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key != "src":
                yield from numbers(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from numbers(value)
    elif isinstance(tree, int | float) and not isinstance(tree, bool):
        yield tree


def documented(text: str) -> dict[str, tuple[str, str, str]]:
    """What the document lists: by id the words, the status and the reference."""
    found = (_ROW.match(line) for line in text.split("\n"))
    return {m[1]: (m[2], m[3], m[4]) for m in found if m is not None}


def faults(tree: Mapping[str, Any], text: str) -> Iterator[str]:
    """Where rulebook and document differ."""
    listed = documented(text)
    for row in rows(tree):
        name, source = row["id"], row.get("src")
        if source is None:
            yield f"{name}: no source"
        elif name not in listed:
            yield f"{name}: not in SOURCES.md"
        else:
            words, status, ref = listed[name]
            stated = source["st"] + (" (partial)" if source.get("partial") else "")
            if (stated, source["ref"]) != (status, ref):
                yield f"{name}: {stated} {source['ref']}, SOURCES.md says {status} {ref}"
            yield from (f"{name}: SOURCES.md lacks {n}" for n in numbers(row) if not _has(words, n))


def _has(words: str, number: float) -> bool:
    plain = re.escape(str(number).removesuffix(".0"))
    return re.search(rf"(?<![\d.]){plain}(?:\.0)?(?!\d)", words) is not None


def test_every_row_has_its_source_and_the_document_agrees() -> None:
    assert list(faults(RULEBOOK, SOURCES)) == []
    assert len(list(rows(RULEBOOK))) > 200


def test_the_document_lists_no_row_that_is_not_there() -> None:
    kinds = re.compile(r"[A-Z]+-[A-Za-z0-9-]+$")
    known = {row["id"] for row in rows(RULEBOOK)} | {"STEROID-EQUIV"}  # a table, not a row

    assert [n for n in documented(SOURCES) if kinds.match(n) and n not in known] == []


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("| IFU-001 |", "| IFU-999 |", "IFU-001: not in SOURCES.md"),
        ("c=14; i=3; lead=5", "c=14; i=3; lead=4", "WO-CHEMO: SOURCES.md lacks 5"),
        ("min_days=7 | local-policy | R34", "min_days=7 | seed | R30",
         "COL-002: local-policy R34, SOURCES.md says seed R30"),
    ],
    ids=["row", "number", "status"],
)  # fmt: skip
def test_a_planted_difference_is_found(before: str, after: str, fault: str) -> None:
    assert before in SOURCES
    assert fault in list(faults(RULEBOOK, SOURCES.replace(before, after)))


def test_a_planted_row_without_source_is_found() -> None:
    assert list(faults({"labs": [{"id": "LAB-X", "min": 1}]}, SOURCES)) == ["LAB-X: no source"]


def test_every_section_is_there() -> None:
    assert sorted(SECTIONS - set(RULEBOOK)) == []


def test_every_gate_has_rules_and_every_rule_a_gate() -> None:
    rules = load_protocol().rules.values()

    assert {gate for rule in rules for gate in rule.scope} == set(Gate)
    assert [rule.id for rule in rules if not rule.scope] == []


def test_every_treatment_class_and_steroid_is_known_to_the_terminology_or_to_people() -> None:
    protocol = load_protocol()
    classes = {row.treatment_class for row in protocol.washouts}

    assert sorted(name for name in classes if name not in protocol.sentences.words) == []
    steroids = protocol.steroids.equivalent_mg
    assert sorted(drug for drug in steroids if drug not in protocol.codes.drug_classes) == []
