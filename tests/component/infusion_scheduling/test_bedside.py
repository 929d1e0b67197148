"""The bedside on real PostgreSQL: checks of two people, one press, and every refusal with reasons.

Intake is a function here; that its permits hold is tested where it is real
(tests/integration/permits and the demo).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.infusion_scheduling.bootstrap import reactions
from shared.contracts.case_code import case_code
from shared.contracts.coordination import HoldRecorded, TimelineInterval, TimelinePublished
from shared.contracts.event import Envelope, Event
from shared.contracts.manufacturing import BatchReleased, DoseIssued
from shared.contracts.vocabulary import Gate, HoldKind, OnRunning, Role, Service, Verdict
from shared.messaging.unit_of_work import Cause
from shared.permits.rows import lock_fences
from shared.persistence.statements import Statement
from shared.ports import HttpAnswer
from tests.component.infusion_scheduling.conftest import Scheduling

pytestmark = pytest.mark.component
LABEL = "TDM-0123456789ABCDEFGHJKMNPQRSA"


@dataclass
class Bedside:
    """One case with a planned infusion whose dose is at the bedside."""

    scheduling: Scheduling
    case_id: UUID
    infusion_id: str
    dose_id: UUID

    def headers(self, role: Role, subject: str = "nurse-1") -> dict[str, str]:
        return self.scheduling.sign_in.person(role, subject=subject)

    async def post(
        self, path: str, body: Mapping[str, Any] | None = None, **headers: str
    ) -> httpx.Response:
        return await self.scheduling.client.post(
            f"/infusions/{self.infusion_id}{path}",
            headers={**self.headers(Role.INFUSION_NURSE), **headers},
            json=dict(body or {}),
        )

    async def check(self, **changes: object) -> httpx.Response:
        second = self.headers(Role.INFUSION_NURSE, "nurse-2")["authorization"].split()[1]
        body = {
            "band": case_code(self.case_id), "label": LABEL, "emergency_kit": True,
            "physician_on_site": True, "second_checker_token": second, **changes,
        }  # fmt: skip
        return await self.post("/checks", body)

    async def press(self, seen: str = '"0.1"') -> httpx.Response:
        return await self.post("/start", None, **{"if-match": seen})

    async def state(self) -> str:
        answer = await self.scheduling.client.get(
            f"/infusions/{self.infusion_id}", headers=self.headers(Role.INFUSION_NURSE)
        )
        return str(answer.json()["state"])

    async def outbox(self) -> list[str]:
        async with self.scheduling.database.transaction() as tx:
            rows = await tx.rows(
                Statement(
                    "test",
                    "SELECT headers->>'ce_type' AS t FROM outbox WHERE case_id = $1 ORDER BY id",
                ),
                self.case_id,
            )
        return [row["t"].split(".")[2] for row in rows]

    def intake_answers(self, status: int, body: Mapping[str, Any]) -> None:
        async def answer(
            method: str, url: str, sent: bytes | None, headers: Mapping[str, str]
        ) -> HttpAnswer:
            return HttpAnswer(status, json.dumps(body).encode(), {"tandem-mode": "demo"})

        self.scheduling.intake.answering = answer

    def intake_grants(self) -> None:
        expires = self.scheduling.app.state.parts.holder.world.clock.now() + timedelta(seconds=10)
        self.intake_answers(
            201, {"epoch": 0, "version": 1, "ttl_ms": 10_000, "expires_at": expires.isoformat()}
        )

    async def hear(self, event: Event) -> None:
        await hear(self.scheduling, event)


async def hear(scheduling: Scheduling, event: Event) -> None:
    parts = scheduling.app.state.parts
    envelope = Envelope(
        id=uuid4(), source=event.owner, time=scheduling.clock.now(), epoch=0, sequence=1,
        correlation_id=uuid4(), causation_id=None, traceparent=None, data=event,
    )  # fmt: skip
    table = reactions(parts.site, parts.holder)
    cause = Cause.of_event(envelope, Service.INFUSION_SCHEDULING)
    async with parts.uow.begin(cause) as work:
        await lock_fences(work.tx, [event.case_id])
        await table.handlers[type(event)](work, envelope)


@pytest.fixture
async def bedside(scheduling: Scheduling) -> Bedside:
    case_id, batch_id, dose_id = uuid4(), uuid4(), uuid4()
    now = scheduling.clock.now()
    coordinator = scheduling.sign_in.person(Role.COORDINATOR)
    interval = TimelineInterval(
        starts_at=now,
        ends_at=now + timedelta(days=500),
        start=Verdict.GO,
        plan=Verdict.GO,
        rules=(),
    )
    await hear(
        scheduling,
        TimelinePublished(
            case_id=case_id, gate=Gate.INFUSION, epoch=0, version=1, timeline_version=1,
            protocol_version="1.0.0", intervals=(interval,),
        ),
    )  # fmt: skip
    await scheduling.client.post(
        "/chairs",
        headers=coordinator,
        json={
            "name": uuid4().hex, "weekdays": [1, 2, 3, 4, 5, 6, 7], "opens_at": "08:00",
            "closes_at": "18:00", "visit_minutes": 240,
        },
    )  # fmt: skip
    answer = await scheduling.client.post(
        "/courses",
        headers=coordinator,
        json={
            "case_id": str(case_id), "schedule": "SCH-CHEMO-Q3W",
            "not_before": now.date().isoformat(),
        },
    )  # fmt: skip
    assert answer.status_code == 201, answer.text
    await hear(
        scheduling,
        BatchReleased(
            case_id=case_id, batch_id=batch_id, certificate_id=uuid4(), dose_ids=(dose_id,),
            form="cryopreserved", formulated_at=now, expires_at=now + timedelta(days=300),
        ),
    )  # fmt: skip
    infusion_id = answer.json()["infusions"][0]["infusion_id"]
    await hear(
        scheduling,
        DoseIssued(
            case_id=case_id, dose_id=dose_id, batch_id=batch_id, infusion_id=UUID(infusion_id),
            permit_id=uuid4(), attempt=1, label=LABEL, issued_at=now,
            usable_until=now + timedelta(hours=1),
        ),
    )  # fmt: skip
    return Bedside(scheduling, case_id, infusion_id, dose_id)


async def test_two_people_check_one_press_and_go(bedside: Bedside) -> None:
    bedside.intake_grants()

    assert (await bedside.check()).status_code == 201
    answer = await bedside.press()

    assert answer.status_code == 200, answer.text
    assert answer.json()["answer"] == "GO"
    assert await bedside.state() == "running"
    told = await bedside.outbox()
    assert told.count("infusion-started") == 1
    assert told.count("permit-outcome") == 1


async def test_completion_places_the_follow_ups_of_the_rulebook(bedside: Bedside) -> None:
    bedside.intake_grants()
    await bedside.check()
    await bedside.press()

    done = await bedside.post("/complete")
    again = await bedside.post("/complete")

    assert done.json()["state"] == again.json()["state"] == "COMPLETED"
    found = await bedside.scheduling.client.get(
        f"/follow-ups?case_id={bedside.case_id}", headers=bedside.headers(Role.INFUSION_NURSE)
    )
    given_on = bedside.scheduling.clock.now().date()
    days = {f["rule"]: f["due_on"] for f in found.json()["items"]}
    # protocol follow_up: FU-D1, D3, D7, D28, W8 = 56, M3 = 90, M6 = 180, M12 = 365 days
    assert days == {
        rule: (given_on + timedelta(days=n)).isoformat()
        for rule, n in {
            "FU-D1": 1, "FU-D3": 3, "FU-D7": 7, "FU-D28": 28, "FU-W8": 56, "FU-M3": 90,
            "FU-M6": 180, "FU-M12": 365,
        }.items()
    }  # fmt: skip
    assert (await bedside.outbox()).count("infusion-completed") == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"band": "XXXX-XXXX"}, "band-mismatch"),
        ({"label": "TDM-0000000000000000000000000"}, "label-mismatch"),
        ({"emergency_kit": False}, "emergency-kit"),
        ({"physician_on_site": False}, "physician-on-site"),
    ],
)
async def test_a_check_that_does_not_hold_is_refused_and_no_press_passes(
    bedside: Bedside, changes: dict[str, object], code: str
) -> None:
    bedside.intake_grants()

    checked = await bedside.check(**changes)
    pressed = await bedside.press()

    assert (checked.status_code, checked.json()["code"]) == (409, code)
    assert pressed.status_code == 409
    assert {"code": "not-checked"} in pressed.json()["reasons"]
    assert await bedside.state() == "planned"


async def test_nobody_checks_alone(bedside: Bedside) -> None:
    own = bedside.headers(Role.INFUSION_NURSE)["authorization"].split()[1]

    answer = await bedside.check(second_checker_token=own)

    assert (answer.status_code, answer.json()["code"]) == (409, "second-person")


REASONS = [{"code": "hold-open", "hold_id": "h"}, {"code": "decision", "rules": ["STER-001"]}]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (409, "hold-open"),
        (409, "permit-out"),
        (409, "product"),
        (409, "unknown-source"),
        (412, "stale-view"),
    ],
)
async def test_the_authoritys_refusal_is_shown_with_all_reasons(
    bedside: Bedside, status: int, code: str
) -> None:
    bedside.intake_answers(
        status, {"code": code, "title": "No.", "reasons": REASONS, "epoch": 0, "version": 7}
    )
    await bedside.check()

    answer = await bedside.press()

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["answer"] == "DO NOT START"
    assert answer.json()["reasons"] == REASONS
    assert answer.json()["clearance"] == {"epoch": 0, "version": 7}
    assert await bedside.state() == "planned"
    assert (await bedside.outbox())[-1] == "start-refused"


async def test_an_authority_out_of_reach_means_do_not_start(bedside: Bedside) -> None:
    bedside.scheduling.intake.answering = None
    await bedside.check()

    answer = await bedside.press()

    assert (answer.status_code, answer.json()["code"]) == (503, "authority-unreachable")
    assert await bedside.state() == "planned"
    assert (await bedside.outbox())[-1] == "start-refused"


async def test_a_hold_applied_after_the_grant_keeps_the_start_from_going(bedside: Bedside) -> None:
    await bedside.check()
    expires = bedside.scheduling.app.state.parts.holder.world.clock.now() + timedelta(seconds=10)

    async def grant_then_hold(
        method: str, url: str, sent: bytes | None, headers: Mapping[str, str]
    ) -> HttpAnswer:
        await bedside.hear(
            HoldRecorded(
                case_id=bedside.case_id, hold_id=uuid4(), epoch=0, version=2,
                kind=HoldKind.CLINICAL_CONCERN, gates=frozenset({Gate.INFUSION}),
                on_running=OnRunning.STOP, effective=False,
            )
        )  # fmt: skip
        body = {"epoch": 0, "version": 1, "ttl_ms": 10_000, "expires_at": expires.isoformat()}
        return HttpAnswer(201, json.dumps(body).encode(), {"tandem-mode": "demo"})

    bedside.scheduling.intake.answering = grant_then_hold

    answer = await bedside.press()

    assert answer.status_code == 409
    assert answer.json()["answer"] == "DO NOT START"
    assert await bedside.state() == "suspended"
    assert "infusion-started" not in await bedside.outbox()


async def test_a_press_on_a_suspended_infusion_is_refused_with_what_suspended_it(
    bedside: Bedside,
) -> None:
    bedside.intake_grants()
    await bedside.check()
    hold_id = uuid4()
    await bedside.hear(
        HoldRecorded(
            case_id=bedside.case_id, hold_id=hold_id, epoch=0, version=2,
            kind=HoldKind.CLINICAL_CONCERN, gates=frozenset({Gate.INFUSION}),
            on_running=OnRunning.STOP, effective=True,
        )
    )  # fmt: skip

    answer = await bedside.press()

    assert (answer.status_code, answer.json()["code"]) == (409, "infusion-suspended")
    reasons = {(r["code"], r.get("hold_id")) for r in answer.json()["reasons"]}
    assert reasons == {("infusion-suspended", None), ("hold-open", str(hold_id))}
    assert answer.json()["answer"] == "DO NOT START"


async def test_a_hold_on_a_running_infusion_orders_a_stop_and_stopping_is_never_refused(
    bedside: Bedside,
) -> None:
    bedside.intake_grants()
    await bedside.check()
    await bedside.press()
    await bedside.hear(
        HoldRecorded(
            case_id=bedside.case_id, hold_id=uuid4(), epoch=0, version=2,
            kind=HoldKind.CLINICAL_CONCERN, gates=frozenset({Gate.INFUSION}),
            on_running=OnRunning.STOP, effective=True,
        )
    )  # fmt: skip

    stopped = await bedside.post("/stop", {"reason": "stop order"})

    assert (stopped.status_code, stopped.json()["state"]) == (200, "STOPPED")
    assert await bedside.state() == "stopped"
    assert "infusion-stopped" in await bedside.outbox()


async def test_what_runs_without_us_is_always_recorded(bedside: Bedside) -> None:
    answer = await bedside.post("/already-running")

    assert answer.status_code == 201, answer.text
    assert answer.json()["unpermitted"] is True
    assert await bedside.state() == "running"


async def test_a_start_that_never_opened_can_be_made_again(bedside: Bedside) -> None:
    bedside.intake_grants()
    await bedside.check()
    await bedside.press()

    await bedside.post("/never-opened", {"reason": "line blocked"})

    assert await bedside.state() == "planned"
    await bedside.check()
    assert (await bedside.press()).json()["answer"] == "GO"


async def test_vital_signs_that_meet_a_stop_trigger_say_stop(bedside: Bedside) -> None:
    bedside.intake_answers(201, {})
    now = bedside.scheduling.clock.now().isoformat()
    measures = {"spo2": {"value": 88, "unit": "%"}, "heart_rate": {"value": 90, "unit": "/min"}}

    answer = await bedside.post(
        "/vitals", {"phase": "before", "taken_at": now, "measures": measures}
    )

    assert answer.status_code == 201, answer.text
    assert answer.json()["stop"] is True
    assert [t["rule"] for t in answer.json()["triggers"]] == ["STOP-001"]
    assert answer.json()["on_record"] is True


async def test_a_reaction_is_graded_by_the_rulebook(bedside: Bedside) -> None:
    graded = await bedside.post("/reactions", {"scale": "irr_ctcae5", "grade": 3})
    unknown = await bedside.post("/reactions", {"scale": "no_such_scale", "grade": 3})

    assert (graded.status_code, graded.json()["rule"]) == (201, "RX-IRR-3")
    assert unknown.status_code == 422
