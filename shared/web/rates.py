"""Limits on how often one caller may call: a token bucket per caller and kind.

Holds have their own bucket, well above 10 a second, so that nothing else a person does can delay
one; stop orders are never limited.
"""

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, assert_never

from shared.ports import Clock
from shared.web.problems import Problem
from shared.web.security import Rate


@dataclass(frozen=True, slots=True)
class Bucket:
    """How fast tokens come back and how many may be saved up."""

    per_second: float
    burst: float


NORMAL: Final = Bucket(per_second=50, burst=100)
#: security checklist RATE1: hold creation is never limited below 10 a second
HOLD: Final = Bucket(per_second=20, burst=60)
#: refused tokens from one address, so that guessing is slow; a valid token is never refused for it
FAILED: Final = Bucket(per_second=5, burst=50)
#: the least recently seen caller is forgotten first, so that memory is bounded
CALLERS_MAX: Final = 10_000


class Rates(Protocol):
    """Counts calls."""

    def count(self, subject: str, rate: Rate) -> None:
        """Returns when the call is within the limit, else raises `Problem` 429."""
        ...


class TokenBuckets:
    """The limits of one process, on the machine's clock."""

    def __init__(self, clock: Clock, *, normal: Bucket = NORMAL, hold: Bucket = HOLD) -> None:
        self._clock = clock
        self._normal = normal
        self._hold = hold
        self._left: OrderedDict[tuple[str, str], tuple[float, datetime]] = OrderedDict()

    def count(self, subject: str, rate: Rate) -> None:
        """Returns when the call is within the limit, else raises `Problem` 429."""
        match rate:
            case Rate.UNLIMITED:
                return
            case Rate.HOLD:
                self._take(subject, rate.value, self._hold)
            case Rate.NORMAL:
                self._take(subject, rate.value, self._normal)
            case _:
                assert_never(rate)

    def count_failure(self, address: str) -> None:
        """Counts a refused token from an address. Raises `Problem` 429 when there are too many."""
        self._take(address, "failed", FAILED)

    def _take(self, subject: str, kind: str, bucket: Bucket) -> None:
        now = self._clock.now()
        left, seen = self._left.pop((subject, kind), (bucket.burst, now))
        gained = max((now - seen).total_seconds(), 0.0) * bucket.per_second
        left = min(left + gained, bucket.burst)
        enough = left >= 1
        self._left[(subject, kind)] = (left - 1 if enough else left, now)
        if len(self._left) > CALLERS_MAX:
            self._left.popitem(last=False)
        if not enough:
            raise Problem(
                429,
                "too-many-requests",
                "You are calling faster than this service allows.",
                headers={"Retry-After": "1"},
            )
