"""Makes stored decisions again, from the facts known then and the rulebook that they carry.

Invariant: nothing is written. A decision is equal only if every byte of it is; one whose rulebook
was not kept is told apart and never counts as equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from services.intake.application.keep_decisions import marks_of
from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import facts_of
from services.intake.application.record_ports import StoredDecision, StoredFact
from services.intake.application.rulebooks import Rulebooks
from shared.contracts.vocabulary import Gate
from shared.protocol import Decision, Protocol, canonical, decide

#: decisions of one call; each takes some milliseconds, and a caller asks for the next page
PAGE_MAX: Final = 200


class Replay(StrEnum):
    """What became of a decision that was made again."""

    EQUAL = "equal"
    DIFFERENT = "different"
    RULEBOOK_MISSING = "rulebook-missing"


@dataclass(frozen=True, slots=True)
class Replayed:
    """A stored decision, and what came of making it again; `now` is what differs, as JSON."""

    decision: StoredDecision
    outcome: Replay
    now: str | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which stored decisions are asked about. `after`: the last one of the page before."""

    case_id: UUID | None = None
    as_of: datetime | None = None
    after: UUID | None = None
    limit: int = PAGE_MAX


async def replay(rows: IntakeRows, rulebooks: Rulebooks, stretch: Stretch) -> Sequence[Replayed]:
    """The decisions of the stretch, each made again."""
    facts = FactsThen(rows)
    found = await stored_decisions(rows, stretch)
    return [await _replayed(rows, rulebooks, facts, stored) for stored in found]


async def stored_decisions(rows: IntakeRows, stretch: Stretch) -> Sequence[StoredDecision]:
    """The decisions of the stretch, in the order of their ids."""
    return await rows.record.decisions_page(
        stretch.after, stretch.case_id, stretch.as_of, stretch.limit
    )


async def _replayed(
    rows: IntakeRows, rulebooks: Rulebooks, facts: "FactsThen", stored: StoredDecision
) -> Replayed:
    digest, status = stored.protocol_digest, stored.protocol_status
    if digest is None or status is None:
        return Replayed(stored, Replay.RULEBOOK_MISSING)
    protocol = await rulebooks.kept(rows.protocols, digest, status)
    if protocol is None:
        return Replayed(stored, Replay.RULEBOOK_MISSING)
    again = await decided_again(facts, protocol, stored)
    now = canonical(again.to_json())
    labels = (protocol.version, again.verdict.value)
    if now == stored.body and labels == (stored.protocol_version, stored.verdict):
        return Replayed(stored, Replay.EQUAL)
    return Replayed(stored, Replay.DIFFERENT, now)


async def decided_again(facts: "FactsThen", protocol: Protocol, stored: StoredDecision) -> Decision:
    """What a protocol says of the same gate and instant, on the facts that were known then."""
    known = facts_of(await facts.known_to(stored))
    return decide(protocol, (*known, *marks_of(stored)), Gate(stored.gate), stored.decided_at)


class FactsThen:
    """The facts that were on record when a decision was made; the last case read is remembered."""

    def __init__(self, rows: IntakeRows) -> None:
        self._rows = rows
        self._case_id: UUID | None = None
        self._facts: Sequence[StoredFact] = ()

    async def known_to(self, stored: StoredDecision) -> Sequence[StoredFact]:
        """In order of arrival, up to the last one that the decision knew."""
        if self._case_id != stored.case_id:
            self._facts = await self._rows.record.facts_of_case(stored.case_id)
            self._case_id = stored.case_id
        return [fact for fact in self._facts if fact.ordinal <= stored.last_ordinal]
