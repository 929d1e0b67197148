"""One alert for one cause: how evidence raises it, updates it and closes it. Pure.

Invariants: the content is a function of the set of evidence (any order, any repetition leads to
the same content); evidence with a known subject changes nothing; an acknowledgement answers one
version, and whatever makes matters worse makes a new version that must be acknowledged anew. No
operation here touches a hold.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeVar
from uuid import UUID

from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.levels import URGENCY_OF, Level
from services.notification.domain.routing import Routes
from shared.contracts.event import derived_id
from shared.contracts.notification import Urgency
from shared.contracts.vocabulary import Role

CloseReason = Literal["hold_released", "cause_gone", "superseded"]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Content:
    """What the evidence adds up to. `leading` is the kind whose wording heads the alert."""

    level: Level
    leading: EvidenceKind
    roles: tuple[Role, ...]
    escalate_to: tuple[tuple[Role, ...], ...]
    override_by: frozenset[Role]
    actions: tuple[str, ...]
    over: CloseReason | None

    @property
    def urgency(self) -> Urgency:
        """What people see of the level."""
        return URGENCY_OF[self.level]


@dataclass(frozen=True, slots=True)
class AlertFile:
    """The evidence and history of one alert, whatever its state.

    `told_level` and `told_roles`: what the latest message said, so that a change of content sends
    a new message only when it must.
    """

    alert_id: UUID
    case_id: UUID
    version: int
    raised_at: datetime
    opened_at: datetime
    told_level: Level
    told_roles: tuple[Role, ...]
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """Nobody has answered this version yet; escalation runs."""

    file: AlertFile


@dataclass(frozen=True, slots=True)
class AnsweredAlert:
    """A named person acknowledged this version, or set it aside; escalation stands still."""

    file: AlertFile
    answer: Literal["acknowledged", "overridden"]


@dataclass(frozen=True, slots=True)
class ClosedAlert:
    """The cause is gone. It stays on record and never opens again."""

    file: AlertFile
    reason: CloseReason
    closed_at: datetime


Alert = OpenAlert | AnsweredAlert | ClosedAlert


@dataclass(frozen=True, slots=True)
class Absorbed:
    """What a piece of evidence did to an alert.

    `tell`: a message must leave for this version. `reopened`: an answered alert is open again.
    """

    alert: Alert
    news: Literal["raised", "updated", "closed"]
    tell: bool = False
    reopened: bool = False


def content_of(evidence: Sequence[Evidence], routes: Routes) -> Content:
    """What these pieces of evidence add up to; their order does not matter."""
    ordered = sorted(evidence, key=lambda e: (e.occurred_at, e.subject))
    heads = [e for e in ordered if routes.of(e).raises] or ordered
    leading = max(heads, key=lambda e: (routes.of(e).worsens, routes.level_of(e)))
    kinds = [routes.of(e) for e in ordered]
    steps = max((len(route.escalate_to) for route in kinds), default=0)
    return Content(
        level=max(routes.level_of(e) for e in heads),
        leading=leading.kind,
        roles=_once(role for route in kinds for role in route.roles),
        escalate_to=tuple(
            _once(r for route in kinds if step < len(route.escalate_to)
                  for r in route.escalate_to[step])
            for step in range(steps)
        ),
        override_by=_override_by(ordered, routes),
        actions=_once(action for route in kinds for action in route.actions),
        over=_over(ordered, routes),
    )  # fmt: skip


def _once(items: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(items))


def _override_by(evidence: Sequence[Evidence], routes: Routes) -> frozenset[Role]:
    """Only who may set aside every serious piece may set the alert aside."""
    serious = [routes.of(e) for e in evidence if routes.of(e).worsens]
    kinds = serious or [routes.of(e) for e in evidence if routes.of(e).raises]
    sets = [frozenset(route.override_by) for route in kinds]
    return frozenset.intersection(*sets) if sets else frozenset()


def _over(evidence: Sequence[Evidence], routes: Routes) -> CloseReason | None:
    """Over when every serious lasting piece is resolved (where none is serious: every one)."""
    lasting = [e for e in evidence if e.lasts_until is not None]
    serious = [e for e in lasting if routes.of(e).worsens] or lasting
    if not serious or not all(_resolved(e, evidence) for e in serious):
        return None
    released = any(e.kind is EvidenceKind.HOLD_RELEASED for e in evidence)
    return "hold_released" if released else "cause_gone"


def _resolved(lasting: Evidence, evidence: Sequence[Evidence]) -> bool:
    return any(
        e.resolves == lasting.lasts_until and e.occurred_at >= lasting.occurred_at for e in evidence
    )


def belongs_to(candidates: Sequence[Alert], evidence: Evidence, routes: Routes) -> Sequence[Alert]:
    """The alerts that this evidence joins; none when it would need one of its own.

    News that ends something joins every living alert about it. Anything else joins one: a living
    alert about the same thing, else one with the same first cause (or of a kind that the route
    names), else a closed one about the same thing, as history. Oldest first among equals.
    """
    by_age = sorted(candidates, key=lambda a: (a.file.raised_at, a.file.alert_id))
    living = [a for a in by_age if not isinstance(a, ClosedAlert)]
    same_thing = [a for a in living if _shared_keys(a, evidence)]
    if evidence.resolves is not None and same_thing:
        return same_thing
    same_cause = [a for a in living if _same_cause(a, evidence, routes)]
    past = [a for a in by_age if isinstance(a, ClosedAlert) and _is_history(a, evidence, routes)]
    return [*same_thing, *same_cause, *past][:1]


def _shared_keys(alert: Alert, evidence: Evidence) -> frozenset[str]:
    return frozenset(k for e in alert.file.evidence for k in e.keys & evidence.keys)


def _same_cause(alert: Alert, evidence: Evidence, routes: Routes) -> bool:
    route = routes.of(evidence)
    return any(
        (route.joins_chain and e.chain == evidence.chain and routes.of(e).joins_chain)
        or e.kind in route.joins
        for e in alert.file.evidence
    )


def _is_history(alert: Alert, evidence: Evidence, routes: Routes) -> bool:
    """A closed alert takes late news that needs nobody: never news that makes matters worse.

    Of news that could raise an alert, only what followed from a hold that is gone is history.
    """
    route = routes.of(evidence)
    shared = _shared_keys(alert, evidence)
    if route.worsens:
        return False
    return any(k.startswith("hold:") for k in shared) if route.raises else bool(shared)


def raise_alert(evidence: Evidence, routes: Routes, now: datetime) -> Absorbed:
    """A new alert. Its id follows from the case and the subject, so a repeat yields the same id."""
    content = content_of((evidence,), routes)
    file = AlertFile(
        alert_id=derived_id(evidence.case_id, f"alert:{evidence.subject}"),
        case_id=evidence.case_id,
        version=1,
        raised_at=now,
        opened_at=now,
        told_level=content.level,
        told_roles=content.roles,
        evidence=(evidence,),
    )
    return Absorbed(OpenAlert(file), "raised", tell=True)


def absorb(alert: Alert, evidence: Evidence, routes: Routes, now: datetime) -> Absorbed | None:
    """The alert with this evidence, or None when its subject is known already."""
    if any(e.subject == evidence.subject for e in alert.file.evidence):
        return None
    file = replace(alert.file, evidence=(*alert.file.evidence, evidence))
    if isinstance(alert, ClosedAlert):
        return Absorbed(replace(alert, file=file), "updated")
    content = content_of(file.evidence, routes)
    worsens = routes.of(evidence).worsens
    if content.over is not None and not worsens:
        return Absorbed(ClosedAlert(file, content.over, now), "closed")
    if not worsens and content.level <= content_of(alert.file.evidence, routes).level:
        return Absorbed(replace(alert, file=file), "updated")
    return _new_version(alert, file, content, now)


def _new_version(
    alert: OpenAlert | AnsweredAlert, file: AlertFile, content: Content, now: datetime
) -> Absorbed:
    """A new version: it must be acknowledged anew.

    While the previous message stands unanswered its link leads to the new version, so another
    message leaves only when the level rose, when somebody new must know, or after an answer.
    """
    reopened = isinstance(alert, AnsweredAlert)
    tell = (
        reopened
        or content.level > file.told_level
        or not set(content.roles) <= set(file.told_roles)
    )
    file = replace(
        file,
        version=file.version + 1,
        opened_at=now if tell else file.opened_at,
        told_level=content.level if tell else file.told_level,
        told_roles=content.roles if tell else file.told_roles,
    )
    return Absorbed(OpenAlert(file), "updated", tell=tell, reopened=reopened)


def answered(alert: OpenAlert, how: Literal["acknowledged", "overridden"]) -> AnsweredAlert:
    """The alert once somebody answered the version that it has. No hold is touched."""
    return AnsweredAlert(alert.file, how)


def may_answer(content: Content, roles: Iterable[Role], escalated_steps: int) -> bool:
    """Whether one of these roles was told: by the alert itself or by an escalation that fired."""
    told = set(content.roles)
    for step in content.escalate_to[:escalated_steps]:
        told |= set(step)
    return bool(told & set(roles))
