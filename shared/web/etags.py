"""Versions in headers: `ETag` on answers, `If-Match` on updates (RFC 9110, 13.1.1).

An entity tag is the resource's version, or (epoch, version) of a case: `"3"`, `"0.12"`.
"""

import re
from typing import Final

from fastapi import Request

from shared.web.problems import Problem

_TAG: Final = re.compile(r'"(?P<numbers>\d{1,18}(?:\.\d{1,18})*)"')


def etag(*numbers: int) -> str:
    """The entity tag of a version."""
    return '"' + ".".join(map(str, numbers)) + '"'


def if_match(request: Request) -> tuple[int, ...]:
    """A dependency: the version that the caller saw. Raises `Problem` 428 when none was sent.

    One strong tag is understood; `*` would say "whatever it is now", which no update of ours takes.
    """
    text = request.headers.get("if-match")
    if text is None:
        raise Problem(
            428, "version-required", "Send If-Match with the version (ETag) that you saw."
        )
    found = _TAG.fullmatch(text.strip())
    if found is None:
        raise Problem(400, "version-malformed", "If-Match must be one ETag of this resource.")
    return tuple(int(number) for number in found["numbers"].split("."))


def check_version(seen: tuple[int, ...], *current: int) -> None:
    """Returns when the caller saw the current version, else raises `Problem` 412 naming it."""
    if seen != current:
        raise Problem(
            412,
            "stale-version",
            "This has changed since you read it; read it again.",
            extra={"current_version": etag(*current)},
            headers={"ETag": etag(*current)},
        )
