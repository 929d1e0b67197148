"""What a bundle brings, as the use cases see it; the reader stands behind `ReadBundle`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from services.intake.application.open_case import Referral


@dataclass(frozen=True, slots=True)
class BundleProblem:
    """Why the bundle is refused as a whole. `entries` count from 0; `pointer` is a JSON pointer."""

    code: str
    message: str
    pointer: str
    entries: tuple[int, ...]
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IncomingBundle:
    """A bundle that was read. With problems, nothing of it may be recorded and `referral` is None.

    `report` has one line per entry; `counts` adds up to the number of entries.
    """

    referral: Referral | None
    statements: Sequence[Mapping[str, Any]]
    report: Sequence[Mapping[str, Any]]
    counts: Mapping[str, int]
    problems: Sequence[BundleProblem] = ()


class ReadBundle(Protocol):
    """Reads a bundle's bytes."""

    def __call__(
        self, raw: bytes, received_at: datetime, known_on: date | None = None
    ) -> IncomingBundle:
        """What the bundle brings; never raises for bad input.

        `known_on`: a day on which the sender still said it, where the bundle does not tell.
        """
        ...
