"""Puts notification together: what it reacts to, on one screen, and the parts of its process."""

from collections.abc import Mapping
from functools import partial
from typing import Final

from services.notification.adapters.alerts import PostgresAlertRows
from services.notification.adapters.routing_table import read_ack_times, read_routes
from services.notification.application.absorb_evidence import absorb_event
from services.notification.application.ports import AlertRows, Policy
from services.notification.domain.routing import Person
from shared.contracts import coordination as coord
from shared.contracts import infusion as inf
from shared.contracts import manufacturing as made
from shared.contracts.catalogue import TOPIC_OF
from shared.contracts.event import Event
from shared.contracts.vocabulary import Service
from shared.messaging.reactions import Reaction, Reactions
from shared.messaging.unit_of_work import UnitOfWork
from shared.persistence.database import Database
from shared.persistence.migrations import Migration, migrations_in
from shared.ports import World

#: the order in which folders of migrations are applied
MIGRATIONS: Final = ("shared.messaging", "shared.audit", "shared.web", "services.notification")


def migrations() -> tuple[Migration, ...]:
    """All migrations of this service's database, in order."""
    return tuple(migration for folder in MIGRATIONS for migration in migrations_in(folder))


def policy(fallback: Person) -> Policy:
    """The packaged routing table and the rulebook's times, with this installation's fallback."""
    return Policy(read_routes(), read_ack_times(), fallback)


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
    )


def unit_of_work(database: Database, world: World) -> UnitOfWork[AlertRows]:
    """The unit of work of this service."""
    return UnitOfWork(
        database=database,
        repository=PostgresAlertRows,
        source=Service.NOTIFICATION,
        world=world,
    )
