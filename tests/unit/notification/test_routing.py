"""Roles become people, and there is always somebody."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notification.adapters.routing_table import read_ack_times, read_routes
from services.notification.domain.evidence import EvidenceKind
from services.notification.domain.levels import Level
from services.notification.domain.routing import Person, RosterEntry, recipients
from shared.contracts.vocabulary import Role
from tests.unit.notification.samples import AT, CASE, ROUTES

DESK = Person("desk", "Duty desk", "desk@clinic.example", None)


def entry(role: Role, email: str, *, case_id: UUID | None = None, **days: float) -> RosterEntry:
    starts = AT + timedelta(days=days.get("starts", -1))
    ends = AT + timedelta(days=days["ends"]) if "ends" in days else None
    return RosterEntry(uuid4(), role, email, email, email, case_id, starts, ends)


def addresses(roster: list[RosterEntry], *roles: Role) -> list[str]:
    found = recipients(roles, roster, case_id=CASE, at=AT, fallback=DESK)
    return [person.email for person in found.people]


def test_the_person_named_for_the_case_comes_before_the_general_duty() -> None:
    roster = [
        entry(Role.ONCOLOGIST, "duty@x"),
        entry(Role.ONCOLOGIST, "own@x", case_id=CASE),
        entry(Role.ONCOLOGIST, "other@x", case_id=uuid4()),
    ]

    assert addresses(roster, Role.ONCOLOGIST) == ["own@x"]


def test_only_who_is_on_duty_at_the_instant_is_told() -> None:
    roster = [
        entry(Role.ONCOLOGIST, "gone@x", ends=0),
        entry(Role.ONCOLOGIST, "now@x", ends=0.01),
        entry(Role.ONCOLOGIST, "tomorrow@x", starts=1),
    ]

    assert addresses(roster, Role.ONCOLOGIST) == ["now@x"]


def test_a_person_in_two_roles_gets_one_message() -> None:
    roster = [entry(Role.ONCOLOGIST, "Ada@x"), entry(Role.COORDINATOR, "ada@x")]

    assert addresses(roster, Role.ONCOLOGIST, Role.COORDINATOR) == ["Ada@x"]


def test_a_role_without_anybody_brings_in_the_fallback_and_is_named() -> None:
    roster = [entry(Role.COORDINATOR, "coord@x")]

    found = recipients(
        (Role.ONCOLOGIST, Role.COORDINATOR), roster, case_id=CASE, at=AT, fallback=DESK
    )

    assert [p.email for p in found.people] == ["coord@x", "desk@clinic.example"]
    assert (found.unreachable, found.fallback_used) == ((Role.ONCOLOGIST,), True)


@given(st.lists(st.sampled_from(list(Role)), max_size=5), st.integers(0, 5))
def test_there_is_always_a_recipient(roles: list[Role], size: int) -> None:
    roster = [entry(Role.NURSE_LEAD, f"n{i}@x") for i in range(size)]

    assert recipients(roles, roster, case_id=CASE, at=AT, fallback=DESK).people


def test_every_kind_that_raises_names_somebody_and_every_chased_one_a_next_step() -> None:
    times = read_ack_times()

    for kind, route in ROUTES.by_kind.items():
        if route.raises:
            assert route.roles, kind
        if route.raises and route.level in times.minutes:
            assert route.escalate_to, kind


def test_the_minutes_to_answer_are_those_of_the_rulebook() -> None:
    # coordination rulebook, escalation_levels: L2 240 min, L3 30 min, L4 5 min, L1 no minutes
    assert read_ack_times().minutes == {Level.L2: 240, Level.L3: 30, Level.L4: 5}


def test_an_incomplete_or_doubled_routing_table_is_refused() -> None:
    one = 'version: "x"\nstatus: draft\nroutes:\n  - {kind: hold_released}\n'

    with pytest.raises(ValueError, match="no route for"):
        read_routes(one)
    with pytest.raises(ValueError, match="two routes for hold_released"):
        read_routes(one + "  - {kind: hold_released}\n")
    with pytest.raises(ValueError, match="names nobody"):
        read_routes('version: "x"\nstatus: draft\nroutes:\n  - {kind: recall, raises: true}\n')


def test_worse_news_never_resolves_anything() -> None:
    """Else the alert would close in the moment in which it must be read."""
    resolving = {
        EvidenceKind.HOLD_RELEASED, EvidenceKind.PLAN_ACCEPTED, EvidenceKind.INFUSION_STARTED,
        EvidenceKind.INFUSION_COMPLETED, EvidenceKind.VITALS_TAKEN, EvidenceKind.HARVESTED,
        EvidenceKind.BATCH_RELEASED, EvidenceKind.CASE_UNPARKED, EvidenceKind.STREAM_RESTORED,
    }  # fmt: skip

    assert not [kind for kind in resolving if ROUTES.by_kind[kind].worsens]
