"""Notifications and timers at one time: what is owed is owed once, and fetched once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from services.intake.adapters.fhir_server import HttpFhirServer
from services.intake.domain.fhir_addresses import FhirBase
from shared.web.client import HttpxClient
from tests.component.intake.conftest import Intake
from tests.component.intake.subscribed import Ehr, observation, subscribed

pytestmark = pytest.mark.component
NUMBERS = (4, 1, 8, 2, 7, 3, 6, 5)


@pytest.fixture
async def ehr(intake: Intake) -> AsyncIterator[Ehr]:
    async with subscribed(intake) as found:
        found.server.put(*(observation(id=f"o{number}") for number in NUMBERS))
        yield found


async def test_notifications_that_come_at_one_time_leave_no_gap_and_nothing_twice(
    ehr: Ehr,
) -> None:
    told = [ehr.notifies(number, f"Observation/o{number}") for number in NUMBERS * 2]
    answers = await asyncio.gather(*told)

    owed = [one for one in await ehr.owed() if one["reference"]]
    left = [one for one in await ehr.owed() if not one["reference"] and one["state"] != "done"]
    assert [answer["outcome"] for answer in answers].count("repeated") == len(NUMBERS)
    assert [one["first_number"] for one in owed] == sorted(NUMBERS)
    assert left == []


async def test_two_processes_share_the_errands_between_them(ehr: Ehr) -> None:
    for number in sorted(NUMBERS):
        await ehr.notifies(number, f"Observation/o{number}")
    await asyncio.gather(ehr.errands(), ehr.errands(), ehr.errands())

    asked = sorted(path for path in ehr.server.paths if path.startswith("Observation/"))
    assert asked == sorted(f"Observation/o{number}" for number in NUMBERS)
    assert await ehr.states() == [("done", "stated")] * len(NUMBERS)


async def test_of_two_people_who_discard_at_one_time_the_first_counts(ehr: Ehr) -> None:
    ehr.server.plant("Observation/o1", 410)
    await ehr.notifies(1, "Observation/o1")
    await ehr.runs()
    (waiting,) = await ehr.listed()
    answers = await asyncio.gather(
        ehr.decides(waiting["errand_id"], "discard", reason="entered by hand"),
        ehr.decides(waiting["errand_id"], "discard", reason="entered by hand"),
    )

    assert sorted(answer.status_code for answer in answers) == [200, 404]
    assert [state for state, _ in await ehr.states()] == ["discarded"]


async def test_a_server_that_never_answers_is_waited_for_only_so_long(ehr: Ehr) -> None:
    gone = asyncio.Event()

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await gone.wait()
        writer.close()

    server = await asyncio.start_server(says_nothing, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/fhir"
    async with HttpxClient() as http:
        slow = HttpFhirServer(http, timeout_seconds=0.1)
        ehr.errands = replace(
            ehr.errands,
            fetching=replace(ehr.errands.fetching, server=slow),
            feeds={ehr.name: replace(ehr.errands.feeds[ehr.name], base=FhirBase(base))},
        )
        await ehr.notifies(1, "Observation/o1")
        await asyncio.wait_for(ehr.runs(), 10)
    gone.set()
    server.close()
    with contextlib.suppress(OSError):
        await server.wait_closed()

    assert await ehr.states() == [("waiting", "unreachable")]
