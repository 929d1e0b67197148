"""No text promises a benefit, suggests to move standard treatment, or says who the patient is."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.notification.adapters.texts import (
    TemplateError,
    TemplateTexts,
    check_templates,
    template_sources,
)
from services.notification.domain.case_code import case_code
from services.notification.domain.evidence import NO_CASE, EvidenceKind
from tests.unit.notification.samples import CASE, ROUTES, evidence, hold

#: (text, why it must be refused)
BANNED = [
    "The cells will cure the tumour.",
    "CIK improves survival.",
    "Expect a clear benefit from infusion 3.",
    "The infusion is guaranteed to help.",
    "Please delay the next chemotherapy cycle.",
    "Postpone radiotherapy until the infusion is over.",
    "Take the cells instead of chemotherapy.",
    "The oncologist treatment can be skipped.",
    "Chemo should be\n  paused for the infusion.",
    "Die Behandlung heilt den Tumor.",
    "Chemotherapie verschieben.",
    "Reporter la chimiothérapie: retarder le cycle.",
    "Aplazar la quimioterapia.",
    "Kemoterapi ertelenmeli.",
    "该疗法有效",
    "推迟化疗",
]


def test_all_templates_pass_both_guards() -> None:
    check_templates(template_sources())


@pytest.mark.parametrize("text", BANNED)
def test_a_planted_claim_stops_the_service_from_starting(text: str) -> None:
    for name in ("message_body.txt", "wordings.yaml"):
        sources = {**template_sources()}
        sources[name] += f"  planted: {text!r}\n"
        with pytest.raises(TemplateError, match="makes a claim"):
            TemplateTexts(ROUTES, sources)


@pytest.mark.parametrize(
    ("name", "planted"),
    [
        ("message_body.txt", "{{ patient_name }}"),
        ("message_subject.txt", "{{ diagnosis }}"),
        ("message_body.txt", "{{ birth_date }}"),
        ("message_body.txt", "{{ flag }}"),
        ("message_body.txt", "{% if diagnosis %}x{% endif %}"),
        ("wordings.yaml", "{patient_name}"),
        ("wordings.yaml", "{rule.__class__}"),
    ],
)
def test_a_planted_placeholder_for_the_patient_stops_the_service_from_starting(
    name: str, planted: str
) -> None:
    sources = {**template_sources()}
    sources[name] += f"  planted: '{planted}'\n"

    with pytest.raises(TemplateError, match="asks for"):
        TemplateTexts(ROUTES, sources)


def test_a_missing_wording_stops_the_service_from_starting() -> None:
    sources = {**template_sources()}
    lines = sources["wordings.yaml"].splitlines()
    sources["wordings.yaml"] = "\n".join(line for line in lines if "  recall:" not in line)

    with pytest.raises(TemplateError, match="no wording for recall"):
        TemplateTexts(ROUTES, sources)


def test_a_message_carries_a_link_and_a_case_code_and_nothing_of_the_case() -> None:
    subject, body = TemplateTexts(ROUTES).message(
        urgency="critical", case_code=case_code(CASE), link="https://t.example/alerts/1",
        answer_by=datetime(2027, 3, 10, 9, 30, tzinfo=UTC), step=0,
    )  # fmt: skip

    text = subject + body
    assert case_code(CASE) in subject
    assert "https://t.example/alerts/1" in body
    assert "2027-03-10 09:30 UTC" in body
    assert "releases no hold" in body
    for word in (str(CASE), "STER-001", "hold was", "infection", "red flag", "infusion"):
        assert word.casefold() not in text.casefold(), word


def test_every_kind_has_a_line_that_can_be_written_without_any_detail() -> None:
    texts = TemplateTexts(ROUTES)
    piece = evidence(hold(UUID(int=7)))

    for kind in EvidenceKind:
        assert texts.summary(kind)
    assert texts.line(piece) == "Rule STER-001 shuts: infusion."
    assert "does not release any hold" in texts.acknowledge_note()


def test_a_case_code_is_short_stable_and_not_the_id() -> None:
    code = case_code(CASE)

    assert code == case_code(UUID(str(CASE)))
    assert len(code) == 9
    assert code.replace("-", "").casefold() not in CASE.hex
    assert case_code(NO_CASE) == "SYSTEM"
