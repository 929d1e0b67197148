"""Rulebooks from draft to signed to retired: who approved which text, and from when it decides.

Invariant: what decides at an instant follows from the history alone, which only grows; a version
name stands for one signed text for ever. A use begins late enough for every process to know it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from services.intake.application.ports import IntakeRows
from services.intake.application.protocol_ports import (
    Act,
    ProtocolSignature,
    ProtocolUse,
    UseStatus,
)
from services.intake.application.rulebooks import Rulebooks
from shared.auth.principal import Principal
from shared.messaging.unit_of_work import Work
from shared.protocol import Protocol, RulebookTexts, can_be_closed, read_texts

#: every process reads the history anew more often than this (bootstrap.FOLLOW_SECONDS)
NOTICE: Final = timedelta(minutes=1)


class NotSignableError(Exception):
    """The act is refused; `code` and `title` say why."""

    def __init__(self, code: str, title: str) -> None:
        super().__init__(title)
        self.code = code
        self.title = title


@dataclass(frozen=True, slots=True)
class SignOrder:
    """What is signed: the rulebook with this digest decides, or no longer decides, from `since`.

    `since` None: as soon as every process can know of it.
    """

    digest: str
    act: Act
    since: datetime | None
    reason: str


async def propose_rulebook(work: Work[IntakeRows], texts: RulebookTexts) -> Protocol:
    """The rulebook of these texts, kept so that it can be read, compared and signed.

    Raises RulebookError for an inconsistent one, `NotSignableError` when its version is signed
    already with other words.
    """
    protocol = read_texts(texts)
    await _check_version(work.rows, protocol)
    if not can_be_closed(protocol):
        raise NotSignableError("rulebook-refused", "It lacks the rule about its own signature.")
    await work.rows.protocols.keep_rulebook(
        texts, protocol_id=protocol.id, version=protocol.version, kept_at=work.world.clock.now()
    )
    work.note("protocol-proposed", None, version=protocol.version, digest=protocol.digest)
    return protocol


async def sign_rulebook(
    work: Work[IntakeRows],
    rulebooks: Rulebooks,
    order: SignOrder,
    signer: Principal,
    signed_in_at: datetime,
) -> ProtocolSignature:
    """The signature as it is kept. Raises `NotSignableError`."""
    now = work.world.clock.now()
    protocol = await rulebooks.kept(work.rows.protocols, order.digest, "signed")
    if protocol is None:
        raise NotSignableError("no-such-rulebook", "No rulebook with this digest is on record.")
    since = order.since or now + NOTICE
    if since < now + NOTICE:
        raise NotSignableError("too-soon", "Let it begin in a minute at the earliest.")
    await work.rows.protocols.lock_uses()
    await (_check_retirable if order.act == "retired" else _check_version)(work.rows, protocol)
    signature = ProtocolSignature(
        work.world.ids.new(), order.digest, order.act, since, order.reason, signer.subject,
        signer.name, now, signed_in_at,
    )  # fmt: skip
    await work.rows.protocols.add_signature(signature)
    status: UseStatus = "retired" if order.act == "retired" else "signed"
    await work.rows.protocols.add_use(ProtocolUse(since, order.digest, status))
    work.note(
        "protocol-signed", None, act=order.act, version=protocol.version, digest=order.digest,
        since=since.isoformat(), signature=str(signature.signature_id),
    )  # fmt: skip
    return signature


async def _check_version(rows: IntakeRows, protocol: Protocol) -> None:
    """A version that was signed means one text for ever."""
    signed = {s.digest for s in await rows.protocols.signatures()}
    for other in await rows.protocols.rulebooks():
        is_same = (other.protocol_id, other.version) == (protocol.id, protocol.version)
        if is_same and other.digest != protocol.digest and other.digest in signed:
            title = (
                f"Version {protocol.version} is signed with other words; give it another number."
            )
            raise NotSignableError("version-taken", title)


async def _check_retirable(rows: IntakeRows, protocol: Protocol) -> None:
    """Only the rulebook that would decide then can be retired: others do not decide anyway."""
    uses = await rows.protocols.uses()
    if not uses or (uses[-1].digest, uses[-1].status) != (protocol.digest, "signed"):
        raise NotSignableError("not-in-force", "Another rulebook decides, or none.")
