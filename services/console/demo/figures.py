"""The last lines: what happened in figures, and that no start met an effective hold.

The figures come from the services' own /metrics and from read-only queries, which are printed.
"""

import asyncio
import json
from collections import Counter
from typing import Any, Final

from prometheus_client.parser import text_string_to_metric_families

from services.console.demo.asking import answer, questions
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import EffectiveBy, PermitState, Role, Service

_HOLDERS: Final = (Service.MANUFACTURING, Service.INFUSION_SCHEDULING)
_DUPLICATES: Final = "tandem_duplicates_dropped_total"
_PROOF: Final = ("starts", "starts_against_an_effective_hold")


async def duplicates_dropped(stage: Stage, service: Service) -> int:
    """Events that this process of the service has seen again and dropped."""
    # as operations staff, since only a process's own machine is told without a token
    text = await stage.one(Role.OPS).get(service, "/metrics")
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples)
    return int(sum(sample.value for sample in samples if sample.name == _DUPLICATES))


async def remember(stage: Stage, service: Service) -> None:
    """Notes what a process has counted before it is killed."""
    stage.dropped_before_crashes += await duplicates_dropped(stage, service)


async def collect(stage: Stage) -> dict[str, Any]:
    """All figures, in the order in which they are printed."""
    intake = stage.site.databases[Service.INTAKE]
    published = await _of_all(stage, "events_published")
    unsent = await _of_all(stage, "events_unsent")
    dropped = [await duplicates_dropped(stage, s) for s in stage.site.urls]
    holds = Counter(await answer(intake, "holds"))
    permits = Counter(await answer(intake, "permits"))
    facts = Counter(await answer(intake, "facts"))
    denied = permits[PermitState.DENIED.value]
    return {
        "events_published": published,
        "events_unsent": unsent,
        "duplicates_dropped": sum(dropped) + stage.dropped_before_crashes,
        "holds_recorded": holds.total(),
        "holds_effective": holds.total() - holds["RECORDED"],
        "holds_effective_by": {way.value: holds[way.value] for way in EffectiveBy},
        "starts_granted": permits.total() - denied,
        "starts_refused_by_the_authority": denied,
        "starts_given_go": permits[PermitState.CONSUMED.value],
        "facts_imported": facts["imported"],
        "facts_entered": facts["entered"],
        "facts_measured_by_services": facts["event"],
        "starts_against_an_effective_hold": await _starts_against_holds(stage),
    }


async def _of_all(stage: Stage, question: str) -> int:
    asked = [answer(psql, question) for psql in stage.site.databases.values()]
    return sum(int(found) for found in await asyncio.gather(*asked))


async def _starts_against_holds(stage: Stage) -> int:
    starts: list[Any] = []
    for service in _HOLDERS:
        starts += await answer(stage.site.databases[service], "starts")
    intake = stage.site.databases[Service.INTAKE]
    return int(await answer(intake, _PROOF[1], starts=json.dumps(starts)))


async def show(stage: Stage) -> None:
    """Prints the figures, the query, and checks what must hold of them."""
    figures = await stage.eventually(lambda: _settled(stage), "every event sent")
    stage.report.figures = figures
    for name, value in figures.items():
        stage.note(f"{name.replace('_', ' '):<36}{_words(value)}")
    stage.tell("\n   the query, asked in read-only sessions of the holders and then of intake:")
    for name in _PROOF:
        stage.tell("\n".join(f"      {line}" for line in questions()[name].splitlines()))
    for way in (EffectiveBy.NO_PERMIT, EffectiveBy.ACK, EffectiveBy.LAPSE):
        count = figures["holds_effective_by"][way.value]
        stage.check(count, f"holds effective by {way.value}: {count}")
    stage.check(figures["starts_given_go"], f"starts given GO: {figures['starts_given_go']}")
    against = figures["starts_against_an_effective_hold"]
    stage.check(against == 0, f"starts against an effective hold = {against}")


async def _settled(stage: Stage) -> dict[str, Any] | None:
    figures = await collect(stage)
    return None if figures["events_unsent"] else figures


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {count}" for name, count in value.items())
    return str(value)
