"""Fill in a form, correct it, withdraw it: one call each, one transaction each.

Invariant: an entry's newest version alone makes facts that count. A correction takes all the facts
of the version before it out, as entered in error, together with recording its own.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from services.intake.application.entry_ports import StoredEntry
from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_case import facts_on_record
from services.intake.application.record_facts import RecordedFacts, record_facts
from services.intake.domain.entries import Form, Made, Statement, made_of, planned_doses
from services.intake.domain.reporting import roles_for
from shared.auth.principal import Principal
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Work
from shared.protocol import Fact, Protocol, parse_statement


class NotYourFormError(Exception):
    """Another role enters this. `by` names the roles that do."""

    def __init__(self, by: frozenset[Role]) -> None:
        super().__init__("not your kind of entry")
        self.by = by


class EntryNotThereError(LookupError):
    """There is no such entry, or it was withdrawn."""


class StaleEntryError(Exception):
    """Somebody else changed the entry meanwhile; `version` is its present one."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version}")
        self.version = version


class StatementsRefusedError(ValueError):
    """The form makes no readable statement; each part says where and why."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{where}: {why}" for where, why in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class FormOrder:
    """A filled-in form: `body` as it was sent, for whoever looks the entry up again."""

    case_id: UUID
    name: str
    form: Form
    body: Mapping[str, Any]
    by: Principal


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry with what its newest version made. `made` None: it was withdrawn."""

    entry: StoredEntry
    recorded: RecordedFacts
    made: Made | None


async def enter_form(work: Work[IntakeRows], protocol: Protocol, order: FormOrder) -> Entered:
    """The new entry. Raises `FormRefusedError`, `StatementsRefusedError`, `NotYourFormError`."""
    await work.rows.authority.lock_case(order.case_id)
    first = StoredEntry(
        entry_id=work.world.ids.new(),
        version=1,
        case_id=order.case_id,
        form=order.name,
        body=order.body,
        sources=(),
        withdrawn=False,
        entered_by=order.by.subject,
        entered_at=work.world.clock.now(),
    )
    return await _record(work, protocol, order, first, ())


async def correct_entry(
    work: Work[IntakeRows], protocol: Protocol, entry_id: UUID, order: FormOrder, seen: int
) -> Entered:
    """The entry with the form filled in again as a whole, in its next version.

    Raises what `enter_form` raises, `EntryNotThereError`, `StaleEntryError`.
    """
    before = await _current(work, order.case_id, entry_id, seen)
    if before.form != order.name:
        raise EntryNotThereError(entry_id)
    following = replace(
        before,
        version=before.version + 1,
        body=order.body,
        entered_by=order.by.subject,
        entered_at=work.world.clock.now(),
    )
    return await _record(work, protocol, order, following, _taken_out(protocol, before, work))


async def withdraw_entry(
    work: Work[IntakeRows],
    protocol: Protocol,
    case_id: UUID,
    entry_id: UUID,
    *,
    by: Principal,
    seen: int,
    reason: str | None = None,
) -> Entered:
    """The entry in a last version that makes no facts; its body is the reason, where one is given.

    Raises `EntryNotThereError`, `StaleEntryError`, `NotYourFormError`.
    """
    before = await _current(work, case_id, entry_id, seen)
    stored = await work.rows.record.facts_of_case(case_id)
    _check_roles(by, [f.statement for f in stored if f.source_id in before.sources])
    out = _taken_out(protocol, before, work)
    recorded = await record_facts(work, protocol, case_id, out, origin="entered")
    last = replace(
        before,
        version=before.version + 1,
        body=before.body if reason is None else {"reason": reason},
        sources=(),
        withdrawn=True,
        entered_by=by.subject,
        entered_at=work.world.clock.now(),
    )
    await work.rows.entries.insert_entry(last)
    work.note("entry-withdrawn", case_id, entry_id=str(entry_id), version=last.version)
    return Entered(last, recorded, None)


async def _current(work: Work[IntakeRows], case_id: UUID, entry_id: UUID, seen: int) -> StoredEntry:
    await work.rows.authority.lock_case(case_id)
    entry = await work.rows.entries.entry(case_id, entry_id)
    if entry is None or entry.withdrawn:
        raise EntryNotThereError(entry_id)
    if entry.version != seen:
        raise StaleEntryError(entry.version)
    return entry


async def _record(
    work: Work[IntakeRows],
    protocol: Protocol,
    order: FormOrder,
    entry: StoredEntry,
    out: Sequence[Fact],
) -> Entered:
    known = await facts_on_record(work.rows, order.case_id)
    made = made_of(protocol, order.form, planned_doses(protocol, (*known, *out)), entry.entered_at)
    _check_roles(order.by, made.statements)
    facts = _facts(protocol, entry, made.statements)
    recorded = await record_facts(work, protocol, order.case_id, (*out, *facts), origin="entered")
    kept = replace(entry, sources=tuple(fact.id for fact in facts))
    await work.rows.entries.insert_entry(kept)
    work.note(
        "entry-recorded",
        order.case_id,
        entry_id=str(kept.entry_id),
        form=kept.form,
        version=kept.version,
    )
    return Entered(kept, recorded, made)


def _check_roles(by: Principal, statements: Sequence[Statement]) -> None:
    for statement in statements:
        allowed = roles_for(statement)
        if not by.roles & allowed:
            raise NotYourFormError(allowed)


def _facts(protocol: Protocol, entry: StoredEntry, statements: Sequence[Statement]) -> list[Fact]:
    # Plan changes of one entry apply in the order of their ids, hence the leading zeros.
    prefix, at = f"entry/{entry.entry_id}/{entry.version}", entry.entered_at.isoformat()
    return _read(
        protocol,
        [
            {"effective": at, "source": "entered", **statement, "id": f"{prefix}/{n:03}"}
            for n, statement in enumerate(statements)
        ],
    )


def _taken_out(protocol: Protocol, before: StoredEntry, work: Work[IntakeRows]) -> list[Fact]:
    now = work.world.clock.now().isoformat()
    return _read(
        protocol,
        [
            {
                "kind": "correction",
                "id": f"{source}/out",
                "of": source,
                "status": "entered-in-error",
                "effective": now,
                "recorded": now,
                "source": "entered",
            }
            for source in before.sources
        ],
    )


def _read(protocol: Protocol, statements: Sequence[Statement]) -> list[Fact]:
    facts: list[Fact] = []
    problems: list[tuple[str, str]] = []
    for statement in statements:
        read = parse_statement(statement, zone=protocol.zone)
        if isinstance(read, tuple):
            problems += [(problem.where, problem.message) for problem in read]
        else:
            facts.append(read)
    if problems:
        raise StatementsRefusedError(problems)
    return facts
