"""Two people decide a pending change of identity: they confirm it, or decline it as a mistake.

Invariants: facts are copied, never moved, so none is ever lost; running it twice equals once; the
holds of one change never open what another change, or any other hold, keeps shut.
"""

from collections.abc import Sequence
from uuid import UUID, uuid5

from services.intake.application.holding import withdraw_hold
from services.intake.application.place_hold import record_hold
from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import facts_of
from services.intake.application.record_facts import new_fact, record_facts
from services.intake.application.record_ports import StoredFact
from services.intake.domain.holds import REPORTABLE_KINDS, HoldOrder
from services.intake.domain.identity import (
    ChangeKind,
    ChangeState,
    Identifier,
    IdentityRefusal,
    RecordedChange,
    Signatures,
    may_decide,
)
from shared.contracts.vocabulary import HoldKind
from shared.messaging.unit_of_work import Work
from shared.protocol import Protocol, parse_statement


class UnknownChangeError(LookupError):
    """There is no such change."""


class DecisionRefusedError(Exception):
    """These people may not decide this now."""

    def __init__(self, refusal: IdentityRefusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


async def decide_identity(
    work: Work[IntakeRows],
    protocol: Protocol,
    change_id: UUID,
    signed: Signatures,
    *,
    confirmed: bool,
) -> RecordedChange:
    """The change, decided. Decided before in the same way, it is as it was.

    Raises `UnknownChangeError`, `DecisionRefusedError`.
    """
    change = await _locked(work, change_id)
    state = ChangeState.CONFIRMED if confirmed else ChangeState.DECLINED
    if change.state is state:
        return change
    if change.state is not ChangeState.PENDING:
        raise _refused("already-decided", "The change was decided the other way.")
    refusal = may_decide(change, signed)
    if refusal is not None:
        raise DecisionRefusedError(refusal)
    moved = await _carried_out(work, protocol, change, signed) if confirmed else ()
    await work.rows.identity.decide(change_id, state, signed, moved, work.world.clock.now())
    await _release(work, change, signed, confirmed=confirmed)
    for case_id in change.case_ids:
        work.note(
            f"identity-{change.kind.value}-{state.value.lower()}",
            case_id,
            change=str(change_id),
            second_signer=signed.second,
            checked=",".join(signed.checked),
        )
    return await _known(work, change_id)


async def _locked(work: Work[IntakeRows], change_id: UUID) -> RecordedChange:
    for case_id in sorted((await _known(work, change_id)).case_ids):
        await work.rows.authority.lock_case(case_id)
    return await _known(work, change_id)


async def _known(work: Work[IntakeRows], change_id: UUID) -> RecordedChange:
    change = await work.rows.identity.change(change_id)
    if change is None:
        raise UnknownChangeError(change_id)
    return change


def _refused(code: str, title: str) -> DecisionRefusedError:
    return DecisionRefusedError(IdentityRefusal(code, title))


async def _carried_out(
    work: Work[IntakeRows], protocol: Protocol, change: RecordedChange, signed: Signatures
) -> tuple[Identifier, ...]:
    """The identifiers that changed their case."""
    surviving, retired = change.surviving_case, change.retired_case
    if change.kind is ChangeKind.CONFLICT:
        raise _refused(
            "not-confirmable", "A conflict is declined once the merges it asks for are decided."
        )
    if surviving is None or retired is None:
        await _learn(work, change, (surviving or retired))
        return ()
    if change.kind is ChangeKind.UNMERGE:
        return await _taken_apart(work, protocol, change, signed, surviving, retired)
    for case_id in (surviving, retired):
        if await work.rows.identity.merged_into(case_id) is not None:
            raise _refused("overtaken", "One of the cases was merged meanwhile; decline this one.")
    if await work.rows.identity.was_unmerged(surviving, retired):
        raise _refused("merged-before", "These cases were merged and taken apart before.")
    return await _merged(work, protocol, change, surviving, retired)


async def _learn(work: Work[IntakeRows], change: RecordedChange, case_id: UUID | None) -> None:
    """A merge of which one side was unknown: the known case has the other's identifiers too."""
    if case_id is None:
        raise AssertionError("a change without a case is not recorded")
    for system, value in change.retired_keys:
        await work.rows.record.claim_identifier(system, value, case_id)


async def _merged(
    work: Work[IntakeRows],
    protocol: Protocol,
    change: RecordedChange,
    surviving: UUID,
    retired: UUID,
) -> tuple[Identifier, ...]:
    moved = await work.rows.identity.move_identifiers(retired, surviving)
    await work.rows.identity.retire_case(retired, surviving, work.world.clock.now())
    stored = _worth_copying(await work.rows.record.facts_of_case(retired))
    facts = facts_of(stored)
    origins = {
        new_fact(surviving, fact).fact_id: source.fact_id
        for fact, source in zip(facts, stored, strict=True)
    }
    done = await record_facts(work, protocol, surviving, facts, origin="imported")
    pairs = [(fact_id, origins[fact_id]) for fact_id in done.recorded]
    await work.rows.identity.note_provenance(change.change_id, pairs)
    await _copy_holds(work, change, surviving, retired)
    return tuple(moved)


def _worth_copying(stored: Sequence[StoredFact]) -> Sequence[StoredFact]:
    """All facts but corrections that a later version of their fact contains already.

    The copies are learnt at one instant, at which such a correction would strike the later version.
    """
    latest = {fact.source_id: fact.ordinal for fact in stored}
    return [
        fact
        for fact in stored
        if fact.kind != "correction"
        or latest.get(str(fact.statement["of"]), fact.ordinal) <= fact.ordinal
    ]


async def _copy_holds(
    work: Work[IntakeRows], change: RecordedChange, surviving: UUID, retired: UUID
) -> None:
    """What people held at the retired case is held at the surviving one; rules follow the facts."""
    for hold in await work.rows.authority.open_holds(retired):
        is_of_a_change = hold.kind is HoldKind.IDENTITY and hold.episode is not None
        if hold.kind not in REPORTABLE_KINDS or is_of_a_change:
            continue
        order = HoldOrder(
            hold_id=uuid5(change.change_id, f"copy:{hold.hold_id}"),
            case_id=surviving,
            kind=hold.kind,
            scope=hold.scope,
            on_running=hold.on_running,
            reporter=hold.reporter,
            review_at=hold.review_at,
        )
        await record_hold(work, order)


async def _taken_apart(
    work: Work[IntakeRows],
    protocol: Protocol,
    change: RecordedChange,
    signed: Signatures,
    surviving: UUID,
    retired: UUID,
) -> tuple[Identifier, ...]:
    merge = await work.rows.identity.merge_of(surviving, retired)
    if merge is None:
        raise _refused("overtaken", "The cases are apart already; decline this one.")
    await work.rows.identity.give_back(merge.moved, retired)
    await work.rows.identity.reopen_case(retired)
    corrections = [
        {
            "kind": "correction",
            "id": f"unmerge/{change.change_id}/{source_id}",
            "of": source_id,
            "status": "entered-in-error",
            "effective": work.world.clock.now().isoformat(),
        }
        for source_id in await work.rows.identity.copied_sources(merge.change_id)
    ]
    facts = []
    for statement in corrections:
        fact = parse_statement(statement, zone=protocol.zone)
        if isinstance(fact, tuple):
            raise AssertionError(f"our own statement is refused: {fact}")
        facts.append(fact)
    await record_facts(work, protocol, surviving, facts, origin="entered")
    await record_facts(work, protocol, retired, (), origin="entered")
    await _release_of(work, merge, retired, signed)
    return merge.moved


async def _release(
    work: Work[IntakeRows], change: RecordedChange, signed: Signatures, *, confirmed: bool
) -> None:
    """Opens what this change held; a retired case stays shut, with its material."""
    stays = change.retired_case if confirmed and change.kind is ChangeKind.MERGE else None
    if change.surviving_case is None:
        stays = None
    for case_id in change.case_ids:
        if case_id != stays:
            await _release_of(work, change, case_id, signed)


async def _release_of(
    work: Work[IntakeRows], change: RecordedChange, case_id: UUID, signed: Signatures
) -> None:
    hold = await work.rows.authority.open_hold_of(
        case_id, HoldKind.IDENTITY, None, change.hold_episode
    )
    if hold is None:
        return
    releaser = signed.second if hold.reporter == signed.first else signed.first
    await withdraw_hold(work, hold, releaser, f"identity change {change.change_id} decided")
