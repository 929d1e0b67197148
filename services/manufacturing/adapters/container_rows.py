"""Labels, scans and the chain of custody over one transaction."""

from collections.abc import Sequence
from datetime import datetime
from typing import assert_never
from uuid import UUID

from services.manufacturing.adapters.statements import STATEMENTS
from services.manufacturing.domain.custody import Condition, Handover
from services.manufacturing.domain.labels import (
    Container,
    ContainerKind,
    Match,
    Mismatch,
    Scan,
    Unreadable,
)
from shared.persistence.database import Row, Tx


class ContainerRows:
    """The port `Containers`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def add(self, container: Container, at: datetime, by: str) -> bool:
        """Whether the container is new."""
        added = await self._tx.run(
            STATEMENTS["add_container"],
            container.container_id,
            container.case_id,
            container.kind.value,
            container.collection_id,
            container.dose_id,
            at,
            by,
        )
        return added > 0

    async def find(self, container_id: UUID) -> Container | None:
        """The container."""
        return _container(await self._tx.row(STATEMENTS["container_by_id"], container_id))

    async def of_collection(self, collection_id: UUID) -> Container | None:
        """The container of the material."""
        found = await self._tx.row(STATEMENTS["container_of_collection"], collection_id)
        return _container(found)

    async def of_dose(self, dose_id: UUID) -> Container | None:
        """The dose's bag."""
        return _container(await self._tx.row(STATEMENTS["container_of_dose"], dose_id))

    async def add_scan(
        self, scan_id: UUID, expected: Container, scan: Scan, step: str, at: datetime, by: str
    ) -> None:
        """The scan is on record."""
        outcome, read_as = _outcome(scan)
        await self._tx.run(
            STATEMENTS["add_scan"],
            scan_id, expected.case_id, expected.container_id, step, outcome, read_as, at, by,
        )  # fmt: skip

    async def last_handover(self, container_id: UUID) -> Handover | None:
        """The newest link."""
        row = await self._tx.row(STATEMENTS["last_handover"], container_id)
        return None if row is None else _handover(row)

    async def add_handover(self, handover: Handover) -> None:
        """The link is on record."""
        await self._tx.run(
            STATEMENTS["add_handover"],
            handover.handover_id,
            handover.container_id,
            handover.giver,
            handover.receiver,
            handover.place,
            handover.condition.value,
            handover.handed_over_at,
        )

    async def handovers(self, container_id: UUID) -> Sequence[Handover]:
        """The chain, oldest first."""
        rows = await self._tx.rows(STATEMENTS["handovers"], container_id)
        return [_handover(row) for row in rows]


def _container(row: Row | None) -> Container | None:
    if row is None:
        return None
    return Container(
        row["container_id"],
        row["case_id"],
        ContainerKind(row["kind"]),
        row["collection_id"],
        row["dose_id"],
    )


def _handover(row: Row) -> Handover:
    return Handover(**{**dict(row), "condition": Condition(row["condition"])})


def _outcome(scan: Scan) -> tuple[str, UUID | None]:
    match scan:
        case Match(container_id):
            return "match", container_id
        case Mismatch(container_id):
            return "mismatch", container_id
        case Unreadable():
            return "unreadable", None
        case _:
            assert_never(scan)
