"""Puts intake together: what it reacts to, on one screen, and the parts of its process."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import Final
from uuid import UUID

from fastapi import APIRouter

from services.intake.adapters.authority import lock_cases
from services.intake.adapters.bundles import read_fhir_bundle
from services.intake.adapters.cards import card_templates
from services.intake.adapters.fhir_server import HttpFhirServer
from services.intake.adapters.hl7v2 import read_message, split_messages
from services.intake.adapters.holder_calls import HttpHolderCalls
from services.intake.adapters.notifications import read_notification
from services.intake.adapters.orders import read_draft_orders
from services.intake.adapters.pager import MailRelay, NotificationPager
from services.intake.adapters.rows import intake_rows
from services.intake.adapters.seen import DecideOnRecord, product_on_record
from services.intake.adapters.streams import HeartbeatStreams
from services.intake.application.apply_identity_message import apply_identity_message
from services.intake.application.authority_ports import Authority
from services.intake.application.authority_reactions import authority_reactions
from services.intake.application.fetch_notified import Fetching
from services.intake.application.follow_bookings import booking_reactions
from services.intake.application.follow_workflow import WorkflowFacts
from services.intake.application.incoming_messages import Profile
from services.intake.application.lapse_permits import lapse_permits
from services.intake.application.page_unacknowledged import page_unacknowledged
from services.intake.application.ports import IntakeRows
from services.intake.application.reassess_due import follow_protocol, reassess_due
from services.intake.application.receive_message import Feeds
from services.intake.application.recognise_sender import SenderAuthenticator
from services.intake.application.rulebooks import Rulebooks
from services.intake.application.run_errands import Errands
from services.intake.application.subscription_ports import FhirFeed
from services.intake.application.watch_sources import SourceWatch
from services.intake.domain.fhir_addresses import FhirBase
from services.intake.domain.sources import Configured, configured_sources
from services.intake.entrypoints.folder import WatchedFolder
from services.intake.entrypoints.http_authority import MaySee, authority_router
from services.intake.entrypoints.http_cards import router as cards_router
from services.intake.entrypoints.http_cds import router as cds_router
from services.intake.entrypoints.http_demo import demo_router
from services.intake.entrypoints.http_entries import router as entries_router
from services.intake.entrypoints.http_errands import router as errands_router
from services.intake.entrypoints.http_feeds import BY_HAND, FeedParts
from services.intake.entrypoints.http_feeds import router as feeds_router
from services.intake.entrypoints.http_identity import router as identity_router
from services.intake.entrypoints.http_information import router as information_router
from services.intake.entrypoints.http_notifications import SubscriptionParts
from services.intake.entrypoints.http_notifications import router as notifications_router
from services.intake.entrypoints.http_protocol import router as protocol_router
from services.intake.entrypoints.http_questions import router as questions_router
from services.intake.entrypoints.http_record import router as record_router
from services.intake.entrypoints.http_recover import router as recover_router
from services.intake.entrypoints.http_replay import router as replay_router
from services.intake.entrypoints.http_shadow import router as shadow_router
from services.intake.entrypoints.http_signing import router as signing_router
from services.intake.entrypoints.http_sources import router as sources_router
from services.intake.entrypoints.mllp import Listening, MllpServer
from services.intake.entrypoints.parts import IntakeParts
from services.intake.settings import FeedSettings, FhirFeedSettings, IntakeSettings
from shared.auth.principal import Principal
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.vocabulary import Service
from shared.messaging.reactions import Reactions, merged
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.permits.times import PermitTimes
from shared.persistence.migrations import Migration, migrations_in
from shared.ports import Clock
from shared.protocol import load_protocol, packaged_texts
from shared.runtime.service import (
    ServiceParts,
    ServiceProgram,
    Surroundings,
    Timer,
    operations,
)
from shared.runtime.settings import SettingsError
from shared.runtime.world import DemoClock
from shared.web.app import create_app

#: the order in which folders of migrations are applied
MIGRATIONS: Final = ("shared.messaging", "shared.audit", "shared.web", "services.intake")
#: how often passed interval boundaries are looked for
REASSESS_SECONDS: Final = 1.0
#: how often the history of rulebooks is read anew (well below sign_rulebook.NOTICE)
FOLLOW_SECONDS: Final = 5.0
#: how late cases are told that a source fell silent; a press sees it at once
SOURCES_SECONDS: Final = 1.0
#: how late a permit's lapse may be seen
LAPSE_SECONDS: Final = 0.5
#: a page is due a second after T_ack at the latest
PAGE_SECONDS: Final = 0.5
#: how soon what a server notified is fetched
ERRANDS_SECONDS: Final = 1.0
#: how often a watched folder is looked at; a file must look the same twice before it is read
FOLDER_SECONDS: Final = 2.0


def migrations() -> tuple[Migration, ...]:
    """All migrations of this service's database, in order."""
    return tuple(migration for folder in MIGRATIONS for migration in migrations_in(folder))


def reactions(rulebooks: Rulebooks) -> Reactions[IntakeRows]:
    """What intake reacts to: what holders say of permits first, then what becomes a fact."""
    return Reactions(
        consumer=Service.INTAKE,
        topics=frozenset(
            TOPIC_OF[owner]
            for owner in (Service.MANUFACTURING, Service.INFUSION_SCHEDULING, Service.NOTIFICATION)
        ),
        handlers=merged(
            authority_reactions(), WorkflowFacts(rulebooks).reactions(), booking_reactions()
        ),
        lock_cases=lock_cases,
    )


def all_routers(
    authority: Authority[IntakeRows], may_see: MaySee, clock: Clock
) -> tuple[APIRouter, ...]:
    """The service's endpoints; a demo's clock can be moved."""
    routers = (
        record_router, questions_router, signing_router, cds_router, replay_router,
        protocol_router, entries_router, information_router, cards_router,
        identity_router,
        feeds_router, errands_router, notifications_router, sources_router, shadow_router,
    )  # fmt: skip
    demo = (demo_router(clock),) if isinstance(clock, DemoClock) else ()
    return (*routers, authority_router(authority, may_see), recover_router, *demo)


async def build(around: Surroundings[IntakeSettings]) -> ServiceParts[IntakeRows]:
    """The parts of intake's process, with the rulebook that decides on record."""
    parts, rulebooks = assembled(around)
    await rulebooks.refresh(parts.unit_of_work)
    return parts


def assembled(
    around: Surroundings[IntakeSettings],
) -> tuple[ServiceParts[IntakeRows], Rulebooks]:
    """The parts of intake's process, and its rulebooks, which are not yet on record."""
    settings = around.settings
    rulebooks = Rulebooks(packaged_texts(), around.world.clock, settings.mode)
    uow: UnitOfWork[IntakeRows] = UnitOfWork(
        database=around.database,
        repository=intake_rows,
        source=Service.INTAKE,
        world=around.world,
    )
    sources = _sources(settings, load_protocol().feeds)
    authority = _authority(around, uow, rulebooks)
    parts = IntakeParts(
        uow=uow,
        authority=authority,
        rulebooks=rulebooks,
        world=around.world,
        mode=settings.mode,
        read_bundle=read_fhir_bundle,
        read_orders=read_draft_orders,
        authenticator=around.authenticator,
        card_templates=card_templates(settings.card_templates),
        centre_phone=settings.centre_phone,
    )
    feeds = Feeds(uow, rulebooks, read_message, apply_identity_message)
    profiles = {feed.name: _profile(feed, settings) for feed in settings.message_feeds}
    profiles[BY_HAND] = Profile(BY_HAND, processing=_real(settings))
    folders, listeners = _feed_parts(feeds, settings, profiles)
    subscribed = {feed.name: _fhir_feed(feed) for feed in settings.fhir_feeds}
    # the server of another organisation must not see this service's own token: no service_http
    server = HttpFhirServer(around.world.http)
    errands = Errands(Fetching(authority, rulebooks, read_fhir_bundle, server), subscribed)
    reacting = reactions(rulebooks)
    routers = [
        *all_routers(authority, _MaySee(uow), around.world.clock),
        operations(reacting, uow, around.authenticator),
    ]
    app = create_app(
        Service.INTAKE,
        routers=routers,
        world=around.world,
        authenticator=SenderAuthenticator(around.authenticator, _feed_secrets(settings)),
        mode=settings.mode,
        figures=around.figures,
        state={
            "parts": parts,
            "feeds": FeedParts(feeds, profiles),
            "subscriptions": SubscriptionParts(subscribed, read_notification),
        },
    )

    made = ServiceParts(
        app=app,
        unit_of_work=uow,
        reactions=reacting,
        timers=(
            Timer("reassess-due", REASSESS_SECONDS, partial(reassess_due, uow, rulebooks)),
            Timer("follow-protocol", FOLLOW_SECONDS, partial(follow_protocol, uow, rulebooks)),
            Timer("watch-sources", SOURCES_SECONDS, SourceWatch(uow, rulebooks, sources)),
            Timer("lapse-permits", LAPSE_SECONDS, partial(lapse_permits, authority)),
            Timer("page", PAGE_SECONDS, partial(page_unacknowledged, authority)),
            Timer("errands", ERRANDS_SECONDS, errands),
            *folders,
        ),
        listeners=listeners,
    )
    return made, rulebooks


def _profile(feed: FeedSettings, settings: IntakeSettings) -> Profile:
    taken = frozenset[str](feed.processing) if feed.processing else _real(settings)
    return Profile(feed.name, feed.systems, feed.charset, taken)


def _fhir_feed(feed: FhirFeedSettings) -> FhirFeed:
    token = None if feed.token is None else feed.token.get_secret_value()
    return FhirFeed(feed.name, FhirBase(feed.base), token)


def _feed_secrets(settings: IntakeSettings) -> dict[str, str]:
    return {feed.name: feed.secret.get_secret_value() for feed in settings.fhir_feeds}


def _real(settings: IntakeSettings) -> frozenset[str]:
    """Values of MSH-11 that are about patients of this installation."""
    return frozenset({"P", "T", "D"} if settings.mode == "demo" else {"P"})


def _feed_parts(
    feeds: Feeds, settings: IntakeSettings, profiles: Mapping[str, Profile]
) -> tuple[list[Timer], list[Callable[[], Awaitable[None]]]]:
    """The timers of watched folders, and what listens at ports."""
    timers: list[Timer] = []
    listeners: list[Callable[[], Awaitable[None]]] = []
    for feed in settings.message_feeds:
        profile = profiles[feed.name]
        if feed.folder is not None:
            watched = WatchedFolder(feeds, profile, feed.folder, split_messages)
            timers.append(Timer(f"folder-{feed.name}", FOLDER_SECONDS, watched.look))
        else:
            at = Listening(profile, feed.host, feed.port, feed.beyond_loopback)
            listeners.append(MllpServer(feeds, at).run)
    return timers, listeners


def _authority(
    around: Surroundings[IntakeSettings], uow: UnitOfWork[IntakeRows], rulebooks: Rulebooks
) -> Authority[IntakeRows]:
    settings = around.settings
    times = PermitTimes().scaled(1 / settings.permit_time_divisor)
    mail = None
    # the on-call person is not told in shadow mode: notification tells the coordinators
    if settings.smtp_host is not None and settings.mode != "shadow":
        mail = MailRelay(
            settings.smtp_host, settings.smtp_port, settings.mail_sender, settings.mail_on_call
        )
    return Authority(
        unit_of_work=uow,
        world=around.world,
        decide=DecideOnRecord(rulebooks, around.world, has_sources=bool(settings.sources.strip())),
        products=product_on_record,
        streams=HeartbeatStreams(around.world, settings.partitions),
        pager=NotificationPager(
            around.service_http, settings.url_notification, times.page_timeout_seconds, mail
        ),
        calls=HttpHolderCalls(around.service_http, settings, times.tell_timeout_seconds),
        times=times,
        advises_only=settings.mode == "shadow",
    )


def _sources(settings: IntakeSettings, feeds: Collection[str]) -> tuple[Configured, ...]:
    try:
        return configured_sources(settings.sources, feeds)
    except ValueError as error:
        raise SettingsError(f"TANDEM_SOURCES: {error}") from error


class _MaySee:
    """Whether a caller may know of a case: it exists, and it is of the caller's site."""

    def __init__(self, uow: UnitOfWork[IntakeRows]) -> None:
        self._uow = uow

    async def __call__(self, principal: Principal, case_id: UUID) -> bool:
        """True for a case that the caller may see."""
        cause = Cause(principal.subject, self._uow.world.ids.new())
        async with self._uow.begin(cause) as work:
            case = await work.rows.record.case_summary(case_id)
        return case is not None and principal.site in (None, case.site)


PROGRAM: Final = ServiceProgram(
    service=Service.INTAKE,
    settings=IntakeSettings,
    migrations=migrations(),
    build=build,
    database_url=lambda settings: settings.database_url.get_secret_value(),
    port=lambda settings: settings.port,
)
