"""A stranger who writes nonsense onto a topic.

The one place where the demo writes to Kafka, and to no other end: services publish through their
outbox alone, so a malformed record has to come from outside. It names a known case in its key.
"""

from uuid import UUID

from aiokafka import AIOKafkaProducer

from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.vocabulary import Service

NONSENSE = b'{"this": "is no event of the catalogue"'


async def publish_nonsense(bootstrap: str, case_id: UUID) -> str:
    """Where the record stands: topic, partition and offset."""
    topic = TOPIC_OF[Service.INTAKE]
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, client_id="stranger")
    await producer.start()
    try:
        done = await producer.send_and_wait(topic, key=str(case_id).encode(), value=NONSENSE)
    finally:
        await producer.stop()
    return f"{done.topic}/{done.partition} at {done.offset}"
