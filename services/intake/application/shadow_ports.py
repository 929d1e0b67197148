"""What the daily list of shadow mode asks of intake's store."""

from collections.abc import Sequence
from typing import Protocol

from services.intake.domain.shadow import Asked, Day, PlacedHold


class ShadowRows(Protocol):
    """What was asked and held on a day, over one transaction. `site` None: of every site."""

    async def asked_on(self, day: Day, site: str | None, limit: int) -> Sequence[Asked]:
        """Presses of that day, oldest first."""
        ...

    async def held_on(self, day: Day, site: str | None, limit: int) -> Sequence[PlacedHold]:
        """Holds recorded that day, oldest first, those released since among them."""
        ...
