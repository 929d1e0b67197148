"""The rulebooks' tables behind `ProtocolRows`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from services.intake.application.protocol_ports import KeptRulebook, ProtocolSignature, ProtocolUse
from shared.persistence.database import Tx
from shared.persistence.mapping import made, made_or_none
from shared.persistence.statements import load_statements
from shared.protocol import RulebookTexts

STATEMENTS: Final = load_statements("services.intake.adapters", "protocol_queries.sql")


class PostgresProtocolRows:
    """`ProtocolRows` over one transaction."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def keep_rulebook(
        self, texts: RulebookTexts, *, protocol_id: str, version: str, kept_at: datetime
    ) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["keep_rulebook"],
            texts.digest,
            protocol_id,
            version,
            texts.coordination,
            texts.codes,
            texts.sentences,
            kept_at,
        )

    async def rulebook(self, digest: str) -> RulebookTexts | None:
        """See the port."""
        return made_or_none(RulebookTexts, await self._tx.row(STATEMENTS["rulebook"], digest))

    async def digest_of_version(self, version: str) -> str | None:
        """See the port."""
        found: str | None = await self._tx.value(STATEMENTS["digest_of_version"], version)
        return found

    async def rulebooks(self) -> Sequence[KeptRulebook]:
        """See the port."""
        return [made(KeptRulebook, row) for row in await self._tx.rows(STATEMENTS["rulebooks"])]

    async def signatures(self) -> Sequence[ProtocolSignature]:
        """See the port."""
        found = await self._tx.rows(STATEMENTS["signatures"])
        return [made(ProtocolSignature, row) for row in found]

    async def lock_uses(self) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["lock_uses"])

    async def add_signature(self, signature: ProtocolSignature) -> None:
        """See the port."""
        await self._tx.run(
            STATEMENTS["add_signature"],
            signature.signature_id,
            signature.digest,
            signature.act,
            signature.since,
            signature.reason,
            signature.signer,
            signature.signer_name,
            signature.signed_at,
            signature.signed_in_at,
        )

    async def add_use(self, use: ProtocolUse) -> None:
        """See the port."""
        await self._tx.run(STATEMENTS["add_use"], use.since, use.digest, use.status)

    async def uses(self) -> Sequence[ProtocolUse]:
        """See the port."""
        return [made(ProtocolUse, row) for row in await self._tx.rows(STATEMENTS["uses"])]
