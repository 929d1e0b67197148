"""Refuses JSON bodies that are nested too deep for anything but mischief (checklist INP1)."""

import re
from typing import Final

from fastapi import Request

from shared.web.problems import Problem

DEPTH_MAX: Final = 32
#: larger bodies belong to endpoints with limits of their own (the FHIR reader)
SCANNED_BYTES_MAX: Final = 1_000_000
#: a whole string, or one bracket outside strings; each byte is looked at once
_PART: Final = re.compile(rb'"(?:[^"\\]|\\.)*+["\\]?|[\[{]|[\]}]', re.DOTALL)


def refuse_deep_body(request: Request) -> None:
    """Returns when the body that was read is nested at most 32 levels, else raises `Problem`.

    A body that nobody has read yet is left alone: its reader bounds it.
    """
    body: bytes = getattr(request, "_body", b"")
    if len(body) > SCANNED_BYTES_MAX or body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return
    if depth_of(body) > DEPTH_MAX:
        raise Problem(422, "body-too-deep", f"The JSON is nested deeper than {DEPTH_MAX} levels.")


def depth_of(body: bytes) -> int:
    """How deep brackets are nested in a JSON text."""
    depth = deepest = 0
    for part in _PART.finditer(body):
        match part[0]:
            case b"[" | b"{":
                depth += 1
                deepest = max(deepest, depth)
            case b"]" | b"}":
                depth -= 1
            case _:
                continue
    return deepest
