"""What the engine answers: findings, decisions and the intervals of a timeline.

Invariant: a decision lists every finding, never only the first, and its JSON is a function of the
decision alone, so that the same facts and protocol give the same bytes at any later time.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from typing import Any

from shared.contracts.vocabulary import Gate, OnRunning, Verdict
from shared.protocol.facts import When


class Effect(StrEnum):
    """What a finding does to the gates in its scope, from mildest to worst."""

    INFO = "info"
    REVIEW = "review"
    HOLD = "hold"
    CONTRAINDICATED = "contraindicated"


EFFECT_RANK = {effect: rank for rank, effect in enumerate(Effect)}
_VERDICT = {
    Effect.INFO: Verdict.GO,
    Effect.REVIEW: Verdict.REVIEW,
    Effect.HOLD: Verdict.HOLD,
    Effect.CONTRAINDICATED: Verdict.CONTRAINDICATED,
}
DECISION_CODE = {
    Verdict.GO: "GO",
    Verdict.REVIEW: "NO_GO_REVIEW",
    Verdict.HOLD: "NO_GO_HOLD",
    Verdict.CONTRAINDICATED: "NO_GO_STOP",
}


class FindingKind(StrEnum):
    """Whether something is the case, or evidence about it is only missing or out of date.

    Planning ignores missing and stale (they become `due`), and they place no hold by rule.
    """

    CONDITION = "condition"
    MISSING = "missing"
    STALE = "stale"


class OverrideKind(StrEnum):
    """Whether anybody may override a rule."""

    HARD = "hard"
    SOFT = "soft"


@dataclass(frozen=True, slots=True)
class FactRef:
    """The version of a fact that a finding used."""

    id: str
    version: int = 1
    recorded: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleSource:
    """Where a rule comes from and how sure that is (docs/clinical/SOURCES.md)."""

    status: str
    ref: str
    as_given: str | None = None
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Due:
    """Evidence that a step still needs: useful only from `not_before` to `not_after`, inclusive.

    Within an interval the bounds hold for the whole of it; for one planned time t the exact window
    is t minus `max_age_days` (or `max_age_hours`) to t. Both None: any earlier time will do.
    """

    item: str
    not_before: When
    not_after: When
    owner: str
    rule: str
    max_age_days: int | None = None
    max_age_hours: int | None = None

    def to_json(self, zone: tzinfo) -> dict[str, Any]:
        """Return the entry as shown to users, times in the clinic's zone."""
        return {
            "item": self.item,
            "not_before": when_json(self.not_before, zone),
            "not_after": when_json(self.not_after, zone),
            "owner": self.owner,
        }


@dataclass(frozen=True, slots=True)
class Need:
    """An item that a finding asks for, and how old it may be then; no age: any.

    `data_rule` says why it is not known; two needs of one item are equal whatever the reason.
    """

    item: str
    owner: str
    age_days: int | None = None
    age_hours: int | None = None
    not_before: When | None = None
    data_rule: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a rule says about a gate at an instant.

    `episode` names what it is about (a course, an infection, an item) and stays the same while that
    lasts: at most one hold is open per case, rule and episode. `since` is the anchor in the rule's
    precision. `clears_at` None on a blocking finding: time alone does not clear it. `answered_by`
    is the review decision or override that turned the finding into info.
    """

    rule: str
    effect: Effect
    kind: FindingKind
    episode: str
    message: str
    source: RuleSource
    order: int
    uses: tuple[FactRef, ...] = ()
    value: str | None = None
    limit: str | None = None
    since: When | None = None
    clears_at: When | None = None
    override: OverrideKind = OverrideKind.HARD
    by: tuple[str, ...] = ()
    unknown: bool = False
    on_running: OnRunning = OnRunning.TELL
    needs: tuple[Need, ...] = ()
    answered_by: str | None = None

    @property
    def facts(self) -> tuple[str, ...]:
        """The ids of the facts that the finding rests on."""
        return tuple(ref.id for ref in self.uses)

    @property
    def blocks(self) -> bool:
        """True when the finding keeps its gate from GO."""
        return self.effect is not Effect.INFO

    @property
    def only_evidence(self) -> bool:
        """True when the finding says no more than that evidence is missing or out of date."""
        return self.kind is not FindingKind.CONDITION

    @property
    def is_unknown(self) -> bool:
        """True when something that the rule needs is not known."""
        return self.unknown or self.only_evidence

    @property
    def hold_key(self) -> tuple[str, str]:
        """The key of the hold that this finding asks for: rule and episode."""
        return (self.rule, self.episode)

    def to_json(self, zone: tzinfo) -> dict[str, Any]:
        """Return the finding as shown to users, times in the clinic's zone."""
        return {
            "rule": self.rule,
            "effect": self.effect.value,
            "kind": self.kind.value,
            "episode": self.episode,
            "message": self.message,
            "facts": list(self.facts),
            "value": self.value,
            "limit": self.limit,
            "since": when_json(self.since, zone),
            "clears_at": when_json(self.clears_at, zone),
            "source": {"status": self.source.status, "ref": self.source.ref},
            "override": self.override.value,
            "by": list(self.by),
            "answered_by": self.answered_by,
        }


@dataclass(frozen=True, slots=True)
class ProtocolRef:
    """Which protocol decided."""

    id: str
    version: str
    status: str

    def to_json(self) -> dict[str, str]:
        """Return id, version and status."""
        return {"id": self.id, "version": self.version, "status": self.status}


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer for one gate at one instant.

    `verdict` is what may start then; `plan` is what may be planned then. `earliest` is a lower
    bound when `undated` is not empty. `valid_until` is the first instant after `at` at which time
    alone may change the decision (None: never within the horizon).
    """

    gate: Gate
    at: datetime
    protocol: ProtocolRef
    verdict: Verdict
    plan: Verdict
    findings: tuple[Finding, ...]
    due: tuple[Due, ...]
    earliest: When | None
    undated: tuple[str, ...]
    unknown: tuple[str, ...]
    next_go: datetime | None
    valid_until: datetime | None
    zone: tzinfo
    as_of: datetime | None = None
    assume_other_evidence_current: bool = False

    @property
    def code(self) -> str:
        """GO, NO_GO_REVIEW, NO_GO_HOLD or NO_GO_STOP."""
        return DECISION_CODE[self.verdict]

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings that keep the gate from GO, worst first."""
        return tuple(finding for finding in self.findings if finding.blocks)

    @property
    def blocking_rules(self) -> tuple[str, ...]:
        """The rule ids of the blocking findings, each once, in order."""
        return tuple(dict.fromkeys(finding.rule for finding in self.blocking))

    def to_json(self) -> dict[str, Any]:
        """Return the decision as `tandem assess --json` and the API show it.

        `as_of` is left out: asked again as of a past time, the answer equals the one given then.
        """
        return {
            "gate": self.gate.value,
            "at": when_json(self.at, self.zone),
            "protocol": self.protocol.to_json(),
            "assume_other_evidence_current": self.assume_other_evidence_current,
            "decision": self.code,
            "verdict": self.verdict.value,
            "findings": [finding.to_json(self.zone) for finding in self.findings],
            "plan": self.plan.value,
            "earliest": when_json(self.earliest, self.zone),
            "undated": list(self.undated),
            "next_go": when_json(self.next_go, self.zone),
            "valid_until": when_json(self.valid_until, self.zone),
            "unknown": list(self.unknown),
            "due": [entry.to_json(self.zone) for entry in self.due],
        }


@dataclass(frozen=True, slots=True)
class Interval:
    """`[begins, ends)` of a timeline: nothing about the gate changes inside it.

    `rules` are the blocking rules of `start`, each once, in the order of the decision; `plan_rules`
    those of them that also close `plan`.
    """

    begins: datetime
    ends: datetime
    start: Verdict
    plan: Verdict
    rules: tuple[str, ...]
    due: tuple[Due, ...]
    zone: tzinfo
    plan_rules: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the interval as `tandem timeline --json` shows it."""
        return {
            "from": when_json(self.begins, self.zone),
            "to": when_json(self.ends, self.zone),
            "start": self.start.value,
            "plan": self.plan.value,
            "findings": list(self.rules),
            "due": [entry.to_json(self.zone) for entry in self.due],
        }


def verdict_of(findings: tuple[Finding, ...] | list[Finding]) -> Verdict:
    """Return the worst effect present; without findings the gate is open."""
    worst = max((finding.effect for finding in findings), key=EFFECT_RANK.__getitem__, default=None)
    return Verdict.GO if worst is None else _VERDICT[worst]


def when_json(when: When | None, zone: tzinfo) -> str | None:
    """Return a day as ISO date, an instant as ISO time in the zone, None as None."""
    if when is None:
        return None
    if isinstance(when, datetime):
        return when.astimezone(zone).isoformat()
    return when.isoformat()


def utc(when: datetime) -> datetime:
    """Return the instant in UTC; a time without offset is refused."""
    if when.tzinfo is None:
        raise ValueError("an instant needs an offset")
    return when.astimezone(UTC)
