"""What one row of a rulebook says and another denies.

Invariant: every contradiction is told with the line of the row at fault; none is resolved here.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from shared.protocol.lined import Row
from shared.protocol.rulebook import clinical, rows
from shared.protocol.rulebook.feeds_section import unknown_supplies
from shared.protocol.rulebook.tables import Tables

if TYPE_CHECKING:
    from shared.protocol.loader import Protocol


def contradictions(protocol: "Protocol", top: Row) -> Iterator[tuple[int, str]]:
    """Yield what one row says and another denies, with the line of the row at fault."""
    tables = protocol.tables
    for evidence in protocol.evidence:
        if evidence.item not in tables.items:
            yield evidence.rule.line, f"{evidence.rule.id}: item {evidence.item!r} is not in items"
    for rule in protocol.patient_rules:
        yield from _missing_items(rule, tables)
    for metric in (*protocol.labs, *_metrics(protocol.patient_rules)):
        if metric.metric not in tables.units and metric.metric != "age":
            yield metric.rule.line, f"{metric.rule.id}: metric {metric.metric!r} has no unit table"
    for name in top.texts("on_running_stop"):
        if name not in protocol.rules:
            yield top.line, f"on_running_stop: rule {name!r} does not exist"
    yield from unknown_supplies(protocol.feeds, tables.items)
    yield from _disagreements(protocol, top)
    retired = top.texts("retired")
    for name in retired:
        if name in protocol.rules:
            yield protocol.rules[name].line, f"{name}: retired, but still a rule"
    for concept, rules in protocol.codes.class_rules.items():
        for name in sorted(rules - set(protocol.rules) - set(retired)):
            yield top.line, f"codes: {concept} names rule {name!r}, which does not exist"


def _disagreements(protocol: "Protocol", top: Row) -> Iterator[tuple[int, str]]:
    """Yield numbers that stand in two places and differ."""
    fractions = protocol.codes.palliative_fractions_max
    for row in protocol.washouts:
        if row.fractions_max not in (None, fractions):
            yield row.rule.line, f"{row.rule.id}: codes sort radiotherapy at {fractions} fractions"
    plan, harvest = protocol.plans.harvest, protocol.product.harvest
    if (plan.day_min, plan.day_max) != (harvest.min_day, harvest.max_day):
        yield top.row("manufacturing").row("plan").line, "plan: not the days of MFG-004"


def _missing_items(rule: clinical.AnyRule, tables: Tables) -> Iterator[tuple[int, str]]:
    required: tuple[str, ...] = ()
    match rule:
        case rows.RequireRule(at_permit=False, items=items):
            required = items
        case rows.ConditionRule(require=items) | rows.AfterInfectionRule(require=items):
            required = items
        case rows.PositiveTestRule(negative_item=first, symptom_free_item=second):
            required = (first, second)
        case _:
            pass
    for item in required:
        if item not in tables.items:
            yield rule.rule.line, f"{rule.rule.id}: item {item!r} is not in items"


def _metrics(rules: tuple[clinical.AnyRule, ...]) -> Iterator[rows.MetricRule]:
    return (rule for rule in rules if isinstance(rule, rows.MetricRule))
