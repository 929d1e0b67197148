"""Random schedules of authority and holders: races of a press with a hold, and whatever else.

A race drives a press into a drawn gap, places a hold there, lets drawn words and times pass, and
lets the press go on; every run begins with one. Single rules do the rest in any order.
"""

from typing import Final, assert_never

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from permit_actions import ALL, INFUSION, MANUFACTURING, Actions
from permit_races import GATES, KINDS, RACES, SUBJECTS, Race, Word
from permit_world import BOTH
from stepwise import SteppedPress

from shared.contracts.vocabulary import Gate, HoldKind, Service

PRESSES_MAX: Final = 6
HOLDS_MAX: Final = 6


class PermitMachine(Actions, RuleBasedStateMachine):
    """Up to six presses and six holds, and recovery at most once."""

    @initialize(races=st.lists(RACES, min_size=1, max_size=2))
    def begin(self, races: list[Race]) -> None:
        self.await_(self._begin())
        for race in races:
            self._clear_the_way(race.which)
            self._run(race)

    # ---- races

    @precondition(lambda self: len(self.presses) < PRESSES_MAX)
    @rule(race=RACES)
    def race(self, race: Race) -> None:
        """As at the beginning, after what stands in its way has come to an end."""
        self._clear_the_way(race.which)
        self._run(race)

    def _clear_the_way(self, which: int) -> None:
        """Holds are released, presses and permits are over, and the subject is at rest."""
        for press in self.presses:
            self._carry_on(press, ALL)
        for known in self.facts.open_holds:
            self._release(known.order.hold_id)
        granted = "SELECT FROM permit WHERE state = 'GRANTED'"
        if self.await_(self.stage.rows(Service.INTAKE, granted)):
            self._pass(16)
        for start in self._latest_start(which):
            self._say_of_start(start["start_id"], "stop")

    def _run(self, race: Race) -> None:
        attempt = 1 + sum(start["attempt"] for start in self._latest_start(race.which))
        press = self._press(race.which, attempt)
        while self._can_step(press) and press.where != race.gap:
            self._step(press)
        if len(self.facts.holds) < HOLDS_MAX:
            own, other = self.subjects[race.which][1], self.subjects[race.which - 1][1]
            dose = {"any": None, "own": own, "other": other}[race.dose]
            self._place(race.gates, race.kind, dose)
        for word in (race.first, *race.words):
            self._let(word, press)
        if race.end == "goes on":
            self._carry_on(press, ALL)
        elif race.end == "dies":
            self._die(press)
        for word in race.tail:
            self._let(word, press)

    def _let(self, word: Word, press: SteppedPress) -> None:
        match word:
            case Word.INFUSION_ACKNOWLEDGES:
                self._acknowledge(INFUSION)
            case Word.MANUFACTURING_ACKNOWLEDGES:
                self._acknowledge(MANUFACTURING)
            case Word.INFUSION_HEARS:
                self._to_holder(INFUSION, ALL)
            case Word.INTAKE_HEARS:
                self._to_intake(INFUSION, ALL)
            case Word.INFUSION_IS_CALLED:
                self._call(INFUSION, list(self.facts.holds)[-1])
            case Word.FOUR_SECONDS:
                self._pass(4)
            case Word.NINE_SECONDS:
                self._pass(9)
            case Word.SIXTEEN_SECONDS:
                self._pass(16)
            case Word.A_STEP:
                self._carry_on(press, 1)
            case Word.SWEEPER:
                self._sweep()
            case Word.RELEASE:
                self._release(list(self.facts.holds)[-1])
            case _:
                assert_never(word)
        self._look()

    # ---- presses

    @precondition(lambda self: len(self.presses) < PRESSES_MAX)
    @rule(
        which=st.integers(0, SUBJECTS - 1),
        attempt=st.sampled_from((1, 1, 1, 2)),
        steps=st.integers(0, 9),
    )
    def press(self, which: int, attempt: int, steps: int) -> None:
        """Nine steps lead to GO; the rest of them, if any, in between other things."""
        self._carry_on(self._press(which, attempt), steps)

    @precondition(lambda self: any(self._can_step(p) for p in self.presses))
    @rule(data=st.data(), steps=st.integers(1, 9))
    def carry_on(self, data: st.DataObject, steps: int) -> None:
        able = [p for p in self.presses if self._can_step(p)]
        self._carry_on(data.draw(st.sampled_from(able)), steps)

    @precondition(lambda self: any(self._is_alive(p) for p in self.presses))
    @rule(data=st.data(), luck=st.integers(0, 3))
    def crash(self, data: st.DataObject, luck: int) -> None:
        """The process dies once in a while."""
        if luck:
            return
        self._die(data.draw(st.sampled_from([p for p in self.presses if self._is_alive(p)])))

    # ---- holds

    @precondition(lambda self: len(self.facts.holds) < HOLDS_MAX)
    @rule(
        gates=st.sampled_from(GATES),
        kind=st.sampled_from(KINDS),
        dose=st.integers(0, 2 * SUBJECTS),
        luck=st.integers(0, 3),
    )
    def hold(self, gates: frozenset[Gate], kind: HoldKind, dose: int, luck: int) -> None:
        """On the whole case or one dose, mostly while a press is under way."""
        if luck and not any(p.is_under_way for p in self.presses):
            return
        self._place(gates, kind, self.subjects[dose][1] if dose < SUBJECTS else None)

    @precondition(lambda self: bool(self.facts.open_holds))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        ids = [known.order.hold_id for known in self.facts.open_holds]
        self._release(data.draw(st.sampled_from(ids)))

    @precondition(lambda self: self.facts.recovered_at is None)
    @rule(luck=st.integers(0, 2))
    def recover(self, luck: int) -> None:
        """The authority's epoch rises once in a while."""
        if luck:
            return
        self.await_(self._recover())
        self.stage.saw("recover")

    # ---- words

    @rule(service=st.sampled_from(BOTH), count=st.integers(1, 8))
    def deliver_to_holder(self, service: Service, count: int) -> None:
        self._to_holder(service, count)

    @rule(source=st.sampled_from(BOTH), count=st.integers(1, 8))
    def deliver_to_intake(self, source: Service, count: int) -> None:
        self._to_intake(source, count)

    @precondition(lambda self: bool(self.facts.holds))
    @rule(service=st.sampled_from(BOTH), data=st.data())
    def tell_holder_directly(self, service: Service, data: st.DataObject) -> None:
        """The best-effort call, or an old event again: early, late, twice, in any order."""
        self._call(service, data.draw(st.sampled_from(list(self.facts.holds))))

    # ---- time and people

    @rule(seconds=st.sampled_from((1, 2, 4, 9, 16)))
    def time_passes(self, seconds: int) -> None:
        self._pass(seconds)

    @rule()
    def sweeper_runs(self) -> None:
        self._sweep()

    @precondition(lambda self: bool(self.started) and not self._is_fenced(INFUSION))
    @rule(data=st.data(), what=st.sampled_from(("never_opened", "stop", "pause", "complete")))
    def person(self, data: st.DataObject, what: str) -> None:
        self._say_of_start(data.draw(st.sampled_from(self.started)), what)

    @precondition(lambda self: not self._is_fenced(INFUSION))
    @rule(which=st.integers(0, SUBJECTS - 1), attempt=st.integers(1, 2), luck=st.integers(0, 3))
    def already_running(self, which: int, attempt: int, luck: int) -> None:
        """Somebody began without asking, once in a while."""
        if luck:
            return
        self.await_(self._found_running(which, attempt))
        self.stage.saw("unpermitted")

    # ---- after every step

    @invariant()
    def nothing_is_broken(self) -> None:
        if hasattr(self, "case_id"):
            self._look()

    def teardown(self) -> None:
        if hasattr(self, "presses"):
            self.await_(self._end())
