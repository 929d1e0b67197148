"""Things by id, with their case locked: the id names the case, the lock comes before the reading.

What is read before the lock is only the case, which never changes.
"""

from uuid import UUID

from services.manufacturing.application.row_ports import KnownCase, NotFoundError, Rows
from services.manufacturing.domain.batch import Batch
from services.manufacturing.domain.collection import Collection
from services.manufacturing.domain.dose import Dose
from services.manufacturing.domain.labels import Container
from services.manufacturing.domain.refusal import Reason, ReasonCode, RefusedError
from shared.messaging.unit_of_work import Work


async def locked_case(work: Work[Rows], case_id: UUID) -> KnownCase:
    """The case, locked. Raises `NotFoundError`."""
    known = await work.rows.cases.find(case_id)
    if known is None:
        raise NotFoundError("case")
    await work.rows.cases.lock(case_id)
    return await work.rows.cases.find(case_id) or known


async def locked_collection(work: Work[Rows], collection_id: UUID) -> Collection:
    """The collection, its case locked. Raises `NotFoundError`."""
    seen = await work.rows.collections.find(collection_id)
    if seen is None:
        raise NotFoundError("collection")
    await work.rows.cases.lock(seen.booking.case_id)
    return await work.rows.collections.find(collection_id) or seen


async def locked_batch(work: Work[Rows], batch_id: UUID) -> Batch:
    """The batch, its case locked. Raises `NotFoundError`."""
    seen = await work.rows.batches.find(batch_id)
    if seen is None:
        raise NotFoundError("batch")
    await work.rows.cases.lock(seen.origin.case_id)
    return await work.rows.batches.find(batch_id) or seen


async def locked_dose(work: Work[Rows], dose_id: UUID) -> Dose:
    """The dose, its case locked. Raises `NotFoundError`."""
    seen = await work.rows.doses.find(dose_id)
    if seen is None:
        raise NotFoundError("dose")
    await work.rows.cases.lock(seen.bag.case_id)
    return await work.rows.doses.find(dose_id) or seen


async def material_of(work: Work[Rows], collection_id: UUID) -> Container:
    """The labelled container of a collection. Raises `RefusedError` when there is no label yet."""
    found = await work.rows.containers.of_collection(collection_id)
    if found is None:
        raise RefusedError.because(ReasonCode.LABEL_MISSING, lifted_by="label the container")
    return found


def wrong_state(thing: object) -> RefusedError:
    """The refusal of an operation that does not exist in the thing's state."""
    return RefusedError(Reason(ReasonCode.WRONG_STATE, subject=type(thing).__name__))
