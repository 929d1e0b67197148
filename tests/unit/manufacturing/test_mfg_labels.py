"""A label is opaque and a misread one is never taken for another container."""

import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mfg_builders import CASE, COLLECTION

from services.manufacturing.domain.labels import (
    Container,
    ContainerKind,
    Match,
    Mismatch,
    Unreadable,
    compare,
    label_of,
    read_label,
)

KNOWN = UUID("0190f3c4-5a6b-7c8d-9e0f-112233445566")


@given(st.uuids())
def test_a_label_reads_back_as_its_container(container_id: UUID) -> None:
    assert read_label(label_of(container_id)) == container_id


@given(st.uuids(), st.integers(4, 30), st.sampled_from(string.ascii_uppercase + string.digits))
def test_one_wrong_character_is_never_another_container(
    container_id: UUID, place: int, wrong: str
) -> None:
    label = label_of(container_id)
    misread = label[:place] + wrong + label[place + 1 :]

    assert read_label(misread) in {None, container_id}


@given(st.uuids(), st.integers(4, 29))
def test_two_swapped_neighbours_are_never_another_container(container_id: UUID, place: int) -> None:
    label = label_of(container_id)
    swapped = label[:place] + label[place + 1] + label[place] + label[place + 2 :]

    assert read_label(swapped) in {None, container_id}


def test_a_label_shows_nothing_of_the_case() -> None:
    container = Container(KNOWN, CASE, ContainerKind.MATERIAL, COLLECTION)

    assert str(CASE) not in container.label
    assert container.label.startswith("TDM-")


def test_lower_case_and_letters_that_look_alike_are_read() -> None:
    label = label_of(KNOWN)

    assert read_label(label.lower().replace("0", "o").replace("1", "l")) == KNOWN


@pytest.mark.parametrize("text", ["", "TDM-", "4006381333931", "TDM-" + "0" * 26, "ö" * 27])
def test_foreign_text_is_unreadable(text: str) -> None:
    container = Container(KNOWN, CASE, ContainerKind.MATERIAL, COLLECTION)

    assert compare(text, container) == Unreadable()


def test_the_own_label_matches_and_another_containers_does_not() -> None:
    container = Container(KNOWN, CASE, ContainerKind.MATERIAL, COLLECTION)
    other = UUID(int=KNOWN.int + 1)

    assert compare(container.label, container) == Match(KNOWN)
    assert compare(label_of(other), container) == Mismatch(other)
