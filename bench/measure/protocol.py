"""R1: the protocol's pure functions over a full record, in this process."""

import gzip
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final

from bench.figures import Figure, largest, middle
from bench.stage import Stage
from services.intake.adapters.bundles import read_fhir_bundle
from shared.contracts.vocabulary import Gate
from shared.protocol import Fact, Record, decide, load_protocol, parse_statement, timeline
from shared.runtime.paths import CHECKOUT

FACTS: Final = 200
#: the record of a patient who was ill for years
_RECORD: Final = (
    CHECKOUT / "tests" / "data" / "fhir" / "synthea-3.3.0-seed1001"
    / "Percy315_Ondricka197_b1dad942-ca36-9747-51a4-9c4b68e4afc6.json.gz"
)  # fmt: skip
_NOW: Final = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
_YEAR: Final = timedelta(days=365)
_REPEATED: Final = 25


def _facts() -> list[Fact]:
    """The facts of a real bundle, as many as a full record has."""
    zone = load_protocol().zone
    found: list[Fact] = []
    for statement in read_fhir_bundle(gzip.decompress(_RECORD.read_bytes()), _NOW).statements:
        read = parse_statement(statement, zone=zone, where="/facts")
        if not isinstance(read, tuple):
            found.append(read)
    return found[:FACTS]


def _seconds(work: Callable[[], object]) -> float:
    times = []
    for _ in range(_REPEATED):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return median(times)


async def measure(stage: Stage, pairs: int) -> Mapping[str, Mapping[str, Figure]]:
    """The figures of R1: the slowest gate's decision, and the year of all gates together."""
    protocol, facts = load_protocol(), _facts()
    if len(facts) < FACTS:
        reason = f"the bundle has {len(facts)} facts, not {FACTS}"
        return {"R1": dict.fromkeys(("decision", "timeline"), Figure(None, "", reason=reason))}
    record = Record.of(protocol, facts)
    decisions = [
        _seconds(lambda gate=gate: decide(protocol, record, gate, _NOW)) * 1e6  # type: ignore[misc]
        for gate in Gate
    ]

    def year() -> None:
        fresh = Record.of(protocol, facts)  # one record for all gates, as an assessment makes it
        for gate in Gate:
            timeline(protocol, fresh, gate, _NOW, _NOW + _YEAR)

    years = [_seconds(year) * 1e3 for _ in range(pairs)]
    return {
        "R1": {
            "decision": largest(decisions, unit="µs"),
            "timeline": middle(years, unit="ms"),
        }
    }
