"""A message of a feed joins the record of its patient; it is answered when that is committed.

Invariants: the answer that a sender gets is never better than what is on record. The same message
is answered the same way, and its facts are recorded once, however often and in whichever message
they arrive. No message opens a case, and of a patient who is not one here no content is kept.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from services.intake.application.feed_ports import Answered, Code, WaitingMessage
from services.intake.application.import_bundle import CHUNK_SIZE_MAX
from services.intake.application.incoming_messages import (
    Identifiers,
    IdentityChange,
    IncomingMessage,
    MessageProblem,
    Profile,
    ReadMessage,
)
from services.intake.application.open_case import IdentityConflictError, find_case
from services.intake.application.ports import IntakeRows
from services.intake.application.record_facts import record_facts
from services.intake.application.rulebooks import Rulebooks
from shared.messaging.unit_of_work import Cause, UnitOfWork, Work
from shared.protocol import Fact, parse_statement
from shared.protocol import Protocol as Rules

RECORDED: Final = "recorded"
IN_PART: Final = "recorded-in-part"
NOT_HERE: Final = "not-a-patient-here"
REFUSED: Final = "refused"


class ApplyIdentityChange(Protocol):
    """What to do when a sender merges, separates or renames patients."""

    async def __call__(self, work: Work[IntakeRows], change: IdentityChange) -> bool:
        """Whether the change was carried out or now waits for a person."""
        ...


async def identity_changes_wait(work: Work[IntakeRows], change: IdentityChange) -> bool:
    """Nobody carries them out: the message goes to a person, with an error to its sender."""
    return False


@dataclass(frozen=True, slots=True)
class Feeds:
    """What receiving needs of its surroundings."""

    unit_of_work: UnitOfWork[IntakeRows]
    rulebooks: Rulebooks
    read: ReadMessage
    apply_identity_change: ApplyIdentityChange = identity_changes_wait

    @property
    def protocol(self) -> Rules:
        """The protocol in force."""
        return self.rulebooks.protocol


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a message; `repeated`: it was answered before, and nothing was done now."""

    answer: Code
    outcome: str
    message: IncomingMessage
    problems: Sequence[MessageProblem] = ()
    case_id: UUID | None = None
    recorded: int = 0
    unchanged: int = 0
    repeated: bool = False


async def receive_message(
    feeds: Feeds, profile: Profile, raw: bytes, *, again: bool = False
) -> Received:
    """The answer to one message, after its commit. `again`: a person wants it read anew.

    Raises the errors of `shared.persistence.database`; then the sender must get no answer.
    """
    world = feeds.unit_of_work.world
    message = feeds.read(raw, profile, world.clock.now())
    if any(problem.for_good for problem in message.problems):
        return Received("AR", REFUSED, message, message.problems)
    facts, unreadable = _facts(feeds.protocol, message)
    cause = Cause(f"feed:{profile.feed}", world.ids.new())
    early, last = _chunks(facts)
    one = _One(feeds, profile, raw, message, (*message.problems, *unreadable), again)
    for chunk in early:  # the case is free again between chunks; repeating them changes nothing
        async with feeds.unit_of_work.begin(cause, bulk=True) as work:
            if not await one.is_known(work):
                await one.recorded_part(work, chunk)
    async with feeds.unit_of_work.begin(cause) as work:
        return await one.received(work, last)


def _chunks(facts: Sequence[Fact]) -> tuple[list[Sequence[Fact]], Sequence[Fact]]:
    """The parts that are committed before the last one, and the last one (perhaps empty)."""
    parts = [facts[n : n + CHUNK_SIZE_MAX] for n in range(0, len(facts), CHUNK_SIZE_MAX)]
    return parts[:-1], parts[-1] if parts else ()


def _facts(
    protocol: Rules, message: IncomingMessage
) -> tuple[list[Fact], tuple[MessageProblem, ...]]:
    facts: list[Fact] = []
    problems = []
    for statement in message.statements:
        read = parse_statement(statement, zone=protocol.zone, where="")
        if isinstance(read, tuple):
            place = str(statement["source"]).rpartition(" ")[2]
            problems += [MessageProblem("statement-unreadable", p.message, place) for p in read]
        else:
            facts.append(read)
    return facts, tuple(problems)


@dataclass(frozen=True, slots=True)
class _One:
    """One message on its way into the record."""

    feeds: Feeds
    profile: Profile
    raw: bytes
    message: IncomingMessage
    problems: Sequence[MessageProblem]
    again: bool

    async def is_known(self, work: Work[IntakeRows]) -> bool:
        """Whether this message was answered before, or is one that records nothing."""
        if self.problems or self.message.identity_changes:
            return True
        return await self._before(work) is not None

    async def recorded_part(self, work: Work[IntakeRows], facts: Sequence[Fact]) -> None:
        """Records one part of a long message; the last part answers for all."""
        case_id, conflict = await self._case(work)
        if case_id is not None and not conflict:
            await record_facts(
                work, self.feeds.protocol, case_id, facts, origin="imported", is_last_chunk=False
            )

    async def received(self, work: Work[IntakeRows], facts: Sequence[Fact]) -> Received:
        """The answer; what it says is in this transaction."""
        before = await self._before(work)
        if before is not None:
            return Received(
                before.answer, before.outcome, self.message, self.problems, before.case_id,
                repeated=True,
            )  # fmt: skip
        case_id, conflict = await self._case(work)
        problems = (*self.problems, *conflict)
        if case_id is None and not conflict:
            return await self._not_here(work)
        if not problems and self.message.identity_changes:
            problems = await self._identity(work)
            facts = ()  # whose they are is what two people decide
        if problems or case_id is None:
            await self._park(work, case_id, problems[0])
            return await self._answered(work, "AE", REFUSED, case_id, problems)
        done = await record_facts(work, self.feeds.protocol, case_id, facts, origin="imported")
        rejected = [line for line in self.message.report if line.outcome == "rejected"]
        told = tuple(MessageProblem(o.reason, o.message, o.place) for o in rejected)
        if told:
            await self._park(work, case_id, told[0])
        return await self._answered(
            work, "AA", IN_PART if told else RECORDED, case_id, told,
            recorded=len(done.recorded), unchanged=len(done.unchanged),
        )  # fmt: skip

    async def _before(self, work: Work[IntakeRows]) -> Answered | None:
        if self.again:
            return None
        return await work.rows.feeds.message_answered(self.profile.feed, self.message)

    async def _case(self, work: Work[IntakeRows]) -> tuple[UUID | None, tuple[MessageProblem, ...]]:
        named: Identifiers = self.message.identifiers
        for change in self.message.identity_changes:
            named = (*named, *change.surviving, *change.retired)
        try:
            return await find_case(work, tuple(dict.fromkeys(named))), ()
        except IdentityConflictError as error:
            if self.message.identity_changes:  # a merge of two cases is exactly about that
                return min(error.case_ids), ()
            said = "the identifiers belong to several cases"
            return None, (MessageProblem("identity-conflict", said, "PID[1]-3"),)

    async def _identity(self, work: Work[IntakeRows]) -> tuple[MessageProblem, ...]:
        for change in self.message.identity_changes:
            if not await self.feeds.apply_identity_change(work, change):
                said = f"{change.kind} of identities is not carried out from messages"
                return (MessageProblem("identity-change", said, "MSH[1]-9"),)
        return ()

    async def _not_here(self, work: Work[IntakeRows]) -> Received:
        await self._heard(work, unknown_patients=1)
        answer: Code = "AE" if self.problems else "AA"
        outcome = REFUSED if self.problems else NOT_HERE
        await self._put(work, Answered(answer, outcome, None))
        return Received(answer, outcome, self.message, self.problems)

    async def _park(
        self, work: Work[IntakeRows], case_id: UUID | None, why: MessageProblem
    ) -> None:
        header = self.message.header
        waiting = WaitingMessage(
            quarantine_id=work.world.ids.new(),
            feed=self.profile.feed,
            control_id=header.control_id,
            digest=self.message.digest,
            case_id=case_id,
            message_kind=f"{header.kind}^{header.event}",
            code=why.code,
            place=why.place,
            received_at=work.world.clock.now(),
        )
        if await work.rows.feeds.park_message(waiting, self.raw):
            work.note("message-parked", case_id, feed=self.profile.feed, code=why.code)

    async def _answered(
        self, work: Work[IntakeRows], answer: Code, outcome: str, case_id: UUID | None,
        problems: Sequence[MessageProblem], *, recorded: int = 0, unchanged: int = 0,
    ) -> Received:  # fmt: skip
        await self._heard(work, unknown_patients=0)
        await self._put(work, Answered(answer, outcome, case_id))
        return Received(answer, outcome, self.message, problems, case_id, recorded, unchanged)

    async def _heard(self, work: Work[IntakeRows], *, unknown_patients: int) -> None:
        at = work.world.clock.now()
        await work.rows.feeds.heard(self.profile.feed, at, unknown_patients)
        if not self.again:  # a person who reads it anew is not the source
            await work.rows.sources.hear(self.profile.feed, at)

    async def _put(self, work: Work[IntakeRows], answered: Answered) -> None:
        at = work.world.clock.now()
        await work.rows.feeds.put_message(self.profile.feed, self.message, answered, at)
