"""An authority and its holders on real PostgreSQL, with clocks in the test's hand and no Kafka.

`deliver` takes committed outbox rows through the real wire format into the real reactions, as the
consumer would: case locked, one transaction, effects and acknowledgement together.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from hooked import HookedDatabase

from services.intake.adapters.authority import AuthorityStore
from services.intake.application.authority_ports import Authority, PageDue
from services.intake.application.authority_reactions import authority_reactions
from services.intake.application.consume_permit import OutcomeReport, record_outcome
from services.intake.application.lapse_permits import lapse_permits
from services.intake.domain.holds import POLICY, HoldOrder, HoldScope
from services.intake.domain.permits import (
    DecisionSeen,
    Outcome,
    PermitRequest,
    ProductSeen,
)
from services.intake.entrypoints.http_authority import authority_router
from shared.auth.principal import Principal
from shared.contracts.event import Envelope
from shared.contracts.vocabulary import Gate, HoldKind, Role, Service, Verdict
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.messaging.wire import Record, read_envelope
from shared.permits.ask import Press
from shared.permits.clearance import HOLDER_OF, ClearanceVersion
from shared.permits.holder import AuthorityAddress, Holder
from shared.permits.press_start import StartAnswer, press_start
from shared.permits.replicate import holder_reactions
from shared.permits.rows import lock_fences
from shared.permits.starts import StartChange
from shared.permits.times import PermitTimes
from shared.persistence.database import Database, Tx
from shared.persistence.migrations import Migration, migrations_in
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.ports import HttpAnswer, HttpUnreachableError, LeaseClock, World
from shared.web import failures
from shared.web.health import Readiness
from shared.web.rates import TokenBuckets
from shared.web.requests import trace_from

NOON = datetime(2027, 3, 10, 12, 0, tzinfo=UTC)
LOCK_WAITS = """
SELECT pid, query_start FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
EMPTY_AUTHORITY = """
TRUNCATE case_clearance, hold, permit, hold_wait, hold_acknowledgement, unpermitted_start,
         authority_recovery, authority_history, hold_page, permit_advice, outbox, stream_head
"""
EMPTY_HOLDER = """
TRUNCATE fence, hold_replica, start, dose_subject, database_identity, parked_case, outbox,
         stream_head
"""
BOTH = (Service.MANUFACTURING, Service.INFUSION_SCHEDULING)


def authority_migrations() -> tuple[Migration, ...]:
    return (
        *migrations_in("shared.messaging"),
        *migrations_in("shared.audit"),
        *migrations_in("services.intake"),
    )


def holder_migrations() -> tuple[Migration, ...]:
    return (
        *migrations_in("shared.messaging"),
        *migrations_in("shared.audit"),
        *migrations_in("shared.permits"),
    )


class ManualClock:
    """A wall clock that moves when the test says so."""

    def __init__(self, start: datetime = NOON) -> None:
        self.instant = start

    def now(self) -> datetime:
        return self.instant


class ManualLeaseClock:
    """A boot clock that moves when the test says so."""

    def __init__(self, boot_id: str = "boot-1") -> None:
        self.boot_id = boot_id
        self.reading_ns = 1_000_000_000_000

    def now_ns(self) -> int:
        return self.reading_ns


class FreshIds:
    def new(self) -> UUID:
        return uuid4()


class NoChance:
    def fraction(self) -> float:
        return 0.5


class NoWaiting:
    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing in the permit protocol waits by itself")


class Wire:
    """The `Http` port inside one process: routes by path prefix, and cut when the test says so."""

    def __init__(self) -> None:
        self.routes: dict[str, Callable[..., Awaitable[HttpAnswer]]] = {}
        self.is_cut = False
        self.calls: list[tuple[str, str]] = []

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpAnswer:
        self.calls.append((method, url))
        for prefix, route in self.routes.items():
            if url.startswith(prefix) and not self.is_cut:
                return await route(method, url.removeprefix(prefix), body, dict(headers or {}))
        raise HttpUnreachableError(url)


@dataclass
class Clocks:
    """All clocks of the test; they pass together."""

    wall: ManualClock = field(default_factory=ManualClock)
    machine: ManualClock = field(default_factory=ManualClock)
    lease: ManualLeaseClock = field(default_factory=ManualLeaseClock)

    def pass_seconds(self, seconds: float) -> None:
        self.wall.instant += timedelta(seconds=seconds)
        self.machine.instant += timedelta(seconds=seconds)
        self.lease.reading_ns += round(seconds * 1e9)


def world_of(clocks: Clocks, wire: Wire) -> World:
    return World(
        clock=clocks.wall,
        machine_clock=clocks.machine,
        lease_clock=clocks.lease,
        ids=FreshIds(),
        chance=NoChance(),
        waiter=NoWaiting(),
        http=wire,
    )


@dataclass
class IntakeRows:
    """Intake's repository, as far as the authority needs it."""

    authority: AuthorityStore


@dataclass
class RecordDouble:
    """What the record would answer: set by the test, per gate."""

    verdicts: dict[Gate, DecisionSeen] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    usable_until: datetime | None = None
    behind: set[Service] = field(default_factory=set)

    async def decide(
        self, tx: Tx, case_id: UUID, gate: Gate, at: datetime, dose_id: UUID | None
    ) -> DecisionSeen:
        return self.verdicts.get(gate, DecisionSeen(Verdict.GO, (), None, "1.0.0"))

    async def products(
        self, tx: Tx, request: PermitRequest, at: datetime, usable_until: datetime
    ) -> ProductSeen:
        return ProductSeen(self.faults, self.usable_until)

    async def is_current(self, tx: Tx, holder: Service, case_id: UUID) -> bool:
        return holder not in self.behind

    async def has_applied_past(
        self, tx: Tx, holder: Service, case_id: UUID, instant: datetime
    ) -> bool:
        return holder not in self.behind


@dataclass
class Pagers:
    """Notification's pages and intake's own mail, as the test lets them be."""

    notification_up: bool = True
    mail_up: bool = True
    paged: list[PageDue] = field(default_factory=list)
    mailed: list[PageDue] = field(default_factory=list)

    async def page(self, due: PageDue) -> bool:
        if self.notification_up:
            self.paged.append(due)
        return self.notification_up

    async def mail(self, due: PageDue) -> bool:
        if self.mail_up:
            self.mailed.append(due)
        return self.mail_up


def a_cause(actor: str = "nurse-1") -> Cause:
    return Cause(actor=actor, correlation_id=uuid4())


@dataclass
class Site:
    """One authority and two holders."""

    clocks: Clocks
    wire: Wire
    record: RecordDouble
    pagers: Pagers
    authority: Authority[IntakeRows]
    client: httpx.AsyncClient
    holders: dict[Service, Holder[Tx]]
    changes: list[StartChange]
    databases: dict[Service, Database]
    delivered: dict[Service, int] = field(default_factory=dict)

    def use_lease_clock(self, clock: LeaseClock) -> None:
        """From now on leases are judged by this clock, on all sides."""
        for uow in (self.authority.unit_of_work, *(h.unit_of_work for h in self.holders.values())):
            uow.world = replace(uow.world, lease_clock=clock)
        self.authority = replace(self.authority, world=self.authority.unit_of_work.world)
        self.holders = {
            service: replace(holder, world=holder.unit_of_work.world)
            for service, holder in self.holders.items()
        }

    async def empty(self) -> None:
        """Nothing is left in the tables of the protocol (the audit keeps what it has)."""
        await self.query(Service.INTAKE, EMPTY_AUTHORITY)
        await self.query(Service.INTAKE, "UPDATE stream_epoch SET epoch = 0")
        for service in BOTH:
            await self.query(service, EMPTY_HOLDER)

    async def open_case(self) -> UUID:
        case_id = uuid4()
        async with self.authority.unit_of_work.begin(a_cause("coordinator-1")) as work:
            await work.rows.authority.insert_clearance(case_id)
        return case_id

    async def query(self, service: Service, sql: str, *args: object) -> list[Any]:
        """Rows of one statement, in a transaction of its own."""
        async with self.databases[service].transaction(urgent=True) as tx:
            return list(await tx.rows(Statement("test", sql), *args))

    async def until_lock_waits(self, service: Service, times: int) -> None:
        """Returns when statements of this database have begun to wait for a lock that often."""
        seen: set[tuple[int, datetime]] = set()
        async with asyncio.timeout(10):
            while len(seen) < times:
                rows = await self.query(service, LOCK_WAITS)
                seen |= {(row["pid"], row["query_start"]) for row in rows}
                await asyncio.sleep(0.01)

    async def hold_row(self, hold_id: UUID) -> Any:
        (row,) = await self.query(Service.INTAKE, "SELECT * FROM hold WHERE hold_id = $1", hold_id)
        return row

    async def permit_row(self, permit_id: UUID) -> Any:
        (row,) = await self.query(
            Service.INTAKE, "SELECT * FROM permit WHERE permit_id = $1", permit_id
        )
        return row

    async def events(self, service: Service, case_id: UUID) -> list[Envelope[Any]]:
        """All events that the service has committed for the case, in order."""
        rows = await self.query(
            service, "SELECT * FROM outbox WHERE case_id = $1 ORDER BY id", case_id
        )
        return [envelope_of(row) for row in rows]

    async def event_names(self, service: Service, case_id: UUID) -> list[str]:
        found = await self.events(service, case_id)
        return [e.data.type.rsplit(".", 2)[1] for e in found]

    async def apply_at_holder(self, service: Service, envelope: Envelope[Any]) -> None:
        """What the consumer does with one event at a holder."""
        holder = self.holders[service]
        handler = holder_reactions(holder).get(type(envelope.data))
        if handler is None:
            return
        async with self.databases[service].transaction() as tx:
            await lock_fences(tx, [envelope.case_id])
            work = holder.unit_of_work.join(tx, Cause.of_event(envelope, service))
            await handler(work, envelope)
            await work.flush()

    async def apply_at_intake(self, envelope: Envelope[Any]) -> None:
        """What intake's consumer does with one event of a holder."""
        handler = authority_reactions().get(type(envelope.data))
        if handler is None:
            return
        async with self.authority.unit_of_work.database.transaction() as tx:
            work = self.authority.unit_of_work.join(tx, Cause.of_event(envelope, Service.INTAKE))
            await work.rows.authority.lock_case(envelope.case_id)
            await handler(work, envelope)
            await work.flush()

    async def seen(self, case_id: UUID) -> ClearanceVersion:
        """The clearance as a person sees it who looks now."""
        async with self.authority.unit_of_work.begin(a_cause()) as work:
            return await work.rows.authority.view(case_id)

    async def press(self, case_id: UUID, **changes: Any) -> StartAnswer:
        """One press of start; an infusion unless `gate` says otherwise."""
        press = await self.a_press(case_id, **changes)
        return await press_start(self.holders[HOLDER_OF[press.gate]], press, a_cause())

    async def a_press(self, case_id: UUID, **changes: Any) -> Press:
        gate = changes.get("gate", Gate.INFUSION)
        press = Press(
            case_id=case_id,
            permit_id=uuid4(),
            gate=gate,
            subject_id=uuid4(),
            attempt=1,
            dose_id=None,
            seen=await self.seen(case_id),
            requested_by="nurse-1",
            second_checker="nurse-2",
            band_scanned="band",
            place="bay 3",
        )
        if gate is Gate.INFUSION and "dose_id" not in changes:
            changes["dose_id"] = await self.issued_dose(case_id)
        return replace(press, **changes)

    async def issued_dose(self, case_id: UUID) -> UUID:
        """A dose that was handed out for this case."""
        dose_id = uuid4()
        async with self.authority.unit_of_work.begin(a_cause()) as work:
            await work.rows.authority.lock_case(case_id)
            report = OutcomeReport(
                case_id=case_id,
                permit_id=uuid4(),
                start_id=uuid4(),
                gate=Gate.DOSE_ISSUE,
                holder=Service.MANUFACTURING,
                subject_id=uuid4(),
                dose_id=dose_id,
                attempt=1,
                outcome=Outcome.CONSUMED,
            )
            await record_outcome(work, report)
            await work.rows.authority.end_permit(report.permit_id, self.clocks.machine.now())
        return dose_id

    async def starts(self, service: Service, case_id: UUID) -> list[Any]:
        return await self.query(
            service, "SELECT * FROM start WHERE case_id = $1 ORDER BY created_at", case_id
        )

    async def lapse(self, seconds: float = 15.0) -> int:
        """The number of permits that lapsed after that time."""
        self.clocks.pass_seconds(seconds)
        return await lapse_permits(self.authority)

    async def deliver_to_holder(self, service: Service, case_id: UUID) -> None:
        for envelope in await self.events(Service.INTAKE, case_id):
            await self.apply_at_holder(service, envelope)

    def hook(self, service: Service = Service.INFUSION_SCHEDULING) -> HookedDatabase:
        """From now on the transactions of this holder can be caught; see `HookedDatabase`."""
        hooked = HookedDatabase(self.databases[service])
        self.holders[service].unit_of_work.database = hooked
        hooked.arm()
        return hooked

    def after_answer(self, step: Callable[[], Awaitable[None]]) -> None:
        """Runs once between the authority's answer to the next press and its use."""
        prefix = "http://intake-for-infusion_scheduling"
        route = self.wire.routes[prefix]

        async def then(*args: Any) -> HttpAnswer:
            answer = await route(*args)
            self.wire.routes[prefix] = route
            await step()
            return answer

        self.wire.routes[prefix] = then

    async def deliver_to_intake(self, service: Service, case_id: UUID) -> None:
        for envelope in await self.events(service, case_id):
            await self.apply_at_intake(envelope)


def envelope_of(row: Any) -> Envelope[Any]:
    headers = tuple((name, value.encode()) for name, value in row["headers"].items())
    record = Record(
        topic=row["topic"],
        partition=0,
        offset=row["id"],
        key=str(row["case_id"]).encode(),
        value=bytes(row["payload"]),
        headers=headers,
        timestamp_ms=0,
    )
    return read_envelope(record)


class FromTest:
    """Sets who asks from a test's header, as authentication does from a token."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            asker = dict(scope["headers"])[b"x-asker"].decode()
            scope["tandem.principal"] = principal_of(asker)
            scope["tandem.trace"] = trace_from(None, None, FreshIds())
        await self._app(scope, receive, send)


def principal_of(asker: str) -> Principal:
    """`service:<name>`, or `<subject>:<role>,<role>`."""
    name, _, what = asker.partition(":")
    if name == "service":
        return Principal(asker, what, frozenset(), service=Service(what))
    return Principal(name, name, frozenset(Role(role) for role in what.split(",")))


def authority_app(authority: Authority[IntakeRows]) -> FastAPI:
    async def everybody_may_see(principal: Principal, case_id: UUID) -> bool:
        return True

    app = FastAPI()
    app.state.rates = TokenBuckets(authority.world.machine_clock)
    app.state.readiness = Readiness({})
    failures.install(app)
    app.include_router(authority_router(authority, everybody_may_see))
    app.add_middleware(FromTest)
    return app


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://intake")


def route_to(client: httpx.AsyncClient, asker: str) -> Callable[..., Awaitable[HttpAnswer]]:
    async def route(
        method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> HttpAnswer:
        answer = await client.request(
            method, path, content=body, headers={**headers, "x-asker": asker}
        )
        answered = {**answer.headers, "tandem-mode": "demo"}
        return HttpAnswer(answer.status_code, answer.content, answered)

    return route


def an_order(case_id: UUID, **changes: Any) -> HoldOrder:
    kind = changes.pop("kind", HoldKind.CLINICAL_CONCERN)
    gates = changes.pop("gates", frozenset(Gate))
    dose_ids = changes.pop("dose_ids", None)
    order = HoldOrder(
        hold_id=uuid4(),
        case_id=case_id,
        kind=kind,
        scope=HoldScope(frozenset(gates), dose_ids),
        on_running=POLICY[kind].on_running,
        reporter="oncologist-1",
    )
    return replace(order, **changes)


def a_site(databases: Mapping[Service, PostgresDatabase], times: PermitTimes | None = None) -> Site:
    clocks, wire, record, pagers = Clocks(), Wire(), RecordDouble(), Pagers()
    world = world_of(clocks, wire)
    times = times or PermitTimes()
    changes: list[StartChange] = []

    async def note_change(work: Any, change: StartChange) -> None:
        changes.append(change)

    intake = databases[Service.INTAKE]
    authority = Authority(
        unit_of_work=UnitOfWork(
            database=intake,
            repository=lambda tx: IntakeRows(AuthorityStore(tx)),
            source=Service.INTAKE,
            world=world,
        ),
        world=world,
        decide=record.decide,
        products=record.products,
        streams=record,
        pager=pagers,
        times=times,
    )
    client = client_of(authority_app(authority))
    for service in BOTH:
        wire.routes[f"http://intake-for-{service.value}"] = route_to(
            client, f"service:{service.value}"
        )
    holders = {
        service: Holder(
            service=service,
            unit_of_work=UnitOfWork(
                database=databases[service],
                repository=lambda tx: tx,
                source=service,
                world=world,
            ),
            world=world,
            authority=AuthorityAddress(f"http://intake-for-{service.value}", wire, "demo"),
            times=times,
            on_change=note_change,
        )
        for service in BOTH
    }
    return Site(clocks, wire, record, pagers, authority, client, holders, changes, dict(databases))
