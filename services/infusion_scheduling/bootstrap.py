"""Puts infusion scheduling together: what it reacts to, on one screen, and its process's parts."""

from functools import partial
from typing import Final

from fastapi import APIRouter

from services.infusion_scheduling.adapters.patient_record import IntakeRecord
from services.infusion_scheduling.adapters.schedule import PostgresScheduleRows
from services.infusion_scheduling.application.follow_events import PlanningFacts
from services.infusion_scheduling.application.follow_start import FollowStart
from services.infusion_scheduling.application.planning import Site
from services.infusion_scheduling.application.ports import ScheduleRows
from services.infusion_scheduling.domain.follow_up import FollowUpPlan
from services.infusion_scheduling.domain.monitoring import read_trigger
from services.infusion_scheduling.domain.schedule import ScheduleTemplate
from services.infusion_scheduling.entrypoints.http_bedside import router as bedside_router
from services.infusion_scheduling.entrypoints.http_planning import router as planning_router
from services.infusion_scheduling.entrypoints.parts import ReactionRow, SchedulingParts
from services.infusion_scheduling.settings import SchedulingSettings
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.coordination import HoldRecorded
from shared.contracts.vocabulary import Service
from shared.messaging.reactions import Reactions, merged
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
from shared.protocol import Protocol, load_protocol
from shared.protocol.rulebook.rows import GapRule
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
    "shared.audit",
    "shared.web",
    "shared.permits",
    "services.infusion_scheduling",
)
#: the rule whose days lie between two infusions at the least
DAYS_BETWEEN_RULE: Final = "IFU-001"
#: starts without GO past their deadline are looked for this often
SWEEP_SECONDS: Final = 1.0
#: how soon a database that was replaced under us is noticed
GUARD_SECONDS: Final = 2.0


def migrations() -> tuple[Migration, ...]:
    """All migrations of this service's database, in order."""
    return tuple(migration for folder in MIGRATIONS for migration in migrations_in(folder))


def site_of(protocol: Protocol) -> Site:
    """The clinic's zone and the protocol's schedule templates."""
    days_between = next(
        rule.min_days
        for rule in protocol.patient_rules
        if isinstance(rule, GapRule) and rule.rule.id == DAYS_BETWEEN_RULE
    )
    return Site(
        zone=protocol.zone,
        templates={
            schedule.id: ScheduleTemplate(schedule.id, schedule.intervals_weeks, days_between)
            for schedule in protocol.plans.schedules
        },
    )


def reactions(site: Site, holder: Holder[ScheduleRows]) -> Reactions[ScheduleRows]:
    """What infusion scheduling reacts to: for holds the permit's side first, then planning."""
    permit = holder_reactions(holder)
    planning = PlanningFacts(site).reactions()
    return Reactions(
        consumer=Service.INFUSION_SCHEDULING,
        topics=frozenset(TOPIC_OF[owner] for owner in (Service.INTAKE, Service.MANUFACTURING)),
        handlers=merged(permit, planning),
        safe_half={HoldRecorded: permit[HoldRecorded]},
        lock_cases=lock_fences,
    )


def unit_of_work(database: Database, world: World) -> UnitOfWork[ScheduleRows]:
    """Transactions of this service."""
    return UnitOfWork(
        database=database,
        repository=PostgresScheduleRows,
        source=Service.INFUSION_SCHEDULING,
        world=world,
    )


def holder_of(
    uow: UnitOfWork[ScheduleRows],
    authority: AuthorityAddress,
    times: PermitTimes,
    protocol: Protocol,
    guard: RestoreGuard,
) -> Holder[ScheduleRows]:
    """This service as a holder of start permits at the infusion gate."""
    follow_ups = tuple(
        FollowUpPlan(row.id, row.day, row.window_days, row.items)
        for row in protocol.plans.follow_up
    )
    return Holder(
        service=Service.INFUSION_SCHEDULING,
        unit_of_work=uow,
        world=uow.world,
        authority=authority,
        times=times,
        guard=guard,
        on_change=FollowStart(follow_ups, protocol.zone),
    )


def all_routers(holder: Holder[ScheduleRows]) -> tuple[APIRouter, ...]:
    """The service's endpoints, and the one by which intake tells a hold directly."""
    return (planning_router, bedside_router, holder_router(holder))


async def build(around: Surroundings[SchedulingSettings]) -> ServiceParts[ScheduleRows]:
    """The parts of the process, once the database's identity is known."""
    guard = RestoreGuard()
    parts, holder = assembled(around, guard)
    await begin_guard(holder, guard)
    return parts


def assembled(
    around: Surroundings[SchedulingSettings], guard: RestoreGuard
) -> tuple[ServiceParts[ScheduleRows], Holder[ScheduleRows]]:
    """The parts of the process, and the holder whose guard has to begin before it serves."""
    settings, protocol = around.settings, load_protocol()
    uow = unit_of_work(around.database, around.world)
    times = PermitTimes().scaled(1 / settings.permit_time_divisor)
    authority = AuthorityAddress(settings.url_intake, around.service_http, settings.mode)
    holder = holder_of(uow, authority, times, protocol, guard)
    parts = _parts(around, uow, holder, protocol)
    reacting = reactions(parts.site, holder)
    app = create_app(
        Service.INFUSION_SCHEDULING,
        routers=[
            *all_routers(holder), operations(reacting, uow, around.authenticator),
        ],
        world=around.world,
        authenticator=around.authenticator,
        mode=settings.mode,
        figures=around.figures,
        state={"parts": parts},
    )  # fmt: skip
    served = ServiceParts(
        app=app,
        unit_of_work=uow,
        reactions=reacting,
        timers=(
            Timer("sweep", SWEEP_SECONDS, partial(sweep, holder)),
            Timer("guard", GUARD_SECONDS, partial(watch_guard, holder, guard)),
        ),
        ready={"database": guarded(guard)},
    )
    return served, holder


def _parts(
    around: Surroundings[SchedulingSettings],
    uow: UnitOfWork[ScheduleRows],
    holder: Holder[ScheduleRows],
    protocol: Protocol,
) -> SchedulingParts:
    plans = protocol.plans
    return SchedulingParts(
        uow=uow,
        holder=holder,
        site=site_of(protocol),
        triggers=tuple(read_trigger(t.id, t.action, t.any_of) for t in plans.stop_triggers),
        reactions={(r.scale, r.grade): ReactionRow(r.id, r.action) for r in plans.reactions},
        record=IntakeRecord(around.service_http, around.settings.url_intake),
        drip_minutes=plans.rate.min_minutes,
        world=around.world,
        mode=around.settings.mode,
        authenticator=around.authenticator,
    )


PROGRAM: Final = ServiceProgram(
    service=Service.INFUSION_SCHEDULING,
    settings=SchedulingSettings,
    migrations=migrations(),
    build=build,
    database_url=lambda settings: settings.database_url.get_secret_value(),
    port=lambda settings: settings.port,
)
