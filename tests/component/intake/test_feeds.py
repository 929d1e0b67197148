"""HL7 v2 feeds end to end: a real loopback socket or folder, the reader, the record in PostgreSQL.

The rule that the neutrophil count breaks: below 1.0 10*9/L an infusion is on hold (the protocol's
table of laboratory limits).
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hl7.mllp import open_hl7_connection

from services.intake.adapters.hl7v2 import split_messages
from services.intake.application.incoming_messages import Profile
from services.intake.application.receive_message import Feeds, receive_message
from services.intake.entrypoints.folder import WatchedFolder
from services.intake.entrypoints.http_feeds import FeedParts
from services.intake.entrypoints.mllp import BindError, Listening, MllpServer
from shared.contracts.vocabulary import Role
from shared.persistence.database import CommitUnknownError
from tests.component.intake.conftest import Intake

pytestmark = pytest.mark.component
SAMPLES = Path(__file__).parents[2] / "data" / "hl7v2"
MRN = "urn:example:mrn"
ORU = (SAMPLES / "oru-r01.hl7").read_bytes()
A40 = (SAMPLES / "adt-a40.hl7").read_bytes()
#: takes apart what nobody merged here
A37 = (
    A40.replace(b"ADT^A40^ADT_A39", b"ADT^A37^ADT_A37")
    .replace(b"EVN|A40", b"EVN|A37")
    .replace(b"MRG|FEED-2", b"PID|2||FEED-2")
)


def profile_of(name: str) -> Profile:
    return Profile(name, systems={"CLINIC": MRN})


def feeds_of(intake: Intake) -> Feeds:
    parts = intake.app.state.feeds
    assert isinstance(parts, FeedParts)
    return parts.feeds


class Sender:
    """The laboratory's system, and a patient of theirs who has a case here."""

    def __init__(self, intake: Intake, number: str, case_id: str) -> None:
        self.intake, self.number, self.case_id = intake, number, case_id
        self.feed = f"lab-{uuid4().hex[:8]}"

    def message(self, raw: bytes = ORU, *, control: str = "LAB-1001") -> bytes:
        about = raw.replace(b"FEED-1", self.number.encode())
        return about.replace(b"LAB-1001", control.encode())

    async def facts(self) -> list[dict[str, Any]]:
        found = (await self.intake.case(self.case_id))["facts"]
        return [fact for fact in found if fact["source_id"].startswith("HL7v2/")]

    async def waiting(self, *roles: Role) -> list[dict[str, Any]]:
        headers = self.intake.headers(*roles or (Role.OPS,))
        answer = await self.intake.client.get("/feeds/quarantine?limit=100", headers=headers)
        assert answer.status_code == 200, answer.text
        return [one for one in answer.json()["items"] if one["feed"] == self.feed]

    @asynccontextmanager
    async def served(self, **limits: Any) -> AsyncIterator[int]:
        server = MllpServer(feeds_of(self.intake), Listening(profile_of(self.feed), **limits))
        port = await server.start()
        try:
            yield port
        finally:
            await server.stop()


@pytest.fixture
async def sender(intake: Intake) -> Sender:
    number = uuid4().hex
    answer = await intake.client.post(
        "/cases",
        headers=intake.headers(Role.COORDINATOR),
        json={"identifiers": [[MRN, number]], "birth_date": "1966-05-02"},
    )
    return Sender(intake, number, answer.json()["case_id"])


async def sent(port: int, *messages: bytes) -> list[list[str]]:
    """The answers' segments, by the library's own client."""
    found = []
    reader, writer = await open_hl7_connection("127.0.0.1", port)
    try:
        for raw in messages:
            writer.writeblock(raw)
            await writer.drain()
            answer = await asyncio.wait_for(reader.readblock(), 10)
            found.append(answer.decode().strip().split("\r"))
    finally:
        await hung_up(writer)
    return found


async def hung_up(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def test_a_result_by_mllp_is_a_fact_and_places_its_hold(sender: Sender) -> None:
    async with sender.served() as port:
        ((msh, msa, *errors),) = await sent(port, sender.message())

    assert msh.startswith("MSH|^~\\&|TANDEM|CLINIC|LIS|LAB|20270310070000+0000||ACK^R01^ACK|")
    assert (msa, errors) == ("MSA|AA|LAB-1001", [])
    assert len(await sender.facts()) == 5
    holds = (await sender.intake.case(sender.case_id))["open_holds"]
    assert any("ANC" in hold["rule"] for hold in holds), holds


async def test_a_fact_tells_feed_message_and_segment(sender: Sender) -> None:
    await receive_message(feeds_of(sender.intake), profile_of(sender.feed), sender.message())
    anc = next(f for f in await sender.facts() if "751-8" in f["source_id"])

    answer = await sender.intake.client.get(
        f"/cases/{sender.case_id}/facts/{anc['fact_id']}",
        headers=sender.intake.headers(Role.ONCOLOGIST),
    )

    stated = answer.json()
    assert stated["origin"] == "imported"
    assert stated["reporter"] == f"feed:{sender.feed}"
    assert stated["statement"]["source"] == f"HL7v2 {sender.feed} LAB-1001 OBX[1]"


async def test_a_lost_answer_leads_to_the_same_answer_and_nothing_new(sender: Sender) -> None:
    async with sender.served() as port:
        _, writer = await open_hl7_connection("127.0.0.1", port)
        writer.writeblock(sender.message())
        await writer.drain()
        await hung_up(writer)  # the answer is never read
        first = await sent(port, sender.message())
        again = await sent(port, sender.message())
        renamed = await sent(port, sender.message(control="LAB-1002"))

    assert [answers[0][1] for answers in (first, again, renamed)] == [
        "MSA|AA|LAB-1001", "MSA|AA|LAB-1001", "MSA|AA|LAB-1002",
    ]  # fmt: skip
    assert len(await sender.facts()) == 5


async def test_no_answer_is_sent_for_a_message_whose_commit_is_not_known(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = feeds_of(sender.intake)
    real = type(feeds.unit_of_work).begin

    @asynccontextmanager
    async def lost(self: Any, *args: Any, **named: Any) -> AsyncIterator[Any]:
        async with real(self, *args, **named) as work:
            yield work
        raise CommitUnknownError("the connection broke while committing")

    async with sender.served() as port:
        with monkeypatch.context() as patched:
            patched.setattr(type(feeds.unit_of_work), "begin", lost)
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await sent(port, sender.message())
        ((_, msa, *_),) = await sent(port, sender.message())

    assert msa == "MSA|AA|LAB-1001"
    assert len(await sender.facts()) == 5


async def test_nothing_is_on_record_when_the_process_dies_before_the_commit(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    feeds = feeds_of(sender.intake)
    real = type(feeds.unit_of_work).begin

    @asynccontextmanager
    async def dying(self: Any, *args: Any, **named: Any) -> AsyncIterator[Any]:
        async with real(self, *args, **named) as work:
            yield work
            raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(type(feeds.unit_of_work), "begin", dying)
        with pytest.raises(asyncio.CancelledError):
            await receive_message(feeds, profile_of(sender.feed), sender.message())
    patched_facts = await sender.facts()
    received = await receive_message(feeds, profile_of(sender.feed), sender.message())

    assert patched_facts == []
    assert (received.answer, received.recorded, received.repeated) == ("AA", 5, False)


async def test_a_patient_who_is_not_one_here_is_counted_and_not_kept(intake: Intake) -> None:
    feed, raw = f"lab-{uuid4().hex[:8]}", ORU.replace(b"FEED-1", uuid4().hex.encode())

    received = await receive_message(feeds_of(intake), profile_of(feed), raw)

    assert (received.answer, received.outcome) == ("AA", "not-a-patient-here")
    (row,) = await intake.rows("SELECT unknown_patients FROM feeds WHERE name = $1", feed)
    assert row["unknown_patients"] == 1
    assert not await intake.rows("SELECT 1 FROM feed_quarantine WHERE feed = $1", feed)


async def test_a_separation_of_what_was_never_merged_waits_for_a_person(sender: Sender) -> None:
    async with sender.served() as port:
        ((_, msa, error),) = await sent(port, sender.message(A37))

    assert msa == "MSA|AE|ADT-6"
    assert error.split("|")[2:5] == ["MSH^1^9", "200^Unsupported message type^HL70357", "E"]
    assert [one["code"] for one in await sender.waiting()] == ["identity-change"]
    assert await sender.facts() == []


async def identity_holds(intake: Intake, case_id: str) -> list[str]:
    return [h["kind"] for h in (await intake.case(case_id))["open_holds"]]


async def test_a_merge_by_mllp_holds_both_records_before_it_is_answered(sender: Sender) -> None:
    other = uuid4().hex
    referred = await sender.intake.client.post(
        "/cases",
        headers=sender.intake.headers(Role.COORDINATOR),
        json={"identifiers": [[MRN, other]], "birth_date": "1966-05-02"},
    )
    merge = sender.message(A40).replace(b"FEED-2", other.encode())
    async with sender.served() as port:
        ((_, first),) = await sent(port, merge)
        ((_, again),) = await sent(port, merge)

    assert (first, again) == ("MSA|AA|ADT-6", "MSA|AA|ADT-6")
    for case_id in (sender.case_id, referred.json()["case_id"]):
        assert await identity_holds(sender.intake, case_id) == ["identity"]
    assert await sender.facts() == []
    assert await sender.waiting() == []


async def test_a_merge_with_a_record_not_known_here_holds_the_one_that_is(sender: Sender) -> None:
    async with sender.served() as port:
        ((_, msa),) = await sent(port, sender.message(A40))

    assert msa == "MSA|AA|ADT-6"
    assert await identity_holds(sender.intake, sender.case_id) == ["identity"]


async def test_a_result_that_cannot_be_read_waits_while_its_neighbours_count(
    sender: Sender,
) -> None:
    raw = sender.message().replace(b"||11.2|", b"||11.2~9.9|")
    async with sender.served() as port:
        ((_, msa, error),) = await sent(port, raw)

    assert msa == "MSA|AA|LAB-1001"
    assert error.split("|")[2:5] == ["OBX^2^5", "102^Data type error^HL70357", "W"]
    assert len(await sender.facts()) == 4
    (waiting,) = await sender.waiting()
    assert (waiting["place"], waiting["case_id"]) == ("OBX[2]-5", sender.case_id)


async def test_operations_see_no_content_and_settle_nothing(sender: Sender) -> None:
    raw = sender.message().replace(b"||11.2|", b"||11.2~9.9|")
    await receive_message(feeds_of(sender.intake), profile_of(sender.feed), raw)
    (waiting,) = await sender.waiting(Role.OPS)

    refused = await sender.intake.client.post(
        f"/feeds/quarantine/{waiting['quarantine_id']}/discard",
        headers=sender.intake.headers(Role.OPS),
        json={"reason": "not needed"},
    )

    assert "9.9" not in json.dumps(waiting)
    assert sender.number not in json.dumps(waiting)
    assert refused.status_code == 403


async def settle(sender: Sender, waiting: dict[str, Any], how: str, **body: Any) -> Any:
    return await sender.intake.client.post(
        f"/feeds/quarantine/{waiting['quarantine_id']}/{how}",
        headers=sender.intake.headers(Role.COORDINATOR),
        json=body or None,
    )


async def test_a_person_discards_a_message_with_a_reason(sender: Sender) -> None:
    await receive_message(feeds_of(sender.intake), profile_of(sender.feed), sender.message(A37))
    (waiting,) = await sender.waiting()

    answer = await settle(sender, waiting, "discard", reason="merged by hand")

    assert answer.status_code == 200, answer.text
    assert await sender.waiting() == []
    (row,) = await sender.intake.rows(
        "SELECT raw, state, settled_by, reason FROM feed_quarantine WHERE feed = $1", sender.feed
    )
    assert tuple(row.values()) == (None, "discarded", "u-1", "merged by hand")


@contextmanager
def set_up(sender: Sender, feeds: Feeds, *names: str) -> Iterator[None]:
    state = sender.intake.app.state
    before, state.feeds = state.feeds, FeedParts(feeds, {n: profile_of(n) for n in names})
    try:
        yield
    finally:
        state.feeds = before


async def test_a_message_that_can_be_read_now_is_settled_by_a_retry(sender: Sender) -> None:
    feeds = feeds_of(sender.intake)
    await receive_message(feeds, profile_of(sender.feed), sender.message(A37))
    (waiting,) = await sender.waiting()

    async def applied(work: Any, change: Any) -> bool:
        return True

    with set_up(sender, feeds, sender.feed):
        still = await settle(sender, waiting, "retry")
    waits = await sender.waiting()
    read = Feeds(feeds.unit_of_work, feeds.rulebooks, feeds.read, applied)
    with set_up(sender, read, sender.feed):
        now = await settle(sender, waiting, "retry")

    assert (still.json()["settled"], still.json()["outcome"]) == (False, "refused")
    assert len(waits) == 1
    assert now.json()["settled"] is True, now.text
    assert await sender.waiting() == []


async def test_a_person_hands_a_message_in(sender: Sender) -> None:
    body = {"message": sender.message().decode().replace("^^^CLINIC^", f"^^^{MRN}^")}
    path, who = "/feeds/messages", sender.intake.headers(Role.COORDINATOR)
    answer = await sender.intake.client.post(path, headers=who, json=body)
    odd = await sender.intake.client.post(
        path, headers=who, json={"message": body["message"].replace("Ayse", "Ay\u015fe")}
    )

    assert answer.json()["outcome"] == "not-a-patient-here", answer.text
    assert odd.json()["type"].endswith("/problems/message-unreadable")


async def test_a_message_of_a_feed_that_is_gone_goes_on_waiting(sender: Sender) -> None:
    feeds = feeds_of(sender.intake)
    await receive_message(feeds, profile_of(sender.feed), sender.message(A37))
    (waiting,) = await sender.waiting()

    answer = await settle(sender, waiting, "retry")

    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "feed-gone")
    assert len(await sender.waiting()) == 1


async def test_bytes_that_are_no_message_are_refused_for_good(sender: Sender) -> None:
    async with sender.served() as port:
        ((_, msa, *_),) = await sent(port, b"MSH|^^^^|nothing\r")

    assert msa == "MSA|AR|"


async def test_an_enhanced_sender_gets_what_it_asks_for(sender: Sender) -> None:
    first, rest = sender.message().split(b"\r", 1)
    raw = first + b"|||AL|NE\r" + rest
    async with sender.served() as port:
        ((_, msa, *_),) = await sent(port, raw)

    assert msa == "MSA|CA|LAB-1001"


async def closes(port: int, *parts: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionResetError:
        return b""
    finally:
        await hung_up(writer)


async def test_frames_too_large_and_senders_that_say_nothing_are_cut_off(sender: Sender) -> None:
    async with sender.served(frame_bytes_max=1_000, idle_seconds_max=0.2) as port:
        assert await closes(port, b"\x0b" + b"A" * 5_000) == b""
        assert await closes(port) == b""
        assert await closes(port, b"no frame\x1c\r") == b""


async def test_more_connections_than_allowed_are_closed(sender: Sender) -> None:
    async with sender.served(connections_max=1) as port:
        _, first = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0)
        closed = await closes(port)
        await hung_up(first)

    assert closed == b""


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "hospital.example"])  # noqa: S104
def test_an_address_that_others_reach_must_be_allowed(host: str) -> None:
    with pytest.raises(BindError):
        Listening(profile_of("lab"), host)

    assert Listening(profile_of("lab"), host, beyond_loopback=True).host == host


Folder = Callable[[], WatchedFolder]


@pytest.fixture
def folder(sender: Sender, tmp_path: Path) -> Folder:
    return lambda: WatchedFolder(
        feeds_of(sender.intake), profile_of(sender.feed), tmp_path, split_messages
    )


async def test_a_file_is_read_when_it_stands_still_and_moved_with_its_report(
    sender: Sender, folder: Folder, tmp_path: Path
) -> None:
    watched = folder()
    (tmp_path / "night.hl7").write_bytes(sender.message())
    (tmp_path / "other.hl7.part").write_bytes(sender.message())

    looks = [await watched.look(), await watched.look(), await watched.look()]

    assert looks == [0, 1, 0]
    assert len(await sender.facts()) == 5
    report = json.loads((tmp_path / "done" / "night.hl7.report.json").read_text())
    assert [m["answer"] for m in report["messages"]] == ["AA"]
    assert [name for name in os.listdir(tmp_path) if ".hl7" in name] == ["other.hl7.part"]


async def test_a_file_that_still_grows_is_left_alone(
    sender: Sender, folder: Folder, tmp_path: Path
) -> None:
    watched, path = folder(), tmp_path / "night.hl7"
    path.write_bytes(sender.message()[:100])
    await watched.look()
    path.write_bytes(sender.message())

    assert await watched.look() == 0
    assert await watched.look() == 1
    assert len(await sender.facts()) == 5


async def test_a_crash_before_the_move_leads_to_reading_again_without_a_second_fact(
    sender: Sender, folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched, path = folder(), tmp_path / "night.hl7"
    path.write_bytes(sender.message())
    await watched.look()
    with monkeypatch.context() as patched:
        patched.setattr("services.intake.entrypoints.folder._move", _crash)
        with pytest.raises(RuntimeError, match="crash"):
            await watched.look()
    before = len(await sender.facts())
    again = folder()
    await again.look()

    assert await again.look() == 1
    assert (before, len(await sender.facts())) == (5, 5)
    assert (tmp_path / "done" / "night.hl7").exists()


def _crash(*_: object) -> None:
    raise RuntimeError("crash")


async def test_a_batch_with_one_refused_message_goes_to_refused_with_a_line_each(
    sender: Sender, folder: Folder, tmp_path: Path
) -> None:
    watched = folder()
    batch = b"BHS|^~\\&|LIS\r" + sender.message() + sender.message(A37) + b"BTS|2\r"
    (tmp_path / "batch.hl7").write_bytes(batch.replace(b"\r", b"\n"))
    await watched.look()
    await watched.look()

    report = json.loads((tmp_path / "refused" / "batch.hl7.report.json").read_text())
    assert [m["answer"] for m in report["messages"]] == ["AA", "AE"]
    assert len(await sender.facts()) == 5
