"""What another rulebook would have decided: past decisions, made with it, on the facts known then.

Invariant: nothing is written and no event leaves. A decision counts as changed when its verdict or
the set of rules that blocked is another; other words for the same are no change.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from services.intake.application.ports import IntakeRows
from services.intake.application.record_ports import StoredDecision
from services.intake.application.replay_decisions import (
    FactsThen,
    Stretch,
    decided_again,
    stored_decisions,
)
from shared.protocol import Protocol


@dataclass(frozen=True, slots=True)
class Said:
    """What a decision said: its code, and the rules that blocked, sorted."""

    decision: str
    blocking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shift:
    """A past decision that the other rulebook would have changed."""

    stored: StoredDecision
    before: Said
    after: Said


@dataclass(frozen=True, slots=True)
class Shadow:
    """The decisions that were asked about, and those of them that would have been others."""

    asked: Sequence[StoredDecision]
    shifts: Sequence[Shift]


async def shadow(rows: IntakeRows, other: Protocol, stretch: Stretch) -> Shadow:
    """What `other` would have changed of the stretch."""
    facts = FactsThen(rows)
    asked = await stored_decisions(rows, stretch)
    shifts = []
    for stored in asked:
        again = await decided_again(facts, other, stored)
        before, after = _given(stored), Said(again.code, tuple(sorted(again.blocking_rules)))
        if before != after:
            shifts.append(Shift(stored, before, after))
    return Shadow(asked, shifts)


def _given(stored: StoredDecision) -> Said:
    body = json.loads(stored.body)
    blocking = {f["rule"] for f in body["findings"] if f["effect"] != "info"}
    return Said(body["decision"], tuple(sorted(blocking)))
