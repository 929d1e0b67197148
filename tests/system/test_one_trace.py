"""One trace leads from a request through outbox, Kafka and a handler to the e-mail.

Intake and notification as their bootstraps build them, in this process so that the steps can be
collected in memory; Kafka, PostgreSQL and the mail server are real.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.intake import bootstrap as intake
from services.notification import bootstrap as notification
from shared.contracts.vocabulary import Role
from shared.messaging.kafka import KafkaBus, KafkaSettings
from shared.messaging.stack import Messaging
from shared.messaging.topics import catalogue_topics
from shared.messaging.wakes import PostgresWakes
from shared.observability.figures import Figures
from shared.observability.otel import OtelTracer
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.ports import NO_TRACER, World
from shared.runtime.service import ServiceParts, ServiceProgram, Surroundings
from shared.runtime.world import MachineClock, machine_world
from shared.testing.doubles import FunctionHttp
from shared.testing.infra import Infra
from shared.testing.mail_sink import MailSink, running_sink
from shared.testing.sign_in import SignIn
from tests.system.deployment import eventually

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]

PARTITIONS = 3
DELIVERED = "emit tandem.notification.alert-delivered.v1"
CALLER = f"00-{'ab' * 16}-{'cd' * 8}-01"


@dataclass
class Pair:
    """The two services, the caller's client, the mail box and the collected steps."""

    client: httpx.AsyncClient
    headers: dict[str, str]
    sink: MailSink
    exporter: InMemorySpanExporter

    async def hold(self, traceparent: str | None = None) -> str:
        """The trace of a request that records a hold."""
        more = {} if traceparent is None else {"traceparent": traceparent}
        opened = await self.client.post(
            "/cases", headers=self.headers,
            json={"identifiers": [["urn:example:mrn", secrets.token_hex(8)]]},
        )  # fmt: skip
        body = {"kind": "clinical_concern", "gates": ["infusion"], "reason": "seen at rounds"}
        answer = await self.client.post(
            f"/cases/{opened.json()['case_id']}/holds", headers={**self.headers, **more}, json=body
        )
        assert answer.status_code == 201, answer.text
        return str(answer.headers["traceparent"]).split("-")[1]

    async def mails(self, count: int) -> None:
        async def sent() -> bool:
            return len(self.sink.messages) >= count

        await eventually(sent, f"{count} e-mails")

    def steps(self, trace_id: str) -> list[ReadableSpan]:
        found = self.exporter.get_finished_spans()
        return [s for s in found if s.context and f"{s.context.trace_id:032x}" == trace_id]


@asynccontextmanager
async def pair(infra: Infra, var: Path, *, traced: bool = True) -> AsyncIterator[Pair]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = OtelTracer(provider) if traced else NO_TRACER
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(running_sink())
        prefix = f"t{secrets.token_hex(4)}."
        await infra.create_topics(catalogue_topics(PARTITIONS, prefix=prefix))
        kafka = KafkaSettings(bootstrap=infra.kafka_bootstrap, client_id="trace", prefix=prefix)
        world = replace(machine_world(FunctionHttp()), tracer=tracer)
        sign_in = SignIn(var, MachineClock())
        running = Running(infra, var, kafka, world, sign_in, sink.port, stack)
        app = (await running.service(intake.PROGRAM)).app
        await running.service(notification.PROGRAM)
        transport = httpx.ASGITransport(app)
        client = httpx.AsyncClient(transport=transport, base_url="http://intake")
        await stack.enter_async_context(client)
        yield Pair(client, sign_in.person(Role.COORDINATOR), sink, exporter)


@dataclass
class Running:
    """Services of this process, stopped with the stack."""

    infra: Infra
    var: Path
    kafka: KafkaSettings
    world: World
    sign_in: SignIn
    smtp_port: int
    stack: AsyncExitStack

    async def service(self, program: ServiceProgram[Any]) -> ServiceParts[Any]:
        dsn = await self.infra.create_database(program.service.value)
        await migrate(dsn, program.migrations)
        database = await PostgresDatabase.open(dsn)
        self.stack.push_async_callback(database.close)
        parts = await program.build(self._around(program, dsn, database))
        messaging = Messaging(
            reactions=parts.reactions, unit_of_work=parts.unit_of_work,
            bus=KafkaBus(self.kafka), partitions=PARTITIONS,
        )  # fmt: skip
        self._until_the_end(messaging.run(), messaging.stop)
        for timer in parts.timers:
            if timer.name == "deliver-due":
                self._until_the_end(_repeated(timer.run, self.world), None)
        return parts

    def _around(
        self, program: ServiceProgram[Any], dsn: str, database: PostgresDatabase
    ) -> Surroundings[Any]:
        nowhere = "http://127.0.0.1:1"
        settings = program.settings.model_validate(
            {
                "mode": "demo", "kafka_bootstrap": self.kafka.bootstrap, "var": self.var,
                "oidc_issuer": nowhere, "oidc_jwks_url": nowhere, "oidc_token_url": nowhere,
                "client_secret": "unused", "partitions": PARTITIONS,
                "smtp_port": self.smtp_port,
                f"TANDEM_DATABASE_URL_{program.service.value.upper()}": dsn,
            }
        )  # fmt: skip
        return Surroundings(
            settings=settings, world=self.world, database=database, bus=KafkaBus(self.kafka),
            authenticator=self.sign_in.authenticator, service_http=FunctionHttp(),
            figures=Figures(), wakes=PostgresWakes(dsn, self.world.waiter),
        )  # fmt: skip

    def _until_the_end(self, work: Any, stop: Callable[[], None] | None) -> None:
        task = asyncio.ensure_future(work)

        async def end() -> None:
            (stop or task.cancel)()
            await asyncio.wait({task}, timeout=30)

        self.stack.push_async_callback(end)


async def _repeated(run: Any, world: World) -> None:
    while True:
        await run()
        await world.waiter.sleep(0.1)


def named(steps: list[ReadableSpan], name: str) -> ReadableSpan:
    found = [step for step in steps if step.name == name]
    assert found, f"no step {name} among {sorted(s.name for s in steps)}"
    return found[0]


def is_below(steps: list[ReadableSpan], step: ReadableSpan, above: ReadableSpan) -> bool:
    by_id = {s.context.span_id: s for s in steps if s.context}
    while step.parent is not None and step.parent.span_id in by_id:
        step = by_id[step.parent.span_id]
        if step is above:
            return True
    return False


async def test_a_request_an_event_its_handler_and_the_mail_are_one_trace(
    infra: Infra, tmp_path: Path
) -> None:
    async with pair(infra, tmp_path) as services:
        trace_id = await services.hold(CALLER)
        await services.mails(1)

        async def told() -> bool:
            return DELIVERED in {s.name for s in services.steps(trace_id)}

        await eventually(told, "the delivery told as an event")
        steps = services.steps(trace_id)

    assert trace_id == "ab" * 16
    chain = [
        "POST /cases/{case_id}/holds",
        "emit tandem.coordination.hold-recorded.v1",
        "send tandem.coordination.v1",
    ]
    request, emitted, sent = (named(steps, name) for name in chain)
    handled = named(steps, "handle tandem.coordination.hold-recorded.v1")
    mailed = named(steps, "send e-mail")
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == "cd" * 8
    assert is_below(steps, emitted, request)
    assert is_below(steps, sent, request)
    assert is_below(steps, handled, emitted)
    assert is_below(steps, mailed, handled)
    assert is_below(steps, named(steps, DELIVERED), mailed)


async def test_another_request_is_another_trace(infra: Infra, tmp_path: Path) -> None:
    async with pair(infra, tmp_path) as services:
        first, second = await services.hold(), await services.hold()
        await services.mails(2)
        handled = [
            [s for s in services.steps(t) if s.name.startswith("handle ")] for t in (first, second)
        ]

    assert first != second
    assert [bool(steps) for steps in handled] == [True, True]


async def test_no_step_carries_what_the_patient_or_the_reporter_said(
    infra: Infra, tmp_path: Path
) -> None:
    async with pair(infra, tmp_path) as services:
        await services.hold()
        await services.mails(1)
        told = " ".join(span.to_json() for span in services.exporter.get_finished_spans())

    assert "handle tandem.coordination.hold-recorded.v1" in told
    assert "seen at rounds" not in told
    assert "urn:example:mrn" not in told
    assert "@" not in told


async def test_off_nothing_is_told_and_the_mail_leaves_all_the_same(
    infra: Infra, tmp_path: Path
) -> None:
    async with pair(infra, tmp_path, traced=False) as services:
        trace_id = await services.hold(CALLER)
        await services.mails(1)
        told = services.exporter.get_finished_spans()

    assert trace_id == "ab" * 16
    assert told == ()
