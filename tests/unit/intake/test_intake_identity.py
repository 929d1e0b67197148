"""What contradicts, what resembles, and who decides, of people easily taken for one another."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from services.intake.domain.holds import ALL_GATES, Hold, HoldScope, may_release
from services.intake.domain.identity import (
    ChangeKind,
    ChangeState,
    RecordedChange,
    Signatures,
    birth_dates_like,
    contradicts,
    folded,
    may_decide,
    same_names,
    swapped,
)
from shared.contracts.vocabulary import HoldKind, HoldState, OnRunning, Role
from shared.permits.clearance import ClearanceVersion

NOW = datetime(2027, 3, 10, tzinfo=UTC)
CHANGE = RecordedChange(
    UUID(int=1), ChangeKind.MERGE, ChangeState.PENDING, (UUID(int=2), UUID(int=3)), UUID(int=2),
    UUID(int=3), (), (), "adt", NOW, NOW, "u-coordinator",
)  # fmt: skip
SIGNED = Signatures(
    "u-qa", frozenset({Role.QA_RELEASE}), "u-nurse", ("birth_date", "container_label")
)


def test_the_holds_of_one_change_are_of_one_episode_and_of_no_other_change() -> None:
    later = replace(CHANGE, change_id=UUID(int=9))

    assert CHANGE.hold_episode == "identity:00000000-0000-0000-0000-000000000001"
    assert later.hold_episode != CHANGE.hold_episode


def test_quality_assurance_and_a_second_person_decide() -> None:
    assert may_decide(CHANGE, SIGNED) is None
    assert (
        may_decide(CHANGE, replace(SIGNED, first_roles=frozenset({Role.MEDICAL_DIRECTOR}))) is None
    )


@pytest.mark.parametrize(
    ("signed", "code"),
    [
        (replace(SIGNED, first_roles=frozenset({Role.COORDINATOR})), "not-your-decision"),
        (replace(SIGNED, second="u-qa"), "second-person"),
        (replace(SIGNED, first="u-coordinator"), "second-person"),
        (replace(SIGNED, checked=("birth_date",)), "two-identifiers"),
        (replace(SIGNED, checked=("birth_date", "birth_date")), "two-identifiers"),
    ],
)
def test_nobody_decides_alone_or_unseen(signed: Signatures, code: str) -> None:
    refusal = may_decide(CHANGE, signed)

    assert refusal is not None
    assert refusal.code == code


def test_a_birth_date_contradicts_only_where_both_are_known() -> None:
    day, other = date(1961, 4, 3), date(1988, 1, 1)

    assert contradicts(day, other)
    assert not contradicts(day, day)
    assert not contradicts(None, day)
    assert not contradicts(day, None)


@pytest.mark.parametrize(
    ("day", "other"),
    [
        (date(1961, 4, 3), date(1961, 3, 4)),
        (date(1961, 4, 13), None),
        (date(1961, 4, 4), None),
        (date(1961, 1, 12), date(1961, 12, 1)),
    ],
)
def test_day_and_month_are_swapped_where_that_is_a_date(day: date, other: date | None) -> None:
    assert swapped(day) == other
    assert birth_dates_like(day) == ((day,) if other is None else (day, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("M\u00fcller", "Mueller"),
        ("\u015eahin", "Sahin"),
        ("I\u015f\u0131k", "Isik"),
        ("S\u00f8rensen", "Soerensen"),
        ("O'Neill", "ONEILL"),
        ("Garc\u00eda Lorca", "garcia-lorca"),
    ],
)
def test_transliterated_names_compare_as_one(one: str, other: str) -> None:
    assert same_names(one, other)


@pytest.mark.parametrize(
    ("one", "other"), [("Ada", "Eda"), ("", ""), (None, None), ("Ada", None), (None, "Ada")]
)
def test_other_and_unknown_names_do_not(one: str | None, other: str | None) -> None:
    assert not same_names(one, other)


def test_a_folded_name_is_letters_alone() -> None:
    assert folded("  Jean-Luc 2. ") == "jeanluc"


@pytest.mark.parametrize(
    ("episode", "code"), [("identity:1", "released-by-its-cause"), (None, None)]
)
def test_a_hold_of_a_change_is_released_by_its_decision_alone(
    episode: str | None, code: str | None
) -> None:
    hold = Hold(
        UUID(int=9), UUID(int=2), HoldKind.IDENTITY, None, episode, HoldScope(ALL_GATES),
        ClearanceVersion(0, 1), HoldState.EFFECTIVE, None, OnRunning.STOP, "u-coordinator", NOW,
        NOW,
    )  # fmt: skip

    refusal = may_release(hold, "u-director", frozenset({Role.MEDICAL_DIRECTOR}))

    assert (None if refusal is None else refusal.code) == code
