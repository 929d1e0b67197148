"""The demo inbox as a program: it takes mail, shows it inert, and ends when told."""

import asyncio
import signal
import socket
import sys
from email.message import EmailMessage

import aiosmtplib
import httpx
import pytest

from shared.runtime.paths import CHECKOUT

pytestmark = pytest.mark.component


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


async def until_up(client: httpx.AsyncClient) -> None:
    for _ in range(200):
        try:
            await client.get("/health/live")
        except httpx.TransportError:
            await asyncio.sleep(0.05)
        else:
            return
    pytest.fail("the inbox did not answer within 10 s")


async def test_the_inbox_shows_what_it_was_sent_and_marks_repetitions() -> None:
    smtp, http = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "shared.testing.mail_sink",
        "--smtp-port", str(smtp), "--http-port", str(http), cwd=CHECKOUT,
    )  # fmt: skip
    message = EmailMessage()
    message["From"], message["To"] = "tandem@clinic.example", "onco@clinic.example"
    message["Subject"], message["Message-ID"] = "<script>alert(1)</script>", "<1@x>"
    message.set_content("<b>bold</b>")

    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http}") as client:
            await until_up(client)
            for _ in range(2):
                await aiosmtplib.send(message, hostname="127.0.0.1", port=smtp)
            listed = (await client.get("/messages.json")).json()
            page = await client.get("/")
    finally:
        process.send_signal(signal.SIGTERM)
        status = await asyncio.wait_for(process.wait(), 15)

    assert [m["repeated"] for m in listed] == [False, True]
    assert listed[0]["to"] == ["onco@clinic.example"]
    assert "<script>alert" not in page.text
    assert "&lt;b&gt;bold&lt;/b&gt;" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert status in (0, -15, 143)
