"""A step that is over is not under way: a later hold finds nothing there to stop."""

from mfg_rig import Plant

from shared.contracts.vocabulary import Gate


async def states(plant: Plant, gate: Gate) -> list[str]:
    rows = await plant.rows("SELECT state FROM start WHERE gate = $1", gate.value)
    return [str(row["state"]) for row in rows]


async def test_a_finished_collection_is_no_start_under_way(plant: Plant) -> None:
    case_id = await plant.open_case()

    await plant.collect(case_id)

    assert await states(plant, Gate.COLLECTION) == ["COMPLETED"]


async def test_a_culture_that_has_gone_on_is_no_start_under_way(plant: Plant) -> None:
    case_id = await plant.open_case()

    await plant.formulate(case_id)

    assert await states(plant, Gate.MANUFACTURING_START) == ["COMPLETED"]
