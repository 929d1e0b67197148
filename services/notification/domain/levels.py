"""How urgent an alert is: the rulebook's four levels, and the three indicators that people see.

The minutes within which somebody must acknowledge come from the rulebook's escalation levels;
this module only names the levels and orders them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from shared.contracts.notification import Urgency


class Level(StrEnum):
    """A level of the rulebook's escalation table, from information to emergency."""

    L1 = "L1"
    L2 = "L2"
    L3 = "L3"
    L4 = "L4"


URGENCY_OF: Final[Mapping[Level, Urgency]] = MappingProxyType(
    {Level.L1: "info", Level.L2: "warning", Level.L3: "critical", Level.L4: "critical"}
)


@dataclass(frozen=True, slots=True)
class AckTimes:
    """Within how long each level must be acknowledged. A level without an entry is never chased."""

    minutes: Mapping[Level, int]

    def due_at(self, level: Level, opened_at: datetime, *, step: int = 1) -> datetime | None:
        """When escalation step `step` (1 = the first) falls due, or None when nobody is chased."""
        minutes = self.minutes.get(level)
        return None if minutes is None else opened_at + timedelta(minutes=minutes * step)
