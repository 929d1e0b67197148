"""Kafka's admin side: whether a broker answers, and the one way in which topics are made.

Invariant: after `create_topics` every named topic exists with exactly the asked number of
partitions, and each partition has a leader. A topic with another number is refused: events of one
case would no longer meet on one partition.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from shared.runtime.programs import listening, wait_until

TopicSpecs = Mapping[str, tuple[int, Mapping[str, str]]]
"""For each topic its number of partitions and its settings, as Kafka names them."""

REQUEST_TIMEOUT_MS = 10_000
# A broker that is starting answers nothing; the next try comes soon.
PROBE_TIMEOUT_MS = 1_000
LEADERS_WITHIN_SECONDS = 20.0

_OK = 0
_TOPIC_ALREADY_EXISTS = 36


class TopicRefused(RuntimeError):
    """A topic could not be made, or is there with another number of partitions."""


@dataclass(frozen=True, slots=True)
class _Topic:
    """What the broker knows of a topic: how many partitions, and how many have a leader."""

    partitions: int
    led: int


async def broker_answers(bootstrap: str) -> bool:
    """True if a broker answers requests for metadata at the address."""
    host, _, port = bootstrap.split(",", maxsplit=1)[0].rpartition(":")
    if not await listening(host, int(port)):
        return False  # The client would write an error to the log for each try.
    try:
        async with _admin(bootstrap, PROBE_TIMEOUT_MS) as admin:
            cluster = await admin.describe_cluster()
    except (KafkaError, OSError):
        return False
    return bool(cluster["brokers"])


async def create_topics(bootstrap: str, topics: TopicSpecs, *, replication: int = 1) -> None:
    """Makes the topics that are missing, and waits until all of them can be written to."""
    async with _admin(bootstrap, REQUEST_TIMEOUT_MS) as admin:
        wanted = [
            NewTopic(name, partitions, replication, topic_configs=dict(config))
            for name, (partitions, config) in topics.items()
        ]
        response = await admin.create_topics(wanted)
        for name, code, message in response.topic_errors:
            if code not in (_OK, _TOPIC_ALREADY_EXISTS):
                raise TopicRefused(f"topic {name}: {message or f'Kafka error {code}'}")
        await wait_until(
            lambda: _all_led(admin, topics),
            f"a leader for every partition of {', '.join(topics)}",
            within_seconds=LEADERS_WITHIN_SECONDS,
        )


async def _all_led(admin: AIOKafkaAdminClient, topics: TopicSpecs) -> bool:
    found = await _describe(admin, list(topics))
    for name, (partitions, _) in topics.items():
        topic = found.get(name)
        if topic is None:
            return False
        if topic.partitions != partitions:
            raise TopicRefused(
                f"topic {name} has {topic.partitions} partitions where {partitions} are asked for; "
                "the number is chosen once, at installation"
            )
    return all(found[name].led == found[name].partitions for name in topics)


async def _describe(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, _Topic]:
    answers: list[dict[str, Any]] = await admin.describe_topics(names)
    return {
        answer["topic"]: _Topic(
            partitions=len(answer["partitions"]),
            led=sum(1 for p in answer["partitions"] if p["leader"] >= 0),
        )
        for answer in answers
        if answer["error_code"] == _OK
    }


@asynccontextmanager
async def _admin(bootstrap: str, timeout_ms: int) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=timeout_ms)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()
