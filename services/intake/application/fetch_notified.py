"""A notified resource is fetched and joins the record by the way that every bundle takes.

Invariants: whose it is, is told by the identity rules alone, from the Patient that the same server
holds; no case is opened, and of a patient who has none nothing is kept. The facts are those of the
same resource in a bundle, so that both ways together record it once.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from services.intake.application.authority_ports import Authority
from services.intake.application.fhir_server import FetchError, FhirServer
from services.intake.application.hold_conflict import hold_conflict
from services.intake.application.import_bundle import import_bundle
from services.intake.application.incoming import IncomingBundle, ReadBundle
from services.intake.application.open_case import IdentityConflictError, Referral, find_case
from services.intake.application.place_hold import insisting
from services.intake.application.ports import IntakeRows
from services.intake.application.rulebooks import Rulebooks
from services.intake.application.subscription_ports import (
    Errand,
    ErrandState,
    FhirFeed,
    Settling,
)
from services.intake.domain.fhir_addresses import ForeignAddressError
from shared.messaging.unit_of_work import Cause, UnitOfWork
from shared.protocol import Fact, parse_statement

#: what these say is about nobody, so they are not even fetched
ABOUT_NOBODY: Final = frozenset(
    {
        "Practitioner", "PractitionerRole", "Organization", "Location", "HealthcareService",
        "Medication", "Substance", "Endpoint", "ValueSet", "CodeSystem", "Questionnaire",
    }
)  # fmt: skip
#: elements that name the patient, in the order in which they are looked at
_SUBJECTS: Final = ("subject", "patient", "beneficiary", "for", "individual")
#: what a resource needs to be understood: the drug of an order or a dose, the specimen of a result
_NEEDED: Final = {"medicationReference": "Medication", "specimen": "Specimen"}
#: the reader's stand-in for a patient without a number is unique to one server only
_NO_NUMBER: Final = "urn:tandem:reference"

Resource = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fetching:
    """What fetching needs of its surroundings."""

    authority: Authority[IntakeRows]
    rulebooks: Rulebooks
    read_bundle: ReadBundle
    server: FhirServer

    @property
    def unit_of_work(self) -> UnitOfWork[IntakeRows]:
        """The transactions."""
        return self.authority.unit_of_work


async def fetch_notified(fetching: Fetching, feed: FhirFeed, errand: Errand, key: str) -> Settling:
    """What became of the resource. Raises `FetchError` when the server did not give it.

    What it says is committed when this returns; doing it twice changes nothing.
    """
    if key.partition("/")[0] in ABOUT_NOBODY:
        return Settling(ErrandState.DONE, "not-about-a-patient")
    resources = await _gathered(fetching.server, feed, key)
    now = fetching.unit_of_work.world.clock.now()
    incoming = fetching.read_bundle(
        _bundle(feed, resources), now, _written_on(resources[0][1], now.date())
    )
    if incoming.referral is None:
        problem = incoming.problems[0]
        return Settling(ErrandState.PARKED, problem.code, problem.pointer)
    if all(system == _NO_NUMBER for system, _ in incoming.referral.identifiers):
        return Settling(ErrandState.PARKED, "patient-without-number", "Patient/identifier")
    return await _recorded(fetching, errand, incoming, incoming.referral)


async def _gathered(server: FhirServer, feed: FhirFeed, key: str) -> Sequence[tuple[str, Resource]]:
    """The resource first, then its patient and what it needs, each by its `Type/id`."""
    resource = await server.resource(feed, key)
    found = {key: resource}
    for element, reference in _neighbours(resource):
        try:
            needed = feed.base.key_of(reference)
        except ForeignAddressError:
            raise FetchError("foreign-address", f"{key}/{element}") from None
        if needed not in found:
            found[needed] = await server.resource(feed, needed)
    return list(found.items())


def _neighbours(resource: Resource) -> list[tuple[str, str]]:
    """(element, reference) of what is fetched along; contained ones are there already."""
    subject = next((e for e in _SUBJECTS if resource.get(e)), None)
    elements = [*([subject] if subject else []), *_NEEDED]
    named = [(element, _reference(resource.get(element))) for element in elements]
    return [(element, found) for element, found in named if found and _is_needed(element, found)]


def _written_on(resource: Resource, today: date) -> date | None:
    """The day on which the server last wrote it: then it still said so.

    Not the day of the fetch, so that the same content reads the same whenever it is fetched.
    """
    meta = resource.get("meta")
    said = meta.get("lastUpdated") if isinstance(meta, dict) else None
    try:
        found = date.fromisoformat(said[:10]) if isinstance(said, str) else None
    except ValueError:
        return None
    return None if found is None else min(found, today)


def _reference(value: object) -> str:
    found = value.get("reference") if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def _is_needed(element: str, reference: str) -> bool:
    """Whether it leads out of the resource, and for a subject to a person."""
    if reference.startswith("#"):
        return False
    return element in _NEEDED or "Patient/" in reference


def _bundle(feed: FhirFeed, resources: Sequence[tuple[str, Resource]]) -> bytes:
    entries = [
        {"fullUrl": feed.base.address_of(key), "resource": resource} for key, resource in resources
    ]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}).encode()


async def _recorded(
    fetching: Fetching, errand: Errand, incoming: IncomingBundle, referral: Referral
) -> Settling:
    uow, cause = fetching.unit_of_work, Cause(f"feed:{errand.feed}", errand.errand_id)
    facts = _facts(fetching, errand, incoming)
    if isinstance(facts, Settling):
        return facts
    try:
        async with uow.begin(cause) as work:
            if await find_case(work, referral.identifiers) is None:
                return Settling(ErrandState.NOT_HERE, "not-a-patient-here")
        done = await import_bundle(uow, fetching.rulebooks.protocol, cause, referral, facts)
    except IdentityConflictError as error:
        cases = error.case_ids
        await insisting(
            fetching.authority, cause, lambda work: hold_conflict(work, cases, referral)
        )
        return Settling(
            ErrandState.PARKED, "identity-conflict", "Patient/identifier", case_id=min(cases)
        )
    line = incoming.report[0]
    if line["outcome"] == "rejected":
        place = str(line["pointer"]).removeprefix("/entry/0/resource")
        return Settling(ErrandState.PARKED, str(line["reason"]), place, case_id=done.case_id)
    return Settling(ErrandState.DONE, str(line["reason"]), case_id=done.case_id)


def _facts(
    fetching: Fetching, errand: Errand, incoming: IncomingBundle
) -> Sequence[Fact] | Settling:
    """The facts, each with the feed and subscription that it came by."""
    facts: list[Fact] = []
    for statement in incoming.statements:
        said = str(statement.get("source", "")).removeprefix("FHIR ")
        told = {**statement, "source": f"FHIR {errand.feed} {errand.subscription} {said}"}
        read = parse_statement(told, zone=fetching.rulebooks.protocol.zone, where="")
        if isinstance(read, tuple):
            return Settling(ErrandState.PARKED, "statement-unreadable", read[0].where)
        facts.append(read)
    return facts
