"""All rule families, and what is derived from the findings of all of them together.

Invariant: the families see facts only; what is derived here sees findings of one moment only.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import Moment
from shared.protocol.facts import Product
from shared.protocol.findings import EFFECT_RANK, Effect, Finding, FindingKind
from shared.protocol.record import Record
from shared.protocol.rulebook.rows import ConditionRule
from shared.protocol.rules.answers import answered
from shared.protocol.rules.check import Case, Check
from shared.protocol.rules.clearance import plan_change_checks, revocations
from shared.protocol.rules.conditions import condition_checks
from shared.protocol.rules.course_rules import course_checks, paused
from shared.protocol.rules.data_quality import data_checks
from shared.protocol.rules.evidence import evidence_checks
from shared.protocol.rules.feeds import feed_checks
from shared.protocol.rules.immune import immune_checks
from shared.protocol.rules.infection import infection_checks
from shared.protocol.rules.known import STALE
from shared.protocol.rules.limits import limit_checks
from shared.protocol.rules.manufacturing import lot_to_release, manufacturing_checks
from shared.protocol.rules.person import person_checks
from shared.protocol.rules.positive_test import positive_test_checks
from shared.protocol.rules.product import FRESH_CLOCK, chosen, clock, product_checks
from shared.protocol.rules.standing import standing_checks
from shared.protocol.rules.steroids import steroid_checks
from shared.protocol.rules.washout import washout_checks
from shared.protocol.words import ProductForm


def _conditions(case: Case) -> Iterator[Check]:
    rules = [r for r in case.protocol.patient_rules if isinstance(r, ConditionRule)]
    return condition_checks(case, rules)


FAMILIES: tuple[Callable[[Case], Iterator[Check]], ...] = (
    person_checks,
    _conditions,
    washout_checks,
    plan_change_checks,
    steroid_checks,
    infection_checks,
    positive_test_checks,
    immune_checks,
    limit_checks,
    evidence_checks,
    course_checks,
    product_checks,
    manufacturing_checks,
    data_checks,
    standing_checks,
    feed_checks,
)


def checks_of(case: Case) -> tuple[Check, ...]:
    """Return every check of the case at its gate; built once per record and gate."""
    found = case.record.checks.get(case.gate)
    if found is None:
        found = tuple(check for family in FAMILIES for check in family(case))
        case.record.checks[case.gate] = found
    return found


def settled(case: Case, at: Moment, found: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return the findings of a moment with answers applied and derived ones added, in order."""
    findings = answered(case, at, found)
    findings.extend(_freeze_question(case, at, findings))
    findings.extend(_data_findings(case, findings))
    findings.extend(revocations(case, at, findings))
    return tuple(sorted(findings, key=_order))


def _order(finding: Finding) -> tuple[int, int, str, str, str]:
    # Worst first, then the order of the rulebook: the same for any order of the facts.
    rank = -EFFECT_RANK[finding.effect]
    return rank, finding.order, finding.episode, finding.kind.value, finding.message


def _data_findings(case: Case, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the data rules behind items that are unknown, each once, naming the items."""
    items: dict[str, list[str]] = {}
    about: dict[str, list[Finding]] = {}
    for finding in findings:
        for need in finding.needs:
            if finding.blocks and need.data_rule and finding.rule != need.data_rule:
                items.setdefault(need.data_rule, []).append(need.item)
                about.setdefault(need.data_rule, []).append(finding)
    for rule, names in items.items():
        words = case.protocol.sentences
        made = case.finding(
            case.protocol.rules[rule],
            "data.unknown",
            episode="evidence",
            effect=Effect.HOLD,
            kind=FindingKind.STALE if rule == STALE else FindingKind.MISSING,
            items=", ".join(words.word(name) for name in dict.fromkeys(names)),
        )
        yield _resting_on(made, about[rule])


def _resting_on(made: Finding, sources: Sequence[Finding]) -> Finding:
    uses = {ref.id: ref for source in sources for ref in source.uses}
    return replace(made, uses=tuple(uses[name] for name in sorted(uses)))


def _freeze_question(case: Case, at: Moment, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield MFG-006: a fresh bag will expire before the last dated hold on its infusion ends."""
    rule = case.protocol.product.freeze_question
    if not case.covers(rule) or not has_fresh_bag(case.record):
        return
    bag = lot_to_release(case) if case.gate is Gate.RELEASE else chosen(case, at)
    if bag is None or bag.form is not ProductForm.FRESH or paused(case, at) is not None:
        return
    ends = _fresh_end(case, bag)
    if ends is None or at.instant > ends or bag.thawed_at is not None:
        return
    holds = findings if case.gate is not Gate.RELEASE else _infusion_findings(case.record, at)
    late = [
        f
        for f in holds
        if f.effect is Effect.HOLD
        and f.clears_at is not None
        and case.time.earliest(f.clears_at) > ends
    ]
    if late:
        yield case.finding(
            rule,
            "product.freeze_question",
            episode=f"product:{bag.dose_id}",
            uses=(bag,),
            since=ends,
            dose=bag.dose_id,
            rules=", ".join(dict.fromkeys(f.rule for f in late)),
        )


def has_fresh_bag(record: Record) -> bool:
    """True when a fresh dose is on record."""
    return any(bag.form is ProductForm.FRESH for bag in record.all(Product))


def _fresh_end(case: Case, bag: Product) -> datetime | None:
    rules = (rule for rule in case.protocol.product.release if rule.test == FRESH_CLOCK)
    ends = [found.ends for rule in rules if (found := clock(case, rule, bag)) is not None]
    return min((end for end in ends if end is not None), default=None)


def _infusion_findings(record: Record, at: Moment) -> list[Finding]:
    infusion = Case(record, Gate.INFUSION)
    found = [finding for check in checks_of(infusion) for finding in check.find(at)]
    return answered(infusion, at, found)
