"""Paging past the event stream: notification's endpoint, and intake's own mail as the fallback.

A page carries a case alias and a hold id, nothing of the patient. Whether it was taken is the whole
answer; the retry row is the caller's.
"""

import json
import logging
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Final

import aiosmtplib

from services.intake.application.authority_ports import PageDue
from shared.contracts.case_code import case_code
from shared.ports import Http, HttpUnreachableError

_LOG = logging.getLogger(__name__)
_TAKEN: Final = frozenset({200, 201, 202})
MAIL_SECONDS_MAX: Final = 5.0


@dataclass(frozen=True, slots=True)
class MailRelay:
    """Where mail goes out when notification is away; `to` is the on-call address."""

    host: str
    port: int
    sender: str
    to: str


@dataclass(frozen=True, slots=True)
class NotificationPager:
    """`Pager` over HTTP and SMTP."""

    http: Http
    url: str
    timeout_seconds: float
    mail_relay: MailRelay | None

    async def page(self, due: PageDue) -> bool:
        """Whether notification took it."""
        body = {
            "page_id": str(due.page_id),
            "case_id": str(due.case_id),
            "hold_id": None if due.hold_id is None else str(due.hold_id),
            "cause": due.cause,
        }
        try:
            answer = await self.http.call(
                "POST",
                f"{self.url}/pages",
                body=json.dumps(body).encode(),
                headers={"content-type": "application/json"},
                timeout_seconds=self.timeout_seconds,
            )
        except HttpUnreachableError:
            return False
        return answer.status in _TAKEN

    async def mail(self, due: PageDue) -> bool:
        """Whether the mail was accepted by the relay."""
        if self.mail_relay is None:
            return False
        message = EmailMessage()
        message["From"] = self.mail_relay.sender
        message["To"] = self.mail_relay.to
        message["Subject"] = f"Tandem: {due.cause.replace('_', ' ')}"
        message["Message-ID"] = f"<page-{due.page_id}@tandem>"
        message.set_content(
            f"Case code {case_code(due.case_id)}: {due.cause.replace('_', ' ')}.\n"
            "Open the case in Tandem and telephone the bay.\n"
        )
        try:
            await aiosmtplib.send(
                message,
                hostname=self.mail_relay.host,
                port=self.mail_relay.port,
                timeout=MAIL_SECONDS_MAX,
            )
        except (aiosmtplib.SMTPException, OSError) as error:
            _LOG.warning("page_mail_failed", extra={"error": type(error).__name__})
            return False
        return True
