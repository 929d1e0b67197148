"""Short ways to ask the protocol in tests: statements in, decisions out."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from shared.protocol import (
    Decision,
    Fact,
    Gate,
    Protocol,
    decide,
    load_protocol,
    parse_statement,
)
from shared.protocol.reading import Place, when

PROTOCOL: Protocol = load_protocol()
BAG: dict[str, Any] = {
    "kind": "product",
    "dose_id": "D1",
    "lot": "L1",
    "state": "released",
    "form": "cryopreserved",
    "cryopreserved_on": "2027-01-20",
    "expires_at": "2028-01-20T00:00",
}


def facts(*statements: dict[str, Any], protocol: Protocol = PROTOCOL) -> tuple[Fact, ...]:
    """Return the facts that the statements make; a refused one fails the test."""
    made = []
    for statement in statements:
        fact = parse_statement(statement, zone=protocol.zone)
        assert not isinstance(fact, tuple), fact
        made.append(fact)
    return tuple(made)


def moment(text: str, protocol: Protocol = PROTOCOL) -> date | datetime:
    """Return a clinic-local day or instant."""
    return when(text, Place("", protocol.zone))


def instant(text: str, protocol: Protocol = PROTOCOL) -> datetime:
    """Return an instant; a day gives its first moment."""
    found = moment(text, protocol)
    if isinstance(found, datetime):
        return found
    return datetime(found.year, found.month, found.day, tzinfo=protocol.zone)


def ask(
    *statements: dict[str, Any],
    at: str,
    gate: str = "infusion",
    assume: bool = True,
    bag: bool = True,
    as_of: str | None = None,
    protocol: Protocol = PROTOCOL,
) -> Decision:
    """Decide on statements; other evidence is assumed and a frozen bag is at hand unless said."""
    needs_bag = bag and gate in ("infusion", "dose_issue")
    given = (*statements, BAG) if needs_bag else statements
    return decide(
        protocol,
        facts(*given, protocol=protocol),
        Gate(gate),
        moment(at, protocol),
        as_of=None if as_of is None else instant(as_of, protocol),
        assume_other_evidence_current=assume,
    )


def blocking(*statements: dict[str, Any], at: str, **rest: Any) -> set[str]:
    """Return the rules that block."""
    return set(ask(*statements, at=at, **rest).blocking_rules)


def infos(decision: Decision) -> set[str]:
    """Return the rules that only inform."""
    return {finding.rule for finding in decision.findings if not finding.blocks}


def one(decision: Decision, rule: str) -> Any:
    """Return the one finding of a rule."""
    found = [finding for finding in decision.findings if finding.rule == rule]
    assert len(found) == 1, (rule, [f.rule for f in decision.findings])
    return found[0]


def iso(day: object) -> str | None:
    """Return a clear date as text."""
    return None if day is None else str(day)


def chemo(last: str, planned: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a chemotherapy statement."""
    stated: dict[str, Any] = {
        "kind": "medication",
        "class": "cytotoxic_systemic",
        "last_dose": last,
    }
    if planned is not None:
        stated["next_planned"] = planned
    return {**stated, **more}


def steroid(name: str, doses: Sequence[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return an oral corticosteroid statement with intent treatment unless said otherwise."""
    base = {"kind": "medication", "name": name, "route": "oral", "intent": "treatment"}
    return {**base, "doses": list(doses), **more}


def lab(metric: str, value: Any, unit: str | None, effective: str, **more: Any) -> dict[str, Any]:
    """Return a laboratory statement."""
    stated = {"kind": "lab", "metric": metric, "value": value, "effective": effective, **more}
    return stated if unit is None else {**stated, "unit": unit}
