"""The direct call that tells a holder of a hold, beside the event."""

from dataclasses import dataclass
from typing import Final

from pydantic_core import to_json

from services.intake.domain.holds import Hold
from shared.contracts.vocabulary import Service
from shared.ports import Http, HttpUnreachableError
from shared.runtime.settings import ServiceSettings

_OK: Final = 200


@dataclass(frozen=True, slots=True)
class HttpHolderCalls:
    """`HolderCalls` over HTTP: best effort, once, within `timeout_seconds`."""

    http: Http
    settings: ServiceSettings
    timeout_seconds: float

    async def tell(self, holder: Service, hold: Hold) -> bool:
        """Whether the holder answered in time that it has the hold."""
        doses = hold.scope.dose_ids
        body = {
            "case_id": hold.case_id,
            "epoch": hold.clearance.epoch,
            "version": hold.clearance.version,
            "gates": sorted(hold.scope.gates),
            "dose_ids": None if doses is None else sorted(doses),
            "on_running": hold.on_running,
        }
        try:
            answer = await self.http.call(
                "PUT",
                f"{self.settings.url_of(holder)}/internal/holds/{hold.hold_id}",
                body=to_json(body),
                headers={"content-type": "application/json"},
                timeout_seconds=self.timeout_seconds,
            )
        except HttpUnreachableError:
            return False
        return answer.status == _OK
