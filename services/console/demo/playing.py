"""The story, beat by beat. The order of its acts is the demo's contents page."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.console.demo import (
    bedside,
    course,
    crashing,
    evaluation,
    figures,
    giving,
    making,
    malformed,
    races,
    referral,
    refused_infusion,
    trouble,
)
from services.console.demo.calendar import Calendar, last_treatment
from services.console.demo.patient import MAIN_BUNDLE, Patient, bundle_text
from services.console.demo.stage import Stage


async def play(stage: Stage) -> None:
    """Plays every act. Raises what ended the story before its end."""
    zone = stage.zone
    story = Story(stage, Calendar(last_treatment(bundle_text(MAIN_BUNDLE), zone), zone))
    acts: tuple[Callable[[], Awaitable[None]], ...] = (
        story.refer,
        story.evaluate,
        story.make,
        story.change,
        story.break_things,
        story.refuse,
        story.give,
        story.count,
    )
    for act in acts:
        await act()


@dataclass(slots=True)
class Story:
    """The main case on its way; what one act leaves for the next."""

    stage: Stage
    days: Calendar
    main: Patient = field(init=False)
    others: list[Patient] = field(init=False)
    course_id: str = field(init=False)
    bed: bedside.Bedside = field(init=False)

    async def refer(self) -> None:
        """Import, and the NO GO."""
        stage = self.stage
        async with stage.beat("The clock stands on the day after the bundle's last treatment"):
            await stage.jump(self.days.at(self.days.referral, 9))
        async with stage.beat("Bundles that nobody here wrote are imported"):
            self.main, self.others = await referral.import_bundles(stage)
        async with stage.beat("NO GO: what the bundle lacks is unknown, and unknown opens no gate"):
            await referral.show_no_go(stage, self.main)

    async def evaluate(self) -> None:
        """What is entered, the signed decision, the planned course."""
        stage = self.stage
        async with stage.beat("Staff enter what the bundle lacks"):
            await evaluation.enter_evaluation(stage, self.main, self.days)
            await evaluation.sign_eligibility(stage, self.main)
        async with stage.beat("(a) A course of eight is planned around chemotherapy"):
            await course.open_chairs(stage)
            await course.fill_roster(stage)
            self.course_id = await course.plan_course(stage, self.main, self.days)

    async def make(self) -> None:
        """From the collection to released doses."""
        stage, days = self.stage, self.days
        async with stage.beat("Collection and culture, each under a start permit"):
            await stage.jump(days.at(days.collection, 8))
            await making.enter_collection_evidence(stage, self.main)
            collection_id, label = await making.collect(stage, self.main, days)
            batch = await making.culture(stage, self.main, collection_id, label)
        async with stage.beat("Culture day by day, harvest, release by two people"):
            batch = await making.grow_and_harvest(stage, self.main, batch, days)
            await stage.jump(days.at(days.release, 8))
            await making.release(stage, batch)

    async def change(self) -> None:
        """Steroid and fever just before the first infusion."""
        stage = self.stage
        async with stage.beat("(b) Dexamethasone and a fever are reported before an infusion"):
            await stage.jump(self.days.at(self.days.release, 16))
            await trouble.report_trouble(stage, self.main, self.days)
            await trouble.check_holds(stage, self.main)
            await trouble.check_suspended(stage, self.course_id, self.days)
            await trouble.check_alert(stage, self.main)

    async def break_things(self) -> None:
        """A crash, and a malformed event."""
        stage = self.stage
        async with stage.beat("(c) infusion_scheduling is killed in the middle, and comes back"):
            await crashing.crash_and_return(stage, self.main, self.course_id)
        async with stage.beat("(d) A malformed event parks one case; redrive restores its order"):
            await malformed.park_and_redrive(stage, self.others[0], self.others[1])

    async def refuse(self) -> None:
        """The new plan, and every refusal on the way to the bedside."""
        stage, main = self.stage, self.main
        async with stage.beat("(e) The infection resolves; the rest of the series is re-planned"):
            await giving.resolve_infection(stage, main, self.days)
            infusion = await giving.accept_proposal(stage, main, self.course_id, self.days)
        infusion_id = str(infusion["infusion_id"])
        async with stage.beat("(f) Starts are refused at every stage, with all reasons"):
            day = course.infusion_day(infusion, self.days)
            await giving.wait_for_day(stage, main, day, self.days)
            bag = await bedside.bag_for(stage, main, infusion_id)
            await refused_infusion.refuse_at_the_freezer(stage, main, bag)
            await giving.enter_infusion_evidence(stage, main)
            await bedside.take_vitals(stage, infusion_id, "before")
            await bedside.thaw_and_issue(stage, main, bag)
            self.bed = bedside.Bedside(stage, main, infusion_id, bag.label)
            await self.bed.ready()
            await refused_infusion.refuse_at_the_bedside(stage, self.bed)

    async def give(self) -> None:
        """The races, and the infusion itself."""
        stage, bed = self.stage, self.bed
        async with stage.beat("Starts are raced against holds"):
            await races.race(stage, bed)
        async with stage.beat("(e) The permit is granted, the infusion runs and completes"):
            await bedside.take_vitals(stage, bed.infusion_id, "before")
            await bed.ready()
            await giving.run_infusion(stage, self.main, bed.infusion_id)

    async def count(self) -> None:
        """The figures."""
        async with self.stage.beat("What happened, in figures"):
            await figures.show(self.stage)
