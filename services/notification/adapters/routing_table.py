"""Reads the routing table, checked: every kind has one row, every role and level exists."""

from importlib.resources import files
from typing import Final

import yaml
from pydantic import BaseModel, ConfigDict

from services.notification.domain.evidence import EvidenceKind
from services.notification.domain.levels import AckTimes, Level
from services.notification.domain.routing import Route, Routes
from shared.contracts.vocabulary import Role
from shared.protocol.loader import load_protocol

_FILE: Final = "routes.yaml"


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: EvidenceKind
    level: Level = Level.L1
    level_by_grade: dict[str, Level] | None = None
    raises: bool = False
    worsens: bool = False
    chain: bool = False
    joins: frozenset[EvidenceKind] = frozenset()
    blocks: bool = False
    roles: tuple[Role, ...] = ()
    escalate_to: tuple[tuple[Role, ...], ...] = ()
    override_by: tuple[Role, ...] = ()
    actions: tuple[str, ...] = ()


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: str
    status: str
    routes: tuple[_Row, ...]


def read_routes(text: str | None = None) -> Routes:
    """The packaged routing table, or the one in `text`. Raises ValueError for a wrong one."""
    raw = files("services.notification.adapters").joinpath(_FILE).read_text(encoding="utf-8")
    table = _Table.model_validate(yaml.safe_load(raw if text is None else text))
    by_kind: dict[EvidenceKind, Route] = {}
    for row in table.routes:
        if row.kind in by_kind:
            raise ValueError(f"two routes for {row.kind.value}")
        by_kind[row.kind] = _route(row)
    return Routes(table.version, by_kind)


def _route(row: _Row) -> Route:
    if row.raises and not row.roles:
        raise ValueError(f"{row.kind.value} may raise an alert but names nobody to tell")
    return Route(
        kind=row.kind, level=row.level, level_by_grade=row.level_by_grade, raises=row.raises,
        worsens=row.worsens, joins_chain=row.chain, joins=row.joins, blocks=row.blocks,
        roles=row.roles, escalate_to=row.escalate_to, override_by=row.override_by,
        actions=row.actions,
    )  # fmt: skip


def read_ack_times() -> AckTimes:
    """The minutes to answer, from the escalation levels of the rulebook in force."""
    levels = load_protocol().plans.escalation
    return AckTimes(
        {Level(row.id): row.ack_minutes for row in levels if row.ack_minutes is not None}
    )
