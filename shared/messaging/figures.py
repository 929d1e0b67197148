"""What operations look at, as plain counters; another module shows them to Prometheus.

Counters only rise and are counted after COMMIT; gauges are the last value seen.
"""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class RelayFigures:
    """The outbox of one service, seen by its active relay."""

    active: bool = False
    connected: bool = False
    sent: int = 0
    failed_sends: int = 0
    producers_replaced: int = 0
    unsent_rows: int = 0
    oldest_unsent_seconds: float = 0.0


@dataclass(slots=True)
class ConsumerFigures:
    """One consumer of one process.

    `counted` has: applied, duplicates, skipped (unknown ordinary types), early, deferred (case
    locked), parked, behind (waiting in a parked case), dead, retried, separated (partitions that
    could not share a transaction), isolated, held, moved.
    Gauges: lag per "topic/partition" in events, lag per source in seconds, parked cases.
    """

    counted: Counter[str] = field(default_factory=Counter)
    lag_events: dict[str, int] = field(default_factory=dict)
    lag_seconds: dict[str, float] = field(default_factory=dict)
    parked_cases: int = 0
    early_records: int = 0
    assigned: int = 0
    report_failures: int = 0

    @property
    def duplicates_dropped(self) -> int:
        """Events that came again and had no effect."""
        return self.counted["duplicates"]
