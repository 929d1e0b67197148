"""How far intake has applied what the holders said, by their heartbeats."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from services.intake.adapters.record import STATEMENTS
from shared.contracts.vocabulary import Service
from shared.messaging.heartbeats import has_early, stream_is_current
from shared.messaging.partitioning import partition_of
from shared.persistence.database import Tx
from shared.ports import World

#: start permit, step 2b: a heartbeat at most so old, whose oldest unsent event was younger
AGE_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True, slots=True)
class HeartbeatStreams:
    """`HolderStreams` by heartbeats. Times are machine time."""

    world: World
    partitions: int

    async def is_current(self, tx: Tx, holder: Service, case_id: UUID) -> bool:
        """Whether all that the holder has said of this case lately is applied here."""
        if await has_early(tx, Service.INTAKE, case_id):
            return False
        return await stream_is_current(
            tx,
            Service.INTAKE,
            holder,
            partition_of(case_id, self.partitions),
            now=self.world.machine_clock.now(),
            age_seconds_max=AGE_SECONDS_MAX,
        )

    async def has_applied_past(
        self, tx: Tx, holder: Service, case_id: UUID, instant: datetime
    ) -> bool:
        """Whether whatever the holder had said of this case by `instant` is applied here."""
        partition = partition_of(case_id, self.partitions)
        statement = STATEMENTS["has_applied_past"]
        applied = await tx.value(statement, Service.INTAKE.value, holder.value, partition, instant)
        return bool(applied) and not await has_early(tx, Service.INTAKE, case_id)
