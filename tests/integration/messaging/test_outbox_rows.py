"""The outbox rows of one work: sequences without a gap, per case, in the order of emission."""

from uuid import UUID, uuid4

import pytest

from shared.contracts.coordination import CoordinationCaseParked
from shared.contracts.vocabulary import Service
from shared.messaging.batch import Batch
from shared.messaging.reactions import Reactions, lock_case_rows
from shared.messaging.unit_of_work import Cause
from tests.integration.messaging.rig import Rig, consent

pytestmark = pytest.mark.integration

ROWS = """SELECT case_id, headers->>'ce_epoch' AS epoch, headers->>'ce_sequence' AS sequence,
                 event_id FROM outbox ORDER BY id"""


def parked(case_id: UUID) -> CoordinationCaseParked:
    return CoordinationCaseParked(
        case_id=case_id, consumer=Service.INTAKE, parked_source=Service.MANUFACTURING,
        parked_sequence=1,
    )  # fmt: skip


async def test_one_work_numbers_each_case_for_itself_and_keeps_the_order(rig: Rig) -> None:
    first, second = uuid4(), uuid4()
    await rig.emit(first, 2)
    async with rig.intake.unit_of_work(Service.INTAKE).begin(Cause("test", uuid4())) as work:
        await lock_case_rows(work.tx, [first, second])
        ids = [
            work.emit(consent(second)), work.emit(consent(first)), work.emit(parked(first)),
            work.emit(consent(first)), work.emit(consent(second)),
        ]  # fmt: skip

    rows = (await rig.intake.fetch(ROWS))[2:]

    assert [row["event_id"] for row in rows] == ids
    assert [(row["case_id"], row["sequence"]) for row in rows] == [
        (second, "1"), (first, "3"), (first, None), (first, "4"), (second, "2")
    ]  # fmt: skip


async def test_a_new_epoch_begins_at_one_and_a_mark_outside_the_sequence_moves_nothing(
    rig: Rig,
) -> None:
    case = uuid4()
    await rig.emit(case, 3)
    await rig.intake.run("UPDATE stream_epoch SET epoch = epoch + 1")
    unit = rig.intake.unit_of_work(Service.INTAKE)
    async with unit.begin(Cause("test", uuid4())) as work:
        work.emit(parked(case))
    async with unit.begin(Cause("test", uuid4())) as work:
        work.emit(consent(case))
        work.emit(consent(case))

    rows = await rig.intake.fetch(ROWS)

    old = rows[0]["epoch"]
    assert [(row["epoch"] == old, row["sequence"]) for row in rows] == [
        (True, "1"), (True, "2"), (True, "3"), (True, None), (False, "1"), (False, "2")
    ]  # fmt: skip


async def test_what_is_emitted_after_a_batch_was_closed_is_refused(rig: Rig) -> None:
    unit = rig.intake.unit_of_work(Service.INTAKE)
    none = Reactions(Service.INTAKE, frozenset(), {})
    async with unit.database.transaction() as tx:
        batch = Batch(none, unit, tx)
        await batch.close()
        work = unit.join(tx, Cause("test", uuid4()))
        work.emit(consent(uuid4()))

        with pytest.raises(RuntimeError, match="would be lost"):
            await batch.flush(work)
