"""Cards: short, never `critical`, nothing in them read as markup, no word against a treatment."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from services.intake.domain.cards import (
    CARDS_MAX,
    About,
    Card,
    Indicator,
    NotCompared,
    Topic,
    ambiguous,
    cards_for,
)
from services.intake.domain.collisions import Collision, PlannedStep
from shared.contracts.vocabulary import Gate
from shared.protocol import Effect, Finding, FindingKind, RuleSource, When, load_protocol
from tests.architecture.test_wording import banned

STEPS = [PlannedStep(Gate.COLLECTION, date(2027, 12, 24)),
         PlannedStep(Gate.INFUSION, date(2027, 12, 24), 116)]  # fmt: skip
CLEAR: list[When | None] = [None, date(2028, 12, 24), datetime(2028, 12, 24, 9, 30, tzinfo=UTC)]


def finding(message: str = "Chemotherapy: still free days.", **rest: object) -> Finding:
    return Finding(
        **{  # type: ignore[arg-type]  # the defaults of one finding, some of them replaced
            "rule": "WO-CHEMO", "effect": Effect.HOLD, "kind": FindingKind.CONDITION,
            "episode": "e", "message": message, "source": RuleSource("verified", "R01"),
            "order": 1, **rest,
        }
    )  # fmt: skip


def every_card() -> Iterator[Card]:
    """A card of each form."""
    zone = load_protocol().zone
    for about in About:
        yield ambiguous(about)
        missing = [NotCompared("Treatment", "no date of the procedure")]
        for step in STEPS:
            for clear in CLEAR:
                for effect in (Effect.REVIEW, Effect.HOLD, Effect.CONTRAINDICATED):
                    found = (finding(effect=effect, clears_at=clear),)
                    many = [Collision(step, found, clear)] * (CARDS_MAX + 2)
                    yield from cards_for(many, missing, about, zone)


def test_no_card_asks_for_a_treatment_to_be_delayed_or_changed() -> None:
    said = [(card.summary, card.detail) for card in every_card()]

    assert [f for summary, detail in said for f in banned("card", f"{summary}\n\n{detail}")] == []
    assert len(said) > 0


@pytest.mark.parametrize("verb", ["Delay", "Postpone", "Stop", "Skip", "Replace"])
def test_a_planted_card_against_a_treatment_is_found(verb: str) -> None:
    card = Card(f"{verb} the chemotherapy.", "", Indicator.INFO, Topic.COLLISION)

    assert list(banned("card", card.summary)) != []


def test_no_card_is_critical_or_longer_than_the_specification_allows() -> None:
    assert {indicator.value for indicator in Indicator} == {"info", "warning"}
    assert max(len(card.summary) for card in every_card()) <= 140
    with pytest.raises(ValueError, match="140"):
        Card("x" * 141, "", Indicator.INFO, Topic.COLLISION)


def test_a_longer_plan_gives_few_cards_and_says_how_many_steps_more() -> None:
    many = [Collision(STEPS[1], (finding(),), None)] * (CARDS_MAX + 2)

    cards = cards_for(many, (), About.ORDER, UTC)

    assert len(cards) == CARDS_MAX + 1
    assert cards[-1].summary.startswith("2 further planned CIK steps")


def test_a_review_is_told_as_information() -> None:
    review = Collision(STEPS[1], (finding(effect=Effect.REVIEW),), None)

    (card,) = cards_for([review], (), About.ORDER, UTC)

    assert card.indicator is Indicator.INFO
    assert "needs a physician's review" in card.summary


def test_what_an_order_names_is_no_markup_in_a_card() -> None:
    message = "<b>x</b> [here](http://evil.example) *y*"

    (card,) = cards_for([Collision(STEPS[0], (finding(message),), None)], (), About.ORDER, UTC)

    assert "\\<b\\>" in card.detail
    assert "[here](" not in card.detail.replace("\\[here\\](", "")
