"""Every event of the reaction table yields evidence with a route, a wording and stable subjects."""

from datetime import UTC, datetime
from uuid import uuid4

from services.notification import bootstrap
from services.notification.domain.evidence import EvidenceKind
from services.notification.domain.levels import Level
from services.notification.domain.reading import HOLD_EVIDENCE, READERS, evidence_of
from services.notification.domain.routing import Person
from shared.contracts.catalogue import EVENTS
from shared.contracts.coordination import PermitDenied
from shared.contracts.infusion import InfusionStarted, ReactionGraded
from shared.contracts.vocabulary import Gate, HoldKind, InFlight, RefusalCode, Service
from tests.unit.notification.samples import (
    AT,
    CASE,
    ROUTES,
    envelope,
    evidence,
    held_by_scheduling,
    hold,
    red_flag,
)


def test_the_reaction_table_and_the_readers_name_the_same_events() -> None:
    table = bootstrap.reactions(bootstrap.policy(Person("x", "x", "x@example", None)))

    assert set(table.handlers) == set(READERS)
    assert all(event.type in EVENTS for event in READERS)


def test_holds_and_red_flags_are_told_even_in_a_parked_case() -> None:
    table = bootstrap.reactions(bootstrap.policy(Person("x", "x", "x@example", None)))

    assert {event.__name__ for event in table.safe_half} == {"HoldRecorded", "RedFlagReported"}


def test_every_kind_of_hold_raises_an_alert_that_says_what_it_blocks() -> None:
    for kind in HoldKind:
        route = ROUTES.by_kind[HOLD_EVIDENCE[kind]]

        assert route.raises, kind
        assert route.blocks, kind
        assert route.level in (Level.L2, Level.L3), kind


def test_the_subject_of_a_hold_does_not_depend_on_the_event_that_tells_it() -> None:
    hold_id = uuid4()

    first = evidence_of(envelope(hold(hold_id), chain=uuid4()))
    again = evidence_of(envelope(hold(hold_id), chain=uuid4(), at=datetime(2028, 1, 1, tzinfo=UTC)))

    assert first is not None
    assert again is not None
    assert first.subject == again.subject


def test_a_refused_permit_alerts_nobody() -> None:
    denied = PermitDenied(
        case_id=CASE, permit_id=uuid4(), gate=Gate.INFUSION, holder=Service.INFUSION_SCHEDULING,
        subject_id=uuid4(), codes=(RefusalCode.HOLD_OPEN,), rules=(), hold_ids=(),
    )  # fmt: skip

    assert evidence_of(envelope(denied, chain=uuid4())) is None


def test_a_holder_that_found_nothing_running_is_no_news() -> None:
    acknowledged = held_by_scheduling(uuid4(), InFlight.NONE)

    assert evidence_of(envelope(acknowledged, chain=uuid4())) is None


def test_a_start_without_a_permit_is_an_emergency_and_a_permitted_one_is_none() -> None:
    fields = {
        "case_id": CASE, "infusion_id": uuid4(), "start_id": uuid4(), "permit_id": None,
        "dose_id": uuid4(), "attempt": 1, "number": 2, "go_at": AT,
    }  # fmt: skip

    unpermitted = evidence(InfusionStarted(**fields, unpermitted=True))
    permitted = evidence(InfusionStarted(**fields))

    assert ROUTES.level_of(unpermitted) is Level.L4
    assert not ROUTES.of(permitted).raises


def test_a_red_flag_has_the_level_that_the_report_gave_it() -> None:
    assert ROUTES.level_of(evidence(red_flag("L2", "RF-WORSE"))) is Level.L2
    assert ROUTES.level_of(evidence(red_flag("L4"))) is Level.L4


def test_the_grade_of_a_reaction_decides_its_level() -> None:
    def level(grade: int) -> Level:
        event = ReactionGraded(
            case_id=CASE, infusion_id=uuid4(), scale="irr_ctcae5", grade=grade, rule="IRR-1"
        )
        return ROUTES.level_of(evidence(event))

    assert [level(grade) for grade in (1, 2, 3, 4, 5)] == ["L1", "L2", "L3", "L4", "L4"]


def test_no_detail_carries_more_than_codes_numbers_and_times() -> None:
    piece = evidence(hold(uuid4(), may_be_running_until=AT, effective=False))

    assert piece.kind is EvidenceKind.HOLD_RULE
    assert set(piece.detail) == {
        "hold_id", "gates", "rule", "on_running", "effective", "may_be_running_until"
    }  # fmt: skip
