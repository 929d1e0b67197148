"""Reading the read models for the pages: each function is one statement, typed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from services.console.live import Vector
from services.console.pages.chains import Logged
from services.console.pages.go_ahead import IntervalRow
from shared.messaging.bus import Partition
from shared.messaging.parking import NO_CASE
from shared.persistence.database import Row, Tx
from shared.persistence.mapping import made, made_or_none
from shared.persistence.statements import load_statements

STATEMENTS: Final = load_statements("services.console.pages")
#: a page beyond this is no page that a person reads
WORKLIST_ROWS: Final = 100
ALERT_ROWS_MAX: Final = 500
LOG_ROWS_MAX: Final = 1_000
DEAD_LETTERS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class WorklistFilter:
    """What of the worklist is asked for; None is any. `page` counts from 1."""

    urgency: int | None = None
    kind: str | None = None
    owner: str | None = None
    code: str | None = None
    closed: bool = False
    page: int = 1


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """One case. `since`: its most urgent open item waits since then, else its last event."""

    case_id: UUID
    code: str
    urgency: int
    kind: str | None
    what: str | None
    since: datetime
    owners: Sequence[str]
    items: int
    due_at: datetime | None
    opened_at: datetime | None
    closed_at: datetime | None
    last_event_at: datetime


@dataclass(frozen=True, slots=True)
class Worklist:
    """The rows of one page, and the counts of all rows under the same filter but for urgency."""

    rows: tuple[WorklistRow, ...]
    all_cases: int
    critical: int
    warning: int
    information: int
    quiet: int

    def count(self, urgency: int | None) -> int:
        """The number of rows that the filter with this urgency has."""
        by_urgency = {3: self.critical, 2: self.warning, 1: self.information, 0: self.quiet}
        return self.all_cases if urgency is None else by_urgency[urgency]


@dataclass(frozen=True, slots=True)
class NextInfusion:
    """The first infusion of a case that is still to be given."""

    case_id: UUID
    number: int | None
    planned_at: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class InfusionGate:
    """A case's infusion gate at one instant."""

    case_id: UUID
    start: str
    plan: str
    rules: Sequence[str]
    due: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class CaseCard:
    """A case as the events tell of it."""

    case_id: UUID
    code: str
    first_event_at: datetime
    last_event_at: datetime
    opened_at: datetime | None
    closed_at: datetime | None
    close_reason: str | None
    protocol_version: str | None


@dataclass(frozen=True, slots=True)
class HoldRow:
    """An open hold. `kind` None: known from an epoch's snapshot alone."""

    hold_id: UUID
    case_id: UUID
    kind: str | None
    rule: str | None
    gates: Sequence[str]
    doses: int | None
    on_running: str
    version: int
    recorded_at: datetime
    effective_at: datetime | None
    effective_by: str | None
    expected_until: datetime | None
    overdue: Sequence[str]
    holders: Sequence[str]


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """Which publication of a gate's timeline is shown."""

    gate: str
    epoch: int
    version: int
    timeline_version: int
    protocol_version: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class InfusionRow:
    """One infusion of the case."""

    infusion_id: UUID
    number: int | None
    planned_at: datetime | None
    state: str
    state_since: datetime
    cause: str | None
    rules: Sequence[str]
    hold_id: UUID | None
    refused_at: datetime | None
    refused_codes: Sequence[str]
    refused_rules: Sequence[str]


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch of the case."""

    batch_id: UUID
    state: str
    state_since: datetime
    forecast_on: date | None
    expires_at: datetime | None
    form: str | None
    doses: int


@dataclass(frozen=True, slots=True)
class PermitRow:
    """A permit that is out."""

    permit_id: UUID
    gate: str
    holder: str
    granted_at: datetime


@dataclass(frozen=True, slots=True)
class ProposalRow:
    """A proposed plan that waits for a person."""

    proposal_id: UUID
    moved: int
    impossible: int
    proposed_at: datetime


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One alert. `code` None: no service has spoken of its case otherwise."""

    alert_id: UUID
    case_id: UUID
    code: str | None
    cause: str
    urgency: str
    roles: Sequence[str]
    version: int
    state: str
    raised_at: datetime
    ack_due_at: datetime | None
    acknowledged_at: datetime | None
    escalation_step: int
    delivered_by: Sequence[str]
    failed_by: Sequence[str]
    closed_at: datetime | None
    close_reason: str | None


@dataclass(frozen=True, slots=True)
class SilentSourceRow:
    """A source of a case's evidence, and when it was last heard."""

    source_name: str
    feed: str
    since: datetime


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """A silent source, and how many open cases it concerns."""

    source_name: str
    feed: str
    since: datetime
    cases: int


@dataclass(frozen=True, slots=True)
class ParkingRow:
    """A case that another service has put aside."""

    case_id: UUID
    code: str | None
    consumer: str
    parked_source: str
    parked_sequence: int | None
    since: datetime


@dataclass(frozen=True, slots=True)
class OwnParkingRow:
    """A case that the console has put aside, by its first record that waits."""

    case_id: UUID
    code: str | None
    since: datetime
    cause: str | None
    event_type: str | None
    topic: str | None
    partition: int | None
    offset: int | None
    attempts: int | None
    waiting: int


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """A record that no case can be named for."""

    topic: str
    partition: int
    offset: int
    error: str
    dead_at: datetime


@dataclass(frozen=True, slots=True)
class StreamRow:
    """Through when (machine time) everything that a source said is shown here."""

    source: str
    through: datetime
    oldest_unsent_seconds: float


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are asked for; None is any. `slug` is the event's own word, of any service."""

    case_id: UUID | None = None
    slug: str | None = None
    source: str | None = None


async def worklist(tx: Tx, asked: WorklistFilter) -> Worklist:
    """One page of the worklist, rows and counts of one snapshot."""
    rows = await tx.rows(
        STATEMENTS["worklist"], asked.urgency, asked.kind, asked.owner, asked.code, asked.closed,
        WORKLIST_ROWS, (asked.page - 1) * WORKLIST_ROWS, NO_CASE,
    )  # fmt: skip
    shown = tuple(made(WorklistRow, row) for row in rows if row["case_id"] is not None)
    counts = {name: rows[0][name] for name in _COUNTS}
    return Worklist(shown, **counts)


_COUNTS: Final = ("all_cases", "critical", "warning", "information", "quiet")


async def infusion_gates(
    tx: Tx, cases: Sequence[UUID], now: datetime
) -> Mapping[UUID, InfusionGate]:
    """The infusion gates of cases at an instant; a case without an interval is left out."""
    rows = await tx.rows(STATEMENTS["infusion_gates"], cases, now)
    return {row["case_id"]: made(InfusionGate, row) for row in rows}


async def next_infusions(tx: Tx, cases: Sequence[UUID]) -> Mapping[UUID, NextInfusion]:
    """The next infusion of each case that has one."""
    rows = await tx.rows(STATEMENTS["next_infusions"], cases)
    return {row["case_id"]: made(NextInfusion, row) for row in rows}


async def case_card(tx: Tx, case_id: UUID) -> CaseCard | None:
    """The case, None when no event has spoken of it."""
    return made_or_none(CaseCard, await tx.row(STATEMENTS["case_by_id"], case_id))


async def case_by_code(tx: Tx, code: str) -> UUID | None:
    """The one case with this code; None for none, and for two that share it."""
    rows = await tx.rows(STATEMENTS["cases_by_code"], code)
    return rows[0]["case_id"] if len(rows) == 1 else None


async def open_holds(tx: Tx, case_id: UUID) -> tuple[HoldRow, ...]:
    """The holds that are not released, oldest first."""
    return tuple(made(HoldRow, r) for r in await tx.rows(STATEMENTS["open_holds"], case_id))


async def timelines(tx: Tx, case_id: UUID) -> Mapping[str, TimelineRow]:
    """The publications shown, by gate."""
    rows = await tx.rows(STATEMENTS["timelines_of_case"], case_id)
    return {row["gate"]: made(TimelineRow, row) for row in rows}


async def intervals(tx: Tx, case_id: UUID, now: datetime) -> tuple[IntervalRow, ...]:
    """The intervals that are not over, by gate and in order."""
    rows = await tx.rows(STATEMENTS["intervals_of_case"], case_id, now)
    return tuple(made(IntervalRow, row) for row in rows)


async def infusions(tx: Tx, case_id: UUID) -> tuple[InfusionRow, ...]:
    """The case's infusions in the order in which they are planned."""
    rows = await tx.rows(STATEMENTS["infusions_of_case"], case_id)
    return tuple(made(InfusionRow, row) for row in rows)


async def batches(tx: Tx, case_id: UUID) -> tuple[BatchRow, ...]:
    """The case's batches."""
    return tuple(made(BatchRow, r) for r in await tx.rows(STATEMENTS["batches_of_case"], case_id))


async def permits_out(tx: Tx, case_id: UUID) -> tuple[PermitRow, ...]:
    """The permits that are neither used nor lapsed."""
    return tuple(made(PermitRow, r) for r in await tx.rows(STATEMENTS["permits_out"], case_id))


async def proposals(tx: Tx, case_id: UUID) -> tuple[ProposalRow, ...]:
    """The proposals that wait for a person."""
    return tuple(made(ProposalRow, r) for r in await tx.rows(STATEMENTS["open_proposals"], case_id))


async def alerts(tx: Tx, case_id: UUID | None, *, closed: bool) -> tuple[AlertRow, ...]:
    """Alerts of a case or of all, unanswered and urgent ones first."""
    rows = await tx.rows(STATEMENTS["alerts"], case_id, closed, ALERT_ROWS_MAX)
    return tuple(made(AlertRow, row) for row in rows)


async def silent_sources(tx: Tx, case_id: UUID) -> tuple[SilentSourceRow, ...]:
    """The sources of the case's evidence that are silent, longest first."""
    rows = await tx.rows(STATEMENTS["silent_sources"], case_id)
    return tuple(made(SilentSourceRow, row) for row in rows)


async def all_silent_sources(tx: Tx) -> tuple[SilenceRow, ...]:
    """Every silent source of an open case, longest first."""
    return tuple(made(SilenceRow, row) for row in await tx.rows(STATEMENTS["all_silent_sources"]))


async def parkings(tx: Tx, case_id: UUID | None) -> tuple[ParkingRow, ...]:
    """What other services have put aside."""
    return tuple(made(ParkingRow, r) for r in await tx.rows(STATEMENTS["parkings"], case_id))


async def own_parkings(tx: Tx, case_id: UUID | None) -> tuple[OwnParkingRow, ...]:
    """What the console has put aside."""
    return tuple(made(OwnParkingRow, r) for r in await tx.rows(STATEMENTS["own_parkings"], case_id))


async def dead_letters(tx: Tx) -> tuple[DeadLetterRow, ...]:
    """Records without a case, newest first."""
    rows = await tx.rows(STATEMENTS["dead_letters"], DEAD_LETTERS_MAX)
    return tuple(made(DeadLetterRow, row) for row in rows)


async def waiting_events(tx: Tx, case_id: UUID) -> int:
    """How many events of the case wait for an earlier one."""
    return int(await tx.value(STATEMENTS["early_of_one_case"], case_id))


async def log_of_case(tx: Tx, case_id: UUID, rows_max: int) -> tuple[Logged, ...]:
    """The newest events of a case, newest first."""
    rows = await tx.rows(STATEMENTS["log_of_case"], case_id, rows_max)
    return tuple(made(Logged, row) for row in rows)


async def newest_events(
    tx: Tx, asked: EventFilter, types: Sequence[str] | None, rows_max: int
) -> tuple[tuple[Logged, ...], Vector]:
    """The newest events, and the place in the stream right behind what the log holds."""
    rows = await tx.rows(STATEMENTS["newest_events"], asked.case_id, types, asked.source, rows_max)
    events = tuple(made(Logged, row) for row in rows if row["event_id"] is not None)
    return events, _vector(rows[0])


def _vector(row: Row) -> Vector:
    return {Partition(topic, number): offset for topic, number, offset in row["places"]}


async def streams(tx: Tx) -> tuple[StreamRow, ...]:
    """What was heard of each source; one that was never heard is left out."""
    return tuple(made(StreamRow, row) for row in await tx.rows(STATEMENTS["streams"]))


async def own_positions(tx: Tx) -> Vector:
    """The next offset that the projection reads, by partition."""
    rows = await tx.rows(STATEMENTS["own_positions"])
    return {Partition(r["topic"], r["partition"]): r["next_offset"] for r in rows}


async def sent_from(tx: Tx, places: Vector) -> Mapping[Partition, datetime]:
    """When the first event at or after each place was sent; places with none are left out."""
    wanted = list(places.items())
    rows = await tx.rows(
        STATEMENTS["sent_from"], [place.topic for place, _ in wanted],
        [place.number for place, _ in wanted], [offset for _, offset in wanted],
    )  # fmt: skip
    return {Partition(r["topic"], r["partition"]): r["sent_at"] for r in rows}
