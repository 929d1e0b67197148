"""Bedside values on their way to intake's record, over HTTP, in their own request."""

import json
import logging
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from services.infusion_scheduling.application.record_vitals import Vitals
from shared.ports import Http, HttpUnreachableError

_LOG = logging.getLogger(__name__)
_CREATED: Final = 201
#: a nurse waits for this answer
SECONDS_MAX: Final = 3.0


@dataclass(frozen=True, slots=True)
class IntakeRecord:
    """`PatientRecord` at intake."""

    http: Http
    url: str

    async def put_vitals(self, case_id: UUID, vitals: Vitals) -> bool:
        """Whether intake has them as facts."""
        facts = [
            {
                "kind": "vital",
                "metric": metric,
                "value": measure.get("value"),
                "unit": measure.get("unit"),
                "effective": vitals.taken_at.isoformat(),
                "id": f"vital/{vitals.infusion_id}/{vitals.taken_at.isoformat()}/{metric}",
            }
            for metric, measure in vitals.measures.items()
        ]
        if not facts:
            return True
        try:
            answer = await self.http.call(
                "POST",
                f"{self.url}/cases/{case_id}/facts",
                body=json.dumps({"facts": facts}).encode(),
                headers={"content-type": "application/json"},
                timeout_seconds=SECONDS_MAX,
            )
        except HttpUnreachableError:
            return False
        if answer.status != _CREATED:
            _LOG.warning("vitals_not_on_record", extra={"status": answer.status})
        return answer.status == _CREATED
