"""What every service does by timer besides its own work: audit roots, and old idempotency keys."""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from shared.audit.keys import root_key
from shared.audit.roots import EXPORT_SECONDS, RootError, RootExporter, RootFolder
from shared.contracts.vocabulary import Service
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.observability.figures import Figures
from shared.persistence.database import Database
from shared.web.idempotency import forget_old_keys

_LOG = logging.getLogger(__name__)

FORGET_SECONDS: Final = 600.0
#: the root of the chain of causes of what nobody asked for
_NOBODY: Final = UUID(int=0)

#: name, seconds between rounds, and one round
Chore = tuple[str, float, Callable[[], Awaitable[object]]]


def chores(
    service: Service,
    *,
    database: Database,
    unit_of_work: UnitOfWork[Any],
    figures: Figures,
    roots: Path,
    key_file: Path,
) -> tuple[Chore, ...]:
    """The chores of a service. `roots` should be a place where files can only be added."""
    clock = unit_of_work.world.machine_clock
    exporter = RootExporter(
        database=database,
        folder=RootFolder(roots, service),
        key=root_key(key_file, roots),
        clock=clock,
    )
    figures.before_reading(
        lambda: figures.audit_root_age_seconds.set(exporter.age_seconds(clock.now()))
    )

    async def export() -> None:
        try:
            await exporter.export()
        except (RootError, OSError) as error:
            # A root that cannot be written must be seen at once, and must stop no hold.
            figures.audit_root_failures.inc()
            _LOG.error("audit_root_failed", extra={"error": type(error).__name__})

    async def forget() -> None:
        cause = Cause(actor=f"service:{service.value}", correlation_id=_NOBODY)
        async with unit_of_work.begin(cause) as work:
            await forget_old_keys(work)

    return (
        ("audit-root", float(EXPORT_SECONDS), export),
        ("forget-idempotency-keys", FORGET_SECONDS, forget),
    )
