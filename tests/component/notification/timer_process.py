"""Notification's timers in a process of their own, made to be killed by a test.

Usage: timer_process.py DSN SMTP_PORT INSTANT. Prints `ready`, then runs both timers without pause.
"""

import asyncio
import sys
from datetime import datetime

from services.notification import bootstrap
from services.notification.adapters.mail import MailSettings, SmtpMailer
from services.notification.adapters.texts import TemplateTexts
from services.notification.application import deliver_due as delivering
from services.notification.application.deliver_due import Outgoing, deliver_due
from services.notification.application.escalate_overdue import escalate_overdue
from services.notification.domain.routing import Person
from shared.persistence.postgres import PostgresDatabase
from shared.ports import World
from shared.runtime.world import (
    BootClock,
    EventLoopWaiter,
    MachineClock,
    SystemChance,
    TimeOrderedIds,
)
from shared.testing.doubles import FunctionHttp, StandingClock


async def main(dsn: str, port: int, instant: datetime) -> None:
    # a killed worker's claim ends soon, so that the test need not wait a minute
    delivering.CLAIM_SECONDS = 0.5
    database = await PostgresDatabase.open(dsn)
    machine = MachineClock()
    world = World(
        clock=StandingClock(instant), machine_clock=machine, lease_clock=BootClock(),
        ids=TimeOrderedIds(), chance=SystemChance(), waiter=EventLoopWaiter(),
        http=FunctionHttp(),
    )  # fmt: skip
    rules = bootstrap.policy(Person("desk", "Duty desk", "desk@clinic.example", None))
    units = bootstrap.unit_of_work(database, world)
    mailer = SmtpMailer(MailSettings("127.0.0.1", port, "tandem@clinic.example"), machine)
    outgoing = Outgoing(TemplateTexts(rules.routes), mailer, "https://t.example", "t.example")
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        await escalate_overdue(rules, units)
        await deliver_due(units, outgoing)
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), datetime.fromisoformat(sys.argv[3])))
