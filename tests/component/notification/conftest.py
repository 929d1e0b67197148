"""Notification on a real PostgreSQL, with a clock that the test sets."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.notification import bootstrap
from services.notification.adapters.mail import MailSettings, SmtpMailer
from services.notification.adapters.texts import TemplateTexts
from services.notification.application.change_roster import add_roster_entry
from services.notification.application.deliver_due import Outgoing, deliver_due
from services.notification.application.escalate_overdue import escalate_overdue
from services.notification.application.ports import AlertRows, Policy
from services.notification.domain.routing import Person, RosterEntry
from shared.contracts.event import Envelope, Event
from shared.contracts.vocabulary import Role, Service
from shared.messaging.reactions import Reactions
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.observability.figures import Figures
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.ports import World
from shared.runtime.world import BootClock, EventLoopWaiter, SystemChance, TimeOrderedIds
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.testing.infra import Infra
from shared.testing.mail_sink import MailSink, running_sink
from shared.testing.sign_in import SignIn

START = datetime(2027, 3, 10, 9, 0, tzinfo=UTC)
FALLBACK = Person("desk", "Duty desk", "desk@clinic.example", None)


@dataclass
class Desk:
    """Notification's parts as its process has them, around one database."""

    dsn: str
    database: PostgresDatabase
    world: World
    clock: StandingClock
    machine: StandingClock
    policy: Policy
    reactions: Reactions[AlertRows]
    units: UnitOfWork[AlertRows]

    async def hear(
        self,
        event: Event,
        *,
        chain: UUID | None = None,
        at: datetime | None = None,
        event_id: UUID | None = None,
    ) -> None:
        """Runs the reaction to an event as the kernel does, but without the inbox."""
        envelope = Envelope(
            id=event_id or uuid4(),
            source=event.owner,
            time=at or self.clock.now(),
            epoch=0,
            sequence=None,
            correlation_id=chain or uuid4(),
            causation_id=None,
            traceparent=None,
            data=event,
        )
        handler = self.reactions.handlers[type(event)]
        async with self.units.begin(Cause.of_event(envelope, Service.NOTIFICATION)) as work:
            await self.reactions.lock_cases(work.tx, [event.case_id])
            await handler(work, envelope)

    def outgoing(self, smtp_port: int) -> Outgoing:
        """Delivery to a mail server on this machine, as bootstrap makes it."""
        mail = MailSettings("127.0.0.1", smtp_port, "tandem@clinic.example")
        mailer = SmtpMailer(mail, self.machine)
        return Outgoing(TemplateTexts(self.policy.routes), mailer, "https://t.example", "t.example")

    async def deliver(self, sink: MailSink) -> int:
        """One round of the delivery timer."""
        return await deliver_due(self.units, self.outgoing(sink.port))

    async def escalate(self) -> int:
        """One round of the escalation timer."""
        return len(await escalate_overdue(self.policy, self.units))

    async def on_duty(self, role: Role, email: str, case_id: UUID | None = None) -> None:
        """Puts somebody on the roster for good."""
        entry = RosterEntry(uuid4(), role, email, email, email, case_id, START, None)
        async with self.units.begin(Cause("test", uuid4())) as work:
            await add_roster_entry(work, entry)

    async def rows(self, sql: str, *args: object) -> list[dict[str, Any]]:
        async with self.database.transaction() as tx:
            return [dict(r) for r in await tx.rows(Statement("test", sql), *args)]


@pytest.fixture(scope="session")
async def template(infra: Infra) -> str:
    dsn = await infra.create_database("notification")
    await migrate(dsn, bootstrap.migrations())
    return dsn


@pytest.fixture
async def desk(infra: Infra, template: str) -> AsyncIterator[Desk]:
    dsn = await infra.create_database("notification", template=template)
    database = await PostgresDatabase.open(dsn)
    clock, machine = StandingClock(START), StandingClock(START)
    world = World(
        clock=clock,
        machine_clock=machine,
        lease_clock=BootClock(),
        ids=TimeOrderedIds(),
        chance=SystemChance(),
        waiter=EventLoopWaiter(),
        http=FunctionHttp(),
    )
    rules = bootstrap.policy(FALLBACK)
    yield Desk(
        dsn,
        database,
        world,
        clock,
        machine,
        rules,
        bootstrap.reactions(rules),
        bootstrap.unit_of_work(database, world),
    )
    await database.close()
    await infra.drop_database(dsn)


@dataclass
class Web:
    """Notification's endpoints, with real tokens."""

    client: httpx.AsyncClient
    sign_in: SignIn

    async def get(self, path: str, *roles: Role, **params: Any) -> httpx.Response:
        return await self.client.get(path, params=params, headers=self.sign_in.person(*roles))

    async def post(
        self,
        path: str,
        *roles: Role,
        version: int | None = None,
        key: str | None = None,
        subject: str = "u-1",
        body: Any = None,
    ) -> httpx.Response:
        headers = self.sign_in.person(*roles, subject=subject)
        if version is not None:
            headers["if-match"] = f'"{version}"'
        if key is not None:
            headers["idempotency-key"] = key
        return await self.client.post(path, headers=headers, json=body)

    async def only_alert(self, *roles: Role) -> dict[str, Any]:
        (alert,) = (await self.get("/alerts", *(roles or (Role.COORDINATOR,)))).json()["items"]
        found: dict[str, Any] = alert
        return found


@pytest.fixture
async def web(desk: Desk, tmp_path: Path) -> AsyncIterator[Web]:
    sign_in = SignIn(tmp_path, desk.machine)
    texts = TemplateTexts(desk.policy.routes)
    parts = bootstrap.parts_for(desk.policy, desk.units, texts, "demo")
    app = bootstrap.web_app(parts, sign_in.authenticator, Figures())
    transport = httpx.ASGITransport(app, client=("203.0.113.9", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://notification") as client:
        yield Web(client, sign_in)


@pytest.fixture
async def sink() -> AsyncIterator[MailSink]:
    async with running_sink() as running:
        yield running
