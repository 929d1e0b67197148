"""What the use cases about rulebooks ask of their store. Each method is one SQL statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from shared.protocol import RulebookTexts

UseStatus = Literal["draft", "signed"]


@dataclass(frozen=True, slots=True)
class ProtocolUse:
    """From `since` on, the rulebook with this digest decides, under this status."""

    since: datetime
    digest: str
    status: UseStatus


class ProtocolRows(Protocol):
    """The rulebooks, and which of them decides from when on."""

    async def keep_rulebook(
        self, texts: RulebookTexts, *, protocol_id: str, version: str, kept_at: datetime
    ) -> None:
        """Keeps a rulebook's texts; one that is kept already stays."""
        ...

    async def rulebook(self, digest: str) -> RulebookTexts | None:
        """The texts with this digest."""
        ...

    async def digest_of_version(self, version: str) -> str | None:
        """The digest of the rulebook of a version that was kept last."""
        ...

    async def add_use(self, use: ProtocolUse) -> None:
        """Adds to the history of what decides."""
        ...

    async def uses(self) -> Sequence[ProtocolUse]:
        """The whole history, in the order in which it counts."""
        ...
