"""The same content gives the same statements, in whatever order and however often it comes."""

import gzip
import json
import random
from typing import Any

import pytest
from fhir_builders import (
    DATA,
    RECEIVED_AT,
    administration,
    condition,
    line_of,
    observation,
    order,
    procedure,
    raw,
    read,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.adapters.fhir import Outcome, Reason, read_bundle

JENNY = DATA / "mcode" / "assembled" / "cancer-patient-jenny-m.collection.json"
JOSE = next(DATA.glob("*/Jose871*"))
LATER = RECEIVED_AT.replace(year=2030)


def loaded(path: Any) -> dict[str, Any]:
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


def test_the_same_bytes_give_an_equal_reading_whenever_they_are_received() -> None:
    content = JOSE.read_bytes()

    first = read_bundle(content, received_at=RECEIVED_AT)

    assert read_bundle(content, received_at=RECEIVED_AT) == first
    assert read_bundle(content, received_at=LATER).statements == first.statements


@pytest.mark.parametrize("path", [JENNY, JOSE], ids=["jenny", "jose"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_order_of_entries_is_irrelevant(path: Any, seed: int) -> None:
    content = loaded(path)
    expected = read_bundle(raw(content), received_at=RECEIVED_AT)

    random.Random(seed).shuffle(content["entry"])  # noqa: S311 - a fixed order, no secret
    shuffled = read_bundle(raw(content), received_at=RECEIVED_AT)

    assert shuffled.statements == expected.statements
    assert shuffled.counts == expected.counts


@pytest.mark.parametrize("path", [JENNY, JOSE], ids=["jenny", "jose"])
def test_entries_that_come_twice_change_nothing(path: Any) -> None:
    content = loaded(path)
    count = len(content["entry"])
    expected = read_bundle(raw(content), received_at=RECEIVED_AT)

    content["entry"] *= 2
    doubled = read_bundle(raw(content), received_at=RECEIVED_AT)

    assert doubled.statements == expected.statements
    assert [line.reason for line in doubled.report[count:]] == [Reason.DUPLICATE] * count
    assert doubled.report[count].message == "the same as entry 0"


def test_formatting_of_the_json_is_irrelevant() -> None:
    content = loaded(JENNY)

    pretty = json.dumps(content, indent=2, sort_keys=True).encode()

    assert read_bundle(pretty).statements == read_bundle(raw(content)).statements


def test_changed_content_under_the_same_id_is_another_version() -> None:
    before = read(observation()).statements[1]
    after = read(observation(valueQuantity={"value": 2.2, "unit": "10*9/L"})).statements[1]

    assert before["id"] == after["id"]
    assert before["version"] != after["version"]


def test_a_later_date_inside_makes_a_higher_version() -> None:
    open_version = read(condition("c1", "91302008")).statements[1]["version"]
    closed = read(condition("c1", "91302008", abatementDateTime="2026-03-09")).statements[1]

    assert int(str(closed["version"])) > int(str(open_version))


@pytest.mark.parametrize("turn", [1, -1])
def test_of_two_versions_of_a_resource_the_newer_one_counts(turn: int) -> None:
    old = observation(meta={"versionId": "2"}, valueQuantity={"value": 58, "unit": "10*9/L"})
    new = observation(meta={"versionId": "10"}, valueQuantity={"value": 24, "unit": "10*9/L"})

    reading = read(*[old, new][::turn])

    (stated,) = reading.statements[1:]
    assert (stated["value"], stated["version"]) == (24, 10)
    assert sorted(line.reason for line in reading.report) == [
        Reason.OLDER_VERSION,
        Reason.STATED,
        Reason.STATED,
    ]


def test_contradicting_copies_without_versions_are_both_stated() -> None:
    copies = [observation(valueQuantity={"value": v, "unit": "10*9/L"}) for v in (0.8, 2.1)]

    forwards, backwards = read(*copies), read(*reversed(copies))

    assert forwards.statements == backwards.statements
    assert sorted(s["value"] for s in forwards.statements[1:]) == [0.8, 2.1]
    assert len({s["id"] for s in forwards.statements[1:]}) == 2


def test_an_older_copy_does_not_hide_behind_a_newer_one_of_another_id() -> None:
    reading = read(observation("a"), observation("b"))

    assert [line.outcome for line in reading.report] == [Outcome.USED] * 3


POOL = [
    observation("o1"),
    observation("o1", valueQuantity={"value": 0.4, "unit": "10*9/L"}),
    observation("o2", "777-3", meta={"versionId": "1"}),
    observation("o2", "777-3", meta={"versionId": "2"}, status="corrected"),
    condition("c1", "91302008"),
    condition("c2", "40055000"),
    order("r1", "1736776", status="stopped"),
    order("r2", "8640"),
    administration("a1", "1736776"),
    administration("a2", "8640", request={"reference": "MedicationRequest/r2"}),
    procedure("t1", "703423002"),
    procedure("d1", "265764009"),
    procedure("d2", "265764009", performedDateTime="2026-03-02"),
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(POOL), min_size=1, max_size=12), st.randoms(use_true_random=False))
def test_any_order_and_repetition_gives_the_same_statements(
    chosen: list[dict[str, Any]], randomness: random.Random
) -> None:
    expected = read(*chosen).statements
    again = [*chosen, *randomness.sample(chosen, k=randomness.randint(0, len(chosen)))]
    randomness.shuffle(again)

    assert read(*again).statements == expected


def test_merging_is_reported_on_the_order() -> None:
    reading = read(
        order("r1", "1736776", status="stopped"), administration("a1", "1736776", "2026-03-01")
    )

    assert line_of(reading, "MedicationRequest/r1").reason == Reason.MERGED
