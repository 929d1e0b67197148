"""Notification as a process: a hold posted at intake leaves as mail in time, and silence is told.

Real Kafka, PostgreSQL and SMTP; intake and notification as processes.
"""

from functools import partial
from pathlib import Path
from uuid import UUID

import pytest

from services.notification.domain.case_code import case_code
from shared.contracts.vocabulary import Service
from shared.testing.infra import Infra
from shared.testing.mail_sink import MailSink
from tests.system.deployment import deployed, eventually
from tests.system.staff import Staff

pytestmark = [pytest.mark.component, pytest.mark.timeout(180)]

#: a source is silent after 15 s; the rest is two timers, the hand-over and a loaded machine
ALARM_SECONDS = 90.0
HOLDS = 10
MANUFACTURING = Service.MANUFACTURING


async def test_a_hold_leaves_as_one_mail_in_time_and_a_silent_source_is_told(
    infra: Infra, tmp_path: Path, sink: MailSink
) -> None:
    services = (Service.INTAKE, Service.NOTIFICATION)
    async with deployed(infra, tmp_path, services) as deployment:
        await deployment.stop(Service.NOTIFICATION)
        await deployment.start(Service.NOTIFICATION, {"TANDEM_SMTP_PORT": str(sink.port)})
        staff = Staff(deployment)
        for _ in range(HOLDS):
            case_id = await staff.refer()
            await staff.hold(case_id)
            code = case_code(UUID(case_id))
            await eventually(partial(_has_left, sink, code), f"a mail about {code}")
        # manufacturing was never started, so its silence is told first: the watch is on
        await eventually(lambda: _silent(staff, MANUFACTURING), "manufacturing told to be silent")
        early = await _silent(staff, Service.INTAKE)
        await deployment.kill(Service.INTAKE)
        await eventually(
            lambda: _silent(staff, Service.INTAKE), "intake told to be silent",
            within_seconds=ALARM_SECONDS,
        )  # fmt: skip

    assert not early
    assert len([m for m in sink.messages if "SYSTEM" not in m.subject]) == HOLDS
    assert not [m for m in sink.messages if m.repeated]


async def _silent(staff: Staff, source: Service) -> bool:
    found = await staff.get(Service.NOTIFICATION, "/alerts?urgency=critical&state=open&limit=200")
    facts = [fact for alert in found["items"] for fact in alert["facts"]]
    return any(f["kind"] == "stream_broken" and f["detail"]["source"] == source for f in facts)


async def _has_left(sink: MailSink, code: str) -> bool:
    """Whether a message names the code in its subject."""
    return any(code in message.subject for message in sink.messages)
