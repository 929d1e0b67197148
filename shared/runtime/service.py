"""A service as a process: HTTP, relay, consumer and timers in one event loop, started and stopped.

The process ends with a failure as soon as one of its parts does, so that the supervisor starts it
anew; nothing here catches and goes on. Commands are accepted while Kafka is away (the outbox
keeps), and refused, with a clear answer, while PostgreSQL is.
"""

import asyncio
import logging
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, TypeVar

import uvicorn
from fastapi import APIRouter, FastAPI

from shared.auth.authenticator import Authenticator
from shared.auth.tokens import Issuer, TokenAuthenticator
from shared.contracts.vocabulary import Service
from shared.messaging.bus import Alarm, Bus
from shared.messaging.kafka import KafkaBus, KafkaSettings
from shared.messaging.reactions import Reactions
from shared.messaging.redrive import Redrive
from shared.messaging.stack import Messaging
from shared.messaging.unit_of_work import UnitOfWork
from shared.messaging.wakes import PostgresWakes
from shared.observability.counting import count_event
from shared.observability.figures import Figures
from shared.observability.logs import configure_logging
from shared.observability.tracing import begin_tracing
from shared.persistence.database import StoreError
from shared.persistence.migrations import Migration, migrate
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.ports import Http, World
from shared.runtime.housekeeping import chores
from shared.runtime.loop import run_until_done, spare_the_collector
from shared.runtime.mode_stamp import ModeMixedError, hold_to_mode, mode_migrations
from shared.runtime.settings import S, ServiceSettings, SettingsError, load_settings
from shared.runtime.world import machine_world
from shared.web.client import HttpxClient, ServiceHttp, ServiceTokens
from shared.web.health import Check
from shared.web.messaging_figures import show_messaging
from shared.web.ops import ops_router
from shared.web.second_signature import second_person

R = TypeVar("R")
_LOG = logging.getLogger(__name__)
_PROBE: Final = Statement("probe", "SELECT 1")

#: a request that takes longer is cut off at a stop (messaging: SIGTERM budget of 30 s)
HTTP_DRAIN_SECONDS: Final = 10
#: connections of the ordinary pool; the reserve for holds and permits comes on top
POOL_SIZE: Final = 10
DATABASE_WAIT_SECONDS: Final = 30.0
DATABASE_RETRY_SECONDS: Final = 0.5


class StoppedPartError(RuntimeError):
    """A part of the service that has to run for ever has ended."""


@dataclass(frozen=True, slots=True)
class Timer:
    """Work that is due by times stored in the database; `run` looks what is due and does it.

    A round that fails because the store is away is tried again at the next; any other failure ends
    the process.
    """

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


def operations(
    reactions: Reactions[R], unit_of_work: UnitOfWork[R], authenticator: Authenticator
) -> APIRouter:
    """What operations staff may do about events that wait in order; part of every service's app."""
    redrive = Redrive(reactions, unit_of_work, alarm=_tell_alarm)
    return ops_router(
        reactions.consumer, redrive, unit_of_work, partial(second_person, authenticator)
    )


@dataclass(frozen=True, slots=True)
class Surroundings(Generic[S]):
    """What a service's bootstrap is given to build on."""

    settings: S
    world: World
    database: PostgresDatabase
    bus: Bus
    authenticator: TokenAuthenticator
    #: calls other services with this service's own token
    service_http: Http
    figures: Figures
    #: tells the service's other processes that rows were committed
    wakes: PostgresWakes


@dataclass(frozen=True, slots=True)
class ServiceParts(Generic[R]):
    """What a service's bootstrap answers."""

    app: FastAPI
    unit_of_work: UnitOfWork[R]
    reactions: Reactions[R]
    timers: Sequence[Timer] = ()
    #: listens for other systems until cancelled; one that ends by itself ends the process
    listeners: Sequence[Callable[[], Awaitable[None]]] = ()
    ready: Mapping[str, Check] = field(default_factory=dict)
    #: ends answers that would go on for ever (event streams), so that a stop need not wait for them
    end_streams: Callable[[], None] = lambda: None


Build = Callable[[Surroundings[S]], Awaitable[ServiceParts[Any]]]


@dataclass(frozen=True, slots=True)
class ServiceProgram(Generic[S]):
    """A service as it is declared by its `__main__`."""

    service: Service
    settings: type[S]
    migrations: Sequence[Migration]
    build: Build[S]
    database_url: Callable[[S], str]
    port: Callable[[S], int]


def main(program: ServiceProgram[Any]) -> None:
    """Runs the service until SIGTERM or SIGINT and exits: 0 stopped, 1 failed, 2 bad settings."""
    try:
        settings = load_settings(program.settings)
    except SettingsError as error:
        sys.stderr.write(f"{program.service.value}: {error}\n")
        raise SystemExit(2) from None
    figures = Figures()
    configure_logging(program.service, figures, as_json=settings.log_json)
    try:
        run_until_done(_run(program, settings, figures))
    except* SystemExit as stopped:
        raise stopped.exceptions[0] from None
    except* Exception as failed:
        for leaf in leaves(failed):
            _LOG.critical("service_failed", exc_info=leaf)
        if settings.mode == "demo":  # nobody's data is real here, so the texts may be shown
            traceback.print_exception(failed)
        # a thread of a library that hangs must not keep a failed process alive
        logging.shutdown()
        os._exit(1)


def leaves(error: BaseException) -> list[BaseException]:
    """The exceptions inside groups, in order."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaves(inner)]
    return [error]


async def _run(program: ServiceProgram[S], settings: S, figures: Figures) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        around = await _surroundings(program, settings, figures, stack)
        parts = await program.build(around)
        await _serve(program, around, parts, stopping)


async def _surroundings(
    program: ServiceProgram[S], settings: S, figures: Figures, stack: AsyncExitStack
) -> Surroundings[S]:
    http = await stack.enter_async_context(HttpxClient())
    tracer, end_tracing = begin_tracing(program.service, settings.otel_traces_exporter)
    stack.callback(end_tracing)
    world = machine_world(http, demo_clock=_demo_clock(settings), tracer=tracer)
    database = await _opened_database(program, settings)
    stack.push_async_callback(database.close)
    bus = KafkaBus(
        KafkaSettings(
            bootstrap=settings.kafka_bootstrap,
            client_id=program.service.value,
            prefix=settings.kafka_prefix,
        )
    )
    issuer = Issuer(
        url=settings.oidc_issuer,
        jwks_url=settings.oidc_jwks_url,
        audience=settings.oidc_audience,
        service_audience=settings.oidc_service_audience,
        plain_http=settings.mode == "demo",
    )
    tokens = ServiceTokens(
        http=http,
        clock=world.machine_clock,
        token_url=settings.oidc_token_url,
        client_id=program.service.value,
        secret=settings.client_secret.get_secret_value(),
        audience=settings.oidc_service_audience,
    )
    return Surroundings(
        settings=settings,
        world=world,
        database=database,
        bus=bus,
        authenticator=TokenAuthenticator([issuer], http=http, clock=world.machine_clock),
        service_http=ServiceHttp(http, tokens),
        figures=figures,
        wakes=PostgresWakes(program.database_url(settings), world.waiter),
    )


def _demo_clock(settings: ServiceSettings) -> Any:  # noqa: ANN401 - Path or None
    return settings.demo_clock if settings.mode == "demo" else None


async def _opened_database(program: ServiceProgram[S], settings: S) -> PostgresDatabase:
    """The database, migrated; waits a while for a server that is just starting."""
    dsn = program.database_url(settings)
    deadline = asyncio.get_running_loop().time() + DATABASE_WAIT_SECONDS
    while True:
        try:
            database = await PostgresDatabase.open(dsn, size_max=POOL_SIZE)
            break
        except StoreError:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(DATABASE_RETRY_SECONDS)
    await migrate(dsn, (*program.migrations, *mode_migrations()))
    await _hold_to_mode(program.service, database, settings.mode)
    return database


async def _hold_to_mode(service: Service, database: PostgresDatabase, mode: str) -> None:
    """Exits with 2, as for any setting that cannot be right, when the store is of another mode."""
    try:
        await hold_to_mode(database, mode)
    except ModeMixedError as error:
        await database.close()
        sys.stderr.write(f"{service.value}: {error}\n")
        raise SystemExit(2) from None


async def _serve(
    program: ServiceProgram[S],
    around: Surroundings[S],
    parts: ServiceParts[Any],
    stopping: asyncio.Event,
) -> None:
    messaging = Messaging(
        reactions=parts.reactions,
        unit_of_work=parts.unit_of_work,
        bus=around.bus,
        wakes=around.wakes,
        ordinal=around.settings.replica,
        partitions=around.settings.partitions,
        alarm=_tell_alarm,
    )
    parts.unit_of_work.on_event(partial(count_event, around.figures))
    _watch_readiness(parts, around.database, messaging)
    show_messaging(
        around.figures,
        relay=messaging.relay_figures,
        consumers={program.service.value: messaging.consumer_figures},
    )
    server = _server(program, around.settings, parts.app)
    timers = (*parts.timers, *_chores(program.service, around, parts))
    spare_the_collector()
    async with asyncio.TaskGroup() as group:
        http = group.create_task(_for_ever(server.serve(), stopping, "http"))
        events = group.create_task(_for_ever(messaging.run(), stopping, "messaging"))
        others = [group.create_task(_tick(timer, around.world)) for timer in timers]
        others += [
            group.create_task(_for_ever(listen(), stopping, "listener"))
            for listen in parts.listeners
        ]
        await stopping.wait()
        # in the order in which nothing is cut off: requests, then timers, then events
        parts.end_streams()
        server.should_exit = True
        await http
        for task in others:
            task.cancel()
        messaging.stop()
        await events


def _chores(service: Service, around: Surroundings[S], parts: ServiceParts[Any]) -> Iterator[Timer]:
    var = around.settings.var
    for name, seconds, run in chores(
        service,
        database=around.database,
        unit_of_work=parts.unit_of_work,
        figures=around.figures,
        roots=around.settings.audit_roots or var / "audit-roots",
        key_file=around.settings.audit_key or var / "audit" / "root-key.json",
    ):
        yield Timer(name, seconds, run)


def _watch_readiness(
    parts: ServiceParts[Any], database: PostgresDatabase, messaging: Messaging[Any]
) -> None:
    """Ready means: the store answers and this process consumes. Commands work without Kafka."""

    async def store_answers() -> bool:
        try:
            async with database.transaction() as tx:
                return bool(await tx.value(_PROBE) == 1)
        except StoreError:
            return False

    async def consumes() -> bool:
        return messaging.ready

    checks = {"store": store_answers, "events": consumes, **parts.ready}
    for name, check in checks.items():
        parts.app.state.readiness.add(name, check)


async def _for_ever(work: Awaitable[None], stopping: asyncio.Event, name: str) -> None:
    await work
    if not stopping.is_set():
        raise StoppedPartError(name)


async def _tick(timer: Timer, world: World) -> None:
    while True:
        try:
            await timer.run()
        except StoreError as error:
            _LOG.warning("timer_waits", extra={"timer": timer.name, "error": type(error).__name__})
        await world.waiter.sleep(timer.every_seconds)


def _tell_alarm(alarm: Alarm) -> None:
    _LOG.error("alarm", extra={"alarm": alarm.kind, **alarm.detail})


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: the service decides when to stop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves the signals to `_run`."""
        yield


def _server(program: ServiceProgram[S], settings: S, app: FastAPI) -> _Server:
    config = uvicorn.Config(
        app,
        host=settings.bind_host,
        port=program.port(settings),
        log_config=None,
        access_log=False,
        lifespan="on",
        timeout_graceful_shutdown=HTTP_DRAIN_SECONDS,
    )
    return _Server(config)
