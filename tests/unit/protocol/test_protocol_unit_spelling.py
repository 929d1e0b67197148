"""A unit means the same however a laboratory writes it, and nothing else is guessed."""

from importlib import resources

import pytest
from protocol_asking import ask
from test_protocol_limits import DAY, blocking, lab

from shared.protocol.loader import RulebookError, read_protocol
from shared.protocol.rulebook.spelling import spelled


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        *((w, "10*9/L") for w in ("10*9/l", "10^9/L", "x10^9/L", "X10E9/L", "10e9/l", "10E09/L")),
        *(
            (w, "10*9/L")
            for w in ("x 10^9/L", "10**9/L", "x10(9)/L", "10\u2079/L", "\u00d710\u2079/l")
        ),
        *((w, "10*3/uL") for w in ("10*3/\u00b5L", "10\u00b3/\u03bcl", "x10E3/mcL", "10*3/ul")),
        ("K/\u00b5L", "K/uL"),
        ("cells/mcL", "cells/uL"),
        ("/ul", "/uL"),
        ("g/dl", "g/dL"),
        ("mmol/l", "mmol/L"),
        ("\u00b5mol/l", "umol/L"),
        ("mcmol/L", "umol/L"),
        ("mcg/ml", "ug/mL"),
        (" U/l ", "U/L"),
        ("[IU]/ml", "[IU]/mL"),
    ],
)
def test_spellings_of_one_unit_are_one(written: str, unit: str) -> None:
    assert spelled(written) == unit


@pytest.mark.parametrize(
    "unit",
    [
        *("Cel", "[degF]", "mm[Hg]", "kg", "[lb_av]", "%", "{INR}", "1", "{score}", "/min", ""),
        *("109/L", "10/uL", "mg/kg", "mL/min", "10*12/L", "G/L", "mcHg", "fL", "mol", "cell"),
    ],
)
def test_what_is_no_other_spelling_stays_as_it_is(unit: str) -> None:
    assert spelled(unit) == unit


@pytest.mark.parametrize("unit", ["10*9/l", "x10^9/L", "10\u00b3/\u00b5L", "10*3/mcL"])
def test_a_count_in_another_spelling_decides_like_any_other(unit: str) -> None:
    assert blocking(lab("anc", 1.6, unit, DAY), at=DAY) == set()
    assert blocking(lab("anc", 0.9, unit, DAY), at=DAY) == {"LAB-ANC"}


@pytest.mark.parametrize("unit", ["109/L", "10*12/L", "mg/dL"])
def test_an_unlisted_unit_stays_unknown(unit: str) -> None:
    assert "DATA-006" in ask(lab("anc", 3.0, unit, DAY), at=DAY).blocking_rules


def test_two_spellings_of_a_unit_with_different_numbers_are_refused_with_the_line() -> None:
    below = resources.files("shared.protocol.rulebooks")
    texts = [
        below.joinpath(f"{name}.yaml").read_text("utf-8")
        for name in ("coordination", "codes", "sentences")
    ]
    before, after = (
        "factors: {g/L: 1, g/dL: 10, g/dl: 10, mmol/L",
        "factors: {g/L: 1, g/dL: 10, g/dl: 9, mmol/L",
    )
    assert texts[0].count(before) == 1
    line = texts[0][: texts[0].index(before)].count("\n") + 1

    with pytest.raises(RulebookError, match=r"g/dl is g/dL") as refusal:
        read_protocol(texts[0].replace(before, after), *texts[1:])

    assert f"{line}" in str(refusal.value)
