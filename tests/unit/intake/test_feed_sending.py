"""What is told of an acknowledgment, and when nothing can be told."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from services.intake.entrypoints.feed_sending import MllpLine, NoAnswerError, Told, acknowledgment

MSH = b"MSH|^~\\&|TANDEM|C|LIS|L|20270310||ACK|1|P|2.5\r"


@pytest.mark.parametrize(
    ("code", "accepted"), [("AA", True), ("CA", True), ("AE", False), ("AR", False), ("CR", False)]
)
def test_only_an_acceptance_is_accepted(code: str, accepted: bool) -> None:
    told = acknowledgment(MSH + f"MSA|{code}|LAB-1\r".encode())

    assert told == Told(accepted, code, "LAB-1")


def test_errors_are_told_with_their_place() -> None:
    told = acknowledgment(MSH + b"MSA|AE|LAB-1\rERR||OBX^2^5|102|W||||several values\r")

    assert told.problems == ("W OBX^2^5: several values",)


@pytest.mark.parametrize("raw", [b"", b"hello", MSH, MSH + b"MSA|AA\r", b"MSA|AA|1\r", b"\xff"])
def test_what_is_no_acknowledgment_is_no_answer(raw: bytes) -> None:
    with pytest.raises(NoAnswerError):
        acknowledgment(raw)


@contextmanager
def answering(answer: bytes) -> Iterator[int]:
    """A port that reads a frame and answers these bytes, whatever they are."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                line.recv(65_536)
                line.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        try:
            yield int(server.getsockname()[1])
        finally:
            thread.join(5)


def test_a_connection_closed_without_an_answer_is_no_answer() -> None:
    with answering(b"") as port, pytest.raises(NoAnswerError, match="without an answer"):
        MllpLine("127.0.0.1", port).send(b"MSH|^~\\&|")


def test_half_a_frame_is_no_answer() -> None:
    with answering(b"\x0b" + MSH) as port, pytest.raises(NoAnswerError):
        MllpLine("127.0.0.1", port).send(b"MSH|^~\\&|")


def test_nobody_at_the_port_is_no_answer() -> None:
    with pytest.raises(NoAnswerError, match="ConnectionRefusedError"):
        MllpLine("127.0.0.1", 9).send(b"MSH|^~\\&|")
