"""In shadow mode only coordinators are told, whatever happens and whoever is on duty."""

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from services.notification import bootstrap
from services.notification.adapters.texts import TemplateTexts
from services.notification.domain.alert import content_of
from services.notification.domain.evidence import Evidence, EvidenceKind
from services.notification.domain.routing import Recipients, RosterEntry, Routes, recipients
from services.notification.domain.shadow import for_the_coordinator_alone
from services.notification.settings import NotificationSettings
from shared.contracts.vocabulary import Role
from tests.unit.notification.samples import CASE, ROUTES

NOW = datetime(2027, 3, 10, 9, 0, tzinfo=UTC)
#: one person for each role, all on duty for all cases
EVERYBODY = tuple(
    RosterEntry(
        UUID(int=number), role, f"u-{role.value}", role.value, f"{role.value}@clinic.invalid",
        None, NOW, None,
    )
    for number, role in enumerate(Role, start=1)
)  # fmt: skip
NO_COORDINATOR = tuple(entry for entry in EVERYBODY if entry.role is not Role.COORDINATOR)


def shadow_settings(**changed: str) -> NotificationSettings:
    return NotificationSettings.model_validate(
        {
            "mode": "shadow", "kafka_bootstrap": "unused:1", "oidc_issuer": "http://127.0.0.1:1",
            "oidc_jwks_url": "http://127.0.0.1:1/jwks", "oidc_token_url": "http://127.0.0.1:1/t",
            "client_secret": "unused", "TANDEM_DATABASE_URL_NOTIFICATION": "unused",
            "fallback_email": "duty@clinic.invalid", "coordinator_email": "co@clinic.invalid",
            **changed,
        }
    )  # fmt: skip


def told(routes: Routes, kind: EvidenceKind, roster: tuple[RosterEntry, ...]) -> list[Recipients]:
    """Who is told of it at once, and at each step when nobody answers."""
    fallback = bootstrap.last_resort(shadow_settings())
    subject = f"{kind.value}:1"
    happened = Evidence(CASE, kind, subject, UUID(int=1), NOW, frozenset(), {})
    content = content_of((happened,), routes)
    return [
        recipients(roles, roster, case_id=CASE, at=NOW, fallback=fallback)
        for roles in (content.roles, *content.escalate_to)
    ]


def addresses(found: list[Recipients]) -> set[str]:
    return {person.email for step in found for person in step.people}


RAISING = [kind for kind in EvidenceKind if ROUTES.by_kind[kind].raises]


@pytest.mark.parametrize("kind", RAISING)
def test_only_the_coordinator_on_duty_is_told(kind: EvidenceKind) -> None:
    rules = bootstrap.policy(bootstrap.last_resort(shadow_settings()), "shadow")

    assert addresses(told(rules.routes, kind, EVERYBODY)) == {"coordinator@clinic.invalid"}


@pytest.mark.parametrize("kind", RAISING)
def test_with_no_coordinator_on_duty_it_is_their_own_address(kind: EvidenceKind) -> None:
    routes = for_the_coordinator_alone(ROUTES)

    assert addresses(told(routes, kind, NO_COORDINATOR)) == {"co@clinic.invalid"}


def test_a_planted_route_to_somebody_else_is_seen() -> None:
    routes = for_the_coordinator_alone(ROUTES)
    kind = EvidenceKind.HOLD_RULE
    planted = replace(routes.by_kind[kind], escalate_to=((Role.ONCOLOGIST,),))

    found = told(replace(routes, by_kind={**routes.by_kind, kind: planted}), kind, EVERYBODY)

    assert addresses(found) == {"coordinator@clinic.invalid", "oncologist@clinic.invalid"}


def test_the_live_table_is_as_it_was() -> None:
    rules = bootstrap.policy(bootstrap.last_resort(shadow_settings()), "live")

    assert rules.routes == ROUTES
    assert len(addresses(told(rules.routes, EvidenceKind.HOLD_RULE, EVERYBODY))) > 1


def test_every_text_is_marked_in_shadow_mode_and_in_no_other() -> None:
    said = {}
    for in_shadow in (True, False):
        texts = TemplateTexts(ROUTES, in_shadow=in_shadow)
        subject, body = texts.message(
            urgency="critical", case_code="AAAA-BBBB", link="https://t.example/alerts/1",
            answer_by=NOW, step=0,
        )  # fmt: skip
        said[in_shadow] = (subject, body, texts.summary(EvidenceKind.HOLD_RULE))

    assert said[True][0].startswith("[Tandem shadow mode] critical")
    assert said[True][1].startswith("SHADOW MODE:")
    assert "next person on the roster" not in said[True][1]
    assert said[True][2].startswith("[shadow mode] ")
    assert not any("shadow" in text.casefold() for text in said[False])


def test_shadow_mode_needs_the_coordinators_address() -> None:
    with pytest.raises(ValidationError, match="TANDEM_COORDINATOR_EMAIL"):
        shadow_settings(coordinator_email="")
