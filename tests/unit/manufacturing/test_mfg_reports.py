"""What is sent to the coordination record is what the record can read."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from mfg_builders import PASSING, origin, result

from services.manufacturing.application.dossier_ports import Measure
from services.manufacturing.application.report_facts import (
    COI_LABEL,
    IDENTITY_CHECK,
    evidence_statement,
    measure_statement,
    result_statement,
)
from services.manufacturing.domain.specification import (
    Quantity,
    Reading,
    Unparsable,
    Word,
    read_result,
)
from shared.protocol import load_protocol, parse_statement
from shared.protocol.facts import Evidence, Lab, ReleaseTest

PROTOCOL = load_protocol()
AT = datetime(2027, 3, 1, 8, tzinfo=UTC)
MEASURE = UUID(int=30)


def on_record(statement: object) -> object:
    """The fact that intake would make of a statement after its way over the wire."""
    return parse_statement(json.loads(json.dumps(statement)), zone=PROTOCOL.zone)


def measured(metric: str, reading: Reading) -> Measure:
    return Measure(MEASURE, metric, reading, AT, "u-lab")


def test_a_measure_of_the_starting_material_is_read_as_a_laboratory_value() -> None:
    statement = measure_statement(measured("start_viability", Quantity(Decimal("92.5"), "%")))

    fact = on_record(statement)

    assert isinstance(fact, Lab)
    assert (fact.metric, fact.value, fact.unit) == ("start_viability", Decimal("92.5"), "%")


def test_the_items_of_the_chair_are_read_as_evidence() -> None:
    for item in (IDENTITY_CHECK, COI_LABEL):
        fact = on_record(evidence_statement(item, MEASURE, AT))

        assert isinstance(fact, Evidence)
        assert fact.item in PROTOCOL.tables.items


def test_every_passing_release_test_is_read_as_one_of_its_lot() -> None:
    for test, reading in PASSING.items():
        fact = on_record(result_statement(origin(), result(test, reading)))

        assert isinstance(fact, ReleaseTest)
        assert (fact.test, fact.lot) == (test, str(origin().batch_id))


@given(
    st.one_of(
        st.decimals(allow_nan=False, allow_infinity=False).map(lambda d: (str(d), "%")),
        st.from_regex(r"[a-z][a-z_]{0,39}", fullmatch=True).map(lambda w: (w, None)),
        st.tuples(st.text(max_size=20), st.text(min_size=1, max_size=12)),
    )
)
def test_whatever_is_sent_can_be_read(stated: tuple[str, str | None]) -> None:
    statement = result_statement(origin(), result("cd3_pct", read_result(*stated)))

    assert statement is None or isinstance(on_record(statement), ReleaseTest)


def test_what_cannot_be_read_is_not_sent() -> None:
    assert result_statement(origin(), result("cd3_pct", Unparsable("> 95", "%"))) is None
    assert measure_statement(measured("start_mnc", Unparsable("many", "1"))) is None
    assert measure_statement(measured("start_mnc", Word("many"))) is None
