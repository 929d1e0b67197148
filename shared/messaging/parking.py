"""Parking: a case whose event could not be processed waits, whole and in order; others go on.

One transaction writes the record, the mark on the case, the event `case-parked` and what the
service adds (intake: its hold). Invariant (I11): nothing is parked without an event and an alarm,
and a record is parked once per place in the log, however often it is read again.
"""

import json
from typing import Final, TypeVar
from uuid import UUID, uuid5

from shared.contracts.catalogue import DEAD_LETTERS, OWNER_OF, PARKED_BY, UNPARKED_BY
from shared.contracts.vocabulary import Service
from shared.messaging.incoming import AboutCase, Incoming, Keyless, Readable, is_safety
from shared.messaging.reactions import Reactions
from shared.messaging.unit_of_work import STATEMENTS, Work
from shared.messaging.wire import CONTENT_TYPE, SPEC_VERSION, record_to_json
from shared.persistence.database import Tx
from shared.ports import World

R = TypeVar("R")

BEHIND: Final = "behind"
DEAD_LETTER_TYPE: Final = "tandem.dead-letters.recorded.v1"
#: the key of a dead letter that no case can be named for
NO_CASE: Final = UUID(int=0)
ERROR_CHARACTERS_MAX: Final = 500


async def park(
    work: Work[R],
    reactions: Reactions[R],
    item: AboutCase,
    cause: str,
    error: str | None,
    safe_half_done: bool,
) -> bool:
    """Whether this record was parked now: False when its place in the log was known already."""
    consumer = reactions.consumer
    if not await _add(work.tx, consumer, item, cause, error, safe_half_done):
        return False
    fresh = await work.tx.run(STATEMENTS["park_case"], consumer.value, item.case_id, cause)
    await _publish_dead_letter(work, consumer, item, cause, error)
    if fresh:
        _tell_parked(work, consumer, item)
        if reactions.on_parked is not None:
            await reactions.on_parked(work, item.case_id)
    return True


async def queue_behind(
    work: Work[R], consumer: Service, item: AboutCase, safe_half_done: bool
) -> None:
    """Keeps a later record of a parked case, in its order."""
    await _add(work.tx, consumer, item, BEHIND, None, safe_half_done)


async def bury(tx: Tx, world: World, consumer: Service, item: Incoming, error: str) -> bool:
    """Whether the record was put with the dead letters now.

    For a record without a usable key, or a mark outside the sequence, which is never held back.
    """
    record = item.record
    row = await tx.row(
        STATEMENTS["add_dead_letter"], consumer.value, *record.where, record_to_json(record),
        error[:ERROR_CHARACTERS_MAX],
    )  # fmt: skip
    if row is None:
        return False
    key = NO_CASE if isinstance(item, Keyless) else item.case_id
    cause = "keyless" if isinstance(item, Keyless) else "handler-failed"
    await _emit_dead_letter(tx, world, consumer, item, key, cause, error)
    return True


def tell_unparked(work: Work[R], consumer: Service, case_id: UUID) -> None:
    """Emits `case-unparked`, where the consumer has a topic of its own."""
    model = UNPARKED_BY.get(consumer)
    if model is not None:
        work.emit(model(case_id=case_id, consumer=consumer))


def _tell_parked(work: Work[R], consumer: Service, item: AboutCase) -> None:
    model = PARKED_BY.get(consumer)
    if model is None:
        return
    source = item.place.source if item.place else OWNER_OF[item.record.topic]
    sequence = item.place.sequence if item.place else None
    work.emit(
        model(
            case_id=item.case_id, consumer=consumer, parked_source=source, parked_sequence=sequence
        ),
        kind="parked",
    )


async def _add(
    tx: Tx,
    consumer: Service,
    item: AboutCase,
    cause: str,
    error: str | None,
    safe_half_done: bool,
) -> bool:
    place = item.place
    row = await tx.row(
        STATEMENTS["add_parked_record"],
        consumer.value,
        item.case_id,
        *item.record.where,
        item.envelope.id if isinstance(item, Readable) else None,
        item.record.header("ce_type"),
        place.source.value if place else None,
        place.epoch if place else None,
        place.sequence if place else None,
        is_safety(item),
        record_to_json(item.record),
        cause,
        error[:ERROR_CHARACTERS_MAX] if error else None,
        safe_half_done,
    )
    return row is not None


async def _publish_dead_letter(
    work: Work[R], consumer: Service, item: AboutCase, cause: str, error: str | None
) -> None:
    await _emit_dead_letter(work.tx, work.world, consumer, item, item.case_id, cause, error)


async def _emit_dead_letter(
    tx: Tx,
    world: World,
    consumer: Service,
    item: Incoming,
    key: UUID,
    cause: str,
    error: str | None,
) -> None:
    letter_id = uuid5(key, "dead-letter:{}:{}:{}:{}".format(consumer.value, *item.record.where))
    headers = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": str(letter_id),
        "ce_source": f"/tandem/{consumer.value}",
        "ce_type": DEAD_LETTER_TYPE,
        "ce_time": world.clock.now().isoformat().replace("+00:00", "Z"),
        "ce_tandemsafety": "0",
        "content-type": CONTENT_TYPE,
    }
    body = {"consumer": consumer.value, "cause": cause, "record": record_to_json(item.record)}
    text = json.dumps({**body, "error": error}, separators=(",", ":"))
    await tx.run(
        STATEMENTS["emit_dead_letter"], letter_id, DEAD_LETTERS, key, headers, text.encode()
    )
