"""What may be done at a site, step by step, each checked: the hands of the permit machine.

Nothing is chosen here. What cannot happen at this moment (a word to a holder while a press stands
inside its transaction) does not happen.
"""

from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar, Final, TypeVar
from uuid import UUID, uuid4

from permit_facts import Facts
from permit_races import SUBJECTS
from permit_stage import KeptSession, Stage
from permit_world import BOTH, Site, a_cause, a_site, an_order, envelope_of
from stepwise import SteppedDatabase, SteppedHttp, SteppedPress

from services.intake.application.lapse_permits import lapse_permits
from services.intake.application.place_hold import place_hold
from services.intake.application.recover import recover
from services.intake.application.release_hold import release_hold
from shared.contracts.event import Envelope
from shared.contracts.vocabulary import Gate, HoldKind, Role, Service
from shared.permits import after_start
from shared.permits.press_start import Go
from shared.permits.replicate import apply_hold
from shared.permits.starts import ReplicatedHold, Scope
from shared.permits.sweep import sweep

T = TypeVar("T")
INFUSION, MANUFACTURING = Service.INFUSION_SCHEDULING, Service.MANUFACTURING
#: all that a press can still do, or all words that are on their way
ALL: Final = 99
#: the lapser's rhythm while time passes
LAPSER_SECONDS: Final = 2
HOLDS: Final = "SELECT * FROM hold WHERE case_id = $1"
STARTS: Final = """
SELECT * FROM start WHERE case_id = $1 AND NOT unpermitted AND state <> 'NOT_STARTED'
"""
LATEST: Final = """
SELECT start_id, attempt FROM start WHERE subject_id = $1 AND state <> 'NOT_STARTED'
ORDER BY attempt DESC LIMIT 1
"""
EVENTS: Final = "SELECT * FROM outbox WHERE case_id = $1 ORDER BY id OFFSET $2 LIMIT $3"


def stepped(site: Site, stage: Stage) -> Site:
    """The site with presses of infusions that can be stopped, and with one session to lapse in."""
    authority, holder = site.authority.unit_of_work, site.holders[INFUSION]
    authority.database = KeptSession(authority.database, stage.sessions[Service.INTAKE])
    holder.unit_of_work.database = SteppedDatabase(holder.unit_of_work.database)
    address = replace(holder.authority, http=SteppedHttp(holder.authority.http))
    site.holders[INFUSION] = replace(holder, authority=address)
    return site


class Actions:
    """One case with three infusions and three doses."""

    stage: ClassVar[Stage]
    site: Site
    case_id: UUID

    async def _begin(self) -> None:
        self.facts = Facts(self.stage.saw)
        self.presses: list[SteppedPress] = []
        self.started: list[UUID] = []
        self.sent: dict[tuple[Service, Service], int] = {}
        self.epochs = dict.fromkeys(BOTH, 0)
        self.site = site = self._site()
        site.clocks.pass_seconds(60)
        await self.stage.empty()
        self.case_id = await site.open_case()
        doses = [await site.issued_dose(self.case_id) for _ in range(SUBJECTS)]
        self.subjects = [(uuid4(), dose_id) for dose_id in doses]

    def _site(self) -> Site:
        """The same for all runs of a test: to build its web application takes long."""
        stage = self.stage
        if stage.site is None:
            stage.site = stepped(a_site(stage.databases), stage)
            for plant in stage.plants:
                plant(stage.site)
        return stage.site

    def await_(self, step: Coroutine[Any, Any, T]) -> T:
        return self.stage.run(step)

    def _look(self) -> None:
        """Raises AssertionError for a broken invariant in what is committed."""
        holds = self.await_(self.stage.rows(Service.INTAKE, HOLDS, self.case_id))
        self.facts.look_at_holds(holds, self.site.clocks.machine.now())
        self.facts.look_at_starts(self.await_(self.stage.rows(INFUSION, STARTS, self.case_id)))

    def _press(self, which: int, attempt: int) -> SteppedPress:
        subject_id, dose_id = self.subjects[which]

        async def begin() -> SteppedPress:
            stepped = SteppedPress(
                await self.site.a_press(
                    self.case_id, subject_id=subject_id, dose_id=dose_id, attempt=attempt
                )
            )
            await stepped.begin(self.site, INFUSION)
            return stepped

        self.presses.append(self.await_(begin()))
        return self.presses[-1]

    def _carry_on(self, press: SteppedPress, steps: int) -> None:
        for _ in range(steps):
            if not self._can_step(press):
                return
            self._step(press)

    def _can_step(self, press: SteppedPress) -> bool:
        if press.is_done or press.where == "crashed":
            return False
        return not (press.where.startswith("before") and self._is_fenced(INFUSION))

    def _is_fenced(self, service: Service) -> bool:
        """Whether a press stands inside a transaction of this holder, so that others wait."""
        return service is INFUSION and any(p.holds_the_fence for p in self.presses)

    def _step(self, press: SteppedPress) -> None:
        was = press.where
        if was.startswith("commit"):
            self._look()
        was_effective = self.facts.is_under_effective(press.press)
        open_before = self.facts.open_holds
        self.await_(press.step())
        if was == "asking" and self._is_granted(press):
            self.facts.granted(press.press, open_before)
        if was.startswith("commit"):
            self._committed(press, was, was_effective=was_effective)
        if press.is_done and isinstance(press.answer, Go):
            self.facts.went(press.press)

    def _is_granted(self, press: SteppedPress) -> bool:
        sql = "SELECT FROM permit WHERE permit_id = $1 AND state = 'GRANTED'"
        return bool(self.await_(self.stage.rows(Service.INTAKE, sql, press.press.permit_id)))

    def _committed(self, press: SteppedPress, was: str, *, was_effective: bool) -> None:
        sql = "SELECT * FROM start WHERE permit_id = $1"
        for row in self.await_(self.stage.rows(INFUSION, sql, press.press.permit_id)):
            if row["go_at"] is not None:
                self.started.append(row["start_id"])
            if was == "commit-1" or row["go_at"] is not None:
                now_ns = self.site.clocks.lease.now_ns()
                self.facts.committed(press.press, row, was_effective=was_effective, now_ns=now_ns)

    def _is_alive(self, press: SteppedPress) -> bool:
        return not press.is_done and press.where != "crashed"

    def _die(self, press: SteppedPress) -> None:
        if self._is_alive(press):
            self.await_(press.crash())
            self.stage.saw("crash")

    def _place(self, gates: frozenset[Gate], kind: HoldKind, dose_id: UUID | None) -> None:
        doses = None if dose_id is None else frozenset({dose_id})
        order = an_order(self.case_id, kind=kind, gates=gates, dose_ids=doses)
        placed = self.await_(place_hold(self.site.authority, order, a_cause()))
        self.facts.placed(order, placed.hold.clearance)
        self._look()

    def _release(self, hold_id: UUID) -> None:
        if not self.facts.holds[hold_id].is_open:
            return
        cause, roles = a_cause("director-1"), frozenset(Role)
        releasing = release_hold(
            self.site.authority, hold_id, roles=roles, reason="ok", cause=cause
        )
        self.await_(releasing)
        self.facts.holds[hold_id].is_open = False

    async def _recover(self) -> None:
        await recover(
            self.site.authority, reason="x", old_primary_is_stopped=True, cause=a_cause("ops-1")
        )
        facts = self.facts
        facts.recovered_at = self.site.clocks.machine.now()
        async with self.site.authority.unit_of_work.begin(a_cause()) as work:
            for hold in await work.rows.authority.open_holds(self.case_id):
                if hold.hold_id not in facts.holds:
                    order = an_order(self.case_id, hold_id=hold.hold_id, kind=hold.kind)
                    facts.placed(order, hold.clearance)
                facts.holds[hold.hold_id].clearance = hold.clearance
        facts.versions.append(await self.site.seen(self.case_id))

    def _to_holder(self, service: Service, count: int) -> None:
        if self._is_fenced(service):
            return

        async def deliver() -> None:
            for envelope in await self._next(Service.INTAKE, service, count):
                if envelope.epoch >= self.epochs[service]:  # the kernel drops older epochs
                    self.epochs[service] = envelope.epoch
                    await self.site.apply_at_holder(service, envelope)

        self.await_(deliver())

    async def _next(self, source: Service, reader: Service, count: int) -> list[Envelope[object]]:
        """The events that this reader has not had yet, in order."""
        sent = self.sent.get((source, reader), 0)
        rows = await self.stage.rows(source, EVENTS, self.case_id, sent, count)
        self.sent[source, reader] = sent + len(rows)
        return [envelope_of(row) for row in rows]

    def _to_intake(self, source: Service, count: int) -> None:
        async def deliver() -> None:
            for envelope in await self._next(source, Service.INTAKE, count):
                await self.site.apply_at_intake(envelope)

        self.await_(deliver())

    def _acknowledge(self, service: Service) -> None:
        self._to_holder(service, ALL)
        self._to_intake(service, ALL)

    def _call(self, service: Service, hold_id: UUID) -> None:
        if self._is_fenced(service):
            return
        known, holder = self.facts.holds[hold_id], self.site.holders[service]
        scope = Scope(known.order.scope.gates, known.order.scope.dose_ids)
        hold = ReplicatedHold(hold_id, self.case_id, known.clearance, scope, known.order.on_running)

        async def tell() -> None:
            async with holder.unit_of_work.begin(a_cause()) as work:
                await apply_hold(holder, work, hold)

        self.await_(tell())

    def _pass(self, seconds: int) -> None:
        """The authority is up: its lapser runs all the while."""

        async def run() -> None:
            left = seconds
            while left > 0:
                self.site.clocks.pass_seconds(min(left, 2))
                left -= 2
                await lapse_permits(self.site.authority)

        self.await_(run())

    def _sweep(self) -> None:
        if not self._is_fenced(INFUSION):
            self.await_(sweep(self.site.holders[INFUSION]))

    def _latest_start(self, which: int) -> list[Any]:
        """The start of the subject's highest attempt, if there is one."""
        return self.await_(self.stage.rows(INFUSION, LATEST, self.subjects[which][0]))

    def _say_of_start(self, start_id: UUID, what: str) -> None:
        holder = self.site.holders[INFUSION]

        async def say() -> None:
            more = () if what == "complete" else ("because",)
            async with holder.unit_of_work.begin(a_cause()) as work:
                with suppress(after_start.WrongStateError):
                    await getattr(after_start, what)(holder, work, self.case_id, start_id, *more)

        self.await_(say())

    async def _end(self) -> None:
        for press in self.presses:
            if self._is_alive(press):
                await press.crash()

    async def _found_running(self, which: int, attempt: int) -> None:
        subject_id, dose_id = self.subjects[which]
        holder = self.site.holders[INFUSION]
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
