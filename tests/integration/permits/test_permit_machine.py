"""Random schedules of authority and holders on real PostgreSQL, checked after every step.

Invariants I1-I5 and I8 of the start permit, with presses interrupted in every gap, time passing,
words lost, late, doubled, and people doing whatever they do. Defects are planted and must be found.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar
from uuid import UUID, uuid4

import pytest
from conftest import authority_migrations, holder_migrations
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from permit_world import BOTH, IntakeRows, Site, a_cause, a_site, an_order
from stepwise import SteppedDatabase, SteppedHttp, SteppedPress

from services.intake.adapters.authority import AuthorityStore
from services.intake.application.lapse_permits import lapse_permits
from services.intake.application.place_hold import place_hold
from services.intake.application.recover import recover
from services.intake.application.release_hold import release_hold
from services.intake.domain.holds import Hold, HoldOrder
from services.intake.domain.permits import Permit
from shared.contracts.event import Envelope
from shared.contracts.vocabulary import Gate, HoldKind, Role, Service
from shared.permits import after_start
from shared.permits.clearance import ClearanceVersion
from shared.permits.press_start import Go, StartAnswer
from shared.permits.replicate import apply_hold
from shared.permits.starts import ReplicatedHold, Scope, Start
from shared.permits.sweep import sweep
from shared.persistence.migrations import migrate
from shared.persistence.postgres import PostgresDatabase
from shared.testing.infra import Infra

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

T = TypeVar("T")
INFUSION, MANUFACTURING = Service.INFUSION_SCHEDULING, Service.MANUFACTURING
SCOPES = (frozenset(Gate), frozenset({Gate.INFUSION}), frozenset({Gate.COLLECTION}))
EFFECTIVE_WITHIN = timedelta(seconds=20)


@dataclass
class Known:
    """A hold as the test remembers it: versions, and whether it ever was effective."""

    order: HoldOrder
    clearance: ClearanceVersion
    is_open: bool = True
    was_effective: bool = False


@dataclass
class Coverage:
    """How often the situations came up that make a count of zero mean something."""

    counts: dict[str, int] = field(default_factory=dict)

    def saw(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


class World:
    """What all runs of the machine share: one event loop and one set of databases."""

    runner: ClassVar[asyncio.Runner]
    databases: ClassVar[dict[Service, PostgresDatabase]]
    coverage: ClassVar[Coverage]
    plant: ClassVar[Callable[[Site], Site]] = staticmethod(lambda site: site)


class PermitMachine(RuleBasedStateMachine):
    """One case, two infusions, two doses, up to five presses."""

    @initialize(steps=st.integers(0, 9))
    def begin(self, steps: int) -> None:
        self.holds: dict[UUID, Known] = {}
        self.presses: list[SteppedPress] = []
        self.begun: dict[UUID, UUID] = {}
        self.under_effective: dict[UUID, bool] = {}
        self.applied = dict.fromkeys((*BOTH, "from-manufacturing", "from-infusion"), 0)
        self.versions: list[ClearanceVersion] = []
        self.recovered_at: datetime | None = None
        self.await_(self._begin())
        self.press(which=0, attempt=1, steps=steps)

    async def _begin(self) -> None:
        self.site = site = World.plant(a_site(World.databases))
        await site.empty()
        holder = site.holders[INFUSION]
        holder.unit_of_work.database = SteppedDatabase(holder.unit_of_work.database)
        address = replace(holder.authority, http=SteppedHttp(holder.authority.http))
        site.holders[INFUSION] = replace(holder, authority=address)
        self.case_id = await site.open_case()
        doses = [await site.issued_dose(self.case_id) for _ in range(2)]
        self.subjects = [(uuid4(), dose_id) for dose_id in doses]

    def await_(self, step: Awaitable[T]) -> T:
        async def run() -> T:
            return await step

        return World.runner.run(run())

    # ---- presses

    @precondition(lambda self: len(self.presses) < 5)
    @rule(which=st.integers(0, 1), attempt=st.sampled_from([1, 1, 1, 2]), steps=st.integers(0, 9))
    def press(self, which: int, attempt: int, steps: int) -> None:
        """Nine steps lead to GO; the rest of them, if any, in between other things."""
        subject_id, dose_id = self.subjects[which]

        async def begin() -> None:
            press = await self.site.a_press(
                self.case_id, subject_id=subject_id, dose_id=dose_id, attempt=attempt
            )
            stepped = SteppedPress(press)
            self.presses.append(stepped)
            await stepped.begin(self.site, INFUSION)

        self.await_(begin())
        self._carry_on(self.presses[-1], steps)

    def _carry_on(self, press: SteppedPress, steps: int) -> None:
        for _ in range(steps):
            if self._can_step(press):
                self.await_(self._step(press))

    def _can_step(self, press: SteppedPress) -> bool:
        if press.is_done or press.where == "crashed":
            return False
        return press.holds_the_fence or not self._fence_is_held()

    def _fence_is_held(self) -> bool:
        return any(p.holds_the_fence for p in self.presses if not p.is_done)

    @precondition(lambda self: any(self._can_step(p) for p in self.presses))
    @rule(data=st.data(), steps=st.integers(1, 9))
    def carry_on(self, data: st.DataObject, steps: int) -> None:
        able = [p for p in self.presses if self._can_step(p)]
        self._carry_on(data.draw(st.sampled_from(able)), steps)

    async def _step(self, press: SteppedPress) -> None:
        was = press.where
        if was == "asking":
            await self._granted(press)
            return
        effective = await self._effective_in_scope(press)
        await press.step()
        if was.startswith("commit"):
            await self._committed(press, was, was_effective=bool(effective))
        if press.is_done and isinstance(press.answer, Go):
            World.coverage.saw("go")
            under = self.under_effective.get(press.press.permit_id)
            assert not under, f"I2: GO, committed under an effective hold: {press.press}"

    async def _granted(self, press: SteppedPress) -> None:
        scope = [h for h in self.holds.values() if h.is_open and self._covers(h, press)]
        await press.step()
        rows = await self.site.query(
            Service.INTAKE, "SELECT state FROM permit WHERE permit_id = $1", press.press.permit_id
        )
        if rows and rows[0]["state"] == "GRANTED":
            World.coverage.saw("granted")
            assert not scope, f"I1: granted under open holds {scope}"

    def _covers(self, known: Known, press: SteppedPress) -> bool:
        return known.order.scope.covers(press.press.gate, press.press.dose_id)

    async def _effective_in_scope(self, press: SteppedPress) -> list[UUID]:
        rows = await self.site.query(
            Service.INTAKE,
            "SELECT hold_id FROM hold WHERE case_id = $1 AND state = 'EFFECTIVE'",
            self.case_id,
        )
        return [r["hold_id"] for r in rows if self._covers(self.holds[r["hold_id"]], press)]

    async def _committed(self, press: SteppedPress, was: str, *, was_effective: bool) -> None:
        permit_id = press.press.permit_id
        rows = await self.site.query(
            INFUSION, "SELECT * FROM start WHERE permit_id = $1", permit_id
        )
        for row in rows:
            if row["go_at"] is not None:
                self.begun[permit_id] = row["start_id"]
            if was == "commit-1" or row["go_at"] is not None:
                under = self.under_effective.get(permit_id, False)
                self.under_effective[permit_id] = under or was_effective
                self._matches_its_grant(press, row)

    def _matches_its_grant(self, press: SteppedPress, row: Any) -> None:
        granted = ClearanceVersion(row["granted_epoch"], row["granted_version"])
        ends_ns = row["sent_boot_ns"] + row["ttl_ms"] * 1_000_000
        if self.site.clocks.lease.now_ns() >= ends_ns:
            return  # a late COMMIT: no start, and never answered as one
        for known in self.holds.values():
            if known.was_effective and self._covers(known, press):
                assert known.clearance <= granted, f"I4: started on {granted} after {known}"

    @precondition(lambda self: any(self._can_step(p) for p in self.presses))
    @rule(
        data=st.data(),
        which=st.integers(1, 2),
        seconds=st.sampled_from([1, 9, 16]),
        luck=st.integers(0, 2),
    )
    def commit_hangs(self, data: st.DataObject, which: int, seconds: int, luck: int) -> None:
        """A press comes as far as a COMMIT, and time passes there, mostly with a hold."""
        press = data.draw(st.sampled_from([p for p in self.presses if self._can_step(p)]))
        while self._can_step(press) and press.where != f"commit-{which}":
            self.await_(self._step(press))
        if luck and len(self.holds) < 4:
            self._place(SCOPES[1], HoldKind.CLINICAL_CONCERN, None)
        self.time_passes(seconds)

    @precondition(lambda self: any(self._can_step(p) for p in self.presses))
    @rule(data=st.data(), luck=st.integers(0, 5))
    def crash(self, data: st.DataObject, luck: int) -> None:
        """The process dies once in a while."""
        if luck:
            return
        alive = [p for p in self.presses if not p.is_done and p.where != "crashed"]
        press = data.draw(st.sampled_from(alive))
        self.await_(press.crash())
        World.coverage.saw("crash")

    # ---- holds

    @precondition(lambda self: len(self.holds) < 4)
    @rule(
        scope=st.sampled_from(SCOPES),
        kind=st.sampled_from([HoldKind.CLINICAL_CONCERN, HoldKind.LOGISTICS]),
        dose=st.integers(0, 5),
        luck=st.integers(0, 3),
        spread=st.sampled_from([(), (INFUSION,), BOTH]),
    )
    def hold(
        self,
        scope: frozenset[Gate],
        kind: HoldKind,
        dose: int,
        luck: int,
        spread: tuple[Service, ...],
    ) -> None:
        """On the whole case or one dose, mostly while a press is under way; known soon or late."""
        if luck and not any(p.is_under_way for p in self.presses):
            return
        self._place(scope, kind, self.subjects[dose][1] if dose < 2 else None)
        for service in spread:
            if not self._fence_is_held():
                self.deliver_to_holder(service, 8)
                self.deliver_to_intake(service, 8)

    def _place(self, scope: frozenset[Gate], kind: HoldKind, dose_id: UUID | None) -> None:
        doses = None if dose_id is None else frozenset({dose_id})
        order = an_order(self.case_id, kind=kind, gates=scope, dose_ids=doses)
        placed = self.await_(place_hold(self.site.authority, order, a_cause()))
        assert all(v < placed.hold.clearance for v in self.versions), "I5: versions must rise"
        self.versions.append(placed.hold.clearance)
        self.holds[order.hold_id] = Known(order, placed.hold.clearance)

    @precondition(lambda self: any(k.is_open for k in self.holds.values()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        open_ = [k for k in self.holds.values() if k.is_open]
        known = data.draw(st.sampled_from(open_))
        self.await_(
            release_hold(
                self.site.authority,
                known.order.hold_id,
                roles=frozenset(Role),
                reason="ok",
                cause=a_cause("director-1"),
            )
        )
        known.is_open = False

    @precondition(lambda self: self.recovered_at is None and bool(self.presses))
    @rule(luck=st.integers(0, 5))
    def recover(self, luck: int) -> None:
        """The authority's epoch rises once in a while; a person looks at the case soon."""
        if luck:
            return
        self.await_(self._recover())
        World.coverage.saw("recover")

    async def _recover(self) -> None:
        await recover(
            self.site.authority, reason="x", old_primary_is_stopped=True, cause=a_cause("ops-1")
        )
        self.recovered_at = self.site.clocks.machine.now()
        async with self.site.authority.unit_of_work.begin(a_cause()) as work:
            for hold in await work.rows.authority.open_holds(self.case_id):
                known = self.holds.get(hold.hold_id)
                if known is None:
                    order = an_order(self.case_id, hold_id=hold.hold_id, kind=hold.kind)
                    known = self.holds[hold.hold_id] = Known(order, hold.clearance)
                known.clearance = hold.clearance
        self.versions.append(await self.site.seen(self.case_id))

    # ---- words

    @precondition(lambda self: not self._fence_is_held())
    @rule(service=st.sampled_from(BOTH), count=st.integers(1, 8))
    def deliver_to_holder(self, service: Service, count: int) -> None:
        self.await_(self._deliver(service, count))

    async def _deliver(self, service: Service, count: int) -> None:
        events = await self.site.events(Service.INTAKE, self.case_id)
        epochs = [e.epoch for e in events]
        for index in range(self.applied[service], min(len(events), self.applied[service] + count)):
            if epochs[index] == max(epochs[: index + 1]):  # the kernel drops older epochs
                await self.site.apply_at_holder(service, events[index])
            self.applied[service] = index + 1

    @precondition(lambda self: not self._fence_is_held() and bool(self.holds))
    @rule(service=st.sampled_from(BOTH), data=st.data())
    def tell_holder_directly(self, service: Service, data: st.DataObject) -> None:
        """The best-effort call, or an old event again: early, late, twice, in any order."""
        known = data.draw(st.sampled_from(list(self.holds.values())))
        holder, scope = self.site.holders[service], known.order.scope
        hold = ReplicatedHold(
            known.order.hold_id,
            self.case_id,
            known.clearance,
            Scope(scope.gates, scope.dose_ids),
            known.order.on_running,
        )

        async def tell() -> None:
            async with holder.unit_of_work.begin(a_cause()) as work:
                await apply_hold(holder, work, hold)

        self.await_(tell())

    @rule(source=st.sampled_from(BOTH), count=st.integers(1, 8))
    def deliver_to_intake(self, source: Service, count: int) -> None:
        key = "from-manufacturing" if source is MANUFACTURING else "from-infusion"

        async def deliver() -> None:
            events: list[Envelope[Any]] = await self.site.events(source, self.case_id)
            for envelope in events[self.applied[key] : self.applied[key] + count]:
                await self.site.apply_at_intake(envelope)
                self.applied[key] += 1

        self.await_(deliver())

    # ---- time

    @rule(seconds=st.sampled_from([1, 1, 2, 4, 9, 16]))
    def time_passes(self, seconds: int) -> None:
        """The authority is up: its lapser runs all the while."""

        async def run() -> None:
            for _ in range(seconds):
                self.site.clocks.pass_seconds(1)
                await lapse_permits(self.site.authority)

        self.await_(run())

    @precondition(lambda self: not self._fence_is_held())
    @rule()
    def sweeper_runs(self) -> None:
        self.await_(sweep(self.site.holders[INFUSION]))

    # ---- people

    @precondition(lambda self: not self._fence_is_held() and bool(self.begun))
    @rule(data=st.data(), what=st.sampled_from(["never_opened", "stop", "pause", "complete"]))
    def person(self, data: st.DataObject, what: str) -> None:
        start_id = data.draw(st.sampled_from(list(self.begun.values())))
        holder = self.site.holders[INFUSION]

        async def say() -> None:
            more = () if what == "complete" else ("because",)
            async with holder.unit_of_work.begin(a_cause()) as work:
                with suppress(after_start.WrongStateError):
                    await getattr(after_start, what)(holder, work, self.case_id, start_id, *more)

        self.await_(say())

    @precondition(lambda self: not self._fence_is_held())
    @rule(which=st.integers(0, 1), attempt=st.integers(1, 2), luck=st.integers(0, 7))
    def already_running(self, which: int, attempt: int, luck: int) -> None:
        """Somebody began without asking, once in a while."""
        if luck:
            return
        subject_id, dose_id = self.subjects[which]
        holder = self.site.holders[INFUSION]

        async def say() -> None:
            async with holder.unit_of_work.begin(a_cause()) as work:
                await after_start.already_running(
                    holder,
                    work,
                    start_id=uuid4(),
                    case_id=self.case_id,
                    gate=Gate.INFUSION,
                    subject_id=subject_id,
                    attempt=attempt,
                    dose_id=dose_id,
                    place=None,
                )

        self.await_(say())
        World.coverage.saw("unpermitted")

    # ---- after every step

    @invariant()
    def holds_stay_and_become_effective(self) -> None:
        if not hasattr(self, "site"):
            return
        rows = self.await_(
            self.site.query(Service.INTAKE, "SELECT * FROM hold WHERE case_id = $1", self.case_id)
        )
        found = {row["hold_id"]: row for row in rows}
        assert set(self.holds) <= set(found), "I5: a hold that was answered is gone"
        now = self.site.clocks.machine.now()
        for hold_id, known in self.holds.items():
            row = found[hold_id]
            if row["state"] == "EFFECTIVE" and not known.was_effective:
                known.was_effective = True
                World.coverage.saw(row["effective_by"])
            if row["state"] == "RECORDED":
                age = now - max(row["committed_at"], self.recovered_at or row["committed_at"])
                assert age <= EFFECTIVE_WITHIN, f"I8: recorded for {age}"

    @invariant()
    def one_start_each(self) -> None:
        if not hasattr(self, "site"):
            return
        rows = self.await_(
            self.site.query(
                INFUSION,
                "SELECT * FROM start WHERE case_id = $1 AND NOT unpermitted"
                " AND state <> 'NOT_STARTED'",
                self.case_id,
            )
        )
        for key in ("permit_id", "attempt_of", "dose_of"):
            seen: set[Any] = set()
            for row in rows:
                value = {
                    "permit_id": row["permit_id"],
                    "attempt_of": (row["subject_id"], row["attempt"]),
                    "dose_of": (row["dose_id"], row["attempt"]),
                }[key]
                assert value not in seen, f"I3: two starts for one {key}"
                seen.add(value)
        doses = {(row["dose_id"], row["subject_id"]) for row in rows}
        assert len({dose for dose, _ in doses}) == len(doses), "I3: a dose in two subjects"

    def teardown(self) -> None:
        if not hasattr(self, "site"):
            return

        async def end() -> None:
            for press in self.presses:
                if not press.is_done and press.where != "crashed":
                    await press.crash()
            await self.site.client.aclose()

        self.await_(end())


# ---- running it


@pytest.fixture
def stage(infra: Infra) -> Iterator[None]:
    """Databases and an event loop for all runs of one test."""
    with asyncio.Runner() as runner:
        World.runner = runner
        World.coverage = Coverage()
        World.plant = staticmethod(lambda site: site)
        World.databases = runner.run(_databases(infra))
        yield
        for database in World.databases.values():
            runner.run(database.close())


async def _databases(infra: Infra) -> dict[Service, PostgresDatabase]:
    opened = {}
    for service in (Service.INTAKE, *BOTH):
        dsn = await infra.create_database("machine")
        of_intake = service is Service.INTAKE
        await migrate(dsn, authority_migrations() if of_intake else holder_migrations())
        opened[service] = await PostgresDatabase.open(dsn, size_max=4)
    return opened


def explore(*, runs: int, steps: int) -> None:
    run_state_machine_as_test(
        PermitMachine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            report_multiple_bugs=False,
        ),
    )


def test_no_schedule_breaks_an_invariant(stage: None) -> None:
    explore(runs=30, steps=40)

    counts = World.coverage.counts
    needed = {"granted", "go", "NO_PERMIT", "ACK", "LAPSE", "CONSUMED", "crash", "unpermitted"}
    assert needed <= set(counts), f"nothing was shown for {needed - set(counts)}: {counts}"


# ---- planted defects: the same machine must find each of them


def _rows(site: Site, store: type[AuthorityStore]) -> Site:
    site.authority.unit_of_work.repository = lambda tx: IntakeRows(store(tx))
    return site


def fence_and_replica_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_reasons(*_: Any) -> list[dict[str, Any]]:
        return []

    monkeypatch.setattr("shared.permits.press_start._fence_reasons", no_reasons)


def second_look_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_look(holder: Any, start: Start, cause: Any) -> StartAnswer:
        return Go(start, 0)

    monkeypatch.setattr("shared.permits.press_start._look_again", no_look)


def acknowledgement_meets_no_start(monkeypatch: pytest.MonkeyPatch) -> None:
    async def meets_nothing(*_: Any) -> Any:
        return "none"

    monkeypatch.setattr("shared.permits.replicate._meet_starts", meets_nothing)


def lapse_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority's clock runs away."""
    monkeypatch.setattr(Permit, "has_lapsed", lambda *_: True)


def acknowledgement_of_anybody_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(AuthorityStore):
        async def stop_waiting_for_holder(self, hold_id: UUID, holder: Service) -> None:
            await self.stop_waiting(hold_id)

    World.plant = staticmethod(lambda site: _rows(site, Careless))


def consumption_ends_no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(AuthorityStore):
        async def stop_waiting_for_permit(self, permit_id: UUID) -> None:
            return None

    World.plant = staticmethod(lambda site: _rows(site, Forgetful))


def open_holds_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(AuthorityStore):
        async def open_holds(self, case_id: UUID) -> list[Hold]:
            return []

    World.plant = staticmethod(lambda site: _rows(site, Blind))


def hold_waits_for_no_permit(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(AuthorityStore):
        async def wait_for_permits(self, order: HoldOrder) -> int:
            return 0

    World.plant = staticmethod(lambda site: _rows(site, Hasty))


DEFECTS = {
    fence_and_replica_off: "I[24]",
    second_look_off: "I2",
    acknowledgement_meets_no_start: "I2",
    lapse_at_once: "I[24]",
    acknowledgement_of_anybody_counts: "I[24]",
    consumption_ends_no_wait: "I8",
    open_holds_not_asked: "I1",
    hold_waits_for_no_permit: "I[24]",
}


@pytest.mark.parametrize("plant", DEFECTS, ids=lambda plant: plant.__name__)
def test_the_machine_finds(
    stage: None, plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    plant(monkeypatch)

    with pytest.raises(AssertionError, match=DEFECTS[plant]):
        explore(runs=400, steps=40)
