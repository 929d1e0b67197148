"""What is read of a batch: its standing, its dossier, its genealogy."""

from collections.abc import Sequence
from uuid import UUID

from services.manufacturing.application.dossier_ports import Issue, ResultRow
from services.manufacturing.application.row_ports import NotFoundError, Rows
from services.manufacturing.domain.batch import (
    Batch,
    ConditionallyReleasedBatch,
    FormulatedBatch,
    ReleasedBatch,
)
from services.manufacturing.domain.dose import Dose
from services.manufacturing.domain.labels import label_of
from services.manufacturing.domain.refusal import Reason
from services.manufacturing.domain.release import Blocked, Dossier, assess
from services.manufacturing.domain.rules import ManufacturingRules
from services.manufacturing.domain.specification import Quantity, Reading, Unparsable, Word
from services.manufacturing.entrypoints.answers import batch_json, collection_json, dose_json
from shared.messaging.unit_of_work import Work
from shared.web.etags import etag
from shared.web.idempotency import Answer
from shared.web.pages import PageRequest, page_of


async def batch_page(work: Work[Rows], page: PageRequest, case_id: UUID | None) -> Answer:
    """A page of batches."""
    after = UUID(page.after[0]) if page.after else None
    rows = await work.rows.batches.page(case_id, after, page.limit + 1)
    return Answer(200, page_of(rows, page, item=batch_json, key=lambda b: (b.origin.batch_id,)))


async def batch_shown(work: Work[Rows], batch_id: UUID) -> Answer:
    """A batch with its doses and, as ETag, the versions of it and of its evidence."""
    batch = await _found(work, batch_id)
    doses = await work.rows.doses.of_batch(batch_id)
    question = await work.rows.batches.open_question(batch_id)
    versions = await work.rows.batches.versions(batch_id)
    asked = None
    if question is not None:
        asked = {"question_id": question.question_id, "expires_at": question.expires_at,
                 "feasible_from": question.feasible_from}  # fmt: skip
    body = {
        **batch_json(batch),
        "doses": [dose_json(dose, batch) for dose in doses],
        "expiry_question": asked,
    }
    return Answer(200, body, {"ETag": etag(*versions)})


async def dossier_shown(work: Work[Rows], rules: ManufacturingRules, batch_id: UUID) -> Answer:
    """The evidence, and everything that stands against a release now."""
    batch = await _found(work, batch_id)
    dossier = await work.rows.batches.dossier(batch_id)
    measures = await work.rows.batches.measures(batch_id)
    results = await work.rows.batches.results(batch_id)
    deviations = await work.rows.batches.deviations(batch_id)
    signatures = await work.rows.batches.signatures(batch_id)
    versions = await work.rows.batches.versions(batch_id)
    body = {
        "protocol_version": rules.protocol_version,
        "evidence_version": versions[1],
        "against_release": [_reason(r) for r in _against(work, rules, batch, dossier)],
        "steps": [
            {"step": s.step, "performed_at": s.performed_at, "performed_by": s.performed_by}
            for s in dossier.steps
        ],
        "measures": [
            {"metric": m.metric, **_stated(m.reading), "measured_at": m.measured_at}
            for m in measures
        ],
        "results": [_result(row) for row in results],
        "deviations": [
            {"deviation_id": d.deviation_id, "kind": d.kind, "open": d.closed_at is None,
             "opened_at": d.opened_at, "opened_by": d.opened_by, "closed_by": d.closed_by,
             "conclusion": d.conclusion}
            for d in deviations
        ],
        "signatures": [
            {"subject": s.subject, "name": s.name, "meaning": s.meaning, "signed_at": s.signed_at,
             "valid": s.evidence_version == versions[1]}
            for s in signatures
        ],
    }  # fmt: skip
    return Answer(200, body, {"ETag": etag(*versions)})


async def genealogy_shown(work: Work[Rows], batch_id: UUID) -> Answer:
    """From the collection to the infusions: one line per container, each with its custody."""
    batch = await _found(work, batch_id)
    origin = batch.origin
    collection = await work.rows.collections.find(origin.collection_id)
    material = await work.rows.containers.of_collection(origin.collection_id)
    certificate = None
    if isinstance(batch, ReleasedBatch | ConditionallyReleasedBatch):
        certificate = await work.rows.batches.certificate(batch.certificate_id)
    issues = await work.rows.batches.issues(batch_id)
    doses = [
        await _dose_line(work, dose, issues) for dose in await work.rows.doses.of_batch(batch_id)
    ]
    body = {
        "case_id": origin.case_id,
        "collection": None if collection is None else collection_json(collection),
        "material": None if material is None else {
            "container_id": material.container_id,
            "label": material.label,
            "custody": await _custody(work, material.container_id),
        },
        "batch": batch_json(batch),
        "certificate": None if certificate is None else {
            "certificate_id": certificate.certificate_id,
            "signed_by": [certificate.first_signer, certificate.second_signer],
            "conditional": certificate.conditional,
            "released_at": certificate.released_at,
        },
        "doses": doses,
    }  # fmt: skip
    return Answer(200, body)


async def _dose_line(work: Work[Rows], dose: Dose, issues: Sequence[Issue]) -> dict[str, object]:
    listed = [i for i in issues if i.dose_id == dose.bag.dose_id]
    return {
        **dose_json(dose),
        "label": label_of(dose.bag.container_id),
        "custody": await _custody(work, dose.bag.container_id),
        "issues": [
            {"infusion_id": i.infusion_id, "attempt": i.attempt, "issued_at": i.issued_at}
            for i in listed
        ],
    }


async def _custody(work: Work[Rows], container_id: UUID) -> list[dict[str, object]]:
    return [
        {"giver": h.giver, "receiver": h.receiver, "place": h.place, "condition": h.condition,
         "handed_over_at": h.handed_over_at}
        for h in await work.rows.containers.handovers(container_id)
    ]  # fmt: skip


def _against(
    work: Work[Rows], rules: ManufacturingRules, batch: Batch, dossier: Dossier
) -> tuple[Reason, ...]:
    if not isinstance(batch, FormulatedBatch):
        return ()
    found = assess(batch, dossier, rules, at=work.world.clock.now())
    return found.reasons if isinstance(found, Blocked) else ()


def _reason(reason: Reason) -> dict[str, object]:
    return {"code": reason.code, "rule": reason.rule, "subject": reason.subject,
            "lifted_by": reason.lifted_by}  # fmt: skip


def _result(row: ResultRow) -> dict[str, object]:
    result = row.result
    return {
        "result_id": result.result_id,
        "rule": row.rule,
        "test": result.test,
        **_stated(result.reading),
        "status": result.status,
        "verdict": row.judgement.verdict,
        "doubt": row.judgement.doubt,
        "reported_at": result.reported_at,
        "recorded_by": row.recorded_by,
        "retest_of": result.retest_of,
        "deviation_id": result.deviation_id,
    }


def _stated(reading: Reading) -> dict[str, object]:
    match reading:
        case Quantity(value, unit):
            return {"value": str(value), "unit": unit}
        case Word(text):
            return {"value": text, "unit": None}
        case Unparsable(text, unit):
            return {"value": text, "unit": unit}


async def _found(work: Work[Rows], batch_id: UUID) -> Batch:
    batch = await work.rows.batches.find(batch_id)
    if batch is None:
        raise NotFoundError("batch")
    return batch
