"""Shadow mode's day behind `ShadowRows`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from services.intake.domain.shadow import Asked, Day, Obstacle, PlacedHold
from shared.contracts.vocabulary import Gate, HoldKind
from shared.persistence.database import Tx
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.intake.adapters", "shadow_queries.sql")


class PostgresShadowRows:
    """`ShadowRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def asked_on(self, day: Day, site: str | None, limit: int) -> Sequence[Asked]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["asked_on"], day.begins, day.ends, site, limit)
        return [
            Asked(
                row["case_id"],
                Gate(row["gate"]),
                row["subject_id"],
                row["asked_at"],
                tuple(o for reason in row["reasons"] for o in _obstacles(reason)),
            )
            for row in rows
        ]

    async def held_on(self, day: Day, site: str | None, limit: int) -> Sequence[PlacedHold]:
        """See the port."""
        rows = await self._tx.rows(STATEMENTS["held_on"], day.begins, day.ends, site, limit)
        return [
            PlacedHold(
                row["hold_id"],
                row["case_id"],
                HoldKind(row["kind"]),
                row["rule"],
                tuple(sorted(map(Gate, row["gates"]))),
                row["recorded_at"],
                row["released_at"],
            )
            for row in rows
        ]


def _obstacles(reason: Mapping[str, Any]) -> Iterator[Obstacle]:
    """Each rule of a reason; a reason without rules stands for itself."""
    for rule in reason.get("rules") or (None,):
        yield Obstacle(reason["code"], rule)
