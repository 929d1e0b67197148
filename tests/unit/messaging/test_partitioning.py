"""The same case on the same partition for every client, for ever."""

from uuid import UUID, uuid4

import pytest
from aiokafka.partitioner import DefaultPartitioner, murmur2

from shared.contracts.catalogue import DEAD_LETTERS, HEARTBEATS, TOPIC_OF
from shared.messaging.partitioning import partition_of
from shared.messaging.topics import catalogue_topics


@pytest.mark.parametrize(
    ("key", "signed_hash"),
    [
        # test vectors of the Java client (org.apache.kafka.common.utils.UtilsTest)
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_the_java_client(key: bytes, signed_hash: int) -> None:
    assert murmur2(key) == signed_hash % 2**32


def test_a_case_is_where_the_client_would_put_it() -> None:
    for case in (uuid4() for _ in range(200)):
        chosen = DefaultPartitioner()(str(case).encode(), list(range(12)), list(range(12)))
        assert partition_of(case, 12) == chosen


def test_a_case_never_moves() -> None:
    assert partition_of(UUID(int=0), 12) == partition_of(UUID(int=0), 12)
    assert {partition_of(uuid4(), 12) for _ in range(2_000)} == set(range(12))


def test_every_topic_of_the_catalogue_is_made_and_keeps_its_records() -> None:
    topics = catalogue_topics(12)

    assert set(topics) == {*TOPIC_OF.values(), HEARTBEATS, DEAD_LETTERS}
    for name, (partitions, config) in topics.items():
        assert config["cleanup.policy"] == "delete"
        if name == HEARTBEATS:
            assert (partitions, config["retention.ms"]) == (1, "86400000")
        else:
            assert (partitions, config["retention.ms"], config["retention.bytes"]) == (
                12, "-1", "-1",
            )  # fmt: skip
