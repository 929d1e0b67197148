"""`tandem feed send` against a running intake: real sockets, and the exit code for each end."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from socket import socket
from typing import Any

import pytest
import uvicorn
from typer.testing import CliRunner

from services.console.cli import new_app
from services.intake.application.incoming_messages import Profile
from services.intake.entrypoints.feed_command import register
from services.intake.entrypoints.http_feeds import FeedParts
from services.intake.entrypoints.mllp import Listening, MllpServer
from tests.component.intake.conftest import Intake
from tests.component.intake.subscribed import MRN, Ehr, notification, subscribed

pytestmark = pytest.mark.component
ORU = (Path(__file__).parents[2] / "data" / "hl7v2" / "oru-r01.hl7").read_bytes()
Result = tuple[int, str, str]


@pytest.fixture
async def ehr(intake: Intake) -> AsyncIterator[Ehr]:
    async with subscribed(intake) as found:
        yield found


async def run(*arguments: str, env: Mapping[str, str] | None = None) -> Result:
    """Exit code, output and errors of the command, while the services go on."""
    app = new_app()
    register(app)
    clean = {"TANDEM_FEEDS": None, "TANDEM_FEED_SECRET": None, "TANDEM_URL_INTAKE": None}
    done = await asyncio.to_thread(
        CliRunner().invoke, app, ["feed", "send", *arguments], env={**clean, **(env or {})}
    )
    return done.exit_code, done.stdout, done.stderr


@asynccontextmanager
async def listening(ehr: Ehr) -> AsyncIterator[str]:
    """The port of a laboratory's feed."""
    parts = ehr.app.state.feeds
    assert isinstance(parts, FeedParts)
    server = MllpServer(parts.feeds, Listening(Profile(f"lab-{ehr.name}", {"CLINIC": MRN})))
    try:
        yield str(await server.start())
    finally:
        await server.stop()


class Server(uvicorn.Server):
    """uvicorn that says when it listens, and leaves signals to the test runner."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(ehr: Ehr) -> AsyncIterator[str]:
    """The address of the app on a port of its own."""
    server = Server(uvicorn.Config(ehr.app, port=0, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve())
    try:
        await asyncio.wait_for(server.listens.wait(), 20)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


async def test_messages_of_a_file_are_sent_and_their_answers_printed(
    ehr: Ehr, tmp_path: Path
) -> None:
    good = ORU.replace(b"FEED-1", ehr.number.encode())
    (tmp_path / "a.hl7").write_bytes(good + b"\n" + good.replace(b"LAB-1001", b"LAB-1002"))
    (tmp_path / "b.hl7").write_bytes(good.replace(b"|P|2.5", b"|T|2.5"))
    (tmp_path / "c.txt").write_bytes(b"not sent")
    async with listening(ehr) as port:
        one = await run(str(tmp_path / "a.hl7"), "--feed", "lab", "--port", port)
        folder = await run(str(tmp_path), "--feed", "lab", "--port", port, "--json")

    assert one == (0, "a.hl7[1]: AA LAB-1001\na.hl7[2]: AA LAB-1002\n", "")
    told = [json.loads(line) for line in folder[1].splitlines()]
    assert [(t["file"], t["answer"]) for t in told] == [
        ("a.hl7", "AA"), ("a.hl7", "AA"), ("b.hl7", "AR"),
    ]  # fmt: skip
    assert folder[0] == 3
    assert "ANC" in str((await ehr.intake.case(ehr.case_id))["open_holds"])


async def test_a_notification_is_sent_with_the_feeds_secret(ehr: Ehr, tmp_path: Path) -> None:
    file, broken = tmp_path / "n.json", tmp_path / "broken.json"
    told = notification(ehr.base, "event-notification", total=1, events={1: ["Observation/anc"]})
    file.write_text(json.dumps(told))
    broken.write_text("{")
    feeds = [{"name": ehr.name, "kind": "fhir", "base": ehr.base, "plain_http": True,
              "secret": ehr.secret}]  # fmt: skip
    async with serving(ehr) as url:
        env = {"TANDEM_URL_INTAKE": url, "TANDEM_FEEDS": json.dumps(feeds)}
        sent = await run(str(file), "--feed", ehr.name, env=env)
        again = await run(
            str(file), "--feed", ehr.name, "--url", url, env={"TANDEM_FEED_SECRET": ehr.secret}
        )
        refused = await run(str(broken), "--feed", ehr.name, env=env)
        wrong = {**env, "TANDEM_FEED_SECRET": "x" * 32}
        stranger = await run(str(file), "--feed", ehr.name, env=wrong)
    nobody = {**env, "TANDEM_URL_INTAKE": "http://127.0.0.1:9"}
    away = await run(str(file), "--feed", ehr.name, env=nobody)

    assert sent[:2] == (0, "n.json[1]: noted Subscription/s1, 1 to fetch, 0 gaps\n")
    assert again[:2] == (0, "n.json[1]: repeated Subscription/s1, 0 to fetch, 0 gaps\n")
    assert (refused[0], refused[1].splitlines()[0]) == (3, "broken.json[1]: notification-refused")
    assert (stranger[0], "bearer token" in stranger[2]) == (1, True)
    assert (away[0], away[2]) == (4, "no answer: http://127.0.0.1:9: ConnectError\n")
    assert len(await ehr.owed()) == 1
    assert ehr.secret not in str((sent, again, refused, stranger, away))


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["absent.hl7", "--feed", "lab", "--port", "9"], {}, "cannot be read"),
        ([".", "--feed", "lab", "--port", "9"], {}, "no *.hl7 files"),
        (["x.hl7", "--feed", "lab"], {}, "say --port"),
        (["x.hl7", "--feed", "lab"], {"TANDEM_FEEDS": "[{"}, "cannot be read: start intake"),
        (["x.hl7", "--feed", "night"], {
            "TANDEM_FEEDS": '[{"name": "night", "kind": "folder", "folder": "/srv/night"}]',
        }, "put the file into /srv/night"),
    ],
    ids=["absent", "empty-folder", "no-port", "bad-settings", "folder-feed"],
)  # fmt: skip
async def test_what_cannot_be_carried_out_is_bad_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str],
    env: dict[str, Any], said: str,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)

    code, _, errors = await run(*arguments, env=env)

    assert (code, said in errors) == (2, True), errors
