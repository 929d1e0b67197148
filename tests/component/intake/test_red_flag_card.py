"""The card through the endpoints: printed, refused outside the demo, its hand-over on file."""

from dataclasses import replace

import pytest

from shared.contracts.vocabulary import Role
from tests.component.intake.conftest import Intake

pytestmark = pytest.mark.component


async def test_a_card_is_printed_and_its_hand_over_recorded(intake: Intake) -> None:
    case_id = await intake.refer()
    headers = intake.headers(Role.INFUSION_NURSE, subject="u-nurse")
    path = f"/cases/{case_id}/red-flag-card"

    card = await intake.client.get(path, headers=headers, params={"language": "de-AT"})
    given = await intake.client.post(
        f"{path}/handed-over", headers=headers,
        json={"language": "de", "version": 1, "given_to": "caregiver"},
    )  # fmt: skip

    assert card.status_code == 200, card.text
    assert card.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in card.headers["content-security-policy"]
    assert "+90 212 000 0000" in card.text
    assert given.status_code == 201, given.text
    shown = await intake.client.get(f"/cases/{case_id}/information", headers=headers)
    (found,) = shown.json()["cards"]
    assert (found["given_to"], found["handed_over_by"]) == ("caregiver", "u-nurse")
    old = await intake.client.post(
        f"{path}/handed-over", headers=headers,
        json={"language": "de", "version": 9, "given_to": "patient"},
    )  # fmt: skip
    assert (old.status_code, old.json()["code"]) == (409, "card-not-current")


async def test_a_draft_or_a_missing_number_makes_no_card(intake: Intake) -> None:
    case_id = await intake.refer()
    headers = intake.headers(Role.INFUSION_NURSE)
    path, parts = f"/cases/{case_id}/red-flag-card", intake.app.state.parts
    try:
        intake.app.state.parts = replace(parts, mode="live")
        draft = await intake.client.get(path, headers=headers)
        intake.app.state.parts = replace(parts, centre_phone=None)
        numberless = await intake.client.get(path, headers=headers)
    finally:
        intake.app.state.parts = parts
    foreign = await intake.client.get(path, headers=headers, params={"language": "xx"})

    assert (draft.status_code, draft.json()["code"]) == (409, "template-not-reviewed")
    assert (numberless.status_code, numberless.json()["code"]) == (409, "no-centre-number")
    assert (foreign.status_code, foreign.json()["languages"]) == (404, ["de", "en"])
