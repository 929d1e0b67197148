"""Why not now: the least that must change for a gate to open at a moment.

Invariant: a gate is open when all its blockers are taken away, and shut while one of them stands.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

from shared.contracts.vocabulary import Gate
from shared.protocol.clinic_time import ClinicTime
from shared.protocol.facts import Fact, When
from shared.protocol.findings import EFFECT_RANK, Finding, when_json
from shared.protocol.loader import Protocol
from shared.protocol.record import Record
from shared.protocol.rules.answers import answered
from shared.protocol.rules.check import Case
from shared.protocol.rules.families import checks_of, settled

Cause = tuple[object, ...]
"""What findings have in common that go away together."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """One cause that shuts the gate, with every finding that it alone makes, worst first.

    `items` is evidence to be had; without items, the `facts` on record are the cause, and without
    either something that is not on record at all. `clears_at` None: time alone does not clear it.
    """

    cause: Cause
    findings: tuple[Finding, ...]
    clears_at: When | None

    @property
    def items(self) -> tuple[str, ...]:
        """The evidence that is missing or out of date."""
        return tuple(dict.fromkeys(n.item for f in self.findings for n in f.needs))

    @property
    def facts(self) -> tuple[str, ...]:
        """The ids of the facts that the findings rest on."""
        return tuple(dict.fromkeys(name for f in self.findings for name in f.facts))

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that it fires, worst first."""
        return tuple(dict.fromkeys(f.rule for f in self.findings))

    def to_json(self, zone: tzinfo) -> dict[str, Any]:
        """Return the blocker as shown to users, times in the clinic's zone."""
        return {
            "effect": self.findings[0].effect.value,
            "message": self.findings[0].message,
            "rules": list(self.rules),
            "items": list(self.items),
            "owners": list(dict.fromkeys(n.owner for f in self.findings for n in f.needs)),
            "facts": list(self.facts),
            "clears_at": when_json(self.clears_at, zone),
        }


def blockers(
    protocol: Protocol,
    facts: Iterable[Fact] | Record,
    gate: Gate,
    at: date | datetime,
    *,
    assume_other_evidence_current: bool = False,
) -> tuple[Blocker, ...]:
    """Return the minimal blockers of a gate, worst first; none when it is open.

    Findings that follow from others (the data rule behind a missing item, a revoked clearance) go
    with them and are left out, unless they would stay.
    """
    record = Record.of(protocol, facts, assume_other_evidence_current=assume_other_evidence_current)
    case, moment = Case(record, gate), record.time.moment(at)
    found = [finding for check in checks_of(case) for finding in check.find(moment)]
    judged = answered(case, moment, found)
    own = [finding for finding in judged if finding.blocks]
    rest = [before for before, after in zip(found, judged, strict=True) if not after.blocks]
    staying = [finding for finding in settled(case, moment, rest) if finding.blocks]
    return _grouped([*own, *staying], record.time)


def _grouped(findings: Sequence[Finding], time: ClinicTime) -> tuple[Blocker, ...]:
    groups: dict[Cause, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(cause_of(finding), []).append(finding)
    made = [
        Blocker(cause, ordered, _clears_at(ordered, time))
        for cause, group in groups.items()
        for ordered in [tuple(sorted(group, key=_order))]
    ]
    return tuple(sorted(made, key=lambda blocker: _order(blocker.findings[0])))


def cause_of(finding: Finding) -> Cause:
    """Return the cause: an item that is asked for, the facts on record, or the rule itself."""
    if finding.needs:
        # One confirmation answers for one planned dose: the day from which it counts tells which.
        return ("items", *((need.item, need.not_before) for need in finding.needs))
    if finding.uses:
        return ("facts", *finding.facts)
    return ("rule", finding.rule, finding.episode)


def _order(finding: Finding) -> tuple[int, int, str, str]:
    return -EFFECT_RANK[finding.effect], finding.order, finding.episode, finding.message


def _clears_at(findings: Collection[Finding], time: ClinicTime) -> When | None:
    """Return when the last of them clears; None when one has no date."""
    dated = [finding.clears_at for finding in findings if finding.clears_at is not None]
    if len(dated) < len(findings):
        return None
    return max(dated, key=time.earliest)
