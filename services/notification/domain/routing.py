"""Who must know: the routing table, the roster, and how a role becomes people.

Pure. Invariant: an alert always has at least one recipient; when a role that should be told has
nobody on the roster, the fallback recipient is told and the alert shows which roles were missing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.levels import Level
from shared.contracts.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Route:
    """How one kind of evidence is treated.

    `raises`: it may open an alert of its own. `worsens`: joining an alert, it makes a new version
    that must be acknowledged again. `joins_chain`: it joins an open alert with the same first
    cause. `joins`: kinds whose open alert it joins. `escalate_to`: the roles of step 1, step 2, …
    `override_by` empty: nobody may set such an alert aside.
    """

    kind: EvidenceKind
    level: Level = Level.L1
    level_by_grade: Mapping[str, Level] | None = None
    raises: bool = False
    worsens: bool = False
    joins_chain: bool = False
    joins: frozenset[EvidenceKind] = frozenset()
    blocks: bool = False
    roles: tuple[Role, ...] = ()
    escalate_to: tuple[tuple[Role, ...], ...] = ()
    override_by: tuple[Role, ...] = ()
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Routes:
    """The routing table: exactly one route per kind of evidence."""

    version: str
    by_kind: Mapping[EvidenceKind, Route]

    def __post_init__(self) -> None:
        missing = sorted(kind.value for kind in EvidenceKind if kind not in self.by_kind)
        if missing:
            raise ValueError(f"no route for {', '.join(missing)}")

    def of(self, evidence: Evidence) -> Route:
        """The route of this evidence."""
        return self.by_kind[evidence.kind]

    def level_of(self, evidence: Evidence) -> Level:
        """The level of this evidence: its own, the one of its grade, or the route's."""
        route = self.of(evidence)
        if evidence.level is not None:
            return evidence.level
        if route.level_by_grade is not None:
            return route.level_by_grade.get(evidence.detail.get("grade", ""), route.level)
        return route.level


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be told. `role` is the one for which the person is told."""

    subject: str
    name: str
    email: str
    role: Role | None


@dataclass(frozen=True, slots=True)
class RosterEntry:
    """A person on duty for a role, for one case or (`case_id` None) for all."""

    entry_id: UUID
    role: Role
    subject: str
    name: str
    email: str
    case_id: UUID | None
    starts_at: datetime
    ends_at: datetime | None

    def on_duty(self, case_id: UUID, at: datetime) -> bool:
        """Whether the entry counts for this case at that instant."""
        begun = self.starts_at <= at and (self.ends_at is None or at < self.ends_at)
        return begun and self.case_id in (None, case_id)


@dataclass(frozen=True, slots=True)
class Recipients:
    """The people to tell, the roles for which nobody was found, and whether the fallback is in."""

    people: tuple[Person, ...]
    unreachable: tuple[Role, ...]
    fallback_used: bool


def recipients(
    roles: Iterable[Role],
    roster: Sequence[RosterEntry],
    *,
    case_id: UUID,
    at: datetime,
    fallback: Person,
) -> Recipients:
    """The people on duty for these roles, each address once, in the order of the roles.

    People named for the case come before the general duty: whoever treats this patient is told,
    and the duty roster only where nobody is named. A role without anybody brings in the fallback.
    """
    found: dict[str, Person] = {}
    unreachable: list[Role] = []
    for role in roles:
        people = _people(role, roster, case_id, at)
        if not people:
            unreachable.append(role)
        for person in people:
            found.setdefault(person.email.casefold(), person)
    needs_fallback = bool(unreachable) or not found
    if needs_fallback:
        found.setdefault(fallback.email.casefold(), fallback)
    return Recipients(tuple(found.values()), tuple(unreachable), needs_fallback)


def _people(
    role: Role, roster: Sequence[RosterEntry], case_id: UUID, at: datetime
) -> tuple[Person, ...]:
    on_duty = [e for e in roster if e.role is role and e.on_duty(case_id, at)]
    named = [entry for entry in on_duty if entry.case_id == case_id]
    chosen = sorted(named or on_duty, key=lambda e: (e.starts_at, e.entry_id))
    return tuple(Person(e.subject, e.name, e.email, role) for e in chosen)
