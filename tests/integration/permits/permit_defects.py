"""Defects of the permit protocol, to be planted: for each the invariants that must be seen broken.

A plant changes what the product does at one place, and nothing that the test knows by itself.
"""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import pytest
from permit_stage import Stage
from permit_world import IntakeRows, Site

from services.intake.adapters.authority import AuthorityStore
from services.intake.domain.holds import Hold, HoldOrder
from services.intake.domain.permits import Permit
from shared.contracts.vocabulary import Service
from shared.permits.press_start import Go, StartAnswer
from shared.permits.starts import Start

Defect = Callable[[Stage, pytest.MonkeyPatch], None]


def _rows(stage: Stage, store: type[AuthorityStore]) -> None:
    def plant(site: Site) -> None:
        site.authority.unit_of_work.repository = lambda tx: IntakeRows(store(tx))

    stage.plants.append(plant)


def fence_and_replica_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_reasons(*_: Any) -> list[dict[str, Any]]:
        return []

    monkeypatch.setattr("shared.permits.press_start._fence_reasons", no_reasons)


def second_look_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def no_look(holder: Any, start: Start, cause: Any) -> StartAnswer:
        return Go(start, 0)

    monkeypatch.setattr("shared.permits.press_start._look_again", no_look)


def acknowledgement_meets_no_start(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def meets_nothing(*_: Any) -> Any:
        return "none"

    monkeypatch.setattr("shared.permits.replicate._meet_starts", meets_nothing)


def lapse_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The authority's clock runs away."""
    monkeypatch.setattr(Permit, "has_lapsed", lambda *_: True)


def acknowledgement_of_anybody_counts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(AuthorityStore):
        async def stop_waiting_for_holder(self, hold_id: UUID, holder: Service) -> None:
            await self.stop_waiting(hold_id)

    _rows(stage, Careless)


def consumption_ends_no_wait(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(AuthorityStore):
        async def stop_waiting_for_permit(self, permit_id: UUID) -> None:
            return None

    _rows(stage, Forgetful)


def open_holds_not_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Blind(AuthorityStore):
        async def open_holds(self, case_id: UUID) -> list[Hold]:
            return []

    _rows(stage, Blind)


def hold_waits_for_no_permit(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Hasty(AuthorityStore):
        async def wait_for_permits(self, order: HoldOrder) -> int:
            return 0

    _rows(stage, Hasty)


DEFECTS: Final[dict[Defect, str]] = {
    fence_and_replica_off: "I[24]:",
    second_look_off: "I2:",
    acknowledgement_meets_no_start: "I[24]:",
    lapse_at_once: "I[24]:",
    acknowledgement_of_anybody_counts: "I[24]:",
    consumption_ends_no_wait: "I8:",
    open_holds_not_asked: "I1:",
    hold_waits_for_no_permit: "I[24]:",
}
