"""How far each service has read each partition, as Kafka's own tools would show it.

Only for the display of lag: no service goes on from these offsets, each keeps its own.
"""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.contracts.catalogue import OWNER_OF
from shared.messaging.bus import BusUnavailableError, Partition
from shared.messaging.kafka import KafkaSettings

REQUEST_TIMEOUT_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Positions:
    """The end of each partition, and per group the next offset that it reads."""

    ends: Mapping[Partition, int]
    groups: Mapping[str, Mapping[Partition, int]]


class KafkaGroups:
    """Asks Kafka anew each time; the page of lag is looked at seldom."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def positions(self, groups: Sequence[str]) -> Positions:
        """Where the groups stand. Raises `BusUnavailableError`."""
        connection = {
            "request_timeout_ms": REQUEST_TIMEOUT_MS,
            **self._settings.connection(),
        }
        admin = AIOKafkaAdminClient(**connection)
        consumer = AIOKafkaConsumer(enable_auto_commit=False, **connection)
        try:
            await admin.start()
            await consumer.start()
            found = {group: await self._group(admin, group) for group in groups}
            return Positions(await self._ends(consumer), found)
        except (KafkaError, OSError) as error:
            raise BusUnavailableError(type(error).__name__) from error
        finally:
            with suppress(KafkaError, OSError):
                await consumer.stop()
            with suppress(KafkaError, OSError):
                await admin.close()

    async def _group(self, admin: AIOKafkaAdminClient, group: str) -> Mapping[Partition, int]:
        offsets = await admin.list_consumer_group_offsets(self._settings.prefix + group)
        return {self._place(where): meta.offset for where, meta in offsets.items()}

    async def _ends(self, consumer: AIOKafkaConsumer) -> Mapping[Partition, int]:
        wanted: list[TopicPartition] = []
        for topic in OWNER_OF:
            name = self._settings.prefix + topic
            numbers = await consumer._client._wait_on_metadata(name)
            wanted += [TopicPartition(name, number) for number in numbers]
        ends = await consumer.end_offsets(wanted)
        return {self._place(where): offset for where, offset in ends.items()}

    def _place(self, where: TopicPartition) -> Partition:
        return Partition(where.topic.removeprefix(self._settings.prefix), where.partition)
