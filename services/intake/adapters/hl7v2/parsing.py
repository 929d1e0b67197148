"""Bytes of one message -> its segments, with the place of every field.

Invariant: what a field holds is never guessed; a field, repetition or component that is not there
reads as "". The grammar itself (how separators nest) is the library's.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import hl7

from services.intake.application.incoming_messages import Header, MessageProblem, Profile

BYTES_MAX = 4 * 1024 * 1024
"""Largest message; a day's results of one patient are far below that."""
SEGMENTS_MAX = 5_000
"""Most segments of one message."""
SEPARATORS = 5
"""Field, component, repetition, escape, subcomponent."""
_CHARSETS = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}
"""HL7 table 0211 -> Python codecs, as far as single-byte sets and UTF-8 go."""
_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_HEX = re.compile(r"X((?:[0-9A-Fa-f]{2})+)")


class RefusedError(Exception):
    """The whole message is refused for the reason that it carries."""

    def __init__(self, code: str, message: str, place: str = "", *, for_good: bool = False) -> None:
        super().__init__(message)
        self.problem = MessageProblem(code, message, place, for_good)


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; `ordinal` counts segments of its name from 1."""

    name: str
    ordinal: int
    inner: hl7.Segment
    whole: hl7.Message

    def get(self, field: int, component: int = 1, repeat: int = 1, sub: int = 1) -> str:
        """Return a value without escapes, or "" where there is none or it is explicitly null."""
        if field >= len(self.inner):
            return ""
        value = _leaf(self.inner[field], (repeat - 1, component - 1, sub - 1)).strip()
        if value == '""':
            return ""
        plain = _unescaped(value, self.whole)
        if not plain.isprintable():
            plain = "".join(mark if mark.isprintable() else " " for mark in plain)
        return plain.strip()

    def repeats(self, field: int) -> int:
        """Return how many repetitions a field has."""
        return len(self.inner[field]) if field < len(self.inner) else 0

    def raw(self, field: int) -> str:
        """Return a field as it was written."""
        return str(self.inner[field]) if field < len(self.inner) else ""

    def at(self, field: int | None = None) -> str:
        """Return the place of the segment or of a field of it, as `OBX[2]-5`."""
        place = f"{self.name}[{self.ordinal}]"
        return place if field is None else f"{place}-{field}"


def _leaf(node: hl7.Container | str, path: Sequence[int]) -> str:
    """Return the text at a path; what is not divided further stands at the first place.

    Read without the library's own access, which resolves escapes and logs what it cannot.
    """
    for index in path:
        if isinstance(node, str):
            if index:
                return ""
        elif index < len(node):
            node = node[index]
        else:
            return ""
    while not isinstance(node, str):
        node = node[0] if len(node) else ""
    return node


def _unescaped(value: str, whole: hl7.Message) -> str:
    """Return a value without escapes; one that is not known here reads as nothing.

    The library's own function would log the value of a field that it cannot resolve.
    """
    escape = str(whole.esc)
    if escape not in value:
        return value
    marks = dict(zip("FRST", str(whole.separators)[1:], strict=False)) | {"E": escape}
    between = re.escape(escape)
    return re.sub(f"{between}([^{between}]*){between}", lambda m: _meant(m[1], marks), value)


def _meant(escaped: str, marks: Mapping[str, str]) -> str:
    if escaped in marks:
        return marks[escaped]
    if escaped.startswith("."):
        return " "  # a line break, an indent: space between words
    hexadecimal = _HEX.fullmatch(escaped)
    return bytes.fromhex(hexadecimal[1]).decode("utf-8", "replace") if hexadecimal else ""


@dataclass(frozen=True, slots=True)
class Message:
    """The segments in their order; the first is MSH."""

    header: Header
    segments: tuple[Segment, ...]

    def named(self, *names: str) -> Iterator[Segment]:
        """Yield the segments of these names, in order."""
        return (segment for segment in self.segments if segment.name in names)

    def first(self, name: str) -> Segment | None:
        """Return the first segment of that name."""
        return next(self.named(name), None)


def parse_message(raw: bytes, profile: Profile) -> Message:
    """Return the segments of one message, or raise `RefusedError`."""
    if len(raw) > BYTES_MAX:
        raise RefusedError("too-large", f"larger than {BYTES_MAX} bytes", for_good=True)
    body = raw.removeprefix(b"\xef\xbb\xbf").strip(b"\x0b\x1c\r\n ")
    separators = _separators(body)
    text = _decoded(body, separators, profile)
    lines = _joined(re.split(r"\r\n|\r|\n", text), separators[0])
    if len(lines) > SEGMENTS_MAX:
        raise RefusedError("too-large", f"more than {SEGMENTS_MAX} segments", for_good=True)
    try:
        whole = hl7.parse("\r".join(lines) + "\r")
    except (hl7.HL7Exception, IndexError, ValueError) as error:
        raise RefusedError(
            "not-hl7", f"cannot be parsed: {type(error).__name__}", "MSH[1]"
        ) from error
    counted: Counter[str] = Counter()
    segments = []
    for inner in whole:
        name = str(inner[0])[:3]
        counted[name] += 1
        segments.append(Segment(name, counted[name], inner, whole))
    return Message(_header(segments[0], separators), tuple(segments))


def _separators(body: bytes) -> str:
    head = body[:9].decode("latin-1")
    found = head[3:4]
    encoding = head[4:].split(found)[0] if found else ""
    if not head.startswith("MSH") or not found or found.isalnum() or found.isspace():
        raise RefusedError(
            "not-hl7", "does not begin with a message header", "MSH[1]", for_good=True
        )
    marks = found + encoding[:4]
    if len(encoding) < SEPARATORS - 1 or len(set(marks)) != SEPARATORS or not _usable(marks):
        message = "the encoding characters are not four different marks"
        raise RefusedError("not-hl7", message, "MSH[1]-2", for_good=True)
    return marks


def _usable(marks: str) -> bool:
    return all(mark.isascii() and mark.isprintable() and not mark.isalnum() for mark in marks)


def _decoded(body: bytes, separators: str, profile: Profile) -> str:
    header = re.split(rb"[\r\n]", body, maxsplit=1)[0].split(separators[0].encode())
    named = header[17].decode("latin-1").split(separators[2])[0].strip() if len(header) > 17 else ""  # noqa: PLR2004 - MSH-18
    if named and named.upper() not in _CHARSETS:
        raise RefusedError("unknown-character-set", f"{named[:40]!a} is not read here", "MSH[1]-18")
    codec = _CHARSETS.get(named.upper(), "")
    if codec in ("", "ascii"):  # many senders write ASCII, or nothing, and send something else
        codec = "utf-8" if _is_utf8(body) else profile.charset
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        message = f"byte {error.start} is not {named or codec}"
        raise RefusedError("not-in-its-character-set", message, "MSH[1]-18") from error


def _is_utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _joined(lines: list[str], separator: str) -> list[str]:
    """Return one line a segment: a line that does not begin like one continues the line before."""
    found: list[str] = []
    for line in lines:
        begins = _NAME.fullmatch(line[:3]) and line[3:4] in (separator, "")
        if begins or not found:
            found.append(line.rstrip())
        elif line.strip():
            found[-1] += " " + line.strip()
    return found


def _header(msh: Segment, separators: str) -> Header:
    return Header(
        separators=separators,
        sender=(msh.raw(3), msh.raw(4)),
        receiver=(msh.raw(5), msh.raw(6)),
        kind=msh.get(9),
        event=msh.get(9, 2),
        control_id=msh.get(10),
        processing=msh.get(11),
        version=msh.get(12),
        sent=msh.get(7),
        accept_when=msh.get(15),
        answer_when=msh.get(16),
    )
