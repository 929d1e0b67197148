"""Which partition a case is on: the same on every topic, for ever.

Kafka's own rule (murmur2 of the key), so that other clients that produce by key agree with us.
"""

from functools import lru_cache
from typing import Final
from uuid import UUID

from aiokafka.partitioner import murmur2

#: chosen once, at installation: a later change would put a case's events on two partitions
DEFAULT_PARTITIONS: Final = 12
_POSITIVE: Final = 0x7FFFFFFF


@lru_cache(maxsize=65_536)
def partition_of(case_id: UUID, partitions: int) -> int:
    """The number of the partition that holds everything about the case."""
    hashed: int = murmur2(str(case_id).encode())
    return (hashed & _POSITIVE) % partitions
