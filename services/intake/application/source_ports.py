"""What the sources' use cases ask of their store. Each method is one SQL statement."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

from services.intake.domain.sources import Configured, SourceSilence, Watermark


class SourceRows(Protocol):
    """The tables of the sources."""

    async def put_sources(self, sources: Sequence[Configured], at: datetime) -> None:
        """Adds what is new, and takes back what had been removed."""
        ...

    async def remove_other_sources(self, names: Sequence[str], at: datetime) -> None:
        """Sources that are no longer configured."""
        ...

    async def hear(self, name: str, at: datetime) -> datetime | None:
        """The watermark after a word from the source, never earlier than before; None: unknown."""
        ...

    async def watermarks(self, case_id: UUID | None) -> Sequence[Watermark]:
        """The configured sources, those that serve the case's site, or all; by name."""
        ...

    async def begin_silence(self, silence: SourceSilence, at: datetime) -> bool:
        """Whether the silence is new; a source has one open silence at most."""
        ...

    async def end_silence(self, silence_id: str, at: datetime) -> None:
        """The silence is over. Waits for transactions that are telling a case of it."""
        ...

    async def unsettled_silences(self) -> Sequence[SourceSilence]:
        """Silences of which a case may still have to be told; by id."""
        ...

    async def silence_standing(self, silence_id: str) -> SourceSilence | None:
        """The silence, which does not end before this transaction does."""
        ...

    async def cases_not_told(self, silence: SourceSilence, limit: int) -> Sequence[UUID]:
        """Open cases of its site whose record lacks an open silence, or told ones its end."""
        ...

    async def settle(self, silence_id: str) -> None:
        """Nobody has to be told of it any more."""
        ...
