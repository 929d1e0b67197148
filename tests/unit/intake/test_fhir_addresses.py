"""Where a reference may lead: below the base of its feed, and nowhere else."""

from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.intake.domain.fhir_addresses import FhirBase, ForeignAddressError

BASE = FhirBase("https://ehr.example/fhir/r4")


@pytest.mark.parametrize(
    "reference",
    [
        "Observation/o-1.A",
        "Observation/o-1.A/_history/3",
        "https://ehr.example/fhir/r4/Observation/o-1.A",
        "https://EHR.example:443/fhir/r4/Observation/o-1.A/_history/3",
    ],
)
def test_a_reference_of_the_own_server_is_its_resource(reference: str) -> None:
    assert BASE.key_of(reference) == "Observation/o-1.A"
    assert BASE.address_of("Observation/o-1.A") == "https://ehr.example/fhir/r4/Observation/o-1.A"


@pytest.mark.parametrize(
    "reference",
    [
        "https://other.example/fhir/r4/Observation/1",
        "http://ehr.example/fhir/r4/Observation/1",
        "https://ehr.example:8443/fhir/r4/Observation/1",
        "https://ehr.example/fhir/Observation/1",
        "https://ehr.example/fhir/r4x/Observation/1",
        "https://ehr.example/fhir/r4/../admin/Observation/1",
        "https://ehr.example/fhir/r4/%2e%2e/Observation/1",
        "https://ehr.example@other.example/fhir/r4/Observation/1",
        "https://user:secret@ehr.example/fhir/r4/Observation/1",
        "https://ehr.example.other.example/fhir/r4/Observation/1",
        "https://ehr.example\\@other.example/fhir/r4/Observation/1",
        "https://ehr.example:x/fhir/r4/Observation/1",
        "https://[::1/fhir/r4/Observation/1",
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1/fhir/r4/Observation/1",
        "//other.example/fhir/r4/Observation/1",
        "/fhir/r4/Observation/1",
        "file:///etc/passwd",
        "javascript:Observation/1",
        "../Observation/1",
        "Observation/..",
        "Observation/.",
        "Observation/../../admin",
        "Observation/1?_format=html",
        "Observation/1#x",
        "Observation/1/$everything",
        "Observation?identifier=1",
        "Observation/1\r\nHost: other.example",
        "Observation/1 ",
        "Observation/\N{FULLWIDTH DIGIT ONE}",
        "urn:uuid:6f1d9b2e-5a0c-4c6f-9b1e-0d7a35c3f001",
        "#contained",
        "Observation/" + "1" * 65,
        "Observation/" + "1/" * 1_500,
        "",
    ],
)
def test_everything_else_is_foreign(reference: str) -> None:
    with pytest.raises(ForeignAddressError):
        BASE.key_of(reference)


@given(
    st.one_of(st.text(max_size=60), st.text(max_size=30).map("https://ehr.example/fhir/".__add__))
)
@example("Patient/..")
@example("https://ehr.example/fhir/r4/Patient/1")
def test_no_reference_leads_out_of_the_base(reference: str) -> None:
    try:
        address = BASE.address_of(BASE.key_of(reference))
    except ForeignAddressError:
        return
    parts = urlsplit(address)

    assert (parts.scheme, parts.netloc) == ("https", "ehr.example")
    assert parts.path.startswith("/fhir/r4/")
    assert not {".", "..", ""} & set(parts.path.split("/")[1:])
    assert (parts.query, parts.fragment) == ("", "")


@pytest.mark.parametrize(
    "base",
    [
        "ehr.example/fhir", "ftp://ehr.example/fhir", "https://", "https:///fhir",
        "https://ehr.example/fhir/", "https://ehr.example/", "https://u@ehr.example/fhir",
        "https://ehr.example/fhir?x=1", "https://ehr.example/fhir#x", "https://ehr.example/a/../b",
        "https://ehr.example//fhir", "https://ehr.example/a b", "https://ehr.example/%2e",
        "https://ehr.example:99999/fhir", "https://ehr.example\\fhir", "",
    ],
)  # fmt: skip
def test_a_base_that_is_no_plain_address_is_refused(base: str) -> None:
    with pytest.raises(ValueError, match=r"base|[Pp]ort"):
        FhirBase(base)


def test_a_server_may_have_its_resources_at_the_top() -> None:
    base = FhirBase("http://127.0.0.1:8090")

    assert base.key_of("http://127.0.0.1:8090/Patient/1") == "Patient/1"
    assert base.address_of("Patient/1") == "http://127.0.0.1:8090/Patient/1"
