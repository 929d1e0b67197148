"""The part of the protocol that manufacturing works by, as its domain knows it.

Invariant: every limit, word and clock comes from the rulebook; a rulebook that lacks one that the
domain needs is refused at the start, so nothing runs on a default.
"""

from collections.abc import Iterable
from datetime import timedelta
from fractions import Fraction
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from services.manufacturing.domain.product import Form, ProductClocks
from services.manufacturing.domain.rules import HarvestWindow, ManufacturingRules, StartLimit
from services.manufacturing.domain.specification import (
    Criterion,
    PassingWords,
    Range,
    ReleaseSpecification,
    Requirement,
)
from shared.contracts.vocabulary import Gate
from shared.protocol import Protocol
from shared.protocol.rulebook.rows import GapRule, Limits, MetricRule, ReleaseRule

#: rows that are clocks of the product or its signatures: enforced as such, never "reported"
_FRESH_CLOCK: Final = "expiry_fresh_2_8C"
_THAW_CLOCK: Final = "expiry_after_thaw"
_CRYO_CLOCK: Final = "expiry_cryo"
_NOT_REPORTED: Final = frozenset(
    {_FRESH_CLOCK, _THAW_CLOCK, _CRYO_CLOCK, "dry_ice_transport", "qp_release_signature"}
)
_COLLECTION_GAP: Final = "COL-002"

T = TypeVar("T")


class RulebookLacksError(ValueError):
    """The rulebook has no row that manufacturing needs."""


def manufacturing_rules(protocol: Protocol) -> ManufacturingRules:
    """Manufacturing's rules of this protocol version. Raises `RulebookLacksError`."""
    product, gap = protocol.product, _gap(protocol)
    return ManufacturingRules(
        protocol_version=protocol.version,
        specification=_specification(protocol),
        start_limits=_start_limits(product.others),
        start_after_collection_max=timedelta(hours=product.start_window.max_hours),
        start_after_collection_rule=product.start_window.rule.id,
        harvest=HarvestWindow(
            product.harvest.rule.id, product.harvest.min_day, product.harvest.max_day
        ),
        harvest_target_days=protocol.plans.harvest.day_target,
        days_between_collections_min=gap.min_days,
        days_between_collections_rule=gap.rule.id,
        freeze_question_rule=product.freeze_question.id,
        clocks=_clocks(protocol),
        judged_here=frozenset({product.harvest.rule.id, *(r.rule.id for r in product.release)}),
    )


def _specification(protocol: Protocol) -> ReleaseSpecification:
    rows = [row for row in protocol.product.release if row.test not in _NOT_REPORTED]
    return ReleaseSpecification(protocol.version, tuple(_requirement(row) for row in rows))


def _requirement(row: ReleaseRule) -> Requirement:
    forms = frozenset(Form) if row.form is None else frozenset({Form(row.form)})
    return Requirement(
        rule=row.rule.id,
        test=row.test,
        criterion=_criterion(row),
        forms=forms,
        before_release=Gate.RELEASE in row.rule.scope,
        preliminary_counts=row.conditional_release,
    )


def _criterion(row: ReleaseRule) -> Criterion:
    if row.unit is None:
        failing = {"failing": row.fail_words} if row.fail_words else {}
        return PassingWords(row.pass_words, **failing)
    return _range(row.unit, row.limits)


def _range(unit: str, limits: Limits) -> Range:
    return Range(unit, limits.min, limits.max, limits.review_min, limits.review_max)


def _start_limits(rules: Iterable[object]) -> tuple[StartLimit, ...]:
    gate = Gate.MANUFACTURING_START
    found = [r for r in rules if isinstance(r, MetricRule) and gate in r.limits]
    if not found:
        raise RulebookLacksError("limits of the starting material")
    return tuple(StartLimit(r.rule.id, r.metric, _range(r.unit, r.limits[gate])) for r in found)


def _gap(protocol: Protocol) -> GapRule:
    rules = (r for r in protocol.product.others if isinstance(r, GapRule))
    return _needed((r for r in rules if r.rule.id == _COLLECTION_GAP), _COLLECTION_GAP)


def _clocks(protocol: Protocol) -> ProductClocks:
    return ProductClocks(
        fresh_max=timedelta(hours=float(_limit(protocol, _FRESH_CLOCK, "h"))),
        after_thaw_max=timedelta(minutes=float(_limit(protocol, _THAW_CLOCK, "min"))),
        cryo_max_months=int(_limit(protocol, _CRYO_CLOCK, "mo")),
        zone=_zone(protocol),
    )


def _limit(protocol: Protocol, test: str, unit: str) -> Fraction:
    row = _needed((r for r in protocol.product.release if r.test == test), test)
    if row.unit != unit or row.limits.max is None:
        raise RulebookLacksError(f"{test} in {unit}")
    return row.limits.max


def _zone(protocol: Protocol) -> ZoneInfo:
    if not isinstance(protocol.zone, ZoneInfo):
        raise RulebookLacksError("a named time zone")
    return protocol.zone


def _needed(found: Iterable[T], what: str) -> T:
    for one in found:
        return one
    raise RulebookLacksError(what)
