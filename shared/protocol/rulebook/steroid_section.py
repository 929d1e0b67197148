"""Reads the corticosteroid section into one typed whole."""

from fractions import Fraction

from shared.protocol.lined import Row
from shared.protocol.rulebook.heads import Heads
from shared.protocol.rulebook.rows import Rule, SteroidRules

_IDS = ("STER-001", "STER-002", "STER-003", "STER-004", "STER-005", "STER-006", "STER-007")


def read_steroids(top: Row, heads: Heads, pointer_row: Row) -> SteroidRules:
    """Return the steroid rules; the pointer WO-STEROID is listed after them."""
    section = top.row("steroids")
    by_id = {row.text("id"): row for row in section.rows("rules")}
    if set(by_id) != set(_IDS):
        raise section.bad(f"rules must be exactly {', '.join(_IDS)}")
    head = {name: heads.read(by_id[name]) for name in _IDS}
    pointer = _pointer(pointer_row, heads, head["STER-001"])
    read = _assembled(top, section, by_id, head, pointer)
    _check_limits(section, by_id, read)
    for row in by_id.values():
        row.ignore("replaces")
        row.done()
    section.ignore("total_rule", "equivalence_src", "rules")
    section.done()
    return read


def _pointer(row: Row, heads: Heads, above: Rule) -> Rule:
    row.ignore("class", "anchor", "see")
    pointer = heads.read(row, scope=above.scope)
    row.done()
    return pointer


def _assembled(
    top: Row, section: Row, by_id: dict[str, Row], head: dict[str, Rule], pointer: Rule
) -> SteroidRules:
    above, short, local = by_id["STER-001"], by_id["STER-003"], by_id["STER-004"]
    intents = top.row("short_course_intents")
    return SteroidRules(
        limit_mg_per_day=section.number("limit_mg_pred_eq_per_day"),
        equivalent_mg=_equivalents(section),
        above=head["STER-001"],
        above_routes=frozenset(above.texts("routes")),
        above_min_days=above.whole("min_days"),
        exempt=head["STER-002"],
        exempt_routes=frozenset(by_id["STER-002"].texts("routes_exempt")),
        short=head["STER-003"],
        short_max_days=short.whole("max_days_course"),
        short_lookback_days=short.whole("clean_lookback_days"),
        short_min_days=short.whole("min_days"),
        short_intents=frozenset({"antiemetic"} if intents.flag("antiemetic") else ()),
        short_premedication_for=frozenset(intents.texts("premedication_for")),
        absorbable=head["STER-004"],
        absorbable_routes=frozenset(local.texts("routes")),
        absorbable_min_days=local.whole("min_days"),
        oral_local_drugs=frozenset(top.texts("steroid_drugs_oral_local")),
        replacement=head["STER-005"],
        replacement_documented_by=by_id["STER-005"].texts("documented_by"),
        premedication=head["STER-006"],
        unknown=head["STER-007"],
        pointer=pointer,
    )


def _equivalents(section: Row) -> dict[str, Fraction | None]:
    # Given as mg equal to prednisone 5 mg; kept as mg of prednisone in one mg of the drug.
    rows = list(section.rows("equivalence"))
    five = next((row.number("eq_mg") for row in rows if row.text("drug") == "prednisone"), None)
    if five is None:
        raise section.bad("equivalence lacks prednisone")
    table: dict[str, Fraction | None] = {}
    for row in rows:
        row.get("eq_mg")
        name = row.text("drug")
        if name in table:
            raise row.bad(f"{name} is given twice")
        amount = row.number_or_none("eq_mg")
        if amount is not None and amount <= 0:
            raise row.bad("eq_mg must be above 0")
        table[name] = None if amount is None else five / amount
        row.done()
    return table


def _check_limits(section: Row, by_id: dict[str, Row], read: SteroidRules) -> None:
    for name in ("STER-001", "STER-005"):
        if by_id[name].number("over_mg") != read.limit_mg_per_day:
            raise by_id[name].bad("over_mg differs from limit_mg_pred_eq_per_day")
    if read.short_min_days > read.above_min_days:
        raise by_id["STER-003"].bad("a short course must not wait longer than STER-001")
    overlap = read.above_routes & (read.exempt_routes | read.absorbable_routes)
    if overlap or read.exempt_routes & read.absorbable_routes:
        raise section.bad("a route stands in two lists")
