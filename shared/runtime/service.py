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
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

import uvicorn
from fastapi import FastAPI

from shared.auth.tokens import Issuer, TokenAuthenticator
from shared.contracts.vocabulary import Service
from shared.messaging.bus import Alarm, Bus
from shared.messaging.consumer import Kernel
from shared.messaging.early import Filler
from shared.messaging.kafka import KafkaBus, KafkaSettings
from shared.messaging.reactions import Reactions
from shared.messaging.relay import Relay
from shared.messaging.unit_of_work import UnitOfWork
from shared.messaging.wakes import PostgresWakes, Waker
from shared.observability.figures import Figures
from shared.observability.logs import configure_logging
from shared.persistence.database import StoreError
from shared.persistence.migrations import Migration, migrate
from shared.persistence.postgres import PostgresDatabase
from shared.ports import Http, World
from shared.runtime.settings import S, ServiceSettings, SettingsError, load_settings
from shared.runtime.world import machine_world
from shared.web.client import HttpxClient, ServiceHttp, ServiceTokens

R = TypeVar("R")
_LOG = logging.getLogger(__name__)

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
    #: tells the active relay, here or in another process, that rows were committed
    wake: Callable[[], None]
    wakes: PostgresWakes


@dataclass(frozen=True, slots=True)
class ServiceParts(Generic[R]):
    """What a service's bootstrap answers."""

    app: FastAPI
    unit_of_work: UnitOfWork[R]
    reactions: Reactions[R]
    timers: Sequence[Timer] = ()
    background: Sequence[Callable[[], Awaitable[None]]] = ()
    on_start: Sequence[Callable[[], Awaitable[None]]] = field(default=())


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
        asyncio.run(_run(program, settings, figures))
    except* SystemExit as stopped:
        raise stopped.exceptions[0] from None
    except* Exception as failed:
        _LOG.critical("service_failed", exc_info=failed)
        # a thread of a library that hangs must not keep a failed process alive
        logging.shutdown()
        os._exit(1)


async def _run(program: ServiceProgram[S], settings: S, figures: Figures) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        surroundings, relay = await _surroundings(program, settings, figures, stack)
        parts = await program.build(surroundings)
        for prepare in parts.on_start:
            await prepare()
        await _serve(program, surroundings, parts, relay, stopping)


async def _surroundings(
    program: ServiceProgram[S], settings: S, figures: Figures, stack: AsyncExitStack
) -> tuple[Surroundings[S], Relay]:
    http = await stack.enter_async_context(HttpxClient())
    world = machine_world(http, demo_clock=_demo_clock(settings))
    database = await _opened_database(program, settings)
    stack.push_async_callback(database.close)
    bus = KafkaBus(
        KafkaSettings(bootstrap=settings.kafka_bootstrap, client_id=program.service.value)
    )
    relay = Relay(database=database, sink=bus.sink(), world=world, name=program.service.value)
    wakes = PostgresWakes(program.database_url(settings), world.waiter)
    waker = Waker(wakes, world.waiter)
    stack.push_async_callback(waker.close)
    issuer = Issuer(
        url=settings.oidc_issuer,
        jwks_url=settings.oidc_jwks_url,
        audience=settings.oidc_audience,
        service_audience=settings.oidc_service_audience,
    )
    tokens = ServiceTokens(
        http=http,
        clock=world.machine_clock,
        token_url=settings.oidc_token_url,
        client_id=program.service.value,
        secret=settings.client_secret.get_secret_value(),
        audience=settings.oidc_service_audience,
    )
    surroundings = Surroundings(
        settings=settings,
        world=world,
        database=database,
        bus=bus,
        authenticator=TokenAuthenticator([issuer], http=http, clock=world.machine_clock),
        service_http=ServiceHttp(http, tokens),
        figures=figures,
        wake=lambda: relay.wake() if relay.figures.active else waker.wake(),
        wakes=wakes,
    )
    return surroundings, relay


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
    await migrate(dsn, program.migrations)
    return database


async def _serve(
    program: ServiceProgram[S],
    around: Surroundings[S],
    parts: ServiceParts[Any],
    relay: Relay,
    stopping: asyncio.Event,
) -> None:
    kernel = Kernel(
        parts.reactions,
        parts.unit_of_work,
        _source_factory(around, parts.reactions),
        ordinal=around.settings.replica,
        alarm=_tell_alarm,
    )
    async with asyncio.TaskGroup() as group:
        server = _server(program, around.settings, parts.app)
        http = group.create_task(server.serve(), name="http")
        consumer = group.create_task(_for_ever(kernel.run(), stopping, "consumer"))
        sender = group.create_task(_for_ever(relay.run(), stopping, "relay"))
        filler = Filler(
            parts.reactions,
            parts.unit_of_work,
            figures=kernel.figures,
            hint=kernel.early_hint,
            alarm=_tell_alarm,
        )
        background = [
            group.create_task(_for_ever(filler.run(), stopping, "filler")),
            group.create_task(around.wakes.listen(relay.wake)),
            group.create_task(_show_figures(around.figures, kernel, relay, around.world)),
            *[group.create_task(_tick(timer, around.world)) for timer in parts.timers],
            *[group.create_task(_awaited(work())) for work in parts.background],
        ]
        running = _Running(server, http, kernel, consumer, relay, sender, background)
        group.create_task(_stop(stopping, running))


def _source_factory(around: Surroundings[Any], reactions: Reactions[Any]) -> Any:  # noqa: ANN401
    name = reactions.consumer.value
    replica = around.settings.replica
    instance = None if replica is None else f"{name}-{replica}"
    return lambda: around.bus.source(group=name, topics=reactions.topics, instance_id=instance)


async def _awaited(work: Awaitable[None]) -> None:
    await work


@dataclass(frozen=True, slots=True)
class _Running:
    server: uvicorn.Server
    http: asyncio.Task[None]
    kernel: Kernel[Any]
    consumer: asyncio.Task[None]
    relay: Relay
    sender: asyncio.Task[None]
    background: Sequence[asyncio.Task[Any]]


async def _stop(stopping: asyncio.Event, running: _Running) -> None:
    """In the order in which nothing is cut off: requests, events, timers, then what they sent."""
    await stopping.wait()
    running.server.should_exit = True
    await running.http
    running.kernel.stop()
    await running.consumer
    for task in running.background:
        task.cancel()
    running.relay.stop()
    await running.sender


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


async def _show_figures(figures: Figures, kernel: Kernel[Any], relay: Relay, world: World) -> None:
    """Copies the counters of relay and consumer to Prometheus once a second."""
    shown = 0
    while True:
        consumer = kernel.figures
        figures.outbox_rows.set(relay.figures.unsent_rows)
        figures.outbox_age_seconds.set(relay.figures.oldest_unsent_seconds)
        figures.parked_cases.set(consumer.parked_cases)
        figures.early_events.set(consumer.early_records)
        for place, count in consumer.lag_events.items():
            topic, _, partition = place.rpartition("/")
            figures.lag_events.labels(topic, partition).set(count)
        for source, seconds in consumer.lag_seconds.items():
            figures.lag_seconds.labels(source, "all").set(seconds)
        figures.duplicates_dropped.labels(kernel.name).inc(consumer.duplicates_dropped - shown)
        shown = consumer.duplicates_dropped
        await world.waiter.sleep(1.0)


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
