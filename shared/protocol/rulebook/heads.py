"""Reads what every row carries: id, scope, effect, who may override, source.

Invariant: a rule that says soft names the roles that may override it, roles are from the closed
list of who works with Tandem, and every source names a reference that exists.
"""

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass, field

from shared.contracts.vocabulary import Gate, OnRunning, Role
from shared.protocol.findings import Effect, OverrideKind, RuleSource
from shared.protocol.lined import Row
from shared.protocol.rulebook.rows import Rule

SOURCE_STATUSES = frozenset({"verified", "recalled", "seed", "local-policy"})
_QUALIFIED = re.compile(r"(consultant|service):[a-z][a-z0-9_]*")
_ROLES = frozenset(Role) - {Role.CONSULTANT}


def is_role(role: str) -> bool:
    """True for a role of the closed list, `consultant:<speciality>` or `service:<name>`."""
    return role in _ROLES or _QUALIFIED.fullmatch(role) is not None


@dataclass(slots=True)
class Heads:
    """Reads rule heads in the order of the file and refuses an id given twice."""

    references: Container[str]
    stops_running: Container[str]
    rules: dict[str, Rule] = field(default_factory=dict)

    def read(
        self,
        row: Row,
        *,
        scope: frozenset[Gate] | None = None,
        effect: Effect = Effect.HOLD,
        defaults: Mapping[str, object] | None = None,
    ) -> Rule:
        """Return the head of a row; `scope` where the row's shape gives it."""
        name = row.text("id")
        if name in self.rules:
            raise row.bad(f"given twice, first on line {self.rules[name].line}")
        rule = Rule(
            id=name,
            title=row.text_or("title", row.text_or("symptom")),
            scope=with_dose_issue(scope if scope is not None else gates(row, "scope")),
            effect=row.word("effect", Effect) if row.has("effect") else effect,
            override=_override(row, defaults),
            by=_by(row, defaults),
            source=source(row, self.references),
            order=len(self.rules),
            line=row.line,
            on_running=OnRunning.STOP if name in self.stops_running else OnRunning.TELL,
        )
        _check_override(row, rule)
        row.ignore("note", "clear", "escalate")
        self.rules[name] = rule
        return rule


def gates(row: Row, key: str) -> frozenset[Gate]:
    """Return a list of gates; an unknown gate is refused."""
    return frozenset(gate(row, name) for name in row.texts(key))


def gate(row: Row, name: str) -> Gate:
    """Return the gate of that name."""
    try:
        return Gate(name)
    except ValueError as error:
        raise row.bad(f"{name!r} is not a gate") from error


def with_dose_issue(scope: frozenset[Gate]) -> frozenset[Gate]:
    """Return the scope in which dose_issue stands wherever infusion does."""
    return scope | {Gate.DOSE_ISSUE} if Gate.INFUSION in scope else scope


def source(row: Row, references: Container[str]) -> RuleSource:
    """Return a row's source; an unknown status or reference is refused."""
    src = row.row("src")
    status, ref = src.text("st"), src.text("ref")
    if status not in SOURCE_STATUSES:
        raise row.bad(f"src.st {status!r} is not a status")
    if ref not in references:
        raise row.bad(f"src.ref {ref!r} is not in references")
    as_given = src.text("as") if src.has("as") else None
    read = RuleSource(status, ref, as_given, partial=src.flag("partial"))
    src.done()
    return read


def roles(row: Row, key: str) -> tuple[str, ...]:
    """Return a list of roles; one that nobody holds is refused."""
    read = row.texts(key)
    for role in read:
        if not is_role(role):
            raise row.bad(f"{role!r} is not a role")
    return read


def _override(row: Row, defaults: Mapping[str, object] | None) -> OverrideKind:
    if row.has("override"):
        return row.word("override", OverrideKind)
    return OverrideKind(str((defaults or {}).get("override", OverrideKind.HARD)))


def _by(row: Row, defaults: Mapping[str, object] | None) -> tuple[str, ...]:
    if row.has("by"):
        return roles(row, "by")
    if row.has("override") and row.text("override") == OverrideKind.HARD:
        return ()
    given = (defaults or {}).get("by", ())
    return given if isinstance(given, tuple) else ()


def _check_override(row: Row, rule: Rule) -> None:
    if rule.override is OverrideKind.SOFT and not rule.by:
        raise row.bad("soft, but nobody is named in by")
    if rule.override is OverrideKind.HARD and rule.by:
        raise row.bad("hard, but by names somebody")
