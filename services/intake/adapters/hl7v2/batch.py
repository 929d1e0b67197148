"""Files of messages: single ones, and batches in FHS/BHS envelopes, with any line ends.

Invariant: no byte between two message headers is lost; envelope segments belong to no message.
"""

import re

MESSAGES_MAX = 10_000
"""Most messages in one file; a night's export of a hospital has a few thousand."""
_START = re.compile(rb"(?:^|(?<=[\r\n\x0b\x1c]))(?=MSH[^A-Za-z0-9\s])")
_ENVELOPE = re.compile(rb"(?:^|(?<=[\r\n]))(?:FHS|BHS|BTS|FTS)[^\r\n]*[\r\n]*")
_BOM = b"\xef\xbb\xbf"


def split_messages(raw: bytes) -> list[bytes]:
    """Return the messages of a file in their order; what comes before the first is no message."""
    plain = _ENVELOPE.sub(b"", raw.removeprefix(_BOM))
    parts = _START.split(plain)
    return [part.strip(b"\x0b\x1c\r\n ") for part in parts if part.startswith(b"MSH")]
