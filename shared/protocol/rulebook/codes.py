"""The terminology map: names and codes of drugs, results and conditions to our concepts.

Invariant: what is not in the map stays unmapped; nothing is guessed from a display text.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from shared.protocol.lined import Row

ATC = "http://www.whocc.no/atc"
_SPLIT = re.compile(r"\s*(?:\+|,|;|/|\band\b)\s*")


@dataclass(frozen=True, slots=True)
class Codes:
    """Lookups of the terminology map. Concepts of drugs are their treatment classes."""

    version: str
    drug_classes: Mapping[str, frozenset[str]]
    class_rules: Mapping[str, frozenset[str]]
    drug_of_code: Mapping[tuple[str, str], str]
    atc_prefixes: tuple[tuple[str, str], ...]
    observation_of_code: Mapping[tuple[str, str], str]
    conditions_of_code: Mapping[tuple[str, str], tuple[str, ...]]
    conditions: frozenset[str]
    indications: frozenset[str]
    needing_a_person: frozenset[str]
    palliative_fractions_max: int

    def ingredients(self, name: str) -> tuple[str, ...]:
        """Return the drugs that a name such as "carboplatin + paclitaxel" lists."""
        whole = normal(name)
        if whole in self.drug_classes:
            return (whole,)
        return tuple(normal(part) for part in _SPLIT.split(name.lower()) if part)

    def classes_of_name(self, name: str) -> tuple[frozenset[str], tuple[str, ...]]:
        """Return the classes of all listed drugs, and those of them that are not mapped."""
        found: set[str] = set()
        unmapped: list[str] = []
        for drug in self.ingredients(name):
            classes = self.drug_classes.get(drug)
            if classes is None:
                unmapped.append(drug)
            else:
                found |= classes
        return frozenset(found), tuple(unmapped)

    def classes_of_code(self, system: str, code: str) -> frozenset[str]:
        """Return the classes of a coded drug; for ATC also those of its group."""
        drug = self.drug_of_code.get((system, code))
        if drug is not None:
            return self.drug_classes[drug]
        if system != ATC:
            return frozenset()
        matching = {concept for prefix, concept in self.atc_prefixes if code.startswith(prefix)}
        return frozenset(matching)


def normal(name: str) -> str:
    """Return a name as it is looked up: lower case, words joined by underscores."""
    return re.sub(r"[\s\-/]+", "_", name.strip().lower())


def read_codes(top: Row) -> Codes:
    """Return the terminology map of a codes file."""
    medication = list(_drugs(top))
    classes: dict[str, set[str]] = {}
    for concept, drug, _, prefix in medication:
        if not prefix:
            classes.setdefault(drug, set()).add(concept)
    return Codes(
        version=top.row("meta").text("version"),
        drug_classes={drug: frozenset(found) for drug, found in classes.items()},
        class_rules=_class_rules(top),
        drug_of_code={
            coding: drug
            for _, drug, codings, prefix in medication
            if not prefix
            for coding in codings
        },
        atc_prefixes=tuple(
            (code, concept)
            for concept, _, codings, prefix in medication
            if prefix
            for _, code in codings
        ),
        observation_of_code=_observations(top),
        conditions_of_code=_conditions(top),
        conditions=frozenset(row.text("concept") for row in top.rows("conditions")),
        indications=frozenset(top.texts("indications")),
        needing_a_person=frozenset(top.texts("conditions_needing_a_person")),
        palliative_fractions_max=_fractions(top),
    )


def _drugs(top: Row) -> Iterator[tuple[str, str, tuple[tuple[str, str], ...], bool]]:
    for concept in top.rows("medication_classes"):
        for member in concept.rows("members"):
            codings = tuple(
                (coding.text("system"), coding.text("code")) for coding in member.rows("codings")
            )
            name = normal(member.text("name"))
            yield concept.text("concept"), name, codings, member.flag("prefix_match")


def _class_rules(top: Row) -> Mapping[str, frozenset[str]]:
    found: dict[str, frozenset[str]] = {}
    for row in top.rows("medication_classes"):
        concept = row.text("concept")
        if concept in found:
            raise row.bad(f"{concept} is given twice")
        found[concept] = frozenset(row.texts("rules"))
    return found


def _fractions(top: Row) -> int:
    return top.row("reading").row("radiotherapy").whole("palliative_fractions_max")


def _observations(top: Row) -> Mapping[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for row in top.rows("observations"):
        coding = (row.text("system"), row.text("code"))
        if coding in found:
            raise row.bad(f"{coding[1]} is given twice")
        found[coding] = row.text("concept")
    return found


def _conditions(top: Row) -> Mapping[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in top.rows("conditions"):
        for coding in row.rows("codings"):
            key = (coding.text("system"), coding.text("code"))
            found[key] = (*found.get(key, ()), row.text("concept"))
    return found
