"""The terminology rulebook is consistent, and says where each code was seen."""

from collections import Counter
from typing import Any

import pytest
import yaml
from fhir_builders import RXNORM

from services.intake.adapters.fhir.access import Coding
from services.intake.adapters.fhir.terminology import Terminology, terminology
from shared.protocol import __file__ as protocol_package

PATH = protocol_package.replace("__init__.py", "rulebooks/codes.yaml")
with open(PATH, encoding="utf-8") as file:
    BOOK: dict[str, Any] = yaml.safe_load(file)


def coded_rows(node: Any) -> list[dict[str, Any]]:
    """All rows that carry one code."""
    if isinstance(node, dict):
        own = [node] if "code" in node else []
        return own + [row for child in node.values() for row in coded_rows(child)]
    if isinstance(node, list):
        return [row for child in node for row in coded_rows(child)]
    return []


def test_every_code_is_verified_with_its_place_or_marked_as_recalled() -> None:
    rows = coded_rows(BOOK)

    assert len(rows) > 500
    for row in rows:
        assert row["st"] in ("verified", "recalled"), row
        assert row["st"] == "recalled" or row.get("where"), row


def test_every_product_resolves_to_known_ingredients() -> None:
    members = {m["name"] for c in BOOK["medication_classes"] for m in c["members"]}

    for product in BOOK["rxnorm_products"]:
        assert set(product["ingredients"]) <= members, product


def test_no_product_is_listed_twice() -> None:
    codes = Counter(product["code"] for product in BOOK["rxnorm_products"])

    assert [code for code, count in codes.items() if count > 1] == []


def test_no_member_is_in_two_classes() -> None:
    names = Counter(m["name"] for c in BOOK["medication_classes"] for m in c["members"])

    assert [name for name, count in names.items() if count > 1] == []


def test_one_condition_code_has_one_meaning() -> None:
    meanings: dict[tuple[str, str], set[str]] = {}
    for row in BOOK["conditions"]:
        for coding in row["codings"]:
            if row["concept"] in ("nsclc", "lung_cancer") and coding["code"] == "C34.90":
                continue  # ICD-10-CM does not tell non-small-cell cancer from others
            if row["concept"] in ("lymphoma", "nhl") and coding["code"] == "C85.90":
                continue  # the unspecified code stands for both
            meanings.setdefault((coding["system"], coding["code"]), set()).add(row["concept"])

    assert {key: found for key, found in meanings.items() if len(found) > 1} == {}


def test_infections_and_readings_name_known_concepts() -> None:
    reading = BOOK["reading"]
    conditions = {row["concept"] for row in BOOK["conditions"]}
    observations = {row["concept"] for row in BOOK["observations"]}

    assert {row["concept"] for row in reading["infections"]} <= conditions
    assert set(reading["viral_carriers"]) <= conditions
    assert set(reading["metric_of_concept"]) <= observations
    assert set(reading["performance"]) <= observations
    assert set(reading["procedures"]) <= {row["concept"] for row in BOOK["procedures"]}


def test_acute_infections_have_a_limit_and_chronic_ones_none() -> None:
    for row in BOOK["reading"]["infections"]:
        assert ("active_days_max" in row) == (row["course"] == "acute"), row


def test_every_steroid_of_the_equivalence_table_is_a_systemic_steroid() -> None:
    path = PATH.replace("codes.yaml", "coordination.yaml")
    with open(path, encoding="utf-8") as protocol:
        table = yaml.safe_load(protocol)["steroids"]["equivalence"]
    systemic = next(
        row for row in BOOK["medication_classes"] if row["concept"] == "corticosteroid_systemic"
    )

    assert {row["drug"] for row in table} <= {member["name"] for member in systemic["members"]}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("11202", "vincristine"),
        ("3041", "cytarabine"),
        ("632", "mitomycin"),
        ("1601374", "palbociclib"),
        ("480167", "lapatinib"),
    ],
)
def test_wanted_drugs_are_mapped(code: str, name: str) -> None:
    found = terminology().drug((Coding(RXNORM, code, ""),))

    assert found is not None
    assert found.names == (name,)


def test_a_rule_that_no_class_leads_is_no_class() -> None:
    found = terminology().drug((Coding(RXNORM, "8640", ""),))

    assert found is not None
    assert found.classes == ("corticosteroid_systemic",)


def test_an_infection_without_days_is_chronic() -> None:
    book = terminology()

    assert book.infection("chronic_sinusitis") is not None
    assert book.infection("chronic_sinusitis").active_days_max is None  # type: ignore[union-attr]
    assert book.infection("breast_cancer") is None


def test_the_rulebook_is_read_once() -> None:
    assert isinstance(terminology(), Terminology)
    assert terminology() is terminology()


@pytest.mark.parametrize(
    ("code", "name"), [("76388-713-25", "busulfan"), ("51144-050-01", "brentuximab_vedotin")]
)
def test_a_package_code_resolves_to_its_cytotoxic_ingredient(code: str, name: str) -> None:
    found = terminology().drug((Coding("http://hl7.org/fhir/sid/ndc", code, ""),))

    assert found is not None
    assert (found.names, found.classes) == ((name,), ("cytotoxic_systemic",))


@pytest.mark.parametrize(
    ("system", "code"),
    [
        ("http://snomed.info/sct", "409720004"),
        ("http://snomed.info/sct", "405931009"),
        ("http://snomed.info/sct", "405916000"),
        ("http://ncicb.nci.nih.gov/xml/owl/EVS/Thesaurus.owl", "C133427"),
    ],
)
def test_the_stage_groups_of_childhood_cancers_are_stages(system: str, code: str) -> None:
    assert terminology().observation((Coding(system, code, ""),)) == "stage_group"


def test_every_concept_that_is_not_used_says_why_and_is_known() -> None:
    concepts = {
        row["concept"] for key in ("observations", "conditions", "procedures") for row in BOOK[key]
    }

    assert set(BOOK["reading"]["not_used"]) <= concepts
    assert all(BOOK["reading"]["not_used"].values())


def test_a_type_that_is_not_read_says_why_and_an_unlisted_one_too() -> None:
    assert "not what was taken" in terminology().type_not_used("MedicationDispense")
    assert terminology().type_not_used("Slot") == "no rule reads resources of this type"
