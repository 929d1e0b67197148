"""Hands messages to an SMTP server (aiosmtplib), and turns whatever happens into an outcome."""

from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Final

import aiosmtplib

from services.notification.application.ports import Mail
from services.notification.domain.delivery import MailOutcome
from shared.ports import Clock

#: a server that says nothing for so long has failed; well below the claim's lease
TIMEOUT_SECONDS: Final = 10.0
_FOR_GOOD: Final = 500


@dataclass(frozen=True, slots=True)
class MailSettings:
    """How the mail server is reached."""

    host: str
    port: int
    sender: str
    username: str | None = None
    password: str | None = None
    use_tls: bool = False
    start_tls: bool = False


class SmtpMailer:
    """One connection per message: messages are few, and a stale connection is a lost minute."""

    def __init__(self, settings: MailSettings, machine_clock: Clock) -> None:
        self._settings = settings
        self._clock = machine_clock

    async def send(self, mail: Mail) -> MailOutcome:
        """What the server said. Never raises for a server's or the network's failure."""
        everybody = frozenset(mail.addresses)
        try:
            refused, _ = await self._hand_over(mail)
        except aiosmtplib.SMTPRecipientsRefused as error:
            return _by_address({r.recipient: r.code for r in error.recipients})
        except aiosmtplib.SMTPResponseException as error:
            if error.code >= _FOR_GOOD:
                return MailOutcome(frozenset(), everybody, "refused")
            return MailOutcome(everybody, frozenset(), "refused_for_now")
        except (aiosmtplib.SMTPTimeoutError, TimeoutError):
            return MailOutcome(everybody, frozenset(), "timeout")
        except (aiosmtplib.SMTPException, OSError):
            return MailOutcome(everybody, frozenset(), "connection")
        return _by_address({address: answer.code for address, answer in refused.items()})

    async def _hand_over(self, mail: Mail) -> tuple[dict[str, aiosmtplib.SMTPResponse], str]:
        where = self._settings
        return await aiosmtplib.send(
            self._message(mail),
            sender=where.sender,
            recipients=list(mail.addresses),
            hostname=where.host,
            port=where.port,
            username=where.username,
            password=where.password,
            use_tls=where.use_tls,
            start_tls=where.start_tls,
            timeout=TIMEOUT_SECONDS,
        )

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._settings.sender
        message["To"] = ", ".join(mail.addresses)
        message["Subject"] = mail.subject
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = mail.message_id
        # machine mail: no vacation replies to it
        message["Auto-Submitted"] = "auto-generated"
        message["X-Tandem-Attempt"] = str(mail.attempt)
        if mail.urgency == "critical":
            message["Importance"] = "high"
        message.set_content(mail.body)
        return message


def _by_address(codes: dict[str, int]) -> MailOutcome:
    """The outcome when some addresses (all others were accepted) were refused with these codes."""
    never = frozenset(address for address, code in codes.items() if code >= _FOR_GOOD)
    later = frozenset(codes) - never
    return MailOutcome(later, never, "refused" if codes else None)
