"""What stands against a consent: each lack is named, and nothing else is."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

import pytest

from services.intake.domain.consent import (
    Document,
    Explanation,
    Obstacles,
    Question,
    Told,
    obstacles_to_consent,
)

NOW = datetime(2027, 3, 10, 7, 0, tzinfo=UTC)
TODAY = date(2027, 3, 10)
SPACE = UUID(int=0)
TOPICS = ("risks", "costs")
LEAFLET = Document("leaflet", 1, TOPICS)


def explained(topic: str, version: int = 1, at: datetime = NOW) -> Explanation:
    return Explanation(uuid5(SPACE, f"{topic}{version}"), topic, "leaflet", version, "en", "u", at)


def question(text: str | None, answer: str | None = None) -> Question:
    at = None if answer is None else NOW
    return Question(uuid5(SPACE, str(text)), text, "u", NOW, answer, answer and "u", at)


TOLD = Told(TOPICS, (LEAFLET,), tuple(explained(t) for t in TOPICS), (question(None),))


def obstacles(told: Told, **how: Any) -> Obstacles | None:
    given = {"signed_on": TODAY, "today": TODAY, "has_expectations": True, **how}
    return obstacles_to_consent(told, zone=ZoneInfo("Europe/Istanbul"), **given)


def test_nothing_stands_against_an_informed_consent() -> None:
    assert obstacles(TOLD) is None
    assert obstacles(replace(TOLD, questions=(question("why?", "because"),))) is None


@pytest.mark.parametrize(
    ("told", "how", "code"),
    [
        (replace(TOLD, explanations=(explained("risks"),)), {}, "topics-not-explained"),
        (replace(TOLD, documents=(LEAFLET, Document("new", 1, ("costs",)))), {},
         "topics-of-an-older-document"),
        (replace(TOLD, documents=()), {}, "topics-of-an-older-document"),
        (TOLD, {"signed_on": TODAY - timedelta(days=1)}, "explained-after-signing"),
        (replace(TOLD, questions=(question(None), question("why?"))), {}, "questions-open"),
        (replace(TOLD, questions=()), {}, "questions-not-on-file"),
        (TOLD, {"has_expectations": False}, "no-realistic-expectations"),
        (TOLD, {"signed_on": TODAY + timedelta(days=1)}, "signed-in-the-future"),
    ],
    ids=["missing", "newer-document", "no-document", "too-early", "open", "not-asked",
         "no-expectations", "to-come"],
)  # fmt: skip
def test_each_lack_is_told_and_no_other(told: Told, how: dict[str, Any], code: str) -> None:
    found = obstacles(told, **how)

    assert found is not None
    assert found.codes == (code,)


def test_what_lacks_is_named() -> None:
    told = Told(
        ("risks", "costs", "goals"),
        (LEAFLET, Document("leaflet", 2, ("costs",))),
        (explained("risks"), explained("costs")),
        (question("why?"),),
    )

    found = obstacles(told, signed_on=TODAY - timedelta(days=1))

    assert found is not None
    assert (found.missing, found.stale, found.late) == (("goals",), ("costs",), ("risks",))
    assert found.questions == (question("why?").question_id,)


def test_a_topic_explained_again_from_the_new_version_is_current() -> None:
    told = replace(
        TOLD,
        documents=(LEAFLET, Document("leaflet", 2, ("costs",))),
        explanations=(*TOLD.explanations, explained("costs", 2)),
    )

    assert obstacles(told) is None
    assert {t: e.version for t, e in told.explained().items()} == {"risks": 1, "costs": 2}
