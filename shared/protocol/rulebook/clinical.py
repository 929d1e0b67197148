"""Reads the clinical sections: eligibility, wash-outs, steroids, infection, labs, evidence.

Invariant: a row's shape decides its kind, every key of it is read, and limits that contradict each
other (a review band on the wrong side of its limit) are refused.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from shared.contracts.vocabulary import Gate
from shared.protocol.findings import Effect, OverrideKind
from shared.protocol.lined import Row
from shared.protocol.rulebook import rows
from shared.protocol.rulebook.heads import Heads, gate, roles

AnyRule = (
    rows.MetricRule
    | rows.RequireRule
    | rows.ConditionRule
    | rows.FebrileNeutropeniaRule
    | rows.IndicationRule
    | rows.ActiveInfectionRule
    | rows.AfterInfectionRule
    | rows.PositiveTestRule
    | rows.ProphylaxisRule
    | rows.GapRule
)
_LIMIT_KEYS = ("min", "max", "review_min", "review_max", "hold_min")


def read_rule(row: Row, heads: Heads) -> AnyRule:
    """Return the typed rule of a row of the eligibility, infection, immune or infusion sections."""
    read = _read_by_shape(row, heads)
    row.done()
    return read


def _read_by_shape(row: Row, heads: Heads) -> AnyRule:
    if row.has("metric"):
        return _metric(row, heads)
    if row.has("anchor"):
        return _anchored(row, heads)
    if row.has("condition"):
        return _condition(row, heads)
    if row.has("codes"):
        return rows.IndicationRule(heads.read(row))
    if row.has("require"):
        return _require(row, heads)
    if row.has("min_days"):
        return rows.GapRule(heads.read(row), row.whole("min_days"))
    raise row.bad("neither metric, anchor, condition, codes, require nor min_days")


def limits(row: Row) -> rows.Limits:
    """Return the limits in a row or in its cell for one gate."""
    numbers = {key: row.number_or_none(key) for key in _LIMIT_KEYS}
    found = rows.Limits(**numbers, negative=row.flag("negative"))
    if not found.negative and all(number is None for number in numbers.values()):
        raise row.bad("no limit is given")
    _check_order(row, found.min, found.review_min, "min", "review_min")
    _check_order(row, found.review_max, found.max, "review_max", "max")
    _check_order(row, found.review_min if found.hold_min else None, found.hold_min, "", "hold_min")
    _check_order(row, found.min, found.max, "min", "max")
    return found


def _check_order(row: Row, low: Fraction | None, high: Fraction | None, a: str, b: str) -> None:
    if low is not None and high is not None and low > high:
        raise row.bad(f"{a or 'review_min'} lies above {b}")


def per_gate(cells: Mapping[Gate, rows.Limits]) -> dict[Gate, rows.Limits]:
    """Return the limits with dose_issue wherever infusion stands."""
    found = dict(cells)
    if Gate.INFUSION in found:
        found[Gate.DOSE_ISSUE] = found[Gate.INFUSION]
    return found


def _metric(row: Row, heads: Heads) -> rows.MetricRule:
    bands = tuple(_band(band) for band in row.rows("bands"))
    if bands:
        rule = heads.read(row, effect=Effect.HOLD)
        cells: dict[Gate, rows.Limits] = {}
    else:
        found = limits(row)
        rule = heads.read(row)
        cells = dict.fromkeys(rule.scope, found)
    return rows.MetricRule(
        rule,
        row.text("metric"),
        row.text("unit"),
        per_gate(cells),
        bands=bands,
        lookback_hours=row.whole_or_none("lookback_h"),
    )


def _band(row: Row) -> rows.Band:
    band = rows.Band(
        row.number("min"),
        row.word("effect", Effect),
        row.word("override", OverrideKind),
        roles(row, "by"),
    )
    if (band.override is OverrideKind.SOFT) != bool(band.by):
        raise row.bad("a soft band names who, a hard one nobody")
    row.done()
    return band


def lab(row: Row, heads: Heads) -> rows.MetricRule:
    """Return a row of the laboratory table: one cell of limits for each gate."""
    cells = dict(_cells(row))
    by_method = dict(_method(method) for method in row.rows("when"))
    rule = heads.read(row, scope=frozenset(cells))
    applies = row.row_or_none("applies_to")
    read = rows.MetricRule(
        rule,
        row.text("metric"),
        row.text("unit"),
        per_gate(cells),
        alternative_to=row.text("alternative_to") if row.has("alternative_to") else None,
        by_method=by_method or None,
        gilbert=_gilbert(row),
        applies=None if applies is None else _applies(applies),
    )
    row.done()
    return read


def _method(row: Row) -> tuple[str, Mapping[Gate, rows.Limits]]:
    read = row.text("method"), per_gate(dict(_cells(row)))
    row.done()
    return read


def _cells(row: Row) -> Iterator[tuple[Gate, rows.Limits]]:
    for name in (Gate.COLLECTION, Gate.INFUSION):
        cell = row.row_or_none(name)
        if cell is not None:
            cell.ignore("gilbert_max")
            yield name, limits(cell)
            cell.done()


def _gilbert(row: Row) -> Mapping[Gate, rows.Limits] | None:
    found: dict[Gate, rows.Limits] = {}
    for name in (Gate.COLLECTION, Gate.INFUSION):
        cell = row.row_or_none(name)
        if cell is not None and cell.has("gilbert_max"):
            found[name] = rows.Limits(
                max=cell.number("gilbert_max"), review_max=cell.number_or_none("review_max")
            )
    return per_gate(found) or None


def _applies(row: Row) -> rows.Applies:
    return rows.Applies(row.text("sex"), row.whole("age_min"), row.whole("age_max"))


def _require(row: Row, heads: Heads) -> rows.RequireRule:
    dated = row.row_or_none("dated")
    when = {} if dated is None else {gate(dated, key): dated.text(key) for key in dated.names()}
    at_permit = row.text_or("answered_by") == "permit"
    return rows.RequireRule(heads.read(row), row.texts("require"), when, at_permit)


def _anchored(row: Row, heads: Heads) -> AnyRule:
    types = row.texts("infection_types")
    match row.text("anchor"):
        case "last_therapeutic_antimicrobial_or_resolution":
            return rows.AfterInfectionRule(
                heads.read(row), types, row.whole("min_days"), row.texts("require")
            )
        case "first_positive":
            items = row.texts("require")
            if len(items) != len(("negative", "symptom free")):
                raise row.bad("require must name the negative test and the time without symptoms")
            return rows.PositiveTestRule(
                heads.read(row),
                types,
                row.texts("labs"),
                row.whole("min_days"),
                row.whole("symptom_free_h"),
                *items,
            )
        case other:
            raise row.bad(f"unknown anchor {other!r}")


def _condition(row: Row, heads: Heads) -> AnyRule:
    condition = row.text("condition")
    match condition:
        case "infection_active":
            return rows.ActiveInfectionRule(
                heads.read(row), condition, row.texts("infection_types")
            )
        case "prophylaxis_only":
            return rows.ProphylaxisRule(heads.read(row))
        case "febrile_neutropenia":
            return rows.FebrileNeutropeniaRule(
                heads.read(row),
                condition,
                row.number("temp_min"),
                row.number("anc_below"),
                row.whole("lookback_h"),
            )
        case _:
            return _plain_condition(row, heads, condition)


def _plain_condition(row: Row, heads: Heads, condition: str) -> rows.ConditionRule:
    return rows.ConditionRule(
        heads.read(row),
        condition,
        labs=row.texts("labs"),
        infection_types=row.texts("infection_types"),
        within_hours=row.whole_or_none("within_h"),
        require=row.texts("require"),
        unmet=row.word("unmet", Effect) if row.has("unmet") else None,
        reactions=_grades(row),
        reaction_grade_min=row.whole_or_none("reaction_grade_min"),
        until=row.text("until") if row.has("until") else None,
        resume_stable_minutes=row.whole_or_none("resume_stable_min"),
        irae_grade_min=row.whole_or_none("irae_grade_min"),
        irae_organ_grade_min=_organ_grades(row),
        after_infusion=row.flag("after_infusion"),
    )


def _grades(row: Row) -> Mapping[str, tuple[int, ...]] | None:
    scales = row.row_or_none("reactions")
    if scales is None:
        return None
    return {scale: tuple(int(grade) for grade in scales.need(scale)) for scale in scales.names()}


def _organ_grades(row: Row) -> Mapping[str, int] | None:
    organs = row.row_or_none("irae_organ_grade_min")
    return None if organs is None else {organ: organs.whole(organ) for organ in organs.names()}


def washout(row: Row, heads: Heads) -> rows.WashoutRule:
    """Return a wash-out row; WO-STEROID (`see: steroids`) is read with the steroid rules."""
    anchor = row.text("anchor")
    if anchor not in {"last_dose", "last_fraction", "procedure"}:
        raise row.bad(f"unknown anchor {anchor!r}")
    default = rows.Course.REGIMEN if anchor == "last_dose" else rows.Course.SINGLE
    days = {
        Gate.COLLECTION: row.whole("c"),
        Gate.INFUSION: row.whole("i"),
        Gate.DOSE_ISSUE: row.whole("i"),
    }
    read = rows.WashoutRule(
        heads.read(row, scope=frozenset(days)),
        row.text("class"),
        days,
        row.whole("lead"),
        row.word("course", rows.Course) if row.has("course") else default,
        row.texts("invalidates"),
        row.whole_or_none("max_fractions"),
    )
    row.done()
    return read


def evidence(row: Row, heads: Heads) -> rows.EvidenceRule:
    """Return a row of the evidence table."""
    ages: dict[Gate, rows.Age] = {}
    for name in (Gate.ELIGIBILITY, Gate.COLLECTION, Gate.INFUSION):
        if row.has(f"{name}_h"):
            ages[name] = rows.Age(hours=row.whole(f"{name}_h"))
        elif row.get(name) == "on_file":
            ages[name] = rows.Age()
        elif row.has(name):
            ages[name] = rows.Age(days=row.whole(name))
    if not ages:
        raise row.bad("no gate needs it")
    if Gate.INFUSION in ages:
        ages[Gate.DOSE_ISSUE] = ages[Gate.INFUSION]
    read = rows.EvidenceRule(
        heads.read(row, scope=frozenset(ages)),
        row.text("item"),
        ages,
        row.flag("first_infusion_only"),
    )
    row.done()
    return read
