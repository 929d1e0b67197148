"""What the test itself remembers of a run, and the invariants I1-I5 and I8 over it.

It knows of the product only what was answered and which rows are committed.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from services.intake.domain.holds import HoldOrder
from shared.permits.ask import Press
from shared.permits.clearance import ClearanceVersion

EFFECTIVE_WITHIN: Final = timedelta(seconds=20)


@dataclass
class Known:
    """A hold as the test remembers it: versions, and whether it ever was effective."""

    order: HoldOrder
    clearance: ClearanceVersion
    is_open: bool = True
    is_effective: bool = False
    was_effective: bool = False

    def covers(self, press: Press) -> bool:
        """Whether the press is in its scope."""
        return self.order.scope.covers(press.gate, press.dose_id)


@dataclass
class Facts:
    """One run. Each method raises AssertionError with the name of the invariant it found broken."""

    saw: Callable[[str], None]
    holds: dict[UUID, Known] = field(default_factory=dict)
    versions: list[ClearanceVersion] = field(default_factory=list)
    under_effective: dict[UUID, bool] = field(default_factory=dict)
    recovered_at: datetime | None = None

    @property
    def open_holds(self) -> list[Known]:
        """Those that nobody has released, oldest first."""
        return [known for known in self.holds.values() if known.is_open]

    def placed(self, order: HoldOrder, clearance: ClearanceVersion) -> None:
        """A hold was answered."""
        assert all(v < clearance for v in self.versions), "I5: versions must rise"
        self.versions.append(clearance)
        self.holds[order.hold_id] = Known(order, clearance)

    def granted(self, press: Press, open_before: Iterable[Known]) -> None:
        """A permit was granted."""
        self.saw("granted")
        scope = [known for known in open_before if known.covers(press)]
        assert not scope, f"I1: granted under open holds {scope}"

    def is_under_effective(self, press: Press) -> bool:
        """Whether a hold in scope is effective, as of the last look."""
        return any(known.is_effective and known.covers(press) for known in self.holds.values())

    def committed(self, press: Press, row: Any, *, was_effective: bool, now_ns: int) -> None:
        """A start or its `go_at` was committed; `was_effective` says what was so before."""
        before = self.under_effective.get(press.permit_id, False)
        self.under_effective[press.permit_id] = before or was_effective
        granted = ClearanceVersion(row["granted_epoch"], row["granted_version"])
        if now_ns >= row["sent_boot_ns"] + row["ttl_ms"] * 1_000_000:
            return  # a late COMMIT: no start, and never answered as one
        for known in self.holds.values():
            if known.was_effective and known.covers(press):
                assert known.clearance <= granted, f"I4: started on {granted} after {known}"

    def went(self, press: Press) -> None:
        """GO was answered."""
        self.saw("go")
        under = self.under_effective.get(press.permit_id)
        assert not under, f"I2: GO, committed under an effective hold: {press}"

    def look_at_holds(self, rows: Sequence[Any], now: datetime) -> None:
        """I5 and I8 over the committed holds."""
        found = {row["hold_id"]: row for row in rows}
        assert set(self.holds) <= set(found), "I5: a hold that was answered is gone"
        for hold_id, known in self.holds.items():
            row = found[hold_id]
            known.is_effective = row["state"] == "EFFECTIVE"
            if known.is_effective and not known.was_effective:
                known.was_effective = True
                self.saw(row["effective_by"])
            if row["state"] == "RECORDED":
                age = now - max(row["committed_at"], self.recovered_at or row["committed_at"])
                assert age <= EFFECTIVE_WITHIN, f"I8: recorded for {age}"

    def look_at_starts(self, rows: Sequence[Any]) -> None:
        """I3 over the committed starts that are not undone and had a permit."""
        keys = {
            "permit": [row["permit_id"] for row in rows],
            "attempt": [(row["subject_id"], row["attempt"]) for row in rows],
            "attempt of a dose": [(row["dose_id"], row["attempt"]) for row in rows],
        }
        for key, values in keys.items():
            assert len(set(values)) == len(values), f"I3: two starts for one {key}"
        doses = {(row["dose_id"], row["subject_id"]) for row in rows}
        assert len({dose for dose, _ in doses}) == len(doses), "I3: a dose in two subjects"
