"""The facts of one case, resolved and indexed once (being filled in)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.protocol.facts import Fact
from shared.protocol.loader import Protocol


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of a case by `as_of`: current versions of its facts, by kind."""

    @classmethod
    def of(
        cls,
        protocol: Protocol,
        facts: Iterable[Fact],
        *,
        as_of: datetime | None = None,
        assume_other_evidence_current: bool = False,
    ) -> "Record":
        """Return the record; build it once when several gates or instants are asked."""
        raise NotImplementedError
