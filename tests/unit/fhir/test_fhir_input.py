"""Bad input is refused as a whole with its reason, or costs one entry; it never raises."""

import gzip
import json
import tracemalloc
import zlib

import pytest
from fhir_builders import bundle, line_of, observation, patient, raw, read

from services.intake.adapters.fhir import Outcome, ProblemCode, Reason, read_bundle
from services.intake.adapters.fhir.limits import BYTES_MAX, ENTRIES_MAX


def refusal(content: bytes) -> ProblemCode:
    reading = read_bundle(content)
    assert reading.refused
    assert reading.statements == ()
    assert reading.report == ()
    return reading.problems[0].code


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", ProblemCode.NOT_JSON),
        (b"{", ProblemCode.NOT_JSON),
        (b'{"resourceType": "Bundle", "entry": [NaN]}', ProblemCode.NOT_JSON),
        (b'{"n": ' + b"9" * 5000 + b"}", ProblemCode.NOT_JSON),
        (b"\xff\xfe{}", ProblemCode.NOT_UTF8),
        (b"[]", ProblemCode.NOT_A_BUNDLE),
        (b"{}", ProblemCode.NOT_A_BUNDLE),
        (raw(patient()), ProblemCode.NOT_A_BUNDLE),
        (raw({"resourceType": "Bundle", "entry": {}}), ProblemCode.NOT_A_BUNDLE),
        (raw({"resourceType": "Bundle"}), ProblemCode.NO_ENTRIES),
        (raw(bundle(patient())).replace(b"Patient", b"Person"), ProblemCode.NO_PATIENT),
        (b"\x1f\x8b\x08junk", ProblemCode.BAD_GZIP),
        (gzip.compress(raw(bundle()))[:-12], ProblemCode.BAD_GZIP),
    ],
)
def test_input_that_is_no_patient_bundle_is_refused_with_its_reason(
    content: bytes, code: ProblemCode
) -> None:
    assert refusal(content) == code


def test_not_json_says_the_line_and_column() -> None:
    reading = read_bundle(b'{"resourceType": "Bundle",\n oops}')

    assert "line 2 column 2" in reading.problems[0].message


def test_a_wrong_resource_type_is_located() -> None:
    problem = read_bundle(raw(patient())).problems[0]

    assert problem.pointer == "/resourceType"
    assert "Patient" in problem.message


def test_plain_and_gzip_read_the_same() -> None:
    content = raw(bundle(observation()))

    assert read_bundle(gzip.compress(content)).statements == read_bundle(content).statements


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert not read_bundle(b"\xef\xbb\xbf" + raw(bundle(observation()))).refused


def test_several_gzip_members_are_one_text() -> None:
    content = raw(bundle(observation()))
    halves = gzip.compress(content[:50]) + gzip.compress(content[50:])

    assert len(read_bundle(halves).statements) == 2


def test_a_bundle_above_the_size_limit_is_refused() -> None:
    assert refusal(b" " * (BYTES_MAX + 1)) == ProblemCode.TOO_LARGE


def test_a_bundle_of_30_megabytes_is_read() -> None:
    filler = {"resourceType": "Binary", "id": "b", "data": "x" * (30 * 1024 * 1024)}

    reading = read(observation(), filler)

    assert not reading.refused
    assert len(reading.statements) == 2


def test_a_gzip_bomb_is_refused_without_being_inflated() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    zeros = b"0" * (1024 * 1024)
    bomb = b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush()
    assert len(bomb) < 2 * 1024 * 1024

    tracemalloc.start()
    try:
        code = refusal(bomb)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert code == ProblemCode.TOO_LARGE
    assert peak_bytes < 4 * BYTES_MAX


def test_many_small_gzip_members_cannot_pass_the_limit_together() -> None:
    member = gzip.compress(b" " * (8 * 1024 * 1024))

    assert refusal(member * 5) == ProblemCode.TOO_LARGE


@pytest.mark.parametrize("depth", [33, 500, 200_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    content = b'{"resourceType": "Bundle", "entry": ' + b"[" * depth + b"]" * depth + b"}"

    assert refusal(content) == ProblemCode.TOO_DEEP


def test_nesting_within_the_limit_is_read() -> None:
    deep: object = 1
    for _ in range(20):
        deep = [deep]

    assert not read(observation(extension=[{"url": "x", "valueX": deep}])).refused


def test_more_entries_than_the_limit_are_refused() -> None:
    many = bundle(*[{"resourceType": "Basic", "id": str(i)} for i in range(ENTRIES_MAX)])

    assert refusal(raw(many)) == ProblemCode.TOO_MANY_ENTRIES


@pytest.mark.parametrize(
    "entry",
    [
        None,
        7,
        "text",
        [],
        {},
        {"resource": None},
        {"resource": []},
        {"resource": {}},
        {"resource": {"resourceType": 5}},
        {"resource": {"resourceType": "not a type!"}},
        {"fullUrl": "urn:uuid:1", "request": {"method": "DELETE", "url": "Observation/1"}},
    ],
)
def test_an_entry_that_holds_no_resource_costs_itself_only(entry: object) -> None:
    content = bundle(observation())
    content["entry"].append(entry)

    reading = read_bundle(raw(content))

    assert [s["kind"] for s in reading.statements] == ["patient", "lab"]
    assert reading.report[2].outcome == Outcome.REJECTED
    assert reading.report[2].reason == Reason.NOT_A_RESOURCE
    assert reading.report[2].pointer == "/entry/2/resource"


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"code": None}, "/code"),
        ({"code": 5}, "/code"),
        ({"valueQuantity": 5}, "/valueQuantity"),
        ({"valueQuantity": {"value": "2.1", "code": "10*9/L"}}, "/valueQuantity/value"),
        ({"valueQuantity": {"value": 1e300}}, "/valueQuantity/value"),
        ({"effectiveDateTime": 20260309}, "/effectiveDateTime"),
        ({"effectiveDateTime": "YYYY-MM-DD"}, "/effectiveDateTime"),
        ({"effectiveDateTime": "2026-02-30"}, "/effectiveDateTime"),
        ({"effectiveDateTime": "0000-01-01"}, "/effectiveDateTime"),
        ({"effectiveDateTime": None}, "/effectiveDateTime"),
        ({"issued": "soon"}, "/issued"),
    ],
)
def test_a_wrong_element_rejects_its_entry_with_the_place(
    fields: dict[str, object], pointer: str
) -> None:
    reading = read(observation("bad") | fields, observation("good"))

    bad = line_of(reading, "Observation/bad")
    assert bad.outcome == Outcome.REJECTED
    assert bad.pointer == f"/entry/1/resource{pointer}"
    assert line_of(reading, "Observation/good").outcome == Outcome.USED


def test_every_entry_has_exactly_one_line_in_order() -> None:
    content = bundle(observation("a"), observation("a"), {"resourceType": "Basic", "id": "x"})
    content["entry"].append("nothing")

    reading = read_bundle(raw(content))

    assert [line.entry for line in reading.report] == [0, 1, 2, 3, 4]
    counts = reading.counts
    assert (counts.used, counts.ignored, counts.rejected) == (2, 2, 1)


def test_statements_are_plain_json_and_printable() -> None:
    nasty = "na\u0000me\ud800\u202e" + "x" * 10_000
    reading = read(
        {
            "resourceType": "MedicationRequest",
            "id": "m1",
            "subject": {"reference": "Patient/p1"},
            "status": "active",
            "authoredOn": "2026-03-01",
            "medicationCodeableConcept": {"coding": [{"code": "zz", "display": nasty}]},
        }
    )

    name = str(reading.statements[1]["name"])
    assert name.isprintable()
    assert len(name) <= 200
    json.dumps(reading.statements).encode("utf-8")
