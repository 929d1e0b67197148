"""The service around one database, its neighbours replaced: intake is an object in the test's hand.

Steps of the process are driven through the public API, as staff would; only what other services
tell arrives through the reaction table.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI
from mfg_intake import FakeIntake

from services.manufacturing import bootstrap
from services.manufacturing.adapters.intake import IntakeAuthority
from services.manufacturing.adapters.permits import HolderPermits
from services.manufacturing.adapters.rulebook import manufacturing_rules
from services.manufacturing.application.row_ports import Rows
from services.manufacturing.application.shell import Shell
from services.manufacturing.domain.labels import label_of
from shared.contracts.coordination import CaseOpened, TimelineInterval, TimelinePublished
from shared.contracts.event import Envelope, Event
from shared.contracts.infusion import CoursePlanned, PlannedInfusion
from shared.contracts.vocabulary import Gate, Role, Service, Verdict
from shared.messaging.reactions import Reactions
from shared.messaging.unit_of_work import Cause
from shared.observability.figures import Figures
from shared.permits.guard import RestoreGuard, begin_guard
from shared.permits.holder import AuthorityAddress, Holder
from shared.permits.times import PermitTimes
from shared.persistence.postgres import PostgresDatabase
from shared.persistence.statements import Statement
from shared.ports import World
from shared.protocol import load_protocol
from shared.runtime.world import (
    BootClock,
    EventLoopWaiter,
    MachineClock,
    SystemChance,
    TimeOrderedIds,
)
from shared.testing.doubles import StandingClock
from shared.testing.sign_in import SignIn
from shared.web.app import create_app
from shared.web.rates import Bucket, TokenBuckets

RULES = manufacturing_rules(load_protocol())
#: 10:00 in the clinic (UTC+3)
MORNING = datetime(2027, 3, 1, 7, tzinfo=UTC)
#: one test's staff are faster than people
UNHURRIED = Bucket(per_second=10_000, burst=10_000)
INTAKE_URL = "http://intake.test"

#: passing results for a fresh batch, as a laboratory states them (protocol, table `release`)
FRESH_RESULTS: dict[str, tuple[str, str | None]] = {
    "viability_fresh": ("92", "%"),
    "sterility_rapid_and_gram": ("no_growth", None),
    "mycoplasma_nat": ("not_detected", None),
    "endotoxin_dose": ("0.7", "[EU]/kg/h"),
    "cd3_pct": ("95", "%"),
    "cd3_cd56_pct": ("26", "%"),
    "cd19_pct": ("1", "%"),
    "k562_lysis_20to1": ("40", "%"),
    "total_viable_cells": ("6.4e9", "1"),
    "appearance": ("conforms", None),
    "label_identity": ("match", None),
}
CRYO_RESULTS = {
    **{t: r for t, r in FRESH_RESULTS.items() if t != "viability_fresh"},
    "viability_post_thaw": ("81", "%"),
    "dmso_dose": ("0.2", "g/kg/d"),
}


@dataclass
class Answer:
    """An HTTP answer, read."""

    status: int
    body: dict[str, Any]
    headers: Mapping[str, str]

    @property
    def codes(self) -> set[str]:
        """The codes of a refusal's reasons."""
        return {reason["code"] for reason in self.body.get("reasons", ())}


@dataclass
class Plant:
    """Manufacturing's parts as its process has them."""

    database: PostgresDatabase
    clock: StandingClock
    world: World
    intake: FakeIntake
    shell: Shell
    holder: Holder[Rows]
    guard: RestoreGuard
    reactions: Reactions[Rows]
    app: FastAPI
    client: httpx.AsyncClient
    sign_in: SignIn
    sequence: int = 0
    _tokens: dict[tuple[str, frozenset[Role]], dict[str, str]] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.clock.now()

    # -- HTTP ------------------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        by: tuple[str, Role] = ("u-lab", Role.LAB_TECH),
        key: str | None = None,
        if_match: str | None = None,
    ) -> Answer:
        headers = dict(self.sign_in.person(by[1], subject=by[0]))
        if key is not None:
            headers["idempotency-key"] = key
        if if_match is not None:
            headers["if-match"] = if_match
        answer = await self.client.request(method, path, json=body, headers=headers)
        document = answer.json() if answer.content else {}
        return Answer(answer.status_code, document, answer.headers)

    async def post(self, path: str, body: Mapping[str, object] | None = None, **how: Any) -> Answer:
        return await self.call("POST", path, body, **how)

    async def get(self, path: str, **how: Any) -> Answer:
        return await self.call("GET", path, **how)

    async def done(self, path: str, body: Mapping[str, object], **how: Any) -> dict[str, Any]:
        """The body of an answer that must be a success."""
        answer = await self.post(path, body, **how)
        assert answer.status in {200, 201, 202}, (path, answer.status, answer.body)
        return answer.body

    # -- events ----------------------------------------------------------------------------------

    async def hear(self, event: Event, *, times: int = 1) -> None:
        """Runs the reaction to an event as the kernel does, but without the inbox."""
        envelope = Envelope(
            id=uuid4(),
            source=event.owner,
            time=self.now(),
            epoch=0,
            sequence=None,
            correlation_id=uuid4(),
            causation_id=None,
            traceparent=None,
            data=event,
        )
        handler = self.reactions.handlers[type(event)]
        for _ in range(times):
            cause = Cause.of_event(envelope, Service.MANUFACTURING)
            async with self.shell.unit_of_work.begin(cause) as work:
                await self.reactions.lock_cases(work.tx, [event.case_id])
                await handler(work, envelope)

    async def rows(self, sql: str, *args: object) -> list[dict[str, Any]]:
        async with self.database.transaction() as tx:
            return [dict(r) for r in await tx.rows(Statement("test", sql), *args)]

    async def run(self, sql: str, *args: object) -> int:
        async with self.database.transaction() as tx:
            return await tx.run(Statement("test", sql), *args)

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """Payloads of the outbox rows of one event type (`recall-ordered`), in order."""
        rows = await self.rows(
            "SELECT convert_from(payload, 'UTF8')::jsonb AS payload FROM outbox"
            " WHERE headers->>'ce_type' = $1 ORDER BY id",
            f"tandem.manufacturing.{kind}.v1",
        )
        return [row["payload"] for row in rows]

    # -- the way to a dose -----------------------------------------------------------------------

    async def open_case(self) -> UUID:
        case_id = uuid4()
        await self.hear(CaseOpened(case_id=case_id, protocol_version="1.0.0"))
        for gate in (Gate.COLLECTION, Gate.INFUSION):
            await self.publish(case_id, gate, plan=Verdict.GO)
        return case_id

    async def publish(
        self,
        case_id: UUID,
        gate: Gate,
        *,
        plan: Verdict,
        until: timedelta = timedelta(days=400),
        then: Verdict | None = None,
    ) -> None:
        """A timeline that begins an hour ago; after `until` it is `then`, or unknown."""
        self.sequence += 1
        begin = self.now() - timedelta(hours=1)
        parts = [(begin, self.now() + until, plan)]
        if then is not None:
            parts.append((self.now() + until, self.now() + timedelta(days=500), then))
        intervals = tuple(
            TimelineInterval(
                starts_at=start, ends_at=end, start=verdict, plan=verdict,
                rules=() if verdict is Verdict.GO else ("WO-CHEMO",),
            )
            for start, end, verdict in parts
        )  # fmt: skip
        await self.hear(
            TimelinePublished(
                case_id=case_id,
                gate=gate,
                epoch=0,
                version=self.sequence,
                timeline_version=self.sequence,
                protocol_version="1.0.0",
                intervals=intervals,
            )
        )

    async def slot(self, *, in_days: int = 0) -> UUID:
        day = RULES.clocks.local_day(self.now() + timedelta(days=in_days))
        body = {"day": day.isoformat(), "place": f"incubator-{uuid4().hex[:8]}"}
        made = await self.done("/slots", body, by=("u-co", Role.COORDINATOR))
        return UUID(made["slot_id"])

    async def book(self, case_id: UUID) -> UUID:
        body = {
            "case_id": str(case_id),
            "method": "apheresis",
            "planned_at": self.now().isoformat(),
            "slot_id": str(await self.slot()),
        }
        booked = await self.done("/collections", body, by=("u-co", Role.COORDINATOR))
        return UUID(booked["collection_id"])

    async def label(self, collection_id: UUID) -> str:
        made = await self.done(
            f"/collections/{collection_id}/label", {}, by=("u-nurse", Role.APHERESIS_PHYSICIAN)
        )
        return str(made["label"])

    async def collect(self, case_id: UUID) -> tuple[UUID, str]:
        """A finished collection and the label of its container."""
        collection_id = await self.book(case_id)
        label = await self.label(collection_id)
        chair = ("u-nurse", Role.APHERESIS_PHYSICIAN)
        await self.done(
            f"/collections/{collection_id}/start", self.press_body(), by=chair, if_match='"0.0"'
        )
        self.clock.advance(hours=2)
        body = {"collected_at": self.now().isoformat(), "scanned_label": label}
        await self.done(f"/collections/{collection_id}/done", body, by=chair)
        return collection_id, label

    def press_body(self, **more: object) -> dict[str, object]:
        return {"second_checker": "u-second", **more}

    async def receive(self, case_id: UUID) -> tuple[UUID, str]:
        """A batch of received material and the label of its container."""
        collection_id, label = await self.collect(case_id)
        self.clock.advance(hours=1)
        body = {
            "received_at": self.now().isoformat(),
            "scanned_label": label,
            "giver": "u-nurse",
            "place": "reception",
            "condition": "intact",
        }
        batch = await self.done(f"/collections/{collection_id}/receive", body)
        return UUID(batch["batch_id"]), label

    async def measure(self, batch_id: UUID, metric: str, value: str, unit: str) -> None:
        body = {
            "metric": metric, "value": value, "unit": unit, "measured_at": self.now().isoformat()
        }  # fmt: skip
        await self.done(f"/batches/{batch_id}/measures", body)

    async def start_culture(self, batch_id: UUID, label: str) -> Answer:
        return await self.post(
            f"/batches/{batch_id}/start",
            self.press_body(scanned_label=label),
            if_match='"0.0"',
        )

    async def grow(self, case_id: UUID) -> tuple[UUID, str]:
        """A batch in culture."""
        batch_id, label = await self.receive(case_id)
        await self.measure(batch_id, "start_viability", "93", "%")
        await self.measure(batch_id, "start_mnc", "2.5e8", "1")
        started = await self.start_culture(batch_id, label)
        assert started.status == 200, started.body
        return batch_id, label

    async def step(self, batch_id: UUID, label: str, step: str, **more: object) -> Answer:
        body = {
            "step": step, "performed_at": self.now().isoformat(), "scanned_label": label, **more
        }  # fmt: skip
        return await self.post(f"/batches/{batch_id}/steps", body)

    async def formulate(
        self, case_id: UUID, *, form: str = "fresh", doses: int = 2
    ) -> tuple[UUID, list[UUID]]:
        """A batch in quarantine with its doses; quality control has reported nothing yet."""
        batch_id, label = await self.grow(case_id)
        for step, days in (("activate", 1), ("expand", 3), ("harvest", 17)):
            self.clock.advance(days=days)
            answer = await self.step(batch_id, label, step)
            assert answer.status == 201, answer.body
        self.clock.advance(hours=2)
        made = await self.step(batch_id, label, "formulate", form=form, doses=doses)
        assert made.status == 201, made.body
        if form == "cryopreserved":
            self.clock.advance(hours=1)
            frozen = await self.step(batch_id, label, "freeze")
            assert frozen.status == 201, frozen.body
        return batch_id, [UUID(d["dose_id"]) for d in made.body["doses"]]

    async def report(
        self, batch_id: UUID, test: str, value: str, unit: str | None = None, **more: object
    ) -> Answer:
        body = {"test": test, "value": value, "unit": unit, "reported_at": self.now().isoformat()}
        return await self.post(f"/batches/{batch_id}/qc-results", {**body, **more})

    async def report_all(
        self, batch_id: UUID, results: Mapping[str, tuple[str, str | None]] = FRESH_RESULTS
    ) -> None:
        for test, (value, unit) in results.items():
            answer = await self.report(batch_id, test, value, unit)
            assert answer.status == 201, answer.body

    async def sign(
        self, batch_id: UUID, who: str, *, role: Role = Role.QA_RELEASE, **more: object
    ) -> Answer:
        """A signature over the batch as it stands now."""
        shown = await self.get(f"/batches/{batch_id}")
        return await self.post(
            f"/batches/{batch_id}/release",
            {"meaning": "approved_for_use", **more},
            by=(who, role),
            if_match=shown.headers["etag"],
        )

    async def release(
        self, case_id: UUID, *, form: str = "fresh", doses: int = 2
    ) -> tuple[UUID, list[UUID]]:
        """A released batch (sterility pending) and its doses."""
        batch_id, dose_ids = await self.formulate(case_id, form=form, doses=doses)
        await self.report_all(batch_id, FRESH_RESULTS if form == "fresh" else CRYO_RESULTS)
        first = await self.sign(batch_id, "u-qa-1")
        assert first.status == 202, first.body
        second = await self.sign(batch_id, "u-qa-2")
        assert second.status == 200, second.body
        return batch_id, dose_ids

    async def plan_infusion(self, case_id: UUID) -> UUID:
        infusion_id = uuid4()
        planned = PlannedInfusion(infusion_id=infusion_id, number=1, planned_at=self.now())
        await self.hear(
            CoursePlanned(
                case_id=case_id,
                course_id=uuid4(),
                plan_version=1,
                schedule="SCH-SOLID-8",
                infusions=(planned,),
            )
        )
        return infusion_id

    async def dose_label(self, dose_id: UUID) -> str:
        row = await self.rows("SELECT container_id FROM dose WHERE dose_id = $1", dose_id)
        return label_of(row[0]["container_id"])

    async def issue(
        self, dose_id: UUID, infusion_id: UUID, *, verb: str = "issue", **how: Any
    ) -> Answer:
        body = self.press_body(
            infusion_id=str(infusion_id), scanned_label=await self.dose_label(dose_id)
        )
        return await self.post(f"/doses/{dose_id}/{verb}", body, if_match='"0.0"', **how)


@asynccontextmanager
async def open_plant(dsn: str, sign_in: SignIn) -> AsyncIterator[Plant]:
    database = await PostgresDatabase.open(dsn, size_max=12)
    clock, intake = StandingClock(MORNING), FakeIntake()
    world = World(
        clock=clock,
        machine_clock=MachineClock(),
        lease_clock=BootClock(),
        ids=TimeOrderedIds(),
        chance=SystemChance(),
        waiter=EventLoopWaiter(),
        http=intake,
    )
    units = bootstrap.unit_of_work(database, world)
    guard = RestoreGuard()
    holder = bootstrap.holder(
        units, AuthorityAddress(INTAKE_URL, intake, "demo"), RULES, PermitTimes(), guard
    )
    await begin_guard(holder, guard)
    shell = Shell(units, RULES, HolderPermits(holder), IntakeAuthority(intake, INTAKE_URL))
    app = create_app(
        Service.MANUFACTURING,
        routers=bootstrap.all_routers(shell, holder, sign_in.authenticator),
        world=world,
        authenticator=sign_in.authenticator,
        mode="demo",
        figures=Figures(),
        rates=TokenBuckets(world.machine_clock, normal=UNHURRIED),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://manufacturing") as client:
        reactions = bootstrap.reactions(shell, holder)
        yield Plant(
            database, clock, world, intake, shell, holder, guard, reactions, app, client, sign_in
        )
    await database.close()
