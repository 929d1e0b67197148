"""Records that no service wrote: what stands on a topic because somebody else put it there.

Services publish through their outbox alone, so nonsense and lost events have to come from outside.
An event is the committed example of its type, told of the case that the record is about.
"""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from aiokafka import AIOKafkaProducer

from shared.contracts.catalogue import EVENTS, TOPIC_OF
from shared.contracts.event import Event, read_event
from shared.contracts.example_events import example_file
from shared.contracts.vocabulary import Service
from shared.messaging.partitioning import partition_of
from shared.messaging.topics import catalogue_topics
from shared.messaging.wire import event_headers, event_payload
from shared.web.examples import Planted
from tests.system.deployment import Deployment

NONSENSE = b"{"


async def plant(deployment: Deployment, planted: Planted, case_id: UUID) -> None:
    """Writes the records about this case; returns when they stand.

    They go as one batch, so that a consumer meets all of them with nothing in between.
    """
    topic = TOPIC_OF[Service(planted.source)]
    partitions, _ = catalogue_topics()[topic]
    bootstrap = deployment.env[Service.INTAKE]["TANDEM_KAFKA_BOOTSTRAP"]
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await producer.start()
    try:
        batch = producer.create_batch()
        key = str(case_id).encode()
        batch.append(timestamp=None, key=key, value=NONSENSE)
        for wire_type, sequence in planted.events:
            event = _example(wire_type, case_id)
            batch.append(
                timestamp=None, key=key, value=event_payload(event),
                headers=_headers(event, sequence),
            )  # fmt: skip
        place = partition_of(case_id, partitions)
        await (await producer.send_batch(batch, deployment.kafka_prefix + topic, partition=place))
    finally:
        await producer.stop()


def _example(wire_type: str, case_id: UUID) -> Event:
    text = example_file(wire_type)
    assert text is not None, f"no example of {wire_type}"
    found = read_event(EVENTS[wire_type], text.encode())
    return found.model_copy(update={"case_id": case_id})


def _headers(event: Event, sequence: int) -> list[tuple[str, bytes]]:
    headers = event_headers(
        event, event_id=uuid4(), time=datetime.now(UTC), correlation_id=uuid4(),
        causation_id=None, traceparent=None,
    )  # fmt: skip
    placed = {**headers, "ce_epoch": "0", "ce_sequence": str(sequence)}
    return [(name, value.encode()) for name, value in placed.items()]
