"""Signed acts of clinicians: a review decision, a soft override, the eligibility decision.

Each is bound to what the signer saw: the rule, the gate and the versions of the facts. A hard rule
has no override; a second person signs every override; nothing here changes a fact.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from uuid import UUID

from services.intake.application.answer_questions import Question, decision_for
from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import facts_on_record
from services.intake.application.record_facts import record_facts
from shared.auth.principal import Principal
from shared.contracts.coordination import EligibilityDecided, OverrideRecorded, ReviewDecided
from shared.contracts.vocabulary import Gate, Role
from shared.messaging.unit_of_work import Work
from shared.protocol import (
    Effect,
    Finding,
    OverrideKind,
    Protocol,
    eligibility_advice,
    parse_statement,
)

Outcome = Literal["suitable", "postponed", "standard_treatment_first", "not_suitable"]


class NotSignableError(Exception):
    """The act is refused. `code` is stable; `by` names the roles that may sign."""

    def __init__(self, code: str, title: str, by: tuple[str, ...] = ()) -> None:
        super().__init__(title)
        self.code = code
        self.title = title
        self.by = by


@dataclass(frozen=True, slots=True)
class ReviewOrder:
    """A clinician's answer to a review finding of one gate."""

    case_id: UUID
    gate: Gate
    rule: str
    decision: Literal["proceed", "wait"]
    reason: str
    valid_until: datetime
    facts: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class OverrideOrder:
    """A soft rule is set aside for one gate, for a while."""

    case_id: UUID
    gate: Gate
    rule: str
    reason: str
    valid_until: datetime


def role_names(principal: Principal) -> tuple[str, ...]:
    """The roles under the names that the rulebook uses."""
    plain = {r.value for r in principal.roles if r is not Role.CONSULTANT}
    consultant = {f"consultant:{s}" for s in principal.specialities}
    return tuple(sorted(plain | consultant))


async def sign_review(
    work: Work[IntakeRows], protocol: Protocol, order: ReviewOrder, signer: Principal
) -> UUID:
    """The id of the recorded decision. Raises `NotSignableError`."""
    finding = await _finding(work, protocol, order.case_id, order.gate, order.rule)
    if finding.effect is not Effect.REVIEW:
        raise NotSignableError("not-a-review", "This finding is not up for review.")
    _check_role(finding, signer)
    seen = tuple(f"{ref.id}@{ref.version}" for ref in finding.uses)
    if order.facts is not None and set(order.facts) - {*seen, *finding.facts}:
        raise NotSignableError("stale-view", "The facts have changed since you saw them.")
    statement = {
        "kind": "review_decision",
        "id": f"review/{work.world.ids.new()}",
        "rule": order.rule,
        "gate": order.gate.value,
        "decision": order.decision,
        "by": list(role_names(signer)),
        "facts": list(seen),
        "valid_until": order.valid_until.isoformat(),
        "effective": work.world.clock.now().isoformat(),
    }
    work.emit(
        ReviewDecided(
            case_id=order.case_id,
            rule=order.rule,
            gate=order.gate,
            decision=order.decision,
            valid_until=order.valid_until,
        )
    )
    work.note("review-decided", order.case_id, rule=order.rule, reason=order.reason)
    return await _record(work, protocol, order.case_id, statement)


async def sign_override(
    work: Work[IntakeRows],
    protocol: Protocol,
    order: OverrideOrder,
    signer: Principal,
    second: Principal,
) -> UUID:
    """The id of the recorded override. Raises `NotSignableError`."""
    finding = await _finding(work, protocol, order.case_id, order.gate, order.rule)
    if finding.override is not OverrideKind.SOFT:
        raise NotSignableError("hard-rule", "Nobody can override this rule: the facts must change.")
    _check_role(finding, signer)
    if second.subject == signer.subject:
        raise NotSignableError("second-person", "Another person must sign as well.")
    now = work.world.clock.now()
    hours = protocol.tables.override_hours_max
    if not now < order.valid_until <= now + timedelta(hours=hours):
        raise NotSignableError("too-long", f"An override ends within {hours} hours.")
    statement = {
        "kind": "override",
        "id": f"override/{work.world.ids.new()}",
        "rule": order.rule,
        "gate": order.gate.value,
        "by": sorted({*role_names(signer), *role_names(second)}),
        "reason": "signed",
        "facts": [f"{ref.id}@{ref.version}" for ref in finding.uses],
        "valid_until": order.valid_until.isoformat(),
        "effective": now.isoformat(),
    }
    fact_id = await _record(work, protocol, order.case_id, statement)
    work.emit(
        OverrideRecorded(
            case_id=order.case_id,
            override_id=fact_id,
            rule=order.rule,
            gate=order.gate,
            valid_until=order.valid_until,
        )
    )
    work.note(
        "override-recorded",
        order.case_id,
        rule=order.rule,
        second_signer=second.subject,
        reason=order.reason,
    )
    return fact_id


async def sign_eligibility(
    work: Work[IntakeRows],
    protocol: Protocol,
    case_id: UUID,
    *,
    outcome: Outcome,
    reevaluate_on: date | None,
    reason: str | None,
    signer: Principal,
) -> UUID:
    """The id of the signed decision; the engine's advice is kept beside it."""
    now = work.world.clock.now()
    await work.rows.authority.lock_case(case_id)
    decision = await decision_for(work.rows, protocol, Question(case_id, now), Gate.ELIGIBILITY)
    facts = await facts_on_record(work.rows, case_id)
    advice = eligibility_advice(protocol, facts, now)
    if outcome == "suitable" and decision.code == "NO_GO_STOP":
        raise NotSignableError("contraindicated", "A contraindication is on record.")
    eligibility_id = work.world.ids.new()
    await work.rows.record.insert_eligibility(
        case_id,
        eligibility_id=eligibility_id,
        outcome=outcome,
        advice=advice.outcome.value,
        reevaluate_on=reevaluate_on,
        reason=reason,
        signer=signer.subject,
        signed_at=now,
    )
    work.emit(
        EligibilityDecided(
            case_id=case_id,
            outcome=outcome,
            advice=advice.outcome.value,
            reevaluate_on=reevaluate_on,
        )
    )
    work.note("eligibility-decided", case_id, outcome=outcome, advice=advice.outcome.value)
    return eligibility_id


async def _finding(
    work: Work[IntakeRows], protocol: Protocol, case_id: UUID, gate: Gate, rule: str
) -> Finding:
    await work.rows.authority.lock_case(case_id)
    now = work.world.clock.now()
    decision = await decision_for(work.rows, protocol, Question(case_id, now), gate)
    for finding in decision.findings:
        if finding.rule == rule and (finding.blocks or finding.answered_by):
            return finding
    raise NotSignableError("no-such-finding", "This rule does not speak at this gate now.")


def _check_role(finding: Finding, signer: Principal) -> None:
    if not set(finding.by) & set(role_names(signer)):
        raise NotSignableError("not-your-rule", "Your role does not sign this rule.", finding.by)


async def _record(
    work: Work[IntakeRows], protocol: Protocol, case_id: UUID, statement: Mapping[str, object]
) -> UUID:
    fact = parse_statement(statement, zone=protocol.zone)
    if isinstance(fact, tuple):
        raise AssertionError(f"our own statement is refused: {fact}")
    done = await record_facts(work, protocol, case_id, [fact], origin="entered")
    return (*done.recorded, *done.unchanged)[0]
