"""Review decisions and soft overrides: what people with the right role said about findings.

Invariant: an answer binds to the rule, the gate and the facts (with their versions) that it
answered; a new or corrected fact for the rule ends it. Hard rules and unknowns have no override.
An answered finding stays in the decision, as information.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from shared.protocol.clinic_time import TICK, Moment
from shared.protocol.facts import Override, ReviewDecision, When
from shared.protocol.findings import Effect, FactRef, Finding, OverrideKind
from shared.protocol.rules.check import Case
from shared.protocol.words import ReviewOutcome

SIGNERS_MIN = 2
"""An override needs a second signature (protocol: semantics.override.soft)."""


def answer_edges(case: Case) -> Iterator[datetime]:
    """Yield the instants at which answers begin or cease to count."""
    for review in case.record.all(ReviewDecision):
        for when in (review.effective, review.recorded):
            if when is not None:
                yield case.time.earliest(when)
        if review.valid_until is not None:
            yield case.time.latest(review.valid_until) + TICK
    for override in case.record.all(Override):
        begin, end = _window(case, override)
        yield begin
        yield end + TICK


def answered(case: Case, at: Moment, findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings with those answered turned into information."""
    reviews = [r for r in case.record.all(ReviewDecision) if _counts(case, r, at)]
    overrides = [o for o in case.record.all(Override) if _is_in_force(case, o, at)]
    if not reviews and not overrides:
        return list(findings)
    return [_answer(case, finding, reviews, overrides) for finding in findings]


def _answer(
    case: Case,
    finding: Finding,
    reviews: Sequence[ReviewDecision],
    overrides: Sequence[Override],
) -> Finding:
    if finding.effect is Effect.REVIEW and not finding.is_unknown:
        for review in reviews:
            if _answers_review(case, review, finding):
                return _as_information(case, finding, "answer.review", review, review.valid_until)
    if finding.blocks and finding.effect is not Effect.CONTRAINDICATED:
        for override in overrides:
            if override.rule == finding.rule:
                return _overridden(case, finding, override)
    return finding


def _as_information(
    case: Case,
    finding: Finding,
    sentence: str,
    answer: ReviewDecision | Override,
    until: When | None,
) -> Finding:
    words = case.protocol.sentences
    key = f"{sentence}.until" if until is not None else sentence
    said = words.say(
        key,
        by=", ".join(words.word(role) for role in answer.by),
        until=None if until is None else words.time(until, case.time.zone),
    )
    return replace(
        finding,
        effect=Effect.INFO,
        message=f"{finding.message} {said}",
        clears_at=None,
        uses=(*finding.uses, FactRef(answer.id, answer.version, answer.recorded)),
        answered_by=answer.id,
    )


# Reviews


def _counts(case: Case, review: ReviewDecision, at: Moment) -> bool:
    if not _is_for_gate(review.gate, case) or review.decision is not ReviewOutcome.PROCEED:
        return False
    if any(
        when is not None and case.time.earliest(when) > at.instant
        for when in (review.effective, review.recorded)
    ):
        return False
    return review.valid_until is None or at.instant <= case.time.latest(review.valid_until)


def _is_for_gate(gate: str, case: Case) -> bool:
    # Who may answer for the infusion has answered for thawing its dose.
    return gate == case.gate or (gate == "infusion" and case.asks_for_infusion)


def _answers_review(case: Case, review: ReviewDecision, finding: Finding) -> bool:
    if review.rule != finding.rule or not set(review.by) & set(finding.by):
        return False
    return bool(finding.uses) and all(_is_bound(case, review, ref) for ref in finding.uses)


def _is_bound(case: Case, review: ReviewDecision, ref: FactRef) -> bool:
    """True when the decision answered this version of the fact."""
    for stated in review.facts:
        name, at_sign, version = stated.rpartition("@")
        if at_sign and name == ref.id:
            return version == str(ref.version)
        if stated == ref.id:
            return _was_current(case, review, ref)
    return False


def _was_current(case: Case, answer: ReviewDecision | Override, ref: FactRef) -> bool:
    """True when the fact stood so already when the answer was given, as far as can be told."""
    corrected = case.record.resolved.corrected.get(ref.id)
    if answer.recorded is None:
        return corrected is None
    learnt = max((t for t in (corrected, ref.recorded) if t is not None), default=None)
    return learnt is None or learnt <= answer.recorded


# Overrides


def _window(case: Case, override: Override) -> tuple[datetime, datetime]:
    """Return from when to when an override counts: never longer than the protocol allows."""
    longest = timedelta(hours=case.protocol.tables.override_hours_max)
    end = case.time.latest(override.valid_until)
    if override.recorded is None:
        return end - longest, end
    return override.recorded, min(end, override.recorded + longest)


def _is_in_force(case: Case, override: Override, at: Moment) -> bool:
    begin, end = _window(case, override)
    return _is_for_gate(override.gate, case) and begin <= at.instant <= end


def _overridden(case: Case, finding: Finding, override: Override) -> Finding:
    refusal = _refusal(case, finding, override)
    if refusal is None:
        until = _window(case, override)[1]
        return _as_information(case, finding, "answer.override", override, until)
    said = case.protocol.sentences.say(refusal)
    return replace(finding, message=f"{finding.message} {said}")


def _refusal(case: Case, finding: Finding, override: Override) -> str | None:
    """Return why an override does not count, or None when it does."""
    if finding.override is OverrideKind.HARD:
        return "answer.refused.unknown" if finding.is_unknown else "answer.refused.hard"
    if len(set(override.by)) < SIGNERS_MIN:
        return "answer.refused.second"
    if not set(override.by) & set(finding.by):
        return "answer.refused.role"
    begin = _window(case, override)[0]
    if not all(_is_covered(case, override, ref, begin) for ref in finding.uses):
        return "answer.refused.new_fact"
    return None


def _is_covered(case: Case, override: Override, ref: FactRef, begin: datetime) -> bool:
    """True unless the fact is newer than the override, or not among those that it names."""
    names = {stated.rpartition("@")[0] or stated for stated in override.facts}
    if names and ref.id not in names:
        return False
    if override.recorded is not None:
        return _was_current(case, override, ref)
    corrected = case.record.resolved.corrected.get(ref.id)
    learnt = max((t for t in (corrected, ref.recorded) if t is not None), default=None)
    return learnt is None or learnt <= begin
