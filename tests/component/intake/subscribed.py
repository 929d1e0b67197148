"""An intake that a small FHIR server notifies: what tests of subscriptions have in common."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
from fastapi import FastAPI

from services.intake.adapters.bundles import read_fhir_bundle
from services.intake.adapters.fhir_server import HttpFhirServer
from services.intake.application.fetch_notified import Fetching
from services.intake.application.run_errands import Errands
from services.intake.application.subscription_ports import FhirFeed
from services.intake.domain.fhir_addresses import FhirBase
from services.intake.domain.sources import configured_sources
from shared.contracts.vocabulary import Role
from shared.messaging.unit_of_work import Cause
from shared.web.client import HttpxClient
from tests.component.intake.conftest import Intake
from tests.component.intake.small_fhir_server import SmallFhirServer, small_fhir_server

MRN = "urn:example:mrn"
TOKEN = "a-token-for-the-server-alone"


def part(name: str, **value: Any) -> dict[str, Any]:
    """A parameter."""
    return {"name": name, **value}


def notification(
    base: str, kind: str, *, total: int, events: dict[int, list[str]] | None = None,
    status: str = "active", at: str = "2027-03-10T07:00:00Z",
) -> dict[str, Any]:  # fmt: skip
    """A notification Bundle as a server with this base writes it."""
    return {
        "resourceType": "Bundle",
        "type": "history",
        "timestamp": at,
        "entry": [{"resource": {
            "resourceType": "Parameters",
            "parameter": [
                part("subscription", valueReference={"reference": f"{base}/Subscription/s1"}),
                part("status", valueCode=status),
                part("type", valueCode=kind),
                part("events-since-subscription-start", valueString=str(total)),
                *_events(events or {}),
            ],
        }}],
    }  # fmt: skip


def _events(events: dict[int, list[str]]) -> Iterator[dict[str, Any]]:
    for number, references in events.items():
        focus = [part("focus", valueReference={"reference": one}) for one in references]
        yield part(
            "notification-event", part=[part("event-number", valueString=str(number)), *focus]
        )


class Ehr:
    """The server, its feed here, and a patient of theirs who has a case here."""

    def __init__(
        self, intake: Intake, app: FastAPI, client: httpx.AsyncClient, server: SmallFhirServer,
        http: HttpxClient, feed: dict[str, str],
    ) -> None:  # fmt: skip
        self.intake, self.app, self.client, self.server = intake, app, client, server
        self.name, self.secret, self.base = feed["name"], feed["secret"], feed["base"]
        self.parts = app.state.parts
        self.number, self.case_id = uuid4().hex, ""
        reading = Fetching(
            self.parts.authority, self.parts.rulebooks, read_fhir_bundle, HttpFhirServer(http)
        )
        self.errands = Errands(
            reading, {self.name: FhirFeed(self.name, FhirBase(self.base), TOKEN)}
        )

    def patient(self, **more: Any) -> dict[str, Any]:
        """Their Patient."""
        numbers = [{"system": MRN, "value": self.number}]
        return {
            "resourceType": "Patient", "id": "p1", "identifier": numbers,
            "birthDate": "1966-05-02", **more,
        }  # fmt: skip

    async def refer(self) -> None:
        """The patient gets a case here."""
        answer = await self.client.post(
            "/cases",
            headers=self.intake.headers(Role.COORDINATOR),
            json={"identifiers": [[MRN, self.number]], "birth_date": "1966-05-02"},
        )
        assert answer.status_code == 201, answer.text
        self.case_id = answer.json()["case_id"]

    async def sends(self, document: Any, secret: str | None = None) -> httpx.Response:
        """The answer to one notification."""
        raw = document if isinstance(document, bytes) else json.dumps(document).encode()
        return await self.client.post(
            f"/fhir/notifications/{self.name}",
            headers={
                "authorization": f"Bearer {secret or self.secret}",
                "content-type": "application/fhir+json",
            },
            content=raw,
        )

    async def tells(self, kind: str, total: int, *foci: str, **more: Any) -> dict[str, Any]:
        """What is answered to a notification whose last events have these foci, one each."""
        first = total - len(foci) + 1
        events = {first + n: [focus] for n, focus in enumerate(foci)}
        told = notification(self.base, kind, total=total, **{"events": events, **more})
        answer = await self.sends(told)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def notifies(self, total: int, *foci: str, **more: Any) -> dict[str, Any]:
        """An event notification."""
        return await self.tells("event-notification", total, *foci, **more)

    async def runs(self, *, rounds: int = 1) -> None:
        """The timer looks, with everything that waits being due."""
        for _ in range(rounds):
            await self.intake.rows(
                "UPDATE subscription_errand SET next_try_at = now() - interval '1 s'"
                " WHERE feed = $1 RETURNING 1",
                self.name,
            )
            await self.errands()

    async def owed(self) -> list[dict[str, Any]]:
        """The errands as they stand, in order."""
        rows = await self.intake.rows(
            "SELECT reference, first_number, last_number, state, code, place, attempts, case_id,"
            " next_try_at, noticed_at"
            " FROM subscription_errand WHERE feed = $1 ORDER BY run, first_number, errand_id",
            self.name,
        )
        return [dict(row) for row in rows]

    async def states(self) -> list[tuple[str, str | None]]:
        """State and code of each errand, in order."""
        return [(one["state"], one["code"]) for one in await self.owed()]

    async def listed(self, *roles: Role) -> list[dict[str, Any]]:
        """What waits for a person."""
        headers = self.intake.headers(*roles or (Role.COORDINATOR,))
        answer = await self.client.get("/feeds/errands?limit=100", headers=headers)
        assert answer.status_code == 200, answer.text
        return [one for one in answer.json()["items"] if one["feed"] == self.name]

    async def decides(self, errand_id: str, how: str, **body: Any) -> httpx.Response:
        """A coordinator's word about an errand."""
        return await self.client.post(
            f"/feeds/errands/{errand_id}/{how}",
            headers=self.intake.headers(Role.COORDINATOR),
            json=body or None,
        )

    async def state(self) -> dict[str, Any]:
        """The feed as `GET /feeds` shows it."""
        answer = await self.client.get("/feeds", headers=self.intake.headers(Role.OPS))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = next(i for i in answer.json()["items"] if i["name"] == self.name)
        return found

    async def facts(self, case_id: str | None = None) -> list[dict[str, Any]]:
        """The imported facts of the case."""
        found = (await self.intake.case(case_id or self.case_id))["facts"]
        return [fact for fact in found if fact["origin"] == "imported"]

    async def fact(self, source_id: str) -> dict[str, Any]:
        """The newest fact of that id, as it is told to physicians."""
        fact_id = [f["fact_id"] for f in await self.facts() if f["source_id"] == source_id][-1]
        answer = await self.client.get(
            f"/cases/{self.case_id}/facts/{fact_id}", headers=self.intake.headers(Role.ONCOLOGIST)
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def expected(self) -> None:
        """The feed is the one source that must be heard."""
        sources = configured_sources(f"{self.name}=laboratory_feed", self.parts.protocol.feeds)
        async with self.parts.uow.begin(Cause("service:intake", UUID(int=1))) as work:
            now = work.world.clock.now()
            await work.rows.sources.put_sources(sources, now)
            await work.rows.sources.remove_other_sources([self.name], now)


def observation(value: float = 1.2, **more: Any) -> dict[str, Any]:
    """A neutrophil count of the patient."""
    return {
        "resourceType": "Observation", "id": "anc", "status": "final",
        "meta": {"versionId": "1"}, "subject": {"reference": "Patient/p1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "751-8"}]},
        "effectiveDateTime": "2027-03-10T08:00:00+03:00",
        "valueQuantity": {
            "value": value, "system": "http://unitsofmeasure.org", "code": "10*9/L",
        },
        **more,
    }  # fmt: skip


@asynccontextmanager
async def subscribed(intake: Intake) -> AsyncIterator[Ehr]:
    """An intake whose only feed is a server that runs until the block ends."""
    with small_fhir_server() as server:
        feed = {
            "name": f"ehr-{uuid4().hex[:8]}", "kind": "fhir", "base": server.base,
            "secret": uuid4().hex, "token": TOKEN,
        }  # fmt: skip
        app = await intake.start(feeds=[{**feed, "plain_http": True}])
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://intake") as client,
            HttpxClient() as http,
        ):
            ehr = Ehr(intake, app, client, server, http, feed)
            await ehr.refer()
            server.put(ehr.patient(), observation())
            yield ehr
