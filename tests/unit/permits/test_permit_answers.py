"""What a holder makes of the authority's answer: only a grant of its own mode is a permit."""

from typing import Any
from uuid import UUID

import pytest
from pydantic_core import to_json

from shared.permits.ask import Advised, PermitHeld, Refusal, _read
from shared.permits.clearance import ClearanceVersion
from shared.permits.holder import Mode
from shared.permits.starts import Lease
from shared.ports import HttpAnswer

LEASE = Lease("boot-1", 0, 10_000)
GRANT: dict[str, Any] = {
    "permit_id": UUID(int=1), "epoch": 2, "version": 7, "ttl_ms": 10_000,
    "expires_at": "2027-03-10T07:00:10Z",
}  # fmt: skip
ADVICE: dict[str, Any] = {
    "code": "advisory", "title": "Advisory only.", "would_be": "granted", "reasons": [],
    "epoch": 2, "version": 7,
}  # fmt: skip


def answered(status: int, body: dict[str, Any], mode: str | None) -> HttpAnswer:
    return HttpAnswer(status, to_json(body), {} if mode is None else {"tandem-mode": mode})


@pytest.mark.parametrize("mode", ["demo", "live"])
def test_a_grant_of_the_same_mode_is_a_permit(mode: Mode) -> None:
    found = _read(mode, answered(201, GRANT, mode), LEASE)

    assert isinstance(found, PermitHeld)
    assert found.view == ClearanceVersion(2, 7)


@pytest.mark.parametrize(
    ("mine", "authority"),
    [
        ("live", "demo"), ("live", "shadow"), ("live", None), ("demo", "live"),
        ("demo", "shadow"), ("demo", None), ("shadow", "shadow"), ("shadow", "live"),
        ("shadow", "demo"), ("shadow", None),
    ],
)  # fmt: skip
def test_a_grant_of_another_mode_or_of_shadow_mode_is_no_permit(
    mine: Mode, authority: str | None
) -> None:
    found = _read(mine, answered(201, GRANT, authority), LEASE)

    assert isinstance(found, Refusal)
    assert (found.status, found.code) == (409, "mode-mixed")


@pytest.mark.parametrize("mine", ["demo", "shadow", "live"])
def test_an_advisory_answer_is_no_permit_in_any_mode(mine: Mode) -> None:
    found = _read(mine, answered(409, ADVICE, "shadow"), LEASE)

    assert found == Advised("granted", "Advisory only.", (), ClearanceVersion(2, 7))
