"""Random damage to a bundle never raises, and whatever is stated is in the record's form."""

import copy
from typing import Any

from fhir_builders import (
    DATA,
    LOINC,
    RECEIVED_AT,
    RXNORM,
    administration,
    bundle,
    concept,
    condition,
    observation,
    order,
    patient,
    procedure,
    raw,
    resource,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from services.intake.adapters.fhir import read_bundle
from tools.fuzz_bundles.invariants import check

DOSAGE = {
    "sequence": 1,
    "route": concept("http://snomed.info/sct", "26643006"),
    "timing": {
        "repeat": {
            "frequency": 1,
            "period": 1,
            "periodUnit": "d",
            "boundsPeriod": {"start": "2026-03-01", "end": "2026-03-05"},
        },
        "event": ["2026-03-01"],
    },
    "doseAndRate": [{"doseQuantity": {"value": 8, "unit": "mg", "code": "mg"}}],
}
SEED = bundle(
    patient(identifier=[{"system": "urn:mrn", "value": "42"}], deceasedDateTime="2026-10-01"),
    observation(
        meta={"versionId": "1", "lastUpdated": "2026-03-09T12:00:00Z"},
        issued="2026-03-09T10:00:00Z",
        referenceRange=[{"high": {"value": 5, "code": "10*9/L"}}],
        specimen={"reference": "Specimen/s1"},
    ),
    observation(
        "bp",
        "85354-9",
        component=[{"code": concept(LOINC, "8480-6"), "valueQuantity": {"value": 1}}],
    ),
    observation("ecog", "89247-1", valueInteger=1),
    observation(
        "pcr", "94500-6", valueCodeableConcept=concept(LOINC, "LA6576-8"), valueQuantity=None
    ),
    condition("c1", "91302008", abatementDateTime="2026-03-09", recordedDate="2026-03-02"),
    condition("c2", "424132000", stage=[{"summary": concept("x", "y")}]),
    order("r1", "8640", dosageInstruction=[DOSAGE], encounter={"reference": "Encounter/e"}),
    order(
        "r2",
        "x",
        medicationReference={"reference": "Medication/m1"},
        medicationCodeableConcept=None,
    ),
    {"resourceType": "Medication", "id": "m1", "code": concept(RXNORM, "1736776")},
    administration("a1", "1736776", dosage={"dose": {"value": 1, "unit": "mg"}}),
    procedure("t1", "703423002", performedPeriod={"start": "2026-03-01", "end": "2026-03-02"}),
    resource(
        "Immunization", "v1", vaccineCode=concept("cvx", "121"), occurrenceDateTime="2026-03-01"
    ),
    resource(
        "DiagnosticReport", "d1", code=concept(LOINC, "22637-3"), effectiveDateTime="2026-03-01"
    ),
    resource("AllergyIntolerance", "g1", code=concept(RXNORM, "3455")),
    {"resourceType": "Specimen", "id": "s1", "collection": {"collectedDateTime": "2026-03-09"}},
)
JENNY = (DATA / "mcode" / "assembled" / "cancer-patient-jenny-m.collection.json").read_bytes()

ODD_TEXTS = st.sampled_from(
    [
        *("", " ", "\x00", "\ud800", "\u202e", "YYYY-MM-DD", "2026-13-01", "2026", "2026-02"),
        *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1e400", "x" * 3000),
        *("Patient/p2", "#x", "urn:uuid:", "Patient?identifier=", "p1", "mg", "d"),
        *("active", "in-progress", "entered-in-error"),
    ]
)
ODD_NUMBERS = st.sampled_from([0, -1, 1e308, -1e308, 1e-300, 2**63, 10**30, 0.1, 5e-324])
JSON = st.recursive(
    st.none() | st.booleans() | ODD_NUMBERS | ODD_TEXTS | st.text(max_size=8) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["reference", "coding", "code", "value", "start"]), inner)
    ),
    max_leaves=6,
)


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all nodes below ``node``."""
    children = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    found = []
    for key, child in children:
        found += [(*at, key), *places(child, (*at, key))]
    return found


PLACES = places(SEED)


def damaged(path: tuple[Any, ...], value: Any, remove: bool, content: Any) -> None:
    """Replace or remove the node at ``path``, as far as it still exists."""
    node = content
    for key in path[:-1]:
        if not _holds(node, key):
            return
        node = node[key]
    if _holds(node, path[-1]):
        if remove:
            del node[path[-1]]
        else:
            node[path[-1]] = value


def _holds(node: Any, key: Any) -> bool:
    if isinstance(node, dict):
        return key in node
    return isinstance(node, list) and isinstance(key, int) and key < len(node)


DAMAGE = st.tuples(st.sampled_from(PLACES), JSON, st.booleans())


@settings(max_examples=1000, deadline=None)
@given(st.lists(DAMAGE, min_size=1, max_size=4))
def test_damaged_elements_never_raise(damage: list[tuple[tuple[Any, ...], Any, bool]]) -> None:
    content = copy.deepcopy(SEED)
    for path, value, remove in damage:
        damaged(path, value, remove, content)

    reading = read_bundle(raw(content), received_at=RECEIVED_AT)

    listed = content.get("entry")
    check(reading, len(listed) if isinstance(listed, list) else None)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(JENNY) - 1), st.binary(min_size=0, max_size=4), st.integers(0, 40))
def test_damaged_bytes_never_raise(at: int, inserted: bytes, removed: int) -> None:
    check(read_bundle(JENNY[:at] + inserted + JENNY[at + removed :]), None)


@settings(max_examples=300, deadline=None)
@given(JSON)
def test_any_json_never_raises(content: object) -> None:
    check(read_bundle(raw(content)), None)
    check(read_bundle(raw({"resourceType": "Bundle", "entry": content})), None)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_never_raise(content: bytes) -> None:
    check(read_bundle(content), None)
    check(read_bundle(b"\x1f\x8b" + content), None)


def test_the_undamaged_seed_uses_every_kind_of_resource() -> None:
    reading = read_bundle(raw(SEED), received_at=RECEIVED_AT)

    kinds = {line.resource.split("/")[0] for line in reading.report if line.outcome == "used"}
    assert kinds == {
        "Patient",
        "Observation",
        "Condition",
        "MedicationRequest",
        "Medication",
        "MedicationAdministration",
        "Procedure",
        "Immunization",
        "DiagnosticReport",
        "AllergyIntolerance",
    }
