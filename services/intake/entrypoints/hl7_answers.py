"""The acknowledgment of a message, in its own separators, original or enhanced mode.

Invariant: AA and CA say that what the message brought is committed; an error names place and code.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from services.intake.application.feed_ports import Code
from services.intake.application.incoming_messages import Header, MessageProblem
from services.intake.application.receive_message import Received

ERRORS_MAX: Final = 20
"""Most errors that one answer names; the report of a file has all."""
_INTERNAL: Final = "207^Application error^HL70357"
_CODES: Final = {
    "required-element-missing": "101^Required field missing^HL70357",
    "no-patient": "101^Required field missing^HL70357",
    "wrong-type": "102^Data type error^HL70357",
    "bad-date": "102^Data type error^HL70357",
    "unknown-character-set": "103^Table value not found^HL70357",
    "not-about-real-patients": "202^Unsupported processing id^HL70357",
    "unsupported-version": "203^Unsupported version id^HL70357",
    "identity-change": "200^Unsupported message type^HL70357",
    "identity-conflict": "204^Unknown key identifier^HL70357",
}
_WORD_LENGTH_MAX: Final = 250
_ACCEPT: Final = {"AA": "CA", "AE": "CE", "AR": "CR"}


def answers(received: Received, *, now: datetime, control_id: str) -> list[bytes]:
    """The messages to send back, in order; none where the sender asked for none."""
    header = received.message.header
    if not header.accept_when and not header.answer_when:
        return [_answer(received, received.answer, now, control_id)]
    found = []
    if _asked(header.accept_when, received.answer):
        found.append(_answer(received, _ACCEPT[received.answer], now, control_id))
    if _asked(header.answer_when, received.answer):
        found.append(_answer(received, received.answer, now, f"{control_id}-A"))
    return found


def _asked(when: str, answer: Code) -> bool:
    """Whether table 0155 asks for an answer: always, never, on errors, on success."""
    match when.upper():
        case "AL":
            return True
        case "SU":
            return answer == "AA"
        case "ER":
            return answer != "AA"
        case _:
            return False


def _answer(received: Received, code: str, now: datetime, control_id: str) -> bytes:
    header = received.message.header
    mark, component = header.separators[0], header.separators[1]
    event = f"{component}{header.event}{component}ACK" if header.event else ""
    zone = now.strftime("%z")
    msh = [
        "MSH" + mark + header.separators[1:], *header.receiver, *header.sender,
        f"{now:%Y%m%d%H%M%S}{zone}", "", f"ACK{event}", control_id,
        header.processing or "P", header.version or "2.5", "", "", "", "", "", "UNICODE UTF-8",
    ]  # fmt: skip
    segments = [mark.join(msh), mark.join(["MSA", code, _escaped(header, header.control_id)])]
    segments += _errors(received, mark)
    return ("\r".join(segments) + "\r").encode("utf-8")


def _errors(received: Received, mark: str) -> Iterator[str]:
    severity = "W" if received.answer == "AA" else "E"
    for problem in received.problems[:ERRORS_MAX]:
        yield mark.join(_error(received.message.header, problem, severity))


def _error(header: Header, problem: MessageProblem, severity: str) -> list[str]:
    component = header.separators[1]
    name, _, field = problem.place.partition("-")
    segment, _, ordinal = name.rstrip("]").partition("[")
    location = component.join(part for part in (segment, ordinal, field) if part)
    code = _CODES.get(problem.code, _INTERNAL).replace("^", component)
    words = _escaped(header, problem.message[:_WORD_LENGTH_MAX])
    return ["ERR", "", location, code, severity, "", "", "", words]


def _escaped(header: Header, words: str) -> str:
    """Words of which none reads as a separator."""
    names = dict(zip(header.separators, "FSRET", strict=False))
    escape = header.separators[3] if len(header.separators) > 3 else "\\"  # noqa: PLR2004 - MSH-2
    plain = (mark if mark.isprintable() else " " for mark in words)
    return "".join(f"{escape}{names[m]}{escape}" if m in names else m for m in plain)
