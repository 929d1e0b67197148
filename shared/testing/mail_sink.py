"""A mail server that keeps what it is sent and shows it: for tests, and as the demo's inbox.

`python -m shared.testing.mail_sink` listens on loopback only: SMTP, an inbox page and the same as
JSON. Nothing is ever passed on. Every message that was accepted is kept, repetitions too, so that
a test can count what really left; the page marks a repetition by its Message-ID.
"""

import argparse
import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Final

import uvicorn
from aiosmtpd.smtp import SMTP, Envelope, Session
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from jinja2 import Environment

LOOPBACK: Final = "127.0.0.1"
SMTP_PORT: Final = 1025
HTTP_PORT: Final = 8025
#: the oldest is forgotten first
MESSAGES_MAX: Final = 1_000
MESSAGE_BYTES_MAX: Final = 1_000_000
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Content-Type-Options": "nosniff",
}
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta http-equiv="refresh" content="2"><title>Demo inbox</title>
<style>body{font:16px/1.5 system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}
article{border:1px solid #888;border-radius:.5rem;padding:.5rem 1rem;margin:1rem 0}
pre{white-space:pre-wrap}</style>
<h1>Demo inbox</h1>
<p role="status">{{ messages|length }} message{{ "" if messages|length == 1 else "s" }}.
Nothing here left this machine.</p>
{% for m in messages %}<article><h2>{{ m.subject }}</h2>
<p>To {{ m.recipients|join(", ") }} · {{ m.received_at }}{% if m.repeated %} ·
<strong>repetition of an earlier message</strong>{% endif %}</p>
<pre>{{ m.body }}</pre></article>
{% else %}<p>No message yet.</p>{% endfor %}</html>"""


@dataclass(frozen=True, slots=True)
class Received:
    """A message that the server accepted with 250."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    body: str
    headers: tuple[tuple[str, str], ...]
    received_at: datetime
    repeated: bool


# no slots: aiosmtpd looks at every attribute of its handler, and Python 3.11.2 cannot show
# the slot of weak references
@dataclass
class MailSink:
    """The server and its messages, oldest first.

    For tests: `refuse` is answered to every message instead of taking it (`"451 later"`), and the
    addresses in `refuse_recipients` are answered 550.
    """

    messages: deque[Received] = field(default_factory=lambda: deque(maxlen=MESSAGES_MAX))
    refuse: str | None = None
    refuse_recipients: frozenset[str] = frozenset()
    port: int = 0
    host: str = LOOPBACK
    _server: asyncio.Server | None = None

    async def start(self, port: int = 0) -> None:
        """Listens at `host`; port 0 takes a free one and `port` then tells which."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, self.host, port or self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Listens no more; what was received stays."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    def _protocol(self) -> SMTP:
        return SMTP(self, data_size_limit=MESSAGE_BYTES_MAX, hostname="demo-inbox")

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Takes every recipient but those that a test refuses."""
        if address in self.refuse_recipients:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keeps the message."""
        if self.refuse is not None:
            return self.refuse
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        message = message_from_bytes(content, policy=policy.default)
        self.messages.append(self._received(message, envelope))
        return "250 kept"

    def _received(self, message: EmailMessage, envelope: Envelope) -> Received:
        message_id = str(message["Message-ID"] or "").strip()
        body = message.get_body(("plain",))
        return Received(
            message_id=message_id,
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            subject=str(message["Subject"] or ""),
            body=str(body.get_content()) if body is not None else "",
            headers=tuple((name, str(value)) for name, value in message.items()),
            received_at=datetime.now(UTC),
            repeated=any(m.message_id == message_id for m in self.messages),
        )


def inbox_app(sink: MailSink) -> FastAPI:
    """The inbox page at `/`, the same as JSON at `/messages.json`."""
    app = FastAPI(title="Demo inbox", docs_url=None, redoc_url=None, openapi_url=None)
    page = Environment(autoescape=True).from_string(_PAGE)

    @app.get("/")
    async def inbox() -> HTMLResponse:
        newest_first = list(reversed(sink.messages))
        return HTMLResponse(page.render(messages=newest_first), headers=_HEADERS)

    @app.get("/messages.json")
    async def messages() -> JSONResponse:
        return JSONResponse([_as_json(m) for m in sink.messages], headers=_HEADERS)

    @app.get("/health/live")
    async def live() -> JSONResponse:
        return JSONResponse({"live": True})

    return app


def _as_json(message: Received) -> dict[str, Any]:
    return {
        "message_id": message.message_id,
        "from": message.sender,
        "to": list(message.recipients),
        "subject": message.subject,
        "body": message.body,
        "received_at": message.received_at.isoformat(),
        "repeated": message.repeated,
    }


@asynccontextmanager
async def running_sink(port: int = 0, host: str = LOOPBACK) -> AsyncIterator[MailSink]:
    """A sink for as long as the block lasts."""
    sink = MailSink(host=host)
    await sink.start(port)
    try:
        yield sink
    finally:
        await sink.stop()


async def serve(smtp_port: int, http_port: int, host: str = LOOPBACK) -> None:
    """Runs the inbox until SIGTERM or SIGINT."""
    async with running_sink(smtp_port, host) as sink:
        config = uvicorn.Config(
            inbox_app(sink), host=host, port=http_port, access_log=False, log_level="warning"
        )
        await uvicorn.Server(config).serve()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="A mail server for the demo: keeps, shows, never sends."
    )
    parser.add_argument("--smtp-port", type=int, default=SMTP_PORT)
    parser.add_argument("--http-port", type=int, default=HTTP_PORT)
    # beyond loopback only in a container, whose ports are published on loopback
    parser.add_argument("--host", default=LOOPBACK)
    chosen = parser.parse_args()
    asyncio.run(serve(chosen.smtp_port, chosen.http_port, chosen.host))


if __name__ == "__main__":
    main()
