"""Records at the edge of what people write: no time, half a statement, a value out of reach."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from protocol_asking import BAG, PROTOCOL, ask, blocking, facts, lab, steroid

from shared.protocol import Gate, Record, checklist, decide
from shared.protocol.checklist import ItemState
from shared.protocol.clinic_time import ClinicTime
from shared.protocol.reading import BadValue, Place, day, instant, items, text, when
from shared.protocol.rules import known

DAY = "2027-03-10"
PLACE = Place("/x", PROTOCOL.zone)
EARLIEST = datetime.fromisoformat("0001-01-01T00:00")
LOCAL = datetime.fromisoformat("2027-03-10T09:00")
FROZEN = {k: v for k, v in BAG.items() if k != "cryopreserved_on"}


def test_a_time_that_is_read_already_stays_and_takes_the_zone() -> None:
    assert when(LOCAL, PLACE) == datetime(2027, 3, 10, 6, tzinfo=UTC)
    assert when(date(2027, 3, 10), PLACE) == date(2027, 3, 10)
    assert day("2027-03-10T23:30", PLACE) == date(2027, 3, 10)
    assert instant("2027-03-10T09:00", PLACE) == datetime(2027, 3, 10, 6, tzinfo=UTC)
    assert instant(DAY, PLACE) == datetime(2027, 3, 9, 21, tzinfo=UTC)  # midnight at +03:00


def test_a_time_before_the_calendar_is_refused_with_its_place() -> None:
    with pytest.raises(BadValue, match="/x: outside the calendar"):
        when(EARLIEST, Place("/x", timezone(timedelta(hours=14))))


def test_a_list_beyond_its_bound_is_refused() -> None:
    with pytest.raises(BadValue, match="more than 2000 members"):
        items(text)(["a"] * 2001, PLACE)


def test_an_instant_without_offset_is_not_a_moment() -> None:
    with pytest.raises(ValueError, match="needs an offset"):
        ClinicTime(PROTOCOL.zone).moment(LOCAL)


def test_what_a_record_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "_REMEMBERED_MAX", 1)
    count = lab("anc", 0.5, "10*9/L", DAY)

    assert blocking(count, at=DAY) == {"LAB-ANC"}


def test_a_result_in_error_without_a_time_is_no_reason() -> None:
    undated = {"kind": "lab", "metric": "anc", "value": 2, "unit": "10*9/L"}

    assert blocking({**undated, "status": "entered-in-error"}, at=DAY) == {"EV-CBC", "DATA-008"}


def test_karnofsky_alone_says_nothing_of_ecog() -> None:
    status = {"kind": "performance", "karnofsky": 80, "effective": DAY}
    record = Record.of(PROTOCOL, facts(status, BAG))

    assert "EV-ECOG" in decide(PROTOCOL, record, Gate.INFUSION, date(2027, 3, 10)).blocking_rules


def test_a_planned_collection_starts_no_culture() -> None:
    planned = {"kind": "collection", "planned": DAY, "method": "apheresis"}

    assert blocking(planned, at=DAY, gate="manufacturing_start") == {"MFG-001", "DATA-008"}


def test_a_corrected_statement_that_holds_no_value_stays_as_it_is() -> None:
    given = {"kind": "infusion", "id": "i1", "n": 1, "dose_id": "D0", "day": "2027-03-08"}
    correction = {"kind": "correction", "of": "i1", "value": 3, "effective": "2027-03-09"}

    assert blocking(given, correction, at=DAY) == {"IFU-001"}


def test_a_review_without_end_counts_from_its_time_on() -> None:
    ecog = {"kind": "performance", "id": "e1", "ecog": 2, "effective": "2027-03-09"}
    review = {
        "kind": "review_decision", "rule": "ELIG-003", "gate": "infusion", "decision": "proceed",
        "by": ["oncologist"], "facts": ["e1"], "effective": "2027-03-10T09:00",
    }  # fmt: skip

    assert blocking(ecog, review, at="2027-03-10T08:59") == {"ELIG-003"}
    assert blocking(ecog, review, at="2027-03-10T09:00") == set()


def test_a_frozen_bag_without_its_day_cannot_be_released() -> None:
    lot = {**FROZEN, "state": "awaiting_release", "expires_at": None}
    decision = ask(lot, at=DAY, gate="release")

    assert "REL-EXP-C" in decision.blocking_rules


def test_a_test_without_a_time_was_always_there() -> None:
    growth = {"kind": "release_test", "lot": "L1", "test": "sterility_14d", "result": "growth"}

    assert blocking(growth, at=DAY) == {"REL-STER-FIN"}
    assert (
        "REL-STER-PRE"
        in ask(growth, {**BAG, "state": "in_process"}, at=DAY, gate="release").blocking_rules
    )


def test_a_result_for_one_dose_is_not_about_another() -> None:
    growth = {"kind": "release_test", "test": "sterility_14d", "result": "growth", "reported": DAY}

    assert blocking({**growth, "dose_id": "D1"}, at=DAY) == {"REL-STER-FIN"}
    assert blocking({**growth, "dose_id": "D2"}, at=DAY) == set()


def test_a_paused_infusion_of_an_unnamed_bag_asks_for_its_bag() -> None:
    paused = {"kind": "infusion", "n": 1, "day": DAY, "paused_at": "2027-03-10T09:00"}

    assert blocking(paused, at="2027-03-10T10:00") == {"DATA-008"}


def test_a_fresh_bag_may_have_its_printed_expiry_alone() -> None:
    fresh = {"kind": "product", "dose_id": "D1", "lot": "L1", "state": "released", "form": "fresh"}
    printed = {**fresh, "expires_at": "2027-03-10T12:00"}

    assert blocking(printed, at="2027-03-10T12:00", bag=False) == set()
    assert blocking(printed, at="2027-03-10T12:01", bag=False) == {"REL-EXP-F"}


def test_a_last_dose_ends_a_steroid_without_an_end() -> None:
    taken = steroid(
        "prednisone", [{"mg_per_day": 20, "from": "2027-03-01"}], last_dose="2027-03-05"
    )

    assert blocking(taken, at="2027-03-11") == {"STER-001", "WO-STEROID"}  # 03-05 + 7 = 03-12
    assert blocking(taken, at="2027-03-12") == set()


def test_a_last_dose_before_the_first_day_leaves_no_days() -> None:
    taken = steroid(
        "prednisone", [{"mg_per_day": 20, "from": "2027-03-09"}], last_dose="2027-03-05"
    )

    assert blocking(taken, at="2027-03-10") == set()


def test_no_more_of_one_drug_settles_no_other_drug() -> None:
    ongoing = {"kind": "medication", "name": "cisplatin", "last_dose": "2027-03-01"}
    other = {
        "kind": "medication", "name": "gemcitabine", "last_dose": "2027-03-01",
        "more_planned": False, "effective": "2027-03-05",
    }  # fmt: skip

    assert blocking(ongoing, other, at="2027-03-20") == {"WO-CHEMO"}  # the next dose is unknown
    assert blocking(ongoing, {**other, "name": "cisplatin"}, at="2027-03-20") == set()


def test_a_code_of_another_terminology_is_no_atc_group() -> None:
    codes = PROTOCOL.codes

    # L01 are the antineoplastic agents of ATC; the same letters elsewhere say nothing
    assert codes.classes_of_code("http://www.whocc.no/atc", "L01BA01") != frozenset()
    assert codes.classes_of_code("http://example.org/codes", "L01BA01") == frozenset()


def test_what_will_be_stated_is_not_yet_on_the_checklist() -> None:
    future = {"kind": "evidence", "id": "p2", "item": "pathology_report", "effective": "2027-04-01"}
    now = {"kind": "evidence", "id": "p1", "item": "pathology_report", "effective": "2027-03-01"}
    found = {i.item: i for i in checklist(PROTOCOL, facts(now, future), date(2027, 3, 10))}

    assert found["pathology"].state is ItemState.PRESENT
    assert found["pathology"].facts == ("p1",)
