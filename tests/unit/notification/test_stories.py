"""Every event of the reaction table, read and folded in memory."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

import pytest

from services.notification.adapters.routing_table import read_ack_times
from services.notification.adapters.texts import TemplateTexts
from services.notification.domain.alert import ClosedAlert, content_of
from services.notification.domain.delivery import sends_email
from services.notification.domain.levels import Level
from services.notification.domain.reading import READERS
from shared.contracts.event import Event
from tests.unit.notification.samples import AT, ROUTES, evidence, fold
from tests.unit.notification.stories import STORIES

TEXTS = TemplateTexts(ROUTES)
each_story = pytest.mark.parametrize(
    ("before", "event"), STORIES, ids=[type(event()).__name__ for _, event in STORIES]
)


def test_the_stories_name_every_event_of_the_table() -> None:
    assert {type(event()) for _, event in STORIES} == set(READERS)


@each_story
def test_a_story_told_twice_makes_the_alert_that_it_makes_told_once(
    before: list[Callable[[], Event]], event: Callable[[], Event]
) -> None:
    chain = uuid4()
    pieces = [evidence(earlier(), chain=chain) for earlier in before]
    pieces.append(evidence(event(), chain=chain, at=AT + timedelta(minutes=1)))

    once, twice = fold(pieces), fold([*pieces, *pieces])

    assert once == twice
    assert len(once) == 1


@each_story
def test_a_story_has_a_sentence_without_an_empty_place(
    before: list[Callable[[], Event]], event: Callable[[], Event]
) -> None:
    for told in (*before, event):
        line = TEXTS.line(evidence(told()))

        assert line.endswith(".")
        assert "–" not in line  # noqa: RUF001 - the dash of an empty field


@each_story
def test_what_interrupts_people_is_chased_and_what_does_not_is_not(
    before: list[Callable[[], Event]], event: Callable[[], Event]
) -> None:
    (alert,) = fold([evidence(told()) for told in (*before, event)][:1])
    content = content_of(alert.file.evidence, ROUTES)

    due_at = read_ack_times().due_at(content.level, AT)
    assert not isinstance(alert, ClosedAlert)
    assert (due_at is not None) == sends_email(content.level) == (content.urgency != "info")
    assert (content.level is Level.L1) == (content.urgency == "info")
