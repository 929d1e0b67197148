"""Reads the release specification and the rules about starting material, culture and bag."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.contracts.vocabulary import Gate
from shared.protocol.findings import OverrideKind
from shared.protocol.lined import Row
from shared.protocol.rulebook.clinical import AnyRule, read_rule
from shared.protocol.rulebook.heads import Heads, gates, roles
from shared.protocol.rulebook.rows import (
    HarvestRule,
    Limits,
    ReleaseRule,
    Rule,
    StartWindowRule,
)


@dataclass(frozen=True, slots=True)
class ProductRules:
    """The rules about starting material, culture, release and the bag."""

    start_window: StartWindowRule
    harvest: HarvestRule
    freeze_question: Rule
    others: tuple[AnyRule, ...]
    release: tuple[ReleaseRule, ...]


def read_product_rules(top: Row, heads: Heads) -> ProductRules:
    """Return the rules of `collection.rules`, `manufacturing.rules` and `release`, in order."""
    others = [read_rule(row, heads) for row in top.row("collection").rows("rules")]
    rows = {row.text("id"): row for row in top.row("manufacturing").rows("rules")}
    window, harvest, freeze = (rows.pop(name) for name in ("MFG-001", "MFG-004", "MFG-006"))
    start_window = _start_window(window, heads)
    others.extend(read_rule(row, heads) for row in rows.values())
    read = ProductRules(
        start_window,
        _harvest(harvest, heads),
        heads.read(freeze),
        tuple(others),
        _release(top, heads),
    )
    freeze.done()
    return read


def _start_window(row: Row, heads: Heads) -> StartWindowRule:
    read = StartWindowRule(heads.read(row), row.whole("review_h"), row.whole("max_h"))
    if read.review_hours > read.max_hours:
        raise row.bad("review_h lies above max_h")
    row.done()
    return read


def _harvest(row: Row, heads: Heads) -> HarvestRule:
    row.ignore("anchor")
    read = HarvestRule(heads.read(row), row.whole("min_day"), row.whole("max_day"))
    if read.min_day > read.max_day:
        raise row.bad("min_day lies after max_day")
    row.done()
    return read


def _release(top: Row, heads: Heads) -> tuple[ReleaseRule, ...]:
    default = top.row("release_defaults")
    defaults: Mapping[str, Any] = {
        "override": default.word("override", OverrideKind),
        "by": roles(default, "by"),
        "scope": gates(default, "scope"),
    }
    return tuple(_release_row(row, heads, defaults) for row in top.rows("release"))


def _release_row(row: Row, heads: Heads, defaults: Mapping[str, Any]) -> ReleaseRule:
    scope: frozenset[Gate] = gates(row, "scope") if row.has("scope") else defaults["scope"]
    row.ignore("formula", "on_fail")
    read = ReleaseRule(
        heads.read(row, scope=scope, defaults=defaults),
        test=row.text("test"),
        unit=row.text("unit") if row.has("unit") else None,
        form=row.text("form") if row.has("form") else None,
        limits=Limits(
            min=row.number_or_none("min"),
            max=row.number_or_none("max"),
            review_min=row.number_or_none("review_min"),
        ),
        pass_words=frozenset(row.texts("pass_words")),
        fail_words=frozenset(row.texts("fail_words")),
        spec=row.text_or("spec"),
        conditional_release=row.flag("conditional_release"),
        after_infusion_allowed=row.flag("after_infusion_allowed"),
        target=row.number_or_none("target"),
    )
    if not read.pass_words and read.limits == Limits():
        raise row.bad("neither a limit nor words that pass")
    row.done()
    return read
