"""Two people release a batch, one after the other, over the same evidence.

A first signature is stored, the second releases. Invariants: whatever joins the dossier in between
voids the first; nobody signs a batch that they worked on (also refused by the database); the gate
`release` is open at the authority, and no hold known here covers it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from services.manufacturing.application.dossier_ports import Certificate
from services.manufacturing.application.lookup import locked_batch, wrong_state
from services.manufacturing.application.ports import AuthorityUnreachableError
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.domain.batch import (
    Batch,
    ConditionallyReleasedBatch,
    FormulatedBatch,
    ReleasedBatch,
)
from services.manufacturing.domain.dose import QuarantinedDose
from services.manufacturing.domain.refusal import Reason, ReasonCode, RefusedError
from services.manufacturing.domain.release import (
    Blocked,
    Dossier,
    Releasable,
    Signature,
    SignatureMeaning,
    assess,
    sign,
)
from shared.contracts.manufacturing import BatchReleased, BatchReleasedConditionally
from shared.contracts.vocabulary import Gate, Role
from shared.messaging.unit_of_work import Cause, Work


@dataclass(frozen=True, slots=True)
class SignRelease:
    """A signature: the signer saw the evidence at `evidence_version`.

    `reviews_accepted` names the rules whose review band the signer accepts.
    """

    batch_id: UUID
    name: str
    roles: frozenset[Role]
    meaning: SignatureMeaning
    evidence_version: int
    reviews_accepted: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class FirstSigned:
    """One valid signature; a second person must sign the same evidence."""

    signature: Signature


@dataclass(frozen=True, slots=True)
class Released:
    """The batch is released under this certificate; conditionally when tests are pending."""

    certificate_id: UUID
    pending: tuple[str, ...]


class EvidenceMovedError(Exception):
    """The signer saw an older state of the batch. `current` is (version, evidence version)."""

    def __init__(self, *current: int) -> None:
        super().__init__(current)
        self.current = current


async def shut_gate(shell: Shell, batch_id: UUID, cause: Cause) -> tuple[Reason, ...]:
    """Why the authority keeps the gate `release` shut, apart from the rules judged here.

    Asked before the signing transaction; an authority that does not answer is a reason.
    """
    async with shell.unit_of_work.begin(cause) as work:
        case_id = (await locked_batch(work, batch_id)).origin.case_id
    try:
        rules = await shell.authority.blocking_rules(case_id, Gate.RELEASE)
    except AuthorityUnreachableError:
        return (Reason(ReasonCode.AUTHORITY_UNREACHABLE, lifted_by="try again"),)
    return tuple(
        Reason(ReasonCode.GATE_SHUT, rule=rule)
        for rule in rules
        if rule not in shell.rules.judged_here
    )


async def sign_release(
    shell: Shell, work: Work[Rows], command: SignRelease, shut: tuple[Reason, ...]
) -> FirstSigned | Released:
    """What the signature led to.

    Raises `RefusedError` with all reasons, and `EvidenceMovedError` for a signature over evidence
    that is no longer all.
    """
    batch = await locked_batch(work, command.batch_id)
    product = _product(batch)
    version, evidence_version = await work.rows.batches.versions(command.batch_id)
    if evidence_version != command.evidence_version:
        raise EvidenceMovedError(version, evidence_version)
    dossier = await work.rows.batches.dossier(command.batch_id)
    at = work.world.clock.now() if product is batch else None
    found = _assessed(shell, product, dossier, command, at=at)
    signature = _signature(work, command)
    earlier = await work.rows.batches.signatures(command.batch_id)
    signed = sign(earlier, signature, dossier.operators)
    against = [*shut, *await _against(shell, work, batch), *_nothing_new(batch, found)]
    if against or isinstance(found, Blocked) or isinstance(signed, Blocked):
        raise RefusedError(*against, *_reasons(found), *_reasons(signed))
    await work.rows.batches.add_signature(command.batch_id, signature, command.reviews_accepted)
    work.note("release-signed", batch.origin.case_id, batch_id=str(command.batch_id),
              meaning=command.meaning.value)  # fmt: skip
    if len(signed) == 1:
        return FirstSigned(signature)
    return await _release(shell, work, batch, signed, found)


async def note_refusal(
    shell: Shell, batch_id: UUID, reasons: tuple[Reason, ...], cause: Cause
) -> None:
    """The refused release stays on the audit, in a transaction of its own."""
    async with shell.unit_of_work.begin(cause) as work:
        batch = await locked_batch(work, batch_id)
        codes = " ".join(sorted({reason.code.value for reason in reasons}))
        work.note("release-refused", batch.origin.case_id, batch_id=str(batch_id), codes=codes)


def _reasons(found: object) -> tuple[Reason, ...]:
    return found.reasons if isinstance(found, Blocked) else ()


def _product(batch: Batch) -> FormulatedBatch:
    match batch:
        case FormulatedBatch():
            return batch
        case ConditionallyReleasedBatch():
            return batch.product
        case _:
            raise wrong_state(batch)


async def _against(shell: Shell, work: Work[Rows], batch: Batch) -> list[Reason]:
    origin = batch.origin
    holds = await shell.permits.open_holds(work, origin.case_id, Gate.RELEASE, None)
    reasons = [Reason(ReasonCode.HOLD_OPEN, subject=str(hold_id)) for hold_id in holds]
    if await work.rows.holds.recall_of(origin.batch_id) is not None:
        reasons.append(Reason(ReasonCode.RECALLED))
    return reasons


def _assessed(
    shell: Shell,
    product: FormulatedBatch,
    dossier: Dossier,
    command: SignRelease,
    *,
    at: datetime | None,
) -> Releasable | Blocked:
    accepted = replace(dossier, reviews_accepted=command.reviews_accepted)
    return assess(product, accepted, shell.rules, at=at)


def _nothing_new(batch: Batch, found: Releasable | Blocked) -> list[Reason]:
    """A conditional release can only be followed by a final one."""
    if not isinstance(batch, ConditionallyReleasedBatch) or isinstance(found, Blocked):
        return []
    return [
        Reason(ReasonCode.TEST_MISSING, subject=test, lifted_by="the result")
        for test in found.pending
    ]


def _signature(work: Work[Rows], command: SignRelease) -> Signature:
    return Signature(
        subject=work.cause.actor,
        name=command.name,
        roles=command.roles,
        meaning=command.meaning,
        signed_at=work.world.clock.now(),
        evidence_version=command.evidence_version,
    )


async def _release(
    shell: Shell,
    work: Work[Rows],
    batch: Batch,
    signed: tuple[Signature, ...],
    found: Releasable,
) -> Released:
    now, certificate_id = work.world.clock.now(), work.world.ids.new()
    batch_id = batch.origin.batch_id
    await work.rows.batches.add_certificate(
        Certificate(
            certificate_id=certificate_id,
            batch_id=batch_id,
            evidence_version=signed[-1].evidence_version,
            first_signer=signed[-2].subject,
            second_signer=signed[-1].subject,
            conditional=bool(found.pending),
            protocol_version=shell.rules.protocol_version,
            released_at=now,
        )
    )
    released = _released(batch, certificate_id, now=now, pending=found.pending)
    await work.rows.batches.save(released)
    dose_ids = []
    for dose in await work.rows.doses.of_batch(batch_id):
        if isinstance(dose, QuarantinedDose):
            await work.rows.doses.save(dose.release())
        dose_ids.append(dose.bag.dose_id)
    _tell(work, released, tuple(dose_ids))
    return Released(certificate_id, found.pending)


def _released(
    batch: Batch, certificate_id: UUID, *, now: datetime, pending: tuple[str, ...]
) -> ReleasedBatch | ConditionallyReleasedBatch:
    match batch:
        case ConditionallyReleasedBatch():
            return batch.release(certificate_id, now)
        case FormulatedBatch() if pending:
            return batch.release_conditionally(certificate_id, now, pending)
        case FormulatedBatch():
            return batch.release(certificate_id, now)
        case _:
            raise wrong_state(batch)


def _tell(
    work: Work[Rows], batch: ReleasedBatch | ConditionallyReleasedBatch, doses: tuple[UUID, ...]
) -> None:
    made = batch.product.formulation
    assert made.expires_at is not None  # noqa: S101 - `assess` refuses a batch without expiry
    common = {
        "case_id": batch.origin.case_id,
        "batch_id": batch.origin.batch_id,
        "certificate_id": batch.certificate_id,
        "dose_ids": doses,
        "form": made.form.value,
        "formulated_at": made.formulated_at,
        "expires_at": made.expires_at,
    }
    if isinstance(batch, ConditionallyReleasedBatch):
        work.emit(BatchReleasedConditionally.model_validate({**common, "pending": batch.pending}))
    else:
        work.emit(BatchReleased.model_validate(common))
    conditional = isinstance(batch, ConditionallyReleasedBatch)
    work.note("batch-released", batch.origin.case_id, batch_id=str(batch.origin.batch_id),
              certificate_id=str(batch.certificate_id), conditional=conditional)  # fmt: skip
