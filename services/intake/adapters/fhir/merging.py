"""Resources that speak of the same treatment: orders, administrations, procedures, sessions.

Invariant: one treatment is stated once. Where an order and its administrations are both there, the
administrations are the doses; a chemotherapy procedure adds nothing to drugs named for its visit.
Everything here is linear in the number of entries: a hostile bundle may repeat one drug and one day
in all of its entries.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from services.intake.adapters.fhir.access import Rejected
from services.intake.adapters.fhir.context import Context, Draft, Ignored, Result, Stated, Supports
from services.intake.adapters.fhir.entries import Entry
from services.intake.adapters.fhir.medication import (
    ERROR,
    ORDERS,
    Course,
    encounter_of,
    medication_entry,
)
from services.intake.adapters.fhir.reading import Reason

Answers = dict[int, Result | Rejected]
LINKS_MAX = 50
"""Most administrations that the report names for one order."""

_Key = tuple[object, ...]


def _places(course: Course) -> Iterator[_Key]:
    """Yield what links an order and a dose: the order's name, else drug and visit or day.

    An administration that names its order belongs to that one only.
    """
    is_dose = course.entry.type == "MedicationAdministration"
    if is_dose and course.order is not None:
        yield ("order", course.order.index)
        return
    if not is_dose:
        yield ("order", course.entry.index)
    if course.encounter:
        yield ("visit", course.key, course.encounter)
    yield ("day", course.key, course.day)


@dataclass(slots=True)
class _Given:
    """The administrations that share a place: some of them, and the last day of all."""

    some: list[Course]
    last_day: date


def _given(courses: Iterable[Course]) -> dict[_Key, _Given]:
    found: dict[_Key, _Given] = {}
    for dose in courses:
        for place in _places(dose):
            given = found.setdefault(place, _Given([], dose.day))
            given.last_day = max(given.last_day, dose.day)
            if len(given.some) < LINKS_MAX:
                given.some.append(dose)
    return found


def _routes(orders: Iterable[Course]) -> dict[_Key, str]:
    """Return the route that orders give to a place; of several the first by reference."""
    found: dict[_Key, str] = {}
    for order in sorted(orders, key=lambda course: course.entry.reference):
        if order.route:
            for place in _places(order):
                found.setdefault(place, order.route)
    return found


def bring_together(courses: Sequence[Course]) -> dict[int, Result]:
    """Return the result of each medication entry, orders joined with their administrations."""
    valid = [course for course in courses if course.status != ERROR]
    given = _given(c for c in valid if c.entry.type == "MedicationAdministration")
    routes = _routes(c for c in valid if c.entry.type in ORDERS)
    results: dict[int, Result] = {}
    for course in courses:
        if course.entry.type == "MedicationAdministration":
            route = next((routes[p] for p in _places(course) if p in routes), None)
            results[course.entry.index] = _stated(replace(course, route=course.route or route))
        elif course.entry.type in ORDERS and course.status != ERROR:
            results[course.entry.index] = _ordered(course, given)
        else:
            results[course.entry.index] = _stated(course)
    return results


def _ordered(order: Course, given: Mapping[_Key, _Given]) -> Result:
    found = [given[place] for place in _places(order) if place in given]
    if not found:
        return _stated(order)
    if order.is_open:
        return _stated(_after(order, max(group.last_day for group in found)))
    doses = {dose.entry.index: dose.entry for group in found for dose in group.some}
    said = f"{order.name}: the administrations count as its doses"
    return Supports(tuple(doses.values()), Reason.MERGED, said)


def _after(order: Course, last: date) -> Course:
    """Return an open order from the day after its last administration, so no day counts twice."""
    if last < order.day:
        return order
    following = (last + timedelta(days=1)).isoformat()
    doses = tuple({**step, "from": following} if "to" not in step else step for step in order.doses)
    return replace(order, doses=doses)


def _stated(course: Course) -> Stated:
    content = {
        "kind": "medication",
        "name": course.name,
        "class": list(course.drug.classes) if course.drug else None,
        "route": course.route,
        "doses": list(course.doses),
        "effective": course.start.written,
        "recorded": course.recorded,
        "status": course.status,
        "codes": list(course.codes),
    }
    mapped = ", ".join(course.drug.classes) if course.drug else "not in the terminology"
    state = "taken until further notice" if course.is_open else "ended or given"
    return Stated((Draft(content),), f"{course.name}: {mapped}; {state}")


def merge_procedures(entries: Iterable[Entry], courses: Iterable[Course], answers: Answers) -> None:
    """Drop the unnamed chemotherapy of a procedure whose drugs are named for that visit or day."""
    drugs: dict[tuple[str, object], list[Entry]] = defaultdict(list)
    for course in courses:
        if course.status != ERROR:
            for drug_class in course.drug.classes if course.drug else ():
                drugs[drug_class, course.day.isoformat()].append(course.entry)
                drugs[drug_class, course.encounter or None].append(course.entry)
    for entry in entries:
        answer = answers.get(entry.index)
        if entry.type == "Procedure" and isinstance(answer, Stated):
            answers[entry.index] = _without_named_drugs(entry, answer, drugs)


def _without_named_drugs(
    entry: Entry, answer: Stated, drugs: dict[tuple[str, object], list[Entry]]
) -> Result:
    kept: list[Draft] = []
    named: list[Entry] = []
    for draft in answer.drafts:
        same = _drugs_of(entry, draft, drugs) if draft.content["kind"] == "medication" else []
        named += same
        if not same:
            kept.append(draft)
    if not named:
        return answer
    said = f"{answer.message}; its drugs are stated by name"
    if not kept:
        return Supports(tuple(named[:LINKS_MAX]), Reason.MERGED, said)
    return replace(answer, drafts=tuple(kept), message=said)


def _drugs_of(
    entry: Entry, draft: Draft, drugs: dict[tuple[str, object], list[Entry]]
) -> list[Entry]:
    visit = encounter_of(entry.resource) or "none"
    day = str(draft.content["effective"])[: len("2027-01-15")]
    for drug_class in draft.content["class"]:
        for place in (visit, day):
            if drugs.get((drug_class, place)):
                return drugs[drug_class, place][:LINKS_MAX]
    return []


def keep_newest(entries: Iterable[Entry], answers: Answers) -> None:
    """Of repeated sessions of which only the last matters, ignore the earlier ones."""
    sessions: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for entry in entries:
        found = answers.get(entry.index)
        if isinstance(found, Stated) and found.newest_only:
            when = str(found.drafts[0].content.get("effective"))
            sessions[found.newest_only].append((when, entry.reference, entry.index))
    for kind, dated in sessions.items():
        for _, _, index in sorted(dated)[:-1]:
            said = f"{kind}: an earlier session; the latest one is used"
            answers[index] = Ignored(Reason.OLDER_VERSION, said)


def name_medications(
    entries: Iterable[Entry], courses: Iterable[Course], answers: Answers, context: Context
) -> None:
    """Mark a Medication that an order points at as used through that order."""
    users: dict[int, list[Entry]] = defaultdict(list)
    for course in courses:
        held = medication_entry(course.entry, context)
        if held is not None and len(users[held.index]) < LINKS_MAX:
            users[held.index].append(course.entry)
    for entry in entries:
        if users.get(entry.index):
            said = "the drug of an order"
            answers[entry.index] = Supports(tuple(users[entry.index]), Reason.SUPPORTS, said)
