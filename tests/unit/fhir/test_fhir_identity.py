"""One bundle is about one patient, however its references are written."""

import pytest
from fhir_builders import DATA, bundle, line_of, observation, patient, raw, read, resource

from services.intake.adapters.fhir import Outcome, ProblemCode, Reason, read_bundle

URN = "urn:uuid:0f6a3f2e-0000-4000-8000-000000000001"


def about(reference: object) -> dict[str, object]:
    return observation(subject={"reference": reference})


def read_with(subject: object, **entry_fields: str) -> object:
    content = bundle(patient(identifier=[{"system": "urn:mrn", "value": "42"}]))
    content["entry"][0] |= entry_fields
    content["entry"].append({"resource": observation(subject=subject)})
    return read_bundle(raw(content))


@pytest.mark.parametrize(
    ("reference", "full_url"),
    [
        ("Patient/p1", ""),
        ("Patient/p1/_history/3", ""),
        (URN, URN),
        ("urn:uuid:p1", ""),
        ("https://ehr.example/fhir/Patient/p1", "https://ehr.example/fhir/Patient/p1"),
        ("Patient/p1", "https://ehr.example/fhir/Patient/p1"),
        ("https://ehr.example/fhir/Patient/p1", ""),
        ("Patient?identifier=urn:mrn|42", ""),
        ("Patient?identifier=42", ""),
    ],
)
def test_a_reference_to_the_patient_is_followed(reference: str, full_url: str) -> None:
    entry = {"fullUrl": full_url} if full_url else {}

    reading = read_with({"reference": reference}, **entry)

    assert reading.counts.used == 2, reading.report


def test_a_subject_given_by_identifier_only_is_matched() -> None:
    assert read_with({"identifier": {"system": "urn:mrn", "value": "42"}}).counts.used == 2


@pytest.mark.parametrize(
    "subject",
    [
        None,
        {},
        {"display": "Jane"},
        {"reference": "#contained"},
        {"reference": "Patient?name=Jane"},
        {"reference": "Patient?identifier=urn:mrn|43"},
        {"identifier": {"system": "urn:mrn", "value": "43"}},
        {"reference": 5},
    ],
)
def test_an_entry_whose_patient_cannot_be_told_is_rejected_alone(subject: object) -> None:
    reading = read_with(subject)

    line = line_of(reading, "Observation/o1")
    assert (line.outcome, line.reason) == (Outcome.REJECTED, Reason.UNRESOLVED)
    assert line.pointer == "/entry/1/resource/subject"


def test_an_observation_about_a_device_is_not_about_the_patient() -> None:
    reading = read_with({"reference": "Device/d1"})

    assert line_of(reading, "Observation/o1").reason == Reason.NOT_THE_PATIENT


@pytest.mark.parametrize(
    "reference",
    ["Patient/p2", "urn:uuid:nobody-here", "https://other.example/fhir/Patient/p2"],
)
def test_a_resource_of_another_patient_refuses_the_whole_bundle(reference: str) -> None:
    reading = read(observation("mine"), about(reference) | {"id": "theirs"})

    assert reading.refused
    problem = reading.problems[0]
    assert problem.code == ProblemCode.SEVERAL_PATIENTS
    assert problem.entries == (2,)
    assert problem.pointer == "/entry/2/resource"
    assert problem.subjects[0] == "Patient/p1"
    assert "Observation/theirs" in problem.message
    assert reading.statements == ()


def test_thousands_of_foreign_patients_are_told_in_bounded_time_and_number() -> None:
    strangers = [patient(f"x{i}", identifier=[{"value": str(i)}]) for i in range(8_000)]

    problems = read(observation(), *strangers).problems

    assert len(problems) == 20


def test_the_same_id_on_another_server_is_another_patient() -> None:
    content = bundle(patient())
    content["entry"][0]["fullUrl"] = "https://a.example/fhir/Patient/p1"
    content["entry"].append({"resource": about("https://b.example/fhir/Patient/p1")})

    assert read_bundle(raw(content)).problems[0].code == ProblemCode.SEVERAL_PATIENTS


def test_two_patient_resources_refuse_the_bundle_even_when_one_is_unused() -> None:
    problem = read(patient("p1"), patient("p2"), observation()).problems[0]

    assert problem.subjects == ("Patient/p1", "Patient/p2")
    assert problem.entries == (1,)


def test_a_resource_type_that_is_not_needed_still_gives_away_another_patient() -> None:
    claim = {"resourceType": "Claim", "id": "c", "patient": {"reference": "Patient/p2"}}

    assert read(observation(), claim).refused


def test_the_own_patient_is_the_one_most_entries_name_whatever_their_order() -> None:
    resources = [patient("p2"), patient("p1"), observation("a"), observation("b")]

    forwards = read(*resources).problems[0].subjects
    backwards = read(*reversed(resources)).problems[0].subjects

    assert forwards == backwards == ("Patient/p1", "Patient/p2")


@pytest.mark.parametrize(
    ("name", "own", "other", "entries"),
    [
        (
            "eve-anyperson",
            "cancer-patient-eve-anyperson",
            "cancer-patient-john-anyperson",
            (2, 3, 4, 5, 6),
        ),
        (
            "john-anyperson",
            "cancer-patient-john-anyperson",
            "cancer-patient-adam-everyman",
            (3, 4, 23),
        ),
    ],
)
def test_the_official_examples_that_mix_patients_are_refused(
    name: str, own: str, other: str, entries: tuple[int, ...]
) -> None:
    path = DATA / "mcode" / "assembled" / f"cancer-patient-{name}.collection.json"

    reading = read_bundle(path.read_bytes())

    (problem,) = reading.problems
    assert problem.subjects == (f"Patient/{own}", f"Patient/{other}")
    assert problem.entries == entries
    assert str(entries[0]) in problem.message
    assert own in problem.message
    assert other in problem.message


def test_identity_stays_apart_from_the_statements() -> None:
    name = [{"family": ["Smith-Mitre"], "given": ["Jane", 5]}]
    numbers = [{"system": "urn:mrn", "value": "42"}, {"value": ""}, 7]
    reading = read(patient(name=name, identifier=numbers))

    assert reading.subject is not None
    assert (reading.subject.family, reading.subject.given) == ("Smith-Mitre", ("Jane",))
    assert [(i.system, i.value) for i in reading.subject.identifiers] == [("urn:mrn", "42")]
    assert "Smith" not in str(reading.statements)
    assert "42" not in {str(v) for s in reading.statements for v in s.values()}


def test_a_resource_without_id_is_named_by_its_full_url_or_its_content() -> None:
    anonymous = observation()
    del anonymous["id"]
    content = bundle(patient(), anonymous)
    content["entry"].append({"fullUrl": URN, "resource": dict(anonymous)})

    first, second = read_bundle(raw(content)).statements[1:]

    assert str(second["id"]).startswith("Observation/content-") != str(first["id"]).startswith(
        "Observation/content-"
    )
    assert f"Observation/{URN[9:]}" in (first["id"], second["id"])


def test_a_masked_patient_is_read() -> None:
    masked = {"extension": [{"url": "http://x/data-absent-reason", "valueCode": "masked"}]}
    person = resource(
        "Patient", "p1", _birthDate=masked, _gender=masked, name=[{"_family": masked}]
    )
    del person["subject"]

    reading = read(person, observation())

    assert reading.counts.used == 2
    assert reading.report[0].warnings == (
        "birthDate is masked",
        "gender is masked",
        "name is masked",
    )
    assert "birth_date" not in reading.statements[0]


def test_placeholder_dates_of_the_patient_cost_the_patient_entry_only() -> None:
    reading = read(patient(birthDate="YYYY-MM-DD"), observation())

    assert line_of(reading, "Patient/p1").pointer == "/entry/0/resource/birthDate"
    assert line_of(reading, "Observation/o1").outcome == Outcome.USED
    assert reading.subject is not None
    assert reading.subject.birth_date is None


def test_a_birth_date_without_a_day_is_not_taken_as_a_day() -> None:
    assert "birth_date" not in read(patient(birthDate="1966-05")).statements[0]


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        (
            {"deceasedDateTime": "YYYY-MM-DD"},
            ("/deceasedDateTime: not a date: 'YYYY-MM-DD'",),
        ),
        (
            {
                "_deceasedDateTime": {
                    "extension": [{"url": "http://x/data-absent-reason", "valueCode": "masked"}]
                }
            },
            ("deceasedDateTime is masked",),
        ),
        ({"deceasedBoolean": True}, ()),
    ],
)
def test_a_death_on_an_unknown_day_is_a_death(
    fields: dict[str, object], warnings: tuple[str, ...]
) -> None:
    reading = read(patient(**fields))

    assert reading.statements[0]["deceased"] is True
    assert reading.report[0].warnings == warnings


def test_a_death_that_lies_ahead_is_rejected() -> None:
    line = read(patient(deceasedDateTime="2027-01-01")).report[0]

    assert (line.outcome, line.reason) == (Outcome.REJECTED, Reason.FUTURE_DATE)
