"""The red-flag card: complete, with a number, reviewed, and without a promise in any language."""

import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from services.intake.adapters.cards import card_templates
from services.intake.domain.red_flag_card import POLICY, CardRefusedError, CardTemplate, rendered
from shared.protocol import load_protocol

FLAGS = load_protocol().plans.red_flags
TEMPLATES = card_templates(None)
NUMBER = "+90 212 000 0000"
REVIEWED = replace(TEMPLATES["en"], reviewed_by="Dr. A. Example", reviewed_on=date(2027, 1, 2))
#: what the English texts may not say is looked for by the test of wording
PROMISES = {
    "de": r"heil(t|en|ung)\b|wirk(t|sam)|garantier|versprech|verlänger|verbesser|"
    r"(statt|anstelle|verschieb|absetz|unterbrech|auslass)\w*",
    "en": r"\b(cures?|heals?|works|effective|guarantee\w*|promis\w*|improves?|prolongs?|"
    r"instead|postpone|delay|skip|stop)\b",
}


def texts(template: CardTemplate) -> str:
    words = (template.title, template.intro, template.call, template.closing, template.draft)
    return "\n".join((*words, *template.levels.values(), *template.flags.values()))


@pytest.mark.parametrize("language", sorted(TEMPLATES))
def test_a_card_holds_every_red_flag_and_the_number(language: str) -> None:
    page = rendered(TEMPLATES[language], FLAGS, NUMBER, is_demo=True)

    assert len(re.findall("<li>", page)) == len(FLAGS) == 8
    assert NUMBER in page
    assert TEMPLATES[language].draft in page
    assert not re.search(r"<script|https?:|src=|href=|on\w+=", page)
    assert "A6" in page
    assert "script" not in POLICY


def test_the_most_urgent_signs_stand_first() -> None:
    page = rendered(REVIEWED, FLAGS, NUMBER, is_demo=False)

    titles = [REVIEWED.levels[level] for level in ("L4", "L3", "L2")]
    assert [page.index(title) for title in titles] == sorted(page.index(t) for t in titles)
    assert page.index("Chest pain") < page.index(REVIEWED.levels["L3"]) < page.index("High fever")
    assert REVIEWED.draft not in page
    assert "Dr. A. Example 2027-01-02" in page


@pytest.mark.parametrize(
    ("template", "number", "code"),
    [
        (TEMPLATES["en"], NUMBER, "template-not-reviewed"),
        (replace(REVIEWED, reviewed_by=None), NUMBER, "template-not-reviewed"),
        (replace(REVIEWED, flags={}), NUMBER, "template-incomplete"),
        (replace(REVIEWED, levels={}), NUMBER, "template-incomplete"),
        (REVIEWED, None, "no-centre-number"),
        (REVIEWED, "", "no-centre-number"),
    ],
    ids=["draft", "no-name", "no-flags", "no-levels", "no-number", "empty-number"],
)
def test_no_card_without_review_words_and_number(
    template: CardTemplate, number: str | None, code: str
) -> None:
    with pytest.raises(CardRefusedError) as caught:
        rendered(template, FLAGS, number, is_demo=False)

    assert caught.value.code == code


def test_what_is_written_in_a_text_is_no_markup() -> None:
    page = rendered(replace(REVIEWED, title="<b>5 & 6"), FLAGS, NUMBER, is_demo=False)

    assert "&lt;b&gt;5 &amp; 6" in page


@pytest.mark.parametrize("language", sorted(TEMPLATES))
def test_no_text_promises_anything(language: str) -> None:
    assert re.findall(PROMISES[language], texts(TEMPLATES[language]), re.IGNORECASE) == []


@pytest.mark.parametrize(
    ("language", "planted"),
    [("en", "The infusion works."), ("de", "Die Zellen heilen."), ("de", "Chemotherapie absetzen")],
)
def test_a_planted_promise_is_found(language: str, planted: str) -> None:
    assert re.search(PROMISES[language], planted, re.IGNORECASE)


def test_the_centres_own_texts_count_alone(tmp_path: Path) -> None:
    file = Path(__file__).parents[3] / "services/intake/adapters/card_templates"
    text = (file / "red-flag-card.en.yaml").read_text("utf-8")
    own = text.replace("reviewed_by: null", "reviewed_by: Dr. B").replace(
        "reviewed_on: null", "reviewed_on: 2027-02-03"
    )
    (tmp_path / "red-flag-card.en.yaml").write_text(own, "utf-8")

    found = card_templates(tmp_path)

    assert set(found) == {"en"}
    assert found["en"].is_reviewed
    (tmp_path / "red-flag-card.fr.yaml").write_text("id: red-flag-card\n", "utf-8")
    with pytest.raises(ValidationError):
        card_templates(tmp_path)
