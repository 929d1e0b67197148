"""Turns under load are kept apart; the first after a pause is not kept waiting."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from shared.messaging.timing import Pace
from shared.ports import World


@dataclass
class Hands:
    """A clock that moves only while somebody sleeps, and remembers how long."""

    seconds: float = 100.0
    boot_id: str = "boot"
    slept: list[float] = field(default_factory=list)

    def now_ns(self) -> int:
        return round(self.seconds * 1e9)

    def now(self) -> datetime:
        return datetime.fromtimestamp(1_700_000_000 + self.seconds, UTC)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.seconds += seconds


def pace_of(hands: Hands) -> Pace:
    world = World(hands, hands, hands, None, None, hands, None)  # type: ignore[arg-type]
    return Pace(world, 0.004)


async def test_the_first_turn_begins_at_once() -> None:
    hands = Hands()

    await pace_of(hands).turn()

    assert hands.slept == []


async def test_a_turn_waits_for_what_is_left_since_the_last_one_began() -> None:
    hands = Hands()
    pace = pace_of(hands)

    await pace.turn()
    hands.seconds += 0.001
    await pace.turn()
    await pace.turn()

    assert hands.slept == [0.003, 0.004]


async def test_a_turn_after_a_pause_begins_at_once() -> None:
    hands = Hands()
    pace = pace_of(hands)

    await pace.turn()
    hands.seconds += 0.005
    await pace.turn()

    assert hands.slept == []
