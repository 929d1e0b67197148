"""Reads the tables that bind rules to facts: units, aliases, items, plausible limits, words.

Invariant: a metric has at most one unit table, an item name means one item, and every member of an
item is a metric that the unit tables know.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from shared.protocol.lined import Row
from shared.protocol.rulebook.plans import ChecklistRow
from shared.protocol.rulebook.rows import CockcroftGault, Item, UnitTable
from shared.protocol.rulebook.spelling import spelled


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything that says how a statement is understood."""

    units: Mapping[str, UnitTable]
    aliases: Mapping[str, str]
    hold_only: Mapping[str, str]
    per_uln: Mapping[str, str]
    plausible: Mapping[str, tuple[Fraction, Fraction]]
    positive: frozenset[str]
    negative: frozenset[str]
    cockcroft_gault: CockcroftGault
    items: Mapping[str, Item]
    class_aliases: Mapping[str, str]
    unmapped_atc: tuple[str, ...]
    topics: tuple[str, ...]
    checklist: tuple[ChecklistRow, ...]
    questions: Mapping[str, str]
    indication_subtypes: Mapping[str, str]
    other_cancers: tuple[str, ...]
    dose_issue_without: frozenset[str]
    standard_treatment_first: frozenset[str]
    reevaluate_after_days: int
    override_hours_max: int
    horizon_days: int


def read_tables(top: Row) -> Tables:
    """Return the tables of the rulebook."""
    words = top.row("qualitative")
    units = _units(top)
    return Tables(
        units=units,
        aliases=_words(top, "metric_aliases"),
        hold_only=_words(top, "metric_hold_only"),
        per_uln=_words(top, "metric_per_uln"),
        plausible=_plausible(top, units),
        positive=frozenset(words.texts("positive")),
        negative=frozenset(words.texts("negative")),
        cockcroft_gault=_cockcroft_gault(top),
        items=_items(top, units),
        class_aliases=_words(top, "class_aliases"),
        unmapped_atc=top.texts("unmapped_drug_atc"),
        topics=top.texts("information_topics"),
        checklist=tuple(_checklist(row) for row in top.rows("checklist")),
        questions=_words(top, "checklist_questions"),
        indication_subtypes=_words(top, "indication_subtypes"),
        other_cancers=top.texts("other_cancers"),
        dose_issue_without=_dose_issue(top),
        standard_treatment_first=frozenset(top.texts("standard_treatment_first")),
        reevaluate_after_days=top.whole("reevaluate_after_days"),
        override_hours_max=top.whole("override_max_h"),
        horizon_days=top.whole("next_go_horizon_days"),
    )


def _words(top: Row, key: str) -> Mapping[str, str]:
    row = top.row(key)
    return {name: row.text(name) for name in row.names()}


def _units(top: Row) -> Mapping[str, UnitTable]:
    found: dict[str, UnitTable] = {}
    section = top.row("units")
    for name in section.names():
        row = section.row(name)
        factors = row.row("factors")
        offsets = row.row_or_none("offsets")
        table = UnitTable(_spelled(factors), {} if offsets is None else _spelled(offsets))
        for metric in row.texts("metrics"):
            if metric in found:
                raise row.bad(f"{metric} already has a unit table")
            found[metric] = table
        row.done()
    return found


def _spelled(row: Row) -> Mapping[str, Fraction]:
    """Return the numbers by unit in one spelling; two spellings of a unit must agree."""
    found: dict[str, Fraction] = {}
    for unit in row.names():
        number = row.number(unit)
        if found.setdefault(spelled(unit), number) != number:
            raise row.bad(f"{unit} is {spelled(unit)}, which has another number")
    return found


def _plausible(top: Row, units: Mapping[str, UnitTable]) -> Mapping[str, tuple[Fraction, Fraction]]:
    row = top.row("plausible")
    found: dict[str, tuple[Fraction, Fraction]] = {}
    for name in row.names():
        low, high = (row.exact(bound, name) for bound in row.need(name))
        if low >= high:
            raise row.bad(f"{name}: the lower bound is not below the upper")
        metric = "creatinine" if name == "creatinine_mg_dL" else name
        if metric not in units:
            raise row.bad(f"{name} has no unit table")
        found[metric] = (low, high)
    return found


def _cockcroft_gault(top: Row) -> CockcroftGault:
    row = top.row("formulas").row("cockcroft_gault")
    read = CockcroftGault(row.whole("age_from"), row.number("female_factor"), row.whole("divisor"))
    row.done()
    return read


def _items(top: Row, units: Mapping[str, UnitTable]) -> Mapping[str, Item]:
    section = top.row("items")
    found: dict[str, Item] = {}
    for name in section.names():
        row = section.row(name)
        item = Item(
            name,
            row.text("owner"),
            also=row.texts("also"),
            members=row.texts("members"),
            groups=tuple(tuple(group) for group in row.get("groups") or ()),
            topics=row.flag("topics"),
        )
        row.done()
        for metric in item.members:
            if metric not in units:
                raise row.bad(f"{name}: {metric} has no unit table")
        for known in (name, *item.also):
            if known in found:
                raise row.bad(f"{known} means two items")
            found[known] = item
    return found


def _checklist(row: Row) -> ChecklistRow:
    answer = row.row("answered_by")
    read = ChecklistRow(
        row.text("item"),
        row.text("title"),
        answer.texts("items"),
        answer.flag("indications"),
        row.texts("asks"),
    )
    answer.done()
    row.done()
    return read


def _dose_issue(top: Row) -> frozenset[str]:
    row = top.row("dose_issue")
    if row.text("same_as") != "infusion":
        raise row.bad("dose_issue must be the same as infusion")
    return frozenset(row.texts("without_items"))
