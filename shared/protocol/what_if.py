"""What hypothetical facts would change at each gate, beside the record as it stands.

Invariant: nothing but the answer is made, so whatever is supposed leaves no trace; supposing
nothing makes no difference.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.contracts.vocabulary import Gate
from shared.protocol.engine import decide, timeline
from shared.protocol.facts import Fact
from shared.protocol.findings import Decision, Interval, when_json
from shared.protocol.loader import Protocol
from shared.protocol.record import Record


@dataclass(frozen=True, slots=True)
class Window:
    """What is asked: decisions `at` an instant, timelines of `gates` over `[begins, ends)`."""

    at: datetime
    begins: datetime
    ends: datetime
    gates: Collection[Gate]


@dataclass(frozen=True, slots=True)
class Difference:
    """`[begins, ends)`, in which two timelines of a gate say different things.

    The intervals are those of the whole timelines: each may reach beyond the difference, and the
    windows of its due items then cover more than the difference.
    """

    begins: datetime
    ends: datetime
    before: Interval
    after: Interval

    def to_json(self) -> dict[str, Any]:
        """Return the difference as the API shows it, due items by name."""
        zone = self.before.zone
        return {
            "from": when_json(self.begins, zone),
            "to": when_json(self.ends, zone),
            "before": _said_json(self.before),
            "after": _said_json(self.after),
        }


@dataclass(frozen=True, slots=True)
class WhatIf:
    """The answers on the record as it stands, and with the supposed facts.

    Decisions are of every gate, timelines and differences of the gates asked about.
    """

    before: Mapping[Gate, Decision]
    after: Mapping[Gate, Decision]
    timelines: Mapping[Gate, Sequence[Interval]]
    changes: Mapping[Gate, Sequence[Difference]]


def what_if(
    protocol: Protocol,
    facts: Iterable[Fact],
    supposed: Iterable[Fact],
    window: Window,
    *,
    assume_other_evidence_current: bool = False,
) -> WhatIf:
    """Return what the supposed facts would change.

    The assumption about other evidence counts on both sides, so that the difference comes from the
    supposed facts alone.
    """
    known = tuple(facts)
    records = [
        Record.of(protocol, given, assume_other_evidence_current=assume_other_evidence_current)
        for given in (known, (*known, *supposed))
    ]
    before, after = ({g: decide(protocol, r, g, window.at) for g in Gate} for r in records)
    courses = {
        gate: [timeline(protocol, r, gate, window.begins, window.ends) for r in records]
        for gate in Gate
        if gate in window.gates
    }
    return WhatIf(
        before=before,
        after=after,
        timelines={gate: course[1] for gate, course in courses.items()},
        changes={gate: tuple(differences(*course)) for gate, course in courses.items()},
    )


def differences(before: Sequence[Interval], after: Sequence[Interval]) -> Iterator[Difference]:
    """Yield where two timelines over one range differ, in order of time."""
    edges = sorted({part.begins for part in (*before, *after)})
    if not edges:
        return
    ends = [*edges[1:], before[-1].ends]
    old, new = iter(before), iter(after)
    was, is_now = next(old), next(new)
    for begin, end in zip(edges, ends, strict=True):
        # Both cover the same range, so each has an interval that reaches beyond every edge.
        was = was if was.ends > begin else next(old)
        is_now = is_now if is_now.ends > begin else next(new)
        if _said(was) != _said(is_now):
            yield Difference(begin, end, was, is_now)


def _said(interval: Interval) -> tuple[object, ...]:
    """Return what an interval says of any instant in it, wherever it begins and ends."""
    due = frozenset(
        (entry.item, entry.owner, entry.rule, entry.max_age_days, entry.max_age_hours)
        for entry in interval.due
    )
    return interval.start, interval.plan, interval.rules, interval.plan_rules, due


def _said_json(interval: Interval) -> dict[str, Any]:
    return {
        "start": interval.start.value,
        "plan": interval.plan.value,
        "findings": list(interval.rules),
        "due": [entry.item for entry in interval.due],
    }
