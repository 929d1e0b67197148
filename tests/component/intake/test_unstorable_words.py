"""Words that no database holds are the sender's mistake, wherever they stand: 422, never 500."""

import json
from typing import Any

import pytest

from shared.contracts.vocabulary import Role
from tests.component.intake.conftest import Intake

pytestmark = pytest.mark.component


@pytest.mark.parametrize("word", ["a\x00b", "\ud800", "\udfff\ud800"])
async def test_a_character_that_no_text_has_is_refused_as_malformed(
    intake: Intake, word: str
) -> None:
    case_id = await intake.refer()
    headers = {**intake.headers(Role.COORDINATOR), "content-type": "application/json"}

    async def answered(path: str, body: Any) -> tuple[int, str]:
        content = _ascii(body)
        answer = await intake.client.post(path, headers=headers, content=content)
        return answer.status_code, answer.json()["code"]

    fact = {"kind": "vital", "name": word, "value": 1, "unit": word, "id": word}
    referral = {"identifiers": [["urn:example:mrn", word]], "family_name": word}
    hold = {"kind": "logistics", "reason": word}

    assert await answered("/cases", referral) == (422, "malformed-request")
    assert await answered(f"/cases/{case_id}/holds", hold) == (422, "malformed-request")
    assert (await answered(f"/cases/{case_id}/facts", {"facts": [fact]}))[0] in {403, 422}


def _ascii(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=True).encode()
