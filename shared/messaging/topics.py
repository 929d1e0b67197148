"""The topics that an installation needs, from the event catalogue.

One admin step makes them (auto-creation is off). Retention is unlimited and nothing is ever
compacted: a consumer whose database is new or restored reads everything again.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from shared.contracts.catalogue import DEAD_LETTERS, HEARTBEATS, TOPIC_OF
from shared.messaging.partitioning import DEFAULT_PARTITIONS

FOR_EVER: Final = MappingProxyType(
    {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
)
ONE_DAY: Final = MappingProxyType({"cleanup.policy": "delete", "retention.ms": "86400000"})
#: a heartbeat names all partitions of its source in one record; order among sources is not needed
HEARTBEAT_PARTITIONS: Final = 1


def catalogue_topics(
    partitions: int = DEFAULT_PARTITIONS, *, prefix: str = ""
) -> Mapping[str, tuple[int, Mapping[str, str]]]:
    """For each topic its number of partitions and its settings, as Kafka names them.

    All topics keyed by case have the same number of partitions, so that a case is on the same
    partition of each.
    """
    keyed = {prefix + topic: (partitions, FOR_EVER) for topic in (*TOPIC_OF.values(), DEAD_LETTERS)}
    return {**keyed, prefix + HEARTBEATS: (HEARTBEAT_PARTITIONS, ONE_DAY)}
