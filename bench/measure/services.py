"""L2, C2, C3 and R3: the four services together: a hold on its way, at rest, and an import."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.children import playing
from bench.deployment import FOUR, Deployment, deployed
from bench.figures import Figure, largest, middle, percentile, ratio
from bench.goals import GOALS
from bench.machine import cpu_seconds, resident_mb
from bench.measure.bundles import import_ms
from bench.measure.courses import planned_case
from bench.stage import Stage
from shared.contracts.vocabulary import Role, Service
from shared.runtime.programs import NotYet, wait_until

#: few, and at a rate that leaves the services time: what a hold sets off grows with what is planned
HOLDS: Final = 20
RATE: Final = 4.0
HOLDS_HASTY: Final = 25
RATE_HASTY: Final = 50.0
ARRIVE_SECONDS: Final = 45.0
IDLE_SECONDS: Final = 10.0
SETTLE_SECONDS: Final = 3.0
#: per hold: at scheduling and at notification, and the suspensions at notification
_LINES_PER_HOLD_MIN: Final = 3


async def measure(stage: Stage, pairs: int) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of L2, C2, R3, and C3 but for its growth."""
    commits = stage.directory / "commits"
    commits.touch()
    async with deployed(stage, module="bench.ours.observed", told=str(commits)) as services:
        idle = await _idle_share(services)
        imports = [await import_ms(services, number) for number in range(pairs + 1)][1:]
        holds = await _holds_or_why(stage, services, commits, pairs)
        memory = [resident_mb(services.pid(service)) for service in FOUR]
    return {
        "L2": holds,
        "C2": {"share of a core": largest([idle], unit="%")},
        "C3": {
            "largest service": largest(memory, unit="MB"),
            "four services": largest([sum(memory)], unit="MB"),
        },
        "R3": {"import": middle(imports, unit="ms")},
    }


async def _idle_share(services: Deployment) -> float:
    """The CPU of the busiest idle service, in percent of a core."""
    await asyncio.sleep(SETTLE_SECONDS)
    before = {service: cpu_seconds([services.pid(service)]) for service in FOUR}
    await asyncio.sleep(IDLE_SECONDS)
    spent = [cpu_seconds([services.pid(service)]) - before[service] for service in FOUR]
    return max(spent) / IDLE_SECONDS * 100


async def _holds_or_why(
    stage: Stage, services: Deployment, commits: Path, pairs: int
) -> Mapping[str, Figure]:
    """The figures of L2, or for each of them why there is none: the other goals have theirs."""
    try:
        return await _holds(stage, services, commits, pairs)
    except NotYet as error:
        reason = f"the measurement failed: {error}"
        return {limit.figure: Figure(None, "ms", reason=reason) for limit in GOALS["L2"].limits}


async def _holds(
    stage: Stage, services: Deployment, commits: Path, pairs: int
) -> Mapping[str, Figure]:
    cases = await _planned_cases(services, pairs * HOLDS + HOLDS_HASTY)
    floors: list[Sequence[float]] = []
    ours: list[Sequence[float]] = []
    for number in range(pairs):
        floors.append(await _bare_two_hops(stage))
        some = cases[number * HOLDS : (number + 1) * HOLDS]
        ours.append(await _delays(services, commits, some, RATE))
    hasty = await _delays(services, commits, cases[pairs * HOLDS :], RATE_HASTY)
    return {
        f"{name} ratio": ratio(
            [percentile(run, share) for run in floors],
            [percentile(run, share) for run in ours],
            unit="ms",
        )
        for name, share in (("p50", 0.5), ("p99", 0.99))
    } | {"p99 at 50/s": largest([percentile(hasty, 0.99)], unit="ms")}


async def _bare_two_hops(stage: Stage) -> Sequence[float]:
    order = await stage.order("writing", "reading")
    floors = "bench.floors"
    async with (
        playing(f"{floors}.two_hops:last", order, stage.logs) as last,
        playing(f"{floors}.two_hops:middle", order, stage.logs),
        playing(f"{floors}.dual_write:writer", order, stage.logs) as writer,
    ):
        for count in (10, HOLDS):  # the first only warms up
            began: Mapping[str, float] = await writer.ask("pace", count=count, rate=RATE)
            await last.ask("until", count=count, seconds=ARRIVE_SECONDS)
            seen: Mapping[str, float] = await last.ask("take")
    await stage.drop(order, "writing", "reading")
    return [(seen[event_id] - at) * 1e3 for event_id, at in began.items()]


async def _planned_cases(services: Deployment, count: int) -> list[str]:
    """Cases with a planned course each. One after the other: plans at once would want one slot."""
    return [await planned_case(services, number) for number in range(count)]


async def _delays(
    services: Deployment, commits: Path, cases: Sequence[str], rate: float
) -> Sequence[float]:
    """For each case the milliseconds from just before its hold was sent to its last effect."""
    _empty(commits)
    began: dict[str, float] = {}
    due = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, case_id in enumerate(cases):
            began[case_id] = time.monotonic()
            group.create_task(_hold(services, case_id, number))
            due += 1 / rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))

    async def arrived() -> bool:
        return all(
            len(_lines(commits).get(case_id, ())) >= _LINES_PER_HOLD_MIN for case_id in cases
        )

    try:
        await wait_until(arrived, "the effects of every hold", within_seconds=ARRIVE_SECONDS)
    except NotYet as error:
        counts = Counter(len(_lines(commits).get(case_id, ())) for case_id in cases)
        raise NotYet(f"{error}; effects and holds that have as many: {dict(counts)}") from None
    await asyncio.sleep(1.0)
    lines = _lines(commits)
    return [(max(lines[case_id]) - at) * 1e3 for case_id, at in began.items()]


async def _hold(services: Deployment, case_id: str, number: int) -> None:
    body = {"kind": "clinical_concern", "gates": ["infusion"], "reason": "observed at rounds"}
    headers = services.bearer(Role.COORDINATOR, number)
    await services.post(Service.INTAKE, f"/cases/{case_id}/holds", body, headers)


def _empty(commits: Path) -> None:
    commits.write_text("")


def _lines(commits: Path) -> Mapping[str, list[float]]:
    """The times at which effects about each case were committed."""
    found: dict[str, list[float]] = {}
    for line in commits.read_text().splitlines():
        case_id, _, at = line.split()
        found.setdefault(case_id, []).append(float(at))
    return found
