"""What the use cases about rulebooks ask of their store. Each method is one SQL statement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol
from uuid import UUID

from shared.protocol import RulebookTexts

UseStatus = Literal["draft", "unsigned", "signed", "retired"]
Act = Literal["approved-for-use", "retired"]


@dataclass(frozen=True, slots=True)
class ProtocolUse:
    """From `since` on, the rulebook with this digest decides, under this status."""

    since: datetime
    digest: str
    status: UseStatus


@dataclass(frozen=True, slots=True)
class KeptRulebook:
    """A rulebook on record, without its texts."""

    digest: str
    protocol_id: str
    version: str
    kept_at: datetime


@dataclass(frozen=True, slots=True)
class ProtocolSignature:
    """A signed act on a rulebook. `signed_in_at` is the second component, in machine time."""

    signature_id: UUID
    digest: str
    act: Act
    since: datetime
    reason: str
    signer: str
    signer_name: str
    signed_at: datetime
    signed_in_at: datetime


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

    async def rulebooks(self) -> Sequence[KeptRulebook]:
        """Every rulebook on record, newest first."""
        ...

    async def signatures(self) -> Sequence[ProtocolSignature]:
        """Every signed act, in the order of signing."""
        ...

    async def lock_uses(self) -> None:
        """Lets nobody else change what decides until this transaction ends."""
        ...

    async def add_signature(self, signature: ProtocolSignature) -> None:
        """Adds a signed act."""
        ...

    async def add_use(self, use: ProtocolUse) -> None:
        """Adds to the history of what decides."""
        ...

    async def uses(self) -> Sequence[ProtocolUse]:
        """The whole history, in the order in which it counts."""
        ...
