"""Codes of FHIR resources -> the protocol's concepts, from the rulebook ``codes.yaml``.

Invariant: matching is on system and code, never on words; an unknown code maps to nothing, and what
that means is the caller's or the rules' business. The table is read once and never changed.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from services.intake.adapters.fhir.access import Coding

RULEBOOK = "rulebooks/codes.yaml"
_HIERARCHICAL = frozenset({"ATC", "ICD10CM"})
"""Systems whose codes say their parents by prefix."""

Row = Mapping[str, Any]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DrugMatch:
    """What is known of a drug: its members' names, the wash-out classes, and the product's form."""

    names: tuple[str, ...]
    classes: tuple[str, ...]
    route: str | None = None
    mg_per_unit: float | None = None


@dataclass(frozen=True, slots=True)
class ConditionMatch:
    """A condition's concept, and what its code alone says about certainty and stage."""

    concept: str
    suspected: bool = False
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class InfectionKind:
    """How a condition that is an infection counts; no ``active_days_max``: chronic."""

    type: str
    active_days_max: int | None


@dataclass(frozen=True, slots=True)
class Table:
    """Codes of one kind: exact ones by system and code, and prefixes of hierarchical systems."""

    exact: dict[Key, list[Row]] = field(default_factory=lambda: defaultdict(list))
    prefixes: dict[Key, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def parents(self, key: Key) -> list[Row]:
        """Return the rows of the longest listed prefix of a hierarchical code."""
        system, code = key
        if system in _HIERARCHICAL:
            for length in range(len(code), 0, -1):
                found = self.prefixes.get((system, code[:length]))
                if found:
                    return found
        return []


class Terminology:
    """Lookups in the rulebook's tables; one instance serves the process."""

    def __init__(self, book: Row) -> None:
        self.reading: Row = book["reading"]
        self._systems = {str(url): str(name) for name, url in book["code_systems"].items()}
        self._systems |= self.reading["system_aliases"]
        self._drugs = self._table(
            ({**row, "member": member}, coding, bool(member.get("prefix_match")))
            for row in book["medication_classes"]
            for member in row["members"]
            for coding in member["codings"]
        )
        self._products = {str(row["code"]): row for row in book["rxnorm_products"]}
        self._members = {
            member["name"]: row for row in book["medication_classes"] for member in row["members"]
        }
        self._class_of_rule = {
            row["rules"][0]: row["concept"] for row in book["medication_classes"] if row["rules"]
        }
        self._conditions = self._table(
            (row, coding, bool(row.get("prefix_match")))
            for row in book["conditions"]
            for coding in row["codings"]
        )
        self._observations = self._table((row, row, False) for row in book["observations"])
        self._procedures = self._table((row, row, False) for row in book["procedures"])
        self._reports = self._table((row, row, False) for row in self.reading["reports"])
        self._disease = self._table((row, row, False) for row in book["disease_status"])
        self._infections = {row["concept"]: row for row in self.reading["infections"]}
        self._routes = _words(self.reading["routes"], "route")
        answers = _words(self.reading["answers"], "value")
        self._answers = {word.lower(): value for word, value in answers.items()}
        self._excipients = _words(self.reading["excipients"], "agent")
        self._vaccines = {str(row["code"]): str(row["class"]) for row in self.reading["vaccines"]}

    def _table(self, entries: Iterable[tuple[Row, Row, bool]]) -> Table:
        table = Table()
        for row, coding, is_prefix in entries:
            key = self._key(str(coding["system"]), str(coding["code"]))
            (table.prefixes if is_prefix else table.exact)[key].append(row)
        return table

    def _key(self, system: str, code: str) -> Key:
        return self._systems.get(system, system), code

    def _rows(self, table: Table, codings: Iterable[Coding]) -> list[Row]:
        """Return the rows of the first coding listed as such, else of the first listed parent."""
        keys = [self._key(coding.system, coding.code) for coding in codings]
        for key in keys:
            if key in table.exact:
                return table.exact[key]
        return next((rows for rows in map(table.parents, keys) if rows), [])

    def system(self, coding: Coding) -> str:
        """Return the short name of a coding's system (RxNorm, LOINC …), or its URL."""
        return self._systems.get(coding.system, coding.system)

    def not_used(self, concept: str) -> str | None:
        """Return why a known concept is not used, or None when it is."""
        found = self.reading["not_used"].get(concept)
        return str(found) if found else None

    def type_not_used(self, kind: str) -> str:
        """Return why resources of this type are not read."""
        return str(self.reading["types_not_used"].get(kind, "no rule reads resources of this type"))

    def drug(self, codings: tuple[Coding, ...]) -> DrugMatch | None:
        """Return what is known of a drug, by product, ingredient or ATC; None when unmapped."""
        for coding in codings:
            product = self._products.get(coding.code)
            if product is not None and self.system(coding) == "RxNorm":
                return self._product(product)
        rows = self._rows(self._drugs, codings)
        if not rows:
            return None
        names = _unique(str(row["member"]["name"]) for row in rows)
        return DrugMatch(names, self._classes(rows))

    def _product(self, product: Row) -> DrugMatch:
        names = tuple(str(name) for name in product["ingredients"])
        rows = [self._members[name] for name in names]
        strength = product.get("mg_per_unit")
        return DrugMatch(names, self._classes(rows), product["route"], strength)

    def _classes(self, rows: Iterable[Row]) -> tuple[str, ...]:
        # A drug whose concept lists several wash-out rules is in the class of each of them.
        found: list[str] = []
        for row in rows:
            found.append(str(row["concept"]))
            found.extend(
                self._class_of_rule[rule] for rule in row["rules"] if rule in self._class_of_rule
            )
        return _unique(found)

    def observation(self, codings: tuple[Coding, ...]) -> str | None:
        """Return the concept of an observation code."""
        rows = self._rows(self._observations, codings)
        return str(rows[0]["concept"]) if rows else None

    def condition(self, codings: tuple[Coding, ...]) -> ConditionMatch | None:
        """Return the concept of a condition code."""
        rows = self._rows(self._conditions, codings)
        if not rows:
            return None
        row = rows[0]
        return ConditionMatch(row["concept"], bool(row.get("suspected")), row.get("stage"))

    def claimed(self, profiles: Iterable[str]) -> ConditionMatch | None:
        """Return the concept of a condition by the profiles that its sender claims for it."""
        known = self.reading["condition_profiles"]
        found = (known[name] for profile in profiles if (name := profile.split("|")[0]) in known)
        concept = next(found, None)
        return ConditionMatch(str(concept)) if concept else None

    def infection(self, concept: str) -> InfectionKind | None:
        """Return how an infection concept counts, or None when it is no infection."""
        row = self._infections.get(concept)
        return InfectionKind(row["type"], row.get("active_days_max")) if row else None

    def carrier(self, concept: str) -> str | None:
        """Return the infection type of a lifelong viral infection."""
        found = self.reading["viral_carriers"].get(concept)
        return str(found) if found else None

    def procedure(self, codings: tuple[Coding, ...]) -> str | None:
        """Return the concept of a procedure code."""
        rows = self._rows(self._procedures, codings)
        return str(rows[0]["concept"]) if rows else None

    def report(self, codings: tuple[Coding, ...]) -> str | None:
        """Return the evidence item of a report code."""
        rows = self._rows(self._reports, codings)
        return str(rows[0]["item"]) if rows else None

    def disease_status(self, codings: tuple[Coding, ...]) -> str | None:
        """Return improved, stable, worsened or undetermined."""
        rows = self._rows(self._disease, codings)
        return str(rows[0]["concept"]) if rows else None

    def route(self, codings: Iterable[Coding]) -> str | None:
        """Return our word for a route of administration."""
        return next((self._routes[c.code] for c in codings if c.code in self._routes), None)

    def answer(self, words: Iterable[str]) -> str | None:
        """Return positive, negative, detected … for a coded or written result."""
        folded = (word.strip().lower() for word in words)
        return next((self._answers[word] for word in folded if word in self._answers), None)

    def excipient(self, codings: Iterable[Coding]) -> str | None:
        """Return the product component that a substance code names."""
        return next((self._excipients[c.code] for c in codings if c.code in self._excipients), None)

    def vaccine(self, codings: Iterable[Coding]) -> str | None:
        """Return vaccine_live or vaccine_inactivated for a CVX code; None when unknown."""
        return next((self._vaccines[c.code] for c in codings if c.code in self._vaccines), None)


def _unique(items: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(items))


def _words(rows: Iterable[Row], value: str) -> dict[str, str]:
    return {str(code): str(row[value]) for row in rows for code in row["codes"]}


@cache
def terminology() -> Terminology:
    """Return the rulebook's tables, read on first use."""
    raw = files("shared.protocol").joinpath(RULEBOOK).read_bytes()
    # The C loader is several times quicker than the Python one and just as safe.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Terminology(yaml.load(raw, Loader=loader))  # noqa: S506 - both are safe loaders
