"""Which protocol decides now, which one decided then, and every rulebook that ever did.

Invariant: a rulebook is found by the digest of its texts, never by its version alone, so that a
decision is made again with exactly the words that made it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from services.intake.application.ports import IntakeRows
from services.intake.application.protocol_ports import ProtocolRows, ProtocolUse, UseStatus
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.ports import Clock
from shared.protocol import Protocol, RulebookTexts, read_texts

Mode = Literal["demo", "shadow", "live"]
#: parsed rulebooks that are held; each takes a few megabytes and an eighth of a second to read
PARSED_MAX: Final = 8


class Rulebooks:
    """The rulebooks of this process. `packaged` is the one that came with the program."""

    def __init__(self, packaged: RulebookTexts, clock: Clock, mode: Mode) -> None:
        self.packaged = packaged
        self.mode = mode
        self._clock = clock
        self._parsed: dict[str, Protocol] = {}
        self._uses: Sequence[ProtocolUse] = ()

    @property
    def protocol(self) -> Protocol:
        """The protocol that decides now."""
        return self._of(self.use_at(self._clock.now()))

    def use_at(self, instant: datetime) -> ProtocolUse:
        """What decides at an instant; before the history begins, the packaged draft."""
        begun = [use for use in self._uses if use.since <= instant]
        return begun[-1] if begun else self._packaged_use(instant)

    def _packaged_use(self, instant: datetime) -> ProtocolUse:
        # A draft runs in the demo only; elsewhere it explains and plans, and nothing may start.
        status: UseStatus = "draft" if self.mode == "demo" else "unsigned"
        return ProtocolUse(instant, self.packaged.digest, status)

    def status_of(self, digest: str) -> str:
        """What a rulebook is now: in force, signed for later, draft, or retired."""
        now = self._clock.now()
        use = self.use_at(now)
        if use.digest == digest and use.status in ("signed", "draft"):
            return "in-force" if use.status == "signed" else "draft-in-use"
        mine = [u for u in self._uses if u.digest == digest and u.status in ("signed", "retired")]
        if any(u.since > now and u.status == "signed" for u in mine):
            return "signed"
        return "retired" if mine else "draft"

    async def at(self, rows: ProtocolRows, instant: datetime) -> Protocol:
        """The protocol that decided at an instant."""
        use = self.use_at(instant)
        found = await self.kept(rows, use.digest, use.status)
        return self.protocol if found is None else found

    async def kept(self, rows: ProtocolRows, digest: str, status: str) -> Protocol | None:
        """The protocol with this digest under this status, None when its texts are not kept."""
        if digest not in self._parsed:
            texts = await rows.rulebook(digest)
            if texts is None:
                return None
            self._remember(read_texts(texts))
        return with_status(self._parsed[digest], status)

    async def refresh(self, uow: UnitOfWork[IntakeRows]) -> None:
        """Reads the history anew; adds the packaged rulebook when another draft decided so far.

        A use that begins later is read in advance, so that every process changes at its instant.
        """
        async with uow.begin(Cause("service:intake", uow.world.ids.new())) as work:
            rows, now = work.rows.protocols, self._clock.now()
            if self.packaged.digest not in self._parsed:
                await self._keep_packaged(rows, now)
            self._uses = await rows.uses()
            use, packaged = self.use_at(now), self._packaged_use(now)
            is_signed_for = use.status in ("signed", "retired")
            if not self._uses or not (is_signed_for or self._same(use, packaged)):
                await rows.add_use(packaged)
                self._uses = await rows.uses()
            for use in [self.use_at(now), *(u for u in self._uses if u.since > now)]:
                await self.kept(rows, use.digest, use.status)

    @staticmethod
    def _same(one: ProtocolUse, other: ProtocolUse) -> bool:
        return (one.digest, one.status) == (other.digest, other.status)

    async def _keep_packaged(self, rows: ProtocolRows, now: datetime) -> None:
        packaged = read_texts(self.packaged)
        await rows.keep_rulebook(
            self.packaged, protocol_id=packaged.id, version=packaged.version, kept_at=now
        )
        self._remember(packaged)

    def _of(self, use: ProtocolUse) -> Protocol:
        return with_status(self._parsed[use.digest], use.status)

    def _remember(self, protocol: Protocol) -> None:
        now = self._clock.now()
        held = {self.packaged.digest, self.use_at(now).digest}
        held |= {use.digest for use in self._uses if use.since > now}
        for digest in [d for d in self._parsed if d not in held][: len(self._parsed) - PARSED_MAX]:
            del self._parsed[digest]
        self._parsed[protocol.digest] = protocol


def with_status(protocol: Protocol, status: str) -> Protocol:
    """The protocol under the status that its signatures give it, whatever its text claims."""
    return protocol if protocol.status == status else replace(protocol, status=status)
