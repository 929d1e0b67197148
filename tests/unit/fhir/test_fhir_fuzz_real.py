"""Damaged real bundles are read or refused with a place, whatever is damaged and how."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fhir_builders import DATA, RECEIVED_AT, observation, raw, read
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.adapters.fhir import BundleReading, Outcome, Problem, ProblemCode, read_bundle
from services.intake.adapters.fhir.bundle import READERS
from services.intake.adapters.fhir.medication import TYPES
from tools.fuzz_bundles.invariants import BrokenPromiseError, check
from tools.fuzz_bundles.mutation import mutated
from tools.fuzz_bundles.seeds import seeds

FILES = [
    *sorted((DATA / "mcode").rglob("*jenny-m*.json")),
    *sorted(DATA.glob("synthea-3.3.0-seed1001/Jose871*")),
    *sorted(DATA.glob("synthea-3.3.0-seed42-full/Kendrick479*")),
]
SEEDS = list(seeds(FILES))
ROUNDS_MAX = 6
JENNY = [seed for seed in SEEDS if "jenny-m" in json.dumps(seed)]
OTHERS = [seed for seed in SEEDS if "Grimes165" in json.dumps(seed)]
PARTS = st.sampled_from([JENNY, OTHERS]).flatmap(
    lambda patient: st.lists(st.sampled_from(patient), min_size=2, max_size=4)
)
"""Some resources of one patient, each with that patient: copies of the patient included."""


def test_the_seeds_hold_every_kind_of_resource_that_is_read() -> None:
    kinds = {entry["resource"]["resourceType"] for seed in SEEDS for entry in seed["entry"]}
    older = {"MedicationOrder", "MedicationStatement"}  # no real bundle here has one

    assert len(FILES) == 4
    assert (set(READERS) | TYPES) - older <= kinds


def test_undamaged_seeds_are_read_and_used() -> None:
    for seed in SEEDS:
        reading = read_bundle(raw(seed), received_at=RECEIVED_AT)
        check(reading, len(seed["entry"]))
        assert reading.counts.used > 0


@settings(max_examples=2000, deadline=None)
@given(st.sampled_from(SEEDS), st.integers(0, 2**32), st.integers(1, ROUNDS_MAX))
def test_damaged_real_bundles_keep_every_promise(
    seed: dict[str, Any], number: int, rounds: int
) -> None:
    chance = random.Random(number)  # noqa: S311 - repeatable damage, no secret
    content: Any = seed
    for _ in range(rounds):
        content = mutated(content, chance)

    reading = read_bundle(raw(content), received_at=RECEIVED_AT)

    listed = content.get("entry") if isinstance(content, dict) else None
    check(reading, len(listed) if isinstance(listed, list) else None)


@settings(max_examples=300, deadline=None)
@given(PARTS, st.integers(0, 2**32), st.randoms())
def test_what_is_damaged_reads_the_same_in_every_order_of_entries(
    parts: list[dict[str, Any]], number: int, order: random.Random
) -> None:
    entries = [entry for part in parts for entry in part["entry"]]
    together = {"resourceType": "Bundle", "entry": entries}
    content: Any = mutated(together, random.Random(number))  # noqa: S311
    if not isinstance(content, dict) or not isinstance(content.get("entry"), list):
        return
    shuffled = {**content, "entry": order.sample(content["entry"], len(content["entry"]))}

    first = read_bundle(raw(content), received_at=RECEIVED_AT)
    again = read_bundle(raw(shuffled), received_at=RECEIVED_AT)

    assert first.statements == again.statements
    assert {p.code for p in first.problems} == {p.code for p in again.problems}


def test_the_same_chance_gives_the_same_damage_and_leaves_the_seed_alone() -> None:
    before = json.dumps(SEEDS)

    once, twice = (
        [mutated(seed, random.Random(number)) for number, seed in enumerate(SEEDS)]  # noqa: S311
        for _ in range(2)
    )

    assert once == twice
    assert once != SEEDS
    assert json.dumps(SEEDS) == before


def refused(reading: BundleReading, message: str) -> BundleReading:
    return replace(reading, problems=(Problem(ProblemCode.NOT_JSON, message),))


@pytest.mark.parametrize(
    "broken",
    [
        lambda good: refused(good, "not JSON"),
        lambda good: refused(replace(good, statements=(), report=()), ""),
        lambda good: replace(good, report=good.report[:1]),
        lambda good: replace(good, report=good.report[::-1]),
        lambda good: replace(good, statements=good.statements[:1]),
        lambda good: replace(good, statements=(*good.statements, good.statements[0])),
        lambda good: replace(good, report=(good.report[0], replace(good.report[1], message=""))),
        lambda good: replace(good, report=(good.report[0], replace(good.report[1], pointer=""))),
        lambda good: replace(
            good, report=(good.report[0], replace(good.report[1], outcome=Outcome.IGNORED))
        ),
        lambda good: replace(
            good, statements=tuple({**dict(s), "odd": 1} for s in good.statements)
        ),
    ],
)
def test_a_broken_promise_is_noticed(broken: Callable[[BundleReading], BundleReading]) -> None:
    good = read(observation())
    check(good, 2)

    with pytest.raises(BrokenPromiseError):
        check(broken(good), 2)
