"""Which findings ask for a hold by rule, and what changed between two decisions.

Invariant: a finding that only says "missing or stale" never asks for a hold; anything else with
effect hold or contraindicated does, whether or not the gate was already shut for another reason.
"""

from collections.abc import Iterable, Set

from shared.protocol.findings import Decision, Effect, Finding

HoldKey = tuple[str, str]
"""Rule and episode: at most one hold is open per case and key."""


def hold_findings(decision: Decision) -> tuple[Finding, ...]:
    """Return the findings that ask for a hold, one per (rule, episode), in the decision's order."""
    asking: dict[HoldKey, Finding] = {}
    for finding in decision.findings:
        if asks_for_hold(finding):
            asking.setdefault(finding.hold_key, finding)
    return tuple(asking.values())


def asks_for_hold(finding: Finding) -> bool:
    """True when the finding must have an open hold of its (rule, episode)."""
    is_shut = finding.effect in (Effect.HOLD, Effect.CONTRAINDICATED)
    return is_shut and not finding.only_evidence


def newly_blocking(open_keys: Set[HoldKey], after: Iterable[Decision]) -> tuple[Finding, ...]:
    """Return the findings whose (rule, episode) has no open hold yet; each key once.

    `open_keys` are the keys of the case's open rule holds; `after` are the decisions of all gates
    after the change.
    """
    fresh: dict[HoldKey, Finding] = {}
    for decision in after:
        for finding in hold_findings(decision):
            if finding.hold_key not in open_keys:
                fresh.setdefault(finding.hold_key, finding)
    return tuple(fresh.values())


def blocking_rule_findings(before: Decision | None, after: Decision) -> tuple[Finding, ...]:
    """Return the findings of `after` that ask for a hold and that `before` did not have."""
    had = frozenset() if before is None else {f.hold_key for f in hold_findings(before)}
    return newly_blocking(had, (after,))


def releasable(open_keys: Set[HoldKey], after: Iterable[Decision]) -> frozenset[HoldKey]:
    """Return the keys of open rule holds whose finding is gone from every gate."""
    still = {finding.hold_key for decision in after for finding in hold_findings(decision)}
    return frozenset(open_keys - still)
