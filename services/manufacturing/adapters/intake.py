"""Calls to intake: holds, facts and the standing of a gate.

One attempt each. Anything but intake's clear yes is "not on record": what we know is durable here
and is sent again.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

from pydantic_core import from_json, to_json

from services.manufacturing.application.ports import AuthorityUnreachableError, HoldOnRecord
from services.manufacturing.application.row_ports import Report
from services.manufacturing.domain.holds import HoldOrder
from shared.contracts.vocabulary import Gate, HoldState
from shared.ports import Http, HttpAnswer, HttpUnreachableError

#: a person waits for these answers
TIMEOUT_SECONDS: Final = 3.0
_OK: Final = range(200, 300)
#: the finding that lists all unknown items; the rule that needs an item says so itself
_SUMMARY: Final = "evidence"


class IntakeAuthority:
    """The port `Authority` over HTTP. `http` carries this service's own token."""

    def __init__(self, http: Http, url: str) -> None:
        self._http = http
        self._url = url.rstrip("/")

    async def place_hold(self, order: HoldOrder) -> HoldOnRecord:
        """The hold as intake committed it, new or known by its id from an earlier sending."""
        body: dict[str, object] = {
            "hold_id": order.hold_id,
            "kind": order.kind.value,
            "gates": sorted(order.gates),
            "reason": _words(order),
            "reported_by": order.reporter,
        }
        if order.dose_ids is not None:
            body["dose_ids"] = sorted(order.dose_ids)
        document = await self._post(f"/cases/{order.case_id}/holds", body, key=order.hold_id)
        return HoldOnRecord(effective=document.get("state") == HoldState.EFFECTIVE.value)

    async def record_facts(self, case_id: UUID, reports: Sequence[Report]) -> None:
        """The statements are on the record; their ids make a second sending nothing."""
        facts = [dict(report.statement) for report in reports]
        await self._post(f"/cases/{case_id}/facts", {"facts": facts})

    async def blocking_rules(self, case_id: UUID, gate: Gate) -> Sequence[str]:
        """The rules of the findings that shut the gate now; empty when it is open."""
        answer = await self._call("GET", f"/cases/{case_id}/decisions/{gate.value}")
        document = _document(answer)
        found = [f for f in document.get("findings", ()) if f.get("effect") != "info"]
        if not found and document.get("decision") != "GO":
            raise AuthorityUnreachableError("a shut gate without a finding")
        return [str(f["rule"]) for f in found if f.get("episode") != _SUMMARY]

    async def _post(
        self, path: str, body: Mapping[str, object], *, key: UUID | None = None
    ) -> Mapping[str, Any]:
        return _document(await self._call("POST", path, body, key=key))

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        *,
        key: UUID | None = None,
    ) -> HttpAnswer:
        headers = {"content-type": "application/json", "accept": "application/json"}
        if key is not None:
            headers["idempotency-key"] = str(key)
        try:
            return await self._http.call(
                method,
                f"{self._url}{path}",
                body=None if body is None else to_json(body),
                headers=headers,
                timeout_seconds=TIMEOUT_SECONDS,
            )
        except HttpUnreachableError as error:
            raise AuthorityUnreachableError(str(error)) from error


def _document(answer: HttpAnswer) -> Mapping[str, Any]:
    if answer.status not in _OK:
        raise AuthorityUnreachableError(f"intake answered {answer.status}")
    try:
        document = from_json(answer.body)
    except ValueError as error:
        raise AuthorityUnreachableError("intake answered nonsense") from error
    if not isinstance(document, dict):
        raise AuthorityUnreachableError("intake answered nonsense")
    return document


def _words(order: HoldOrder) -> str:
    """Why, in the fixed words that the page of the hold shows."""
    cause = "" if order.cause is None else f": {order.cause.value}"
    step = "" if order.step is None else f" at {order.step}"
    return f"manufacturing {order.purpose.value}{cause}{step}"
