"""Puts manufacturing together: what it reacts to, on one screen, and the parts of its process."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from fastapi import APIRouter

from services.manufacturing.adapters.intake import IntakeAuthority
from services.manufacturing.adapters.permits import HolderPermits
from services.manufacturing.adapters.repository import repository
from services.manufacturing.adapters.rulebook import manufacturing_rules
from services.manufacturing.application import react
from services.manufacturing.application.follow_starts import StartFollower
from services.manufacturing.application.place_hold import send_waiting_holds
from services.manufacturing.application.report_facts import send_waiting_reports
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.domain.rules import ManufacturingRules
from services.manufacturing.entrypoints.http import routers
from services.manufacturing.settings import ManufacturingSettings
from shared.auth.authenticator import Authenticator
from shared.contracts import coordination as coord
from shared.contracts import infusion as inf
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.event import Event
from shared.contracts.vocabulary import Service
from shared.messaging.reactions import Reaction, Reactions
from shared.messaging.unit_of_work import UnitOfWork
from shared.permits.guard import RestoreGuard, begin_guard, guarded, watch_guard
from shared.permits.holder import AuthorityAddress, Holder
from shared.permits.http import holder_router
from shared.permits.replicate import holder_reactions
from shared.permits.rows import lock_fences
from shared.permits.sweep import sweep
from shared.permits.times import PermitTimes
from shared.persistence.database import Database
from shared.persistence.migrations import Migration, migrations_in
from shared.ports import World
from shared.protocol import load_protocol
from shared.runtime.service import (
    ServiceParts,
    ServiceProgram,
    Surroundings,
    Timer,
    operations,
)
from shared.web.app import create_app

#: the order in which folders of migrations are applied
MIGRATIONS: Final = (
    "shared.messaging",
    "shared.permits",
    "shared.audit",
    "shared.web",
    "services.manufacturing",
)
#: a hold that intake could not take is tried again so soon; nothing is done before it is there
HOLDS_SECONDS: Final = 1.0
REPORTS_SECONDS: Final = 1.0
#: starts without GO past their deadline are looked for this often
SWEEP_SECONDS: Final = 1.0
#: how soon a database that was replaced under us is noticed
GUARD_SECONDS: Final = 2.0


def migrations() -> tuple[Migration, ...]:
    """All migrations of this service's database, in order."""
    return tuple(migration for folder in MIGRATIONS for migration in migrations_in(folder))


def reactions(shell: Shell, holder: Holder[Rows]) -> Reactions[Rows]:
    """The reaction table."""
    reactor = react.Reactor(shell.rules, shell.permits)
    permits = holder_reactions(holder)
    own: Mapping[type[Event], Reaction[Rows]] = {
        # intake: the case, its consent, when steps may be planned
        coord.CaseOpened: react.on_case_opened,
        coord.CaseClosed: react.on_case_closed,
        coord.ConsentRecorded: react.on_consent_recorded,
        coord.ConsentWithdrawn: react.on_consent_withdrawn,
        coord.TimelinePublished: reactor.on_timeline_published,
        # infusion scheduling: which infusion a dose may be for, and what became of the dose
        inf.CoursePlanned: react.on_course_planned,
        inf.InfusionStarted: reactor.on_infusion_started,
        inf.InfusionStopped: reactor.on_infusion_stopped,
        inf.InfusionCompleted: reactor.on_infusion_completed,
    }
    return Reactions(
        consumer=Service.MANUFACTURING,
        topics=frozenset(TOPIC_OF[s] for s in (Service.INTAKE, Service.INFUSION_SCHEDULING)),
        # holds, their release and a new epoch are the start permit's own
        handlers={**permits, **own},
        safe_half={coord.HoldRecorded: permits[coord.HoldRecorded]},
        lock_cases=lock_fences,
    )


def unit_of_work(database: Database, world: World) -> UnitOfWork[Rows]:
    """Transactions of this service."""
    return UnitOfWork(
        database=database, repository=repository, source=Service.MANUFACTURING, world=world
    )


def holder(
    units: UnitOfWork[Rows],
    authority: AuthorityAddress,
    rules: ManufacturingRules,
    times: PermitTimes,
    guard: RestoreGuard,
) -> Holder[Rows]:
    """Manufacturing as a holder of start permits at its three gates."""
    return Holder(
        service=Service.MANUFACTURING,
        unit_of_work=units,
        world=units.world,
        authority=authority,
        times=times,
        guard=guard,
        on_change=StartFollower(rules),
    )


def timers(shell: Shell, held: Holder[Rows], guard: RestoreGuard) -> tuple[Timer, ...]:
    """What is due by the database: whatever intake has not taken yet, and starts without a GO."""
    return (
        Timer("send-waiting-holds", HOLDS_SECONDS, partial(send_waiting_holds, shell)),
        Timer("send-waiting-reports", REPORTS_SECONDS, partial(send_waiting_reports, shell)),
        Timer("sweep", SWEEP_SECONDS, partial(sweep, held)),
        Timer("guard", GUARD_SECONDS, partial(watch_guard, held, guard)),
    )


def all_routers(
    shell: Shell, held: Holder[Rows], authenticator: Authenticator
) -> tuple[APIRouter, ...]:
    """The service's endpoints, those of operations, and the one by which intake tells a hold."""
    ops = operations(reactions(shell, held), held.unit_of_work, authenticator)
    return (*routers(shell), holder_router(held), ops)


async def build(around: Surroundings[ManufacturingSettings]) -> ServiceParts[Rows]:
    """The parts of the process, once the database's identity is known."""
    guard = RestoreGuard()
    parts, held = assembled(around, guard)
    await begin_guard(held, guard)
    return parts


def assembled(
    around: Surroundings[ManufacturingSettings], guard: RestoreGuard
) -> tuple[ServiceParts[Rows], Holder[Rows]]:
    """The parts of the process, and the holder whose guard has to begin before it serves."""
    settings, intake_url = around.settings, around.settings.url_of(Service.INTAKE)
    rules = manufacturing_rules(load_protocol())
    units = unit_of_work(around.database, around.world)
    times = PermitTimes().scaled(1 / settings.permit_time_divisor)
    address = AuthorityAddress(intake_url, around.service_http, settings.mode)
    held = holder(units, address, rules, times, guard)
    authority = IntakeAuthority(around.service_http, intake_url)
    shell = Shell(units, rules, HolderPermits(held), authority)
    app = create_app(
        Service.MANUFACTURING,
        routers=all_routers(shell, held, around.authenticator),
        world=around.world,
        authenticator=around.authenticator,
        mode=settings.mode,
        figures=around.figures,
    )
    parts = ServiceParts(
        app=app,
        unit_of_work=units,
        reactions=reactions(shell, held),
        timers=timers(shell, held, guard),
        ready={"database": guarded(guard)},
    )
    return parts, held


PROGRAM: Final = ServiceProgram(
    service=Service.MANUFACTURING,
    settings=ManufacturingSettings,
    migrations=migrations(),
    build=build,
    database_url=lambda settings: settings.database_url.get_secret_value(),
    port=lambda settings: settings.port,
)
