"""Whether a batch may be released, and by whom: pure, and every reason at once.

Invariants: no release with a missing, unjudgeable or out-of-range test, an open deviation or a
skipped mandatory step; two different signers, neither of whom worked on the batch; a signature
covers exactly the evidence that was on record when it was made.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from itertools import pairwise
from typing import Final
from uuid import UUID

from services.manufacturing.domain.batch import MANDATORY, DoneStep, FormulatedBatch, Step
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.refusal import Reason, ReasonCode
from services.manufacturing.domain.rules import ManufacturingRules
from services.manufacturing.domain.specification import (
    Doubt,
    Judgement,
    Reading,
    Requirement,
    ResultStatus,
    Verdict,
    judge,
    worst,
)
from shared.contracts.vocabulary import Role


class SignatureMeaning(StrEnum):
    """What a signer states (read back to the signer before signing)."""

    RECORD_REVIEWED = "batch_record_reviewed"
    APPROVED_FOR_USE = "approved_for_use"


@dataclass(frozen=True, slots=True)
class QcResult:
    """A reported release test. First results stay; a retest names the one that it repeats.

    A retest takes the place of the earlier result only when the deviation that explains the
    earlier one is closed; without that the worse of the two counts.
    """

    result_id: UUID
    test: str
    reading: Reading
    status: ResultStatus
    reported_at: datetime
    retest_of: UUID | None = None
    deviation_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Deviation:
    """A deviation of a batch; open until quality assurance closes it."""

    deviation_id: UUID
    open: bool


@dataclass(frozen=True, slots=True)
class Dossier:
    """All that a release is judged on."""

    steps: tuple[DoneStep, ...]
    results: tuple[QcResult, ...]
    deviations: tuple[Deviation, ...]
    reviews_accepted: frozenset[str] = frozenset()

    @property
    def operators(self) -> frozenset[str]:
        """Everybody who did a step of this batch."""
        return frozenset(step.performed_by for step in self.steps)


@dataclass(frozen=True, slots=True)
class Releasable:
    """Nothing of manufacturing's own stands against a release; `pending` tests are not back."""

    pending: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Blocked:
    """Reasons against a release."""

    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature: who, in which roles, when, what it means, and the evidence that it covers."""

    subject: str
    name: str
    roles: frozenset[Role]
    meaning: SignatureMeaning
    signed_at: datetime
    evidence_version: int


SIGNING_ROLES: Final = frozenset({Role.QA_RELEASE, Role.MEDICAL_DIRECTOR})


def assess(
    batch: FormulatedBatch, dossier: Dossier, rules: ManufacturingRules, *, at: datetime | None
) -> Releasable | Blocked:
    """Whether the batch may be released on this dossier, with all reasons against it.

    `at` None: the product is out already (conditionally), so its expiry no longer decides.
    """
    form = batch.formulation.form
    reasons = (
        *_missing_steps(form, dossier.steps),
        *_open_deviations(dossier.deviations),
        *_harvest(batch, rules),
        *_expiry(batch, at),
        *(
            reason
            for requirement in rules.specification.for_form(form)
            for reason in _test(requirement, dossier)
        ),
    )
    if reasons:
        return Blocked(reasons)
    return Releasable(_pending(rules.specification.for_form(form), dossier))


def judged(requirement: Requirement, dossier: Dossier) -> Judgement | None:
    """The worst of the results that count, or None when there is none."""
    closed = {d.deviation_id for d in dossier.deviations if not d.open}
    replaced = {r.retest_of for r in dossier.results if r.deviation_id in closed}
    found = [
        (r, judge(requirement, r.reading, r.status))
        for r in dossier.results
        if r.test == requirement.test and r.result_id not in replaced
    ]
    final = any(r.status is ResultStatus.FINAL for r, _ in found)
    return worst(j for r, j in found if not (final and _gives_way(r, j)))


def _gives_way(result: QcResult, judgement: Judgement) -> bool:
    """A preliminary reading gives way to a final one, but not when it failed (DATA-007)."""
    return result.status is ResultStatus.PRELIMINARY and judgement.verdict is not Verdict.FAIL


def sign(
    earlier: Iterable[Signature], new: Signature, operators: frozenset[str]
) -> tuple[Signature, ...] | Blocked:
    """The valid signatures with the new one, or why it does not count.

    Signatures over older evidence are void. Of the two, one is of quality assurance.
    """
    valid = tuple(s for s in earlier if s.evidence_version == new.evidence_version)
    reasons = tuple(_against(new, valid, operators))
    return Blocked(reasons) if reasons else (*valid, new)


def _against(
    new: Signature, valid: tuple[Signature, ...], operators: frozenset[str]
) -> Iterable[Reason]:
    if new.subject in operators:
        yield Reason(ReasonCode.SIGNER_IS_OPERATOR, lifted_by="another signer")
    if not new.roles & SIGNING_ROLES:
        yield Reason(ReasonCode.SIGNER_ROLE, lifted_by="a signer of quality assurance")
    if any(s.subject == new.subject for s in valid):
        yield Reason(ReasonCode.SIGNED_ALREADY, lifted_by="a second person")
    roles = frozenset[Role]().union(new.roles, *(s.roles for s in valid))
    if valid and Role.QA_RELEASE not in roles:
        yield Reason(ReasonCode.SIGNER_ROLE, lifted_by="a signer of quality assurance")


def _missing_steps(form: Form, steps: Iterable[DoneStep]) -> Iterable[Reason]:
    done = {step.step for step in steps}
    for step in MANDATORY[form]:
        if step not in done:
            yield Reason(ReasonCode.STEP_MISSING, subject=step.value, lifted_by="record the step")
    yield from _disorder(steps)


def _disorder(steps: Iterable[DoneStep]) -> Iterable[Reason]:
    """A step that began before an earlier one of the process had begun."""
    first = first_performed(steps)
    ordered = [(step, first[step]) for step in Step if step in first]
    for (_, earlier), (step, later) in pairwise(ordered):
        if later < earlier:
            yield Reason(ReasonCode.STEP_ORDER, subject=step.value)


def first_performed(steps: Iterable[DoneStep]) -> Mapping[Step, datetime]:
    """When each step was first performed."""
    first: dict[Step, datetime] = {}
    for step in steps:
        first[step.step] = min(step.performed_at, first.get(step.step, step.performed_at))
    return first


def _open_deviations(deviations: Iterable[Deviation]) -> Iterable[Reason]:
    for deviation in deviations:
        if deviation.open:
            yield Reason(
                ReasonCode.DEVIATION_OPEN,
                subject=str(deviation.deviation_id),
                lifted_by="quality assurance closes it",
            )


def _harvest(batch: FormulatedBatch, rules: ManufacturingRules) -> Iterable[Reason]:
    days: tuple[date, date] = (
        rules.clocks.local_day(batch.culture.started_at),
        rules.clocks.local_day(batch.harvested_at),
    )
    if not rules.harvest.contains(*days):
        yield Reason(ReasonCode.HARVEST_WINDOW, rule=rules.harvest.rule)


def _expiry(batch: FormulatedBatch, at: datetime | None) -> Iterable[Reason]:
    expires_at = batch.formulation.expires_at
    if at is not None and expires_at is not None and at >= expires_at:
        yield Reason(ReasonCode.EXPIRED, subject="batch")


_LIFTS: Final = {
    ReasonCode.TEST_FAILED: "a retest after a closed deviation",
    ReasonCode.TEST_PRELIMINARY: "the final result",
    ReasonCode.TEST_UNKNOWN: "a result that can be read, in the specified unit",
    ReasonCode.TEST_REVIEW: "a signer who accepts it by name",
    ReasonCode.TEST_MISSING: "the result",
}


def _test(requirement: Requirement, dossier: Dossier) -> Iterable[Reason]:
    code = _objection(requirement, dossier)
    if code is not None:
        yield Reason(code, requirement.rule, requirement.test, _LIFTS[code])


def _objection(requirement: Requirement, dossier: Dossier) -> ReasonCode | None:
    found = judged(requirement, dossier)
    if found is None:
        return ReasonCode.TEST_MISSING if requirement.before_release else None
    match found.verdict:
        case Verdict.PASS:
            return None
        case Verdict.FAIL:
            return ReasonCode.TEST_FAILED
        case Verdict.REVIEW:
            accepted = requirement.rule in dossier.reviews_accepted
            return None if accepted else ReasonCode.TEST_REVIEW
        case Verdict.UNKNOWN:
            return _doubt(requirement, found)


def _doubt(requirement: Requirement, found: Judgement) -> ReasonCode | None:
    if found.doubt is Doubt.PRELIMINARY:
        return ReasonCode.TEST_PRELIMINARY if requirement.before_release else None
    return ReasonCode.TEST_UNKNOWN


def _pending(requirements: Iterable[Requirement], dossier: Dossier) -> tuple[str, ...]:
    """The tests of which no final pass is on record; only those not needed before a release."""
    return tuple(
        r.test for r in requirements if not r.before_release and not _passed(judged(r, dossier))
    )


def _passed(found: Judgement | None) -> bool:
    return found is not None and found.verdict in {Verdict.PASS, Verdict.REVIEW}
