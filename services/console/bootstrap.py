"""Puts the console together: what it projects, its pages, its live streams, its sign-in."""

from typing import Final

from fastapi import FastAPI

from services.console.changes import Changes
from services.console.entry.desk import Desk
from services.console.entry.http_correct import router as correct_router
from services.console.entry.http_enter import router as enter_router
from services.console.entry.own_forms import OwnForms
from services.console.groups import KafkaGroups
from services.console.live import KafkaLogReader, Live
from services.console.pages.http_case import router as case_router
from services.console.pages.http_changes import router as changes_router
from services.console.pages.http_common import router as common_router
from services.console.pages.http_stream import router as stream_router
from services.console.pages.http_tables import router as tables_router
from services.console.pages.http_worklist import router as worklist_router
from services.console.pages.shell import Shell
from services.console.pages.templates import Pages
from services.console.pages.viewer import ConsoleParts, Groups
from services.console.projections.table import reactions
from services.console.settings import ConsoleSettings
from services.console.sign_in.attempts import Attempts
from services.console.sign_in.http import OPEN_PATHS, SignIn
from services.console.sign_in.http import router as sign_in_router
from services.console.sign_in.provider import CALLBACK, Client, Provider
from services.console.sign_in.sessions import SessionAuthenticator, Sessions, credential_of
from shared.auth.authenticator import Authenticator
from shared.auth.tokens import Issuer, TokenAuthenticator
from shared.contracts.vocabulary import Service
from shared.messaging.kafka import KafkaSettings
from shared.messaging.unit_of_work import UnitOfWork
from shared.observability.figures import Figures
from shared.persistence.database import Database, Tx
from shared.persistence.migrations import Migration, migrations_in
from shared.ports import World
from shared.protocol import load_protocol
from shared.runtime.service import ServiceParts, ServiceProgram, Surroundings, operations
from shared.web.app import create_app

#: the order in which folders of migrations are applied
MIGRATIONS: Final = ("shared.messaging", "shared.audit", "shared.web", "services.console")


def migrations() -> tuple[Migration, ...]:
    """All migrations of this service's database, in order."""
    return tuple(migration for folder in MIGRATIONS for migration in migrations_in(folder))


def unit_of_work(database: Database, world: World) -> UnitOfWork[Tx]:
    """Transactions of the projections."""
    return UnitOfWork(
        database=database, repository=lambda tx: tx, source=Service.CONSOLE, world=world
    )


def console_app(
    settings: ConsoleSettings,
    *,
    world: World,
    database: Database,
    authenticator: Authenticator,
    figures: Figures,
    live: Live,
    changes: Changes,
    groups: Groups,
) -> FastAPI:
    """The pages as an app. At a stop, `live` and `changes` must be ended first."""
    protocol = load_protocol()
    pages = Pages(mode=settings.mode, protocol=protocol.version, protocol_status=protocol.status)
    sessions = Sessions(database, world.machine_clock)
    units = unit_of_work(database, world)
    parts = ConsoleParts(
        database, units, world, pages, protocol, live, changes, groups,
        Desk(world.http, settings.url_of(Service.INTAKE).rstrip("/")),
        OwnForms(sessions, settings.url_console),
    )  # fmt: skip
    app = create_app(
        Service.CONSOLE,
        routers=[
            common_router, worklist_router, case_router, enter_router, correct_router,
            stream_router, changes_router, tables_router,
            operations(reactions(changes.note), units, authenticator),
            sign_in_router(_sign_in(settings, world, database, authenticator, sessions, pages)),
        ],
        world=world,
        authenticator=SessionAuthenticator(sessions, authenticator),
        mode=settings.mode,
        figures=figures,
        state={"parts": parts},
        token_of=credential_of,
        open_paths=OPEN_PATHS,
    )  # fmt: skip
    app.add_middleware(Shell, pages=pages)
    return app


def _sign_in(
    settings: ConsoleSettings,
    world: World,
    database: Database,
    authenticator: Authenticator,
    sessions: Sessions,
    pages: Pages,
) -> SignIn:
    own = Issuer(
        url=settings.oidc_issuer,
        jwks_url=settings.oidc_jwks_url,
        audience=Service.CONSOLE.value,
        service_audience=settings.oidc_service_audience,
        plain_http=settings.mode == "demo",
    )
    provider = Provider(
        Client(
            issuer=settings.oidc_issuer,
            client_id=Service.CONSOLE.value,
            secret=settings.client_secret.get_secret_value(),
            internal_url=settings.oidc_internal_url,
            redirect_uri=settings.url_console.rstrip("/") + CALLBACK,
        ),
        http=world.http,
        people=authenticator,
        id_tokens=TokenAuthenticator([own], http=world.http, clock=world.machine_clock),
    )
    return SignIn(
        provider=provider,
        attempts=Attempts(database, world.machine_clock),
        sessions=sessions,
        pages=pages,
        base_url=settings.url_console,
    )


async def build(around: Surroundings[ConsoleSettings]) -> ServiceParts[Tx]:
    """The parts of the process."""
    settings = around.settings
    kafka = KafkaSettings(
        bootstrap=settings.kafka_bootstrap,
        client_id="console-viewer",
        prefix=settings.kafka_prefix,
    )
    live, changes = Live(lambda: KafkaLogReader(kafka)), Changes()
    app = console_app(
        settings,
        world=around.world,
        database=around.database,
        authenticator=around.authenticator,
        figures=around.figures,
        live=live,
        changes=changes,
        groups=KafkaGroups(kafka),
    )

    def end_streams() -> None:
        live.end()
        changes.end()

    return ServiceParts(
        app=app,
        unit_of_work=unit_of_work(around.database, around.world),
        reactions=reactions(changes.note),
        end_streams=end_streams,
    )


PROGRAM: Final = ServiceProgram(
    service=Service.CONSOLE,
    settings=ConsoleSettings,
    migrations=migrations(),
    build=build,
    database_url=lambda settings: settings.database_url.get_secret_value(),
    port=lambda settings: settings.port,
)
