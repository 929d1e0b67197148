"""HL7 v2 messages as statements. Expected values are worked from the standard's tables by hand."""

from typing import Any

import pytest
from hl7_builders import ANC, LAB, OBR, ORC, PID, line, message, msh, oru, outcome, read, sample

from services.intake.adapters.fhir import read_bundle
from services.intake.application.incoming_messages import IncomingMessage, Profile


def only(found: IncomingMessage) -> dict[str, Any]:
    (one,) = found.statements
    return dict(one)


def result(obx: str) -> dict[str, Any]:
    return only(read(oru(obx)))


def test_a_result_is_stated_with_value_unit_range_and_time_as_sent() -> None:
    stated = result(ANC)

    assert {k: stated[k] for k in ("kind", "metric", "value", "unit", "status")} == {
        "kind": "lab", "metric": "anc", "value": 0.4, "unit": "10*3/uL", "status": "final",
    }  # fmt: skip
    assert (stated["range_low"], stated["range_high"]) == (1.8, 7.5)
    assert stated["effective"] == "2027-03-10T08:00:00+03:00"
    assert stated["id"] == "HL7v2/lab/result/F-77^LIS/751-8/"
    assert stated["source"] == "HL7v2 lab M-1 OBX[1]"


def test_the_same_result_as_bundle_gives_the_same_statement_apart_from_its_name() -> None:
    bundle = b"""{"resourceType": "Bundle", "entry": [
      {"resource": {"resourceType": "Patient", "id": "p", "birthDate": "1966-05-02"}},
      {"resource": {"resourceType": "Observation", "id": "o", "status": "final",
        "subject": {"reference": "Patient/p"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "751-8"}]},
        "effectiveDateTime": "2027-03-10T08:00:00+03:00", "issued": "2027-03-10T09:30:00+03:00",
        "valueQuantity": {"value": 0.4, "unit": "10*3/uL"},
        "referenceRange": [{"low": {"value": 1.8, "unit": "10*3/uL"},
                            "high": {"value": 7.5, "unit": "10*3/uL"}}]}}]}"""
    names = {"id", "version", "source"}
    (from_bundle,) = [s for s in read_bundle(bundle).statements if s["kind"] == "lab"]

    from_message = result(ANC)

    assert {k: v for k, v in from_message.items() if k not in names} == {
        k: v for k, v in from_bundle.items() if k not in names
    }


@pytest.mark.parametrize(
    ("obx", "expected"),
    [
        ("OBX|1|SN|777-3^^LN||<^20|10*3/uL|||||F", (20, "<")),
        ("OBX|1|ST|777-3^^LN||<20|10*3/uL|||||F", (20, "<")),
        ("OBX|1|NM|777-3^^LN||>=1.50|10*3/uL|||||F", (1.5, ">=")),
        ("OBX|1||777-3^^LN||20|10*3/uL|||||F", (20, None)),
        ("OBX|1|SN|777-3^^LN||^10^-^20|10*3/uL|||||F", ("10-20", None)),
        ("OBX|1|ST|777-3^^LN||clotted|10*3/uL|||||F", ("clotted", None)),
    ],
)
def test_comparators_and_words_are_kept(obx: str, expected: tuple[Any, Any]) -> None:
    stated = result(obx)

    assert (stated["value"], stated.get("comparator")) == expected


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("F", "final"), ("P", "preliminary"), ("R", "preliminary"), ("S", "preliminary"),
        ("C", "corrected"), ("D", "entered-in-error"), ("W", "entered-in-error"),
        ("", "preliminary"),
    ],
)  # fmt: skip
def test_each_result_status_of_table_0085_has_its_meaning(code: str, status: str) -> None:
    assert result(ANC[:-1] + code)["status"] == status


@pytest.mark.parametrize("code", ["X", "I", "O", "N"])
def test_a_status_that_says_there_is_no_result_is_ignored_at_its_place(code: str) -> None:
    found = read(oru(ANC[:-1] + code))

    assert not found.statements
    assert outcome(found, "OBX[1]") == ("ignored", "no-value", "OBX[1]-11")


def test_an_unknown_status_is_rejected_at_its_place() -> None:
    assert outcome(read(oru(ANC[:-1] + "Q")), "OBX[1]") == ("rejected", "wrong-type", "OBX[1]-11")


def test_several_values_in_one_result_are_rejected_at_the_value() -> None:
    found = read(oru("OBX|1|NM|751-8^^LN||60~120|10*3/uL|||||F"))

    assert outcome(found, "OBX[1]") == ("rejected", "wrong-type", "OBX[1]-5")


def test_a_time_in_the_future_is_rejected_at_the_field_it_came_from() -> None:
    late = OBR.replace("20270310080000", "20270412080000")

    assert outcome(read(oru(ANC, panel=late)), "OBX[1]") == ("rejected", "future-date", "OBR[1]-7")
    assert outcome(read(oru(ANC + "|||20270412")), "OBX[1]")[2] == "OBX[1]-14"


def test_the_results_own_time_wins_over_the_panels() -> None:
    assert result(ANC + "|||202703100715")["effective"] == "2027-03-10T07:15:00+03:00"


def test_without_any_offset_a_time_is_the_clinics() -> None:
    plain = OBR.replace("+0300", "")
    found = only(read(oru(ANC, panel=plain, sent="20270310093000")))

    assert found["effective"] == "2027-03-10T08:00:00"


def test_a_correction_is_a_later_version_of_the_same_fact() -> None:
    first = only(read(oru(ANC[:-1] + "P")))
    final = only(read(oru(ANC)))
    corrected = only(read(oru(ANC[:-1] + "C")))
    withdrawn = only(read(oru(ANC[:-1] + "D")))

    assert len({s["id"] for s in (first, final, corrected, withdrawn)}) == 1
    versions = [s["version"] for s in (first, final, corrected, withdrawn)]
    assert versions == sorted(versions)
    assert len(set(versions)) == 4


def test_the_same_content_in_another_message_is_the_same_version() -> None:
    once, again = only(read(oru(ANC))), only(read(oru(ANC, control="M-2")))

    assert (once["id"], once["version"]) == (again["id"], again["version"])


def test_serial_results_of_one_order_never_change_each_other() -> None:
    early, late = ANC + "|||202703100600", ANC.replace("|0.4|", "|2.4|") + "|||202703100900"
    both = {s["value"]: s["id"] for s in read(oru(early, late)).statements}
    turned = {s["value"]: s["id"] for s in read(oru(late, early)).statements}

    assert both == turned
    assert len(set(both.values())) == 2


def test_the_senders_number_of_a_result_names_it_whatever_its_time() -> None:
    numbered = ANC + "|||{}|||||||R-5"

    ids = {result(numbered.format(at))["id"] for at in ("202703100600", "202703100700")}

    assert ids == {"HL7v2/lab/result/R-5/751-8"}


def test_a_later_message_is_a_later_version_whatever_its_status() -> None:
    early = only(read(oru(ANC[:-1] + "C")))
    late = only(read(oru(ANC, sent="20270310093001+0300")))

    assert late["version"] > early["version"]


@pytest.mark.parametrize(
    ("kind", "code"), [("F", "confirmed"), ("W", "suspected"), ("", "suspected")]
)
def test_only_a_final_diagnosis_is_confirmed(kind: str, code: str) -> None:
    dg1 = f"DG1|1||C34.1^Lung^I10C||20270101|{kind}"
    found = read(message(msh("ADT^A08"), PID, dg1))

    (stated,) = [s for s in found.statements if s["kind"] == "condition"]
    assert (stated["concept"], stated["status"]) == ("lung_cancer", code)


def test_an_adt_states_patient_diagnoses_and_a_suspected_allergy() -> None:
    found = sample("adt-a08.hl7")

    kinds = [(s["kind"], s.get("status")) for s in found.statements]
    assert kinds.count(("infection", None)) == 1
    assert ("condition", "confirmed") in kinds
    assert ("condition", "suspected") in kinds
    assert ("patient", None) in kinds
    assert found.counts["rejected"] == 0


def test_death_stays_on_record_when_a_later_message_does_not_tell_it() -> None:
    died = read(message(msh("ADT^A03"), PID + "|" * 21 + "20270301|Y"))
    later = read(message(msh("ADT^A08", sent="20270310100000+0300"), PID))

    death = next(s for s in died.statements if "deceased" in s)
    assert death["deceased"] == "2027-03-01"
    assert death["id"] not in {s["id"] for s in later.statements}


def test_results_of_others_than_adt_do_not_state_the_patient() -> None:
    assert [s["kind"] for s in read(oru(ANC)).statements] == ["lab"]


def test_a_death_in_the_same_message_rejects_what_is_dated_after_it() -> None:
    found = read(message(msh(), PID + "|" * 21 + "20270301", ORC, OBR, ANC))

    assert outcome(found, "OBX[1]") == ("rejected", "after-death", "OBR[1]-7")


def test_a_merge_is_handed_over_and_states_who_survives() -> None:
    (change,) = sample("adt-a40.hl7").identity_changes

    assert change.kind == "merge"
    assert change.surviving == (("urn:hl7v2:CLINIC", "FEED-1"),)
    assert change.retired == (("urn:hl7v2:CLINIC", "FEED-2"),)


def test_a_separation_names_both_patients() -> None:
    other = PID.replace("FEED-1", "FEED-2")
    (change,) = read(message(msh("ADT^A37"), PID, other)).identity_changes

    assert change.kind == "unmerge"
    assert change.retired == (("urn:hl7v2:CLINIC", "FEED-2"),)


def test_results_of_two_patients_in_one_message_are_refused_as_a_whole() -> None:
    found = read(message(msh(), PID, ORC, OBR, ANC, PID.replace("FEED-1", "FEED-2"), ANC))

    assert [(p.code, p.place) for p in found.problems] == [("several-patients", "PID[2]-3")]
    assert not found.statements


def test_results_of_nobody_are_refused() -> None:
    assert [p.code for p in read(message(msh(), OBR, ANC)).problems] == ["no-patient"]


def test_the_site_names_the_systems_of_its_authorities() -> None:
    profile = Profile("lab", systems={"CLINIC": "urn:example:mrn"})

    assert read(oru(ANC), profile).identifiers == (("urn:example:mrn", "FEED-1"),)


def test_an_oid_as_authority_is_the_system() -> None:
    pid = PID.replace("CLINIC", "X&2.16.840.1.1&ISO")

    assert read(message(msh(), pid)).identifiers == (("urn:oid:2.16.840.1.1", "FEED-1"),)


def test_messages_for_training_are_not_taken_where_patients_are_real() -> None:
    raw = oru(ANC).replace(b"|P|2.5", b"|T|2.5")

    assert [p.place for p in read(raw, Profile("lab")).problems] == ["MSH[1]-11"]
    assert not read(raw, LAB).problems


def test_segments_of_the_site_and_vaccines_of_others_crash_nothing() -> None:
    found = read(message(msh("ZZZ^Z99", version="2.9.1"), PID, "ZXX|what|ever", "FT1||", "OBX"))

    assert [one.outcome for one in found.report] == [
        "used",
        "used",
        "ignored",
        "ignored",
        "rejected",
    ]


@pytest.mark.parametrize(
    ("name", "encoding"), [("8859/9", "iso8859-9"), ("UNICODE UTF-8", "utf-8"), ("", "utf-8")]
)
def test_the_named_character_set_decodes_the_words(name: str, encoding: str) -> None:
    obx = "OBX|1|ST|777-3^^LN||p\u0131ht\u0131|10*3/uL|||||F"
    raw = message(msh(charset=name), PID, ORC, OBR, obx, encoding=encoding)

    assert only(read(raw))["value"] == "p\u0131ht\u0131"


def test_an_unknown_character_set_is_refused_at_its_place() -> None:
    (problem,) = read(oru(ANC, charset="ISO IR159")).problems

    assert (problem.code, problem.place) == ("unknown-character-set", "MSH[1]-18")


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("", "required-element-missing"), ("20 70310", "bad-date"),
        ("20271310", "bad-date"), ("20270310150000+0300", "future-date"),
    ],
)  # fmt: skip
def test_a_message_whose_time_cannot_order_it_is_refused(sent: str, code: str) -> None:
    found = read(oru(ANC, sent=sent))

    assert [(p.code, p.place) for p in found.problems] == [(code, "MSH[1]-7")]
    assert found.identifiers == (("urn:hl7v2:CLINIC", "FEED-1"),)


def test_escapes_are_resolved_and_custom_separators_read() -> None:
    plain = result("OBX|1|ST|777-3^^LN||a\\T\\b\\.br\\c\\S\\d|x|||||F")
    odd = "\r".join([msh(), PID, ORC, OBR, ANC]).replace("|", "#").replace("^", "@") + "\r"

    assert plain["value"] == "a&b c^d"
    assert only(read(odd.encode()))["value"] == 0.4


@pytest.mark.parametrize(
    ("written", "meant"),
    [("a\\E\\b", "a\\b"), ("a\\F\\b\\R\\c", "a|b~c"), ("\\X4142\\", "AB"), ("a\\\\b", "ab"),
     ("\\H\\hot\\N\\", "hot"), ("50% \\", "50% \\"), ("a\\Zx\\b", "ab")],
)  # fmt: skip
def test_each_escape_means_what_the_standard_says(
    written: str, meant: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert result(f"OBX|1|ST|777-3^^LN||{written}|x|||||F")["value"] == meant
    assert caplog.records == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_line_end_and_wrapped_lines_are_read(end: str) -> None:
    raw = end.join([msh(), PID, ORC, OBR, ANC, "NTE|1||words", "that go on"]).encode()

    found = read(raw)

    assert only(found)["value"] == 0.4
    assert len(found.report) == 6


def test_an_order_has_drug_route_and_dose_when_amount_unit_and_frequency_are_known() -> None:
    stated = only(sample("rde-o11.hl7"))

    assert stated["class"] == ["corticosteroid_systemic"]
    assert stated["route"] == "oral"
    assert [(d["to"], d["mg_per_day"]) for d in stated["doses"]] == [("2027-03-19", 40)]


def order(
    *segments: str, control: str = "NW", drug: str = "8640^prednisone^RXNORM", **h: str
) -> Any:
    rxe = f"RXE||{drug}|20||mg|TAB"
    orc = f"ORC|{control}|RX-5^EHR|||||||20270301115500+0300"
    return read(message(msh("RDE^O11", **h), PID, orc, rxe, *segments))


@pytest.mark.parametrize("pattern", ["", "PRN", "Q6WK", "SOMETIMES"])
def test_without_a_known_frequency_the_dose_is_unknown(pattern: str) -> None:
    (dose,) = only(order(f"TQ1|1||{pattern}"))["doses"]

    assert "mg_per_day" not in dose


@pytest.mark.parametrize(("pattern", "mg"), [("QD", 20), ("Q8H", 60), ("QID", 80), ("2ID", 40)])
def test_frequencies_of_table_0335_are_known(pattern: str, mg: int) -> None:
    (dose,) = only(order(f"TQ1|1||{pattern}"))["doses"]

    assert dose["mg_per_day"] == mg


def test_a_stopped_order_supersedes_and_ends_on_that_day() -> None:
    ordered = only(order("TQ1|1||QD"))
    stop = "20270309080000+0300"
    raw = message(
        msh("RDE^O11"), PID, f"ORC|DC|RX-5^EHR|||||||{stop}", "RXE||8640^prednisone^RXNORM|20||mg",
        "TQ1|1||QD||||20270301",
    )  # fmt: skip
    stopped = only(read(raw))

    assert stopped["id"] == ordered["id"]
    assert stopped["version"] > ordered["version"]
    assert [(d["from"], d["to"][:10]) for d in stopped["doses"]] == [("2027-03-01", "2027-03-09")]


def test_an_order_cancelled_before_its_first_day_is_withdrawn() -> None:
    assert only(order("TQ1|1||QD||||20270305", control="CA"))["status"] == "entered-in-error"


def test_an_order_cancelled_after_its_first_day_counts_until_then() -> None:
    stated = only(order("TQ1|1||QD||||20270225", control="OC"))

    assert stated["status"] == "final"
    assert stated["doses"][0]["to"][:10] == "2027-03-01"


def test_an_unknown_drug_is_stated_without_a_class() -> None:
    stated = only(order(drug="00047040230^Ampicillin 250 mg caps^NDC"))

    assert "class" not in stated or not stated["class"]
    assert stated["codes"][0]["system"] == "http://hl7.org/fhir/sid/ndc"


def test_an_unknown_control_code_is_rejected_at_its_place() -> None:
    assert outcome(order(control="QQ"), "RXE[1]") == ("rejected", "wrong-type", "ORC[1]-1")


def test_a_mapped_appointment_plans_and_another_is_ignored() -> None:
    found = sample("siu-s12.hl7")

    stated = only(found)
    assert (stated["class"], stated["next_planned"]) == (["cytotoxic_systemic"], "2027-03-24")
    assert outcome(found, "AIS[2]") == ("ignored", "code-not-in-terminology", "AIS[2]-3")


def test_a_moved_appointment_supersedes_and_a_cancelled_one_is_withdrawn() -> None:
    def siu(event: str, at: str, day: str) -> dict[str, Any]:
        ais = f"AIS|1|A|108290001^RT^SCT|{day}090000+0300"
        return only(read(message(msh(f"SIU^{event}", sent=at), "SCH|A-1|F-1", PID, ais)))

    booked = siu("S12", "20270301090000+0300", "20270324")
    moved = siu("S13", "20270302090000+0300", "20270331")
    ended = siu("S15", "20270303090000+0300", "20270331")

    assert len({s["id"] for s in (booked, moved, ended)}) == 1
    assert booked["version"] < moved["version"] < ended["version"]
    assert (moved["class"], moved["next_planned"]) == (["radiotherapy_curative"], "2027-03-31")
    assert ended["status"] == "entered-in-error"


def test_a_vaccination_is_a_dose_of_its_class() -> None:
    stated = only(sample("vxu-v04.hl7"))

    assert (stated["class"], stated["doses"]) == (["vaccine_live"], [{"day": "2027-03-01"}])


def test_every_segment_of_a_sample_has_one_line() -> None:
    found = sample("oru-r01.hl7")

    assert len(found.report) == 13
    assert found.counts == {"used": 7, "ignored": 6, "rejected": 0}
    assert line(found, "ZXX[1]").message == "a segment of the site"
