"""The story, beat by beat. Its order is the demo's contents page."""

from services.console.demo import course, evaluation, making, referral
from services.console.demo.calendar import Calendar, last_treatment
from services.console.demo.patient import MAIN_BUNDLE, bundle_text
from services.console.demo.stage import Stage
from shared.protocol import load_protocol


async def play(stage: Stage) -> None:
    """Plays every beat. Raises what ended the story before its end."""
    zone = load_protocol().zone
    calendar = Calendar(last_treatment(bundle_text(MAIN_BUNDLE), zone), zone)
    async with stage.beat("The clock stands on the day after the bundle's last treatment"):
        await stage.jump(calendar.at(calendar.referral, 9))
    async with stage.beat("Bundles that nobody here wrote are imported"):
        main, others = await referral.import_bundles(stage)
    async with stage.beat("NO GO: what the bundle lacks is not known, and unknown opens no gate"):
        await referral.show_no_go(stage, main)
    async with stage.beat("Staff enter what the bundle lacks"):
        await evaluation.enter_evaluation(stage, main, calendar)
        await evaluation.sign_eligibility(stage, main)
    async with stage.beat("(a) A course of eight is planned around chemotherapy"):
        await course.open_chairs(stage)
        course_id = await course.plan_course(stage, main, calendar)
    async with stage.beat("Collection and culture, each under a start permit"):
        await stage.jump(calendar.at(calendar.collection, 8))
        await making.enter_collection_evidence(stage, main)
        collection_id, label = await making.collect(stage, main, calendar)
        batch = await making.culture(stage, main, collection_id, label)
    async with stage.beat("Culture day by day, harvest, release by two people"):
        batch = await making.grow_and_harvest(stage, batch, calendar)
        await stage.jump(calendar.at(calendar.release, 8))
        await making.release(stage, batch)
    del course_id, others
