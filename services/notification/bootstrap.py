"""Puts notification together: what it reacts to, on one screen, and the parts of its process."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Final

from fastapi import FastAPI

from services.notification.adapters.alerts import PostgresAlertRows
from services.notification.adapters.mail import MailSettings, SmtpMailer
from services.notification.adapters.routing_table import read_ack_times, read_routes
from services.notification.adapters.texts import TemplateTexts
from services.notification.adapters.views import PostgresAlertViews
from services.notification.application.absorb_evidence import absorb_event
from services.notification.application.deliver_due import Outgoing, deliver_due
from services.notification.application.escalate_overdue import escalate_overdue
from services.notification.application.follow_parking import tell_parked, tell_unparked
from services.notification.application.ports import AlertRows, Policy, Texts
from services.notification.application.watch_holds import EFFECTIVE_WITHIN_SECONDS, watch_holds
from services.notification.application.watch_streams import watch_streams
from services.notification.domain.routing import Person
from services.notification.domain.shadow import for_the_coordinator_alone
from services.notification.entrypoints.http_alerts import router as alerts_router
from services.notification.entrypoints.http_routing import router as routing_router
from services.notification.entrypoints.parts import NotificationParts
from services.notification.settings import NotificationSettings
from shared.auth.authenticator import Authenticator
from shared.contracts import coordination as coord
from shared.contracts import infusion as inf
from shared.contracts import manufacturing as made
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.event import Event
from shared.contracts.vocabulary import Role, Service
from shared.messaging.reactions import Reaction, Reactions
from shared.messaging.unit_of_work import UnitOfWork
from shared.observability.figures import Figures
from shared.persistence.database import Database
from shared.persistence.migrations import Migration, migrations_in
from shared.ports import World
from shared.runtime.service import (
    ServiceParts,
    ServiceProgram,
    Surroundings,
    Timer,
    operations,
)
from shared.runtime.settings import Mode
from shared.web.app import create_app

#: the order in which folders of migrations are applied
MIGRATIONS: Final = ("shared.messaging", "shared.audit", "shared.web", "services.notification")
#: the service's endpoints
ROUTERS: Final = (alerts_router, routing_router)
#: a message leaves within this time of its alert's commit (an alert reaches SMTP within 5 s)
DELIVER_SECONDS: Final = 0.5
#: an escalation fires within 5 s of its minute
ESCALATE_SECONDS: Final = 1.0
WATCH_SECONDS: Final = 1.0
MEASURE_SECONDS: Final = 5.0
#: an escalation that fires later than this after its minute is counted as late
LATE_AFTER: Final = timedelta(seconds=5)


def migrations() -> tuple[Migration, ...]:
    """All migrations of this service's database, in order."""
    return tuple(migration for folder in MIGRATIONS for migration in migrations_in(folder))


def policy(fallback: Person, mode: Mode = "live") -> Policy:
    """The packaged routing table and the rulebook's times, with this installation's fallback."""
    routes = read_routes()
    if mode == "shadow":
        routes = for_the_coordinator_alone(routes)
    return Policy(routes, read_ack_times(), fallback)


def last_resort(settings: NotificationSettings) -> Person:
    """Who is told when nobody on the roster is: the duty desk; in shadow mode the coordinators."""
    if settings.mode == "shadow":
        name, address = settings.coordinator_name, settings.coordinator_email
        return Person("coordinators", name, address, Role.COORDINATOR)
    return Person("fallback", settings.fallback_name, settings.fallback_address, None)


def reactions(rules: Policy) -> Reactions[AlertRows]:
    """The reaction table: what each event means stands in `domain/reading.py`, who is told in
    `adapters/routes.yaml`.
    """
    tell: Reaction[AlertRows] = partial(absorb_event, rules)
    handlers: Mapping[type[Event], Reaction[AlertRows]] = {
        # intake: holds and what concerns the patient
        coord.HoldRecorded: tell,
        coord.HoldEffective: tell,
        coord.HoldReleased: tell,
        coord.RedFlagReported: tell,
        coord.ConsentWithdrawn: tell,
        coord.CoordinationCaseParked: tell,
        coord.CoordinationCaseUnparked: tell,
        coord.SourceSilent: tell,
        coord.SourceHeardAgain: tell,
        # infusion scheduling: what was blocked, what is proposed, what happened at the bedside
        inf.InfusionSuspended: tell,
        inf.PlanProposed: tell,
        inf.PlanAccepted: tell,
        inf.InfusionHoldAcknowledged: tell,
        inf.InfusionStarted: tell,
        inf.InfusionStopped: tell,
        inf.InfusionCompleted: tell,
        inf.ReactionGraded: tell,
        inf.VitalsOverdue: tell,
        inf.VitalsRecorded: tell,
        inf.InfusionCaseParked: tell,
        inf.InfusionCaseUnparked: tell,
        # manufacturing: the product
        made.RecallOrdered: tell,
        made.IdentityMismatch: tell,
        made.BatchReleased: tell,
        made.BatchReleasedConditionally: tell,
        made.BatchRejected: tell,
        made.GrowthForecastChanged: tell,
        made.Harvested: tell,
        made.ManufacturingHoldAcknowledged: tell,
        made.ManufacturingCaseParked: tell,
        made.ManufacturingCaseUnparked: tell,
    }
    return Reactions(
        consumer=Service.NOTIFICATION,
        topics=frozenset(
            TOPIC_OF[s]
            for s in (Service.INTAKE, Service.MANUFACTURING, Service.INFUSION_SCHEDULING)
        ),
        handlers=handlers,
        # never held back in a parked case: somebody must know at once
        safe_half={coord.HoldRecorded: tell, coord.RedFlagReported: tell},
        on_parked=partial(tell_parked, rules),
        on_unparked=partial(tell_unparked, rules),
    )


def unit_of_work(database: Database, world: World) -> UnitOfWork[AlertRows]:
    """Transactions of this service."""
    return UnitOfWork(
        database=database,
        repository=PostgresAlertRows,
        source=Service.NOTIFICATION,
        world=world,
    )


def timers(
    rules: Policy,
    units: UnitOfWork[AlertRows],
    outgoing: Outgoing,
    figures: Figures,
    time_divisor: int = 1,
) -> tuple[Timer, ...]:
    """What is due by the database: messages, escalations, and the dead-man's looks."""
    watching_since = units.world.machine_clock.now()
    within_seconds = EFFECTIVE_WITHIN_SECONDS / time_divisor

    async def escalate() -> None:
        for step in await escalate_overdue(rules, units):
            if units.world.clock.now() - step.due_at > LATE_AFTER:
                figures.escalations_late.inc()

    async def measure() -> None:
        async with units.database.transaction() as tx:
            oldest = await units.repository(tx).oldest_unacknowledged()
        age = timedelta() if oldest is None else units.world.clock.now() - oldest
        figures.oldest_unacknowledged_seconds.set(age.total_seconds())

    return (
        Timer("deliver-due", DELIVER_SECONDS, partial(deliver_due, units, outgoing)),
        Timer("escalate-overdue", ESCALATE_SECONDS, escalate),
        Timer(
            "watch-streams",
            WATCH_SECONDS,
            partial(watch_streams, rules, units, watching_since=watching_since),
        ),
        Timer(
            "watch-holds",
            WATCH_SECONDS,
            partial(watch_holds, rules, units, within_seconds=within_seconds),
        ),
        Timer("measure", MEASURE_SECONDS, measure),
    )


def outgoing_mail(settings: NotificationSettings, rules: Policy, world: World) -> Outgoing:
    """Wording and mail server. Raises `TemplateError` when a template says what it may not."""
    password = settings.smtp_password
    mail = MailSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.mail_sender,
        username=settings.smtp_user,
        password=None if password is None else password.get_secret_value(),
        use_tls=settings.smtp_tls,
        start_tls=settings.smtp_starttls,
    )
    return Outgoing(
        texts=TemplateTexts(rules.routes, in_shadow=settings.mode == "shadow"),
        mailer=SmtpMailer(mail, world.machine_clock),
        console_url=settings.url_console,
        mail_domain=settings.mail_domain,
    )


def web_app(parts: NotificationParts, authenticator: Authenticator, figures: Figures) -> FastAPI:
    """The HTTP side."""
    ops = operations(reactions(parts.policy), parts.uow, authenticator)
    return create_app(
        Service.NOTIFICATION,
        routers=[*ROUTERS, ops],
        world=parts.world,
        authenticator=authenticator,
        mode=parts.mode,
        figures=figures,
        state={"parts": parts},
    )


async def build(around: Surroundings[NotificationSettings]) -> ServiceParts[AlertRows]:
    """The parts of the process."""
    settings = around.settings
    rules = policy(last_resort(settings), settings.mode)
    units = unit_of_work(around.database, around.world)
    outgoing = outgoing_mail(settings, rules, around.world)
    parts = parts_for(rules, units, outgoing.texts, settings.mode)
    return ServiceParts(
        app=web_app(parts, around.authenticator, around.figures),
        unit_of_work=units,
        reactions=reactions(rules),
        timers=timers(rules, units, outgoing, around.figures, settings.permit_time_divisor),
    )


def parts_for(
    rules: Policy, units: UnitOfWork[AlertRows], texts: Texts, mode: Mode
) -> NotificationParts:
    """What the endpoints work with."""
    return NotificationParts(
        uow=units,
        views=lambda tx: PostgresAlertViews(tx, rules.routes),
        policy=rules,
        texts=texts,
        world=units.world,
        mode=mode,
    )


PROGRAM: Final = ServiceProgram(
    service=Service.NOTIFICATION,
    settings=NotificationSettings,
    migrations=migrations(),
    build=build,
    database_url=lambda settings: settings.database_url.get_secret_value(),
    port=lambda settings: settings.port,
)
