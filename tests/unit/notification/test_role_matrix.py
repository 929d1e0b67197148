"""Who may call which endpoint of notification: written by a person, checked for every caller."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from services.notification import bootstrap
from services.notification.adapters.texts import TemplateTexts
from services.notification.domain.routing import Person
from shared.contracts.vocabulary import Role
from shared.observability.figures import Figures
from shared.runtime.world import machine_world
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.testing.role_matrix import ANY_ROLE, OPERATIONS, Table, check_role_matrix
from shared.testing.sign_in import SignIn

ANSWERING: Final = ANY_ROLE - {"auditor"}
PLANNING: Final = frozenset({"coordinator", "nurse_lead", "medical_director", "ops"})
TABLE: Final[Table] = {
    **OPERATIONS,
    "GET /alerts": ANY_ROLE,
    "GET /alerts/stream": ANY_ROLE,
    "GET /alerts/{alert_id}": ANY_ROLE,
    "POST /alerts/{alert_id}/acknowledge": ANSWERING,
    "POST /alerts/{alert_id}/override": ANSWERING,
    "POST /alerts/{alert_id}/snooze": ANSWERING,
    "GET /routes": ANY_ROLE,
    "GET /rosters": ANY_ROLE,
    "POST /rosters": PLANNING,
    "DELETE /rosters/{entry_id}": PLANNING,
    "POST /pages": {"service:intake", "service:manufacturing", "service:infusion_scheduling"},
}


async def test_every_endpoint_takes_exactly_the_callers_of_the_table(tmp_path: Path) -> None:
    clock = StandingClock()
    world = replace(machine_world(FunctionHttp()), machine_clock=clock)
    rules = bootstrap.policy(Person("desk", "Duty desk", "desk@clinic.example", None))
    units = bootstrap.unit_of_work(None, world)  # type: ignore[arg-type] - refusals come before
    parts = bootstrap.parts_for(rules, units, TemplateTexts(rules.routes), "demo")
    sign_in = SignIn(tmp_path, clock)
    app = bootstrap.web_app(parts, sign_in.authenticator, Figures())

    pairs = await check_role_matrix(app, sign_in, TABLE)

    assert pairs >= len(TABLE) * (len(Role) + 1)
