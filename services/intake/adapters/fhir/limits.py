"""Bytes in, one JSON object out, or the problem that refuses them.

Invariant: nothing larger than the limits is ever held in memory, whatever the input claims about
itself; decompression stops at the limit instead of trusting a length field.
"""

import json
import zlib
from typing import Any

from services.intake.adapters.fhir.reading import Problem, ProblemCode

BYTES_MAX = 32 * 1024 * 1024
"""Largest bundle after decompression (the import endpoint's documented limit)."""
DEPTH_MAX = 32
"""Deepest nesting of arrays and objects; real bundles stay below 15."""
ENTRIES_MAX = 20_000
"""Most entries in one bundle; the largest real patient record seen has about 6,000."""
GZIP_MAGIC = b"\x1f\x8b"


class Refused(Exception):
    """The whole input is refused for the reasons that it carries."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


def parse_json(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in ``raw``, gzip or plain, or raise ``Refused``."""
    text = _decode(_inflate(raw))
    value = _load(text)
    if not isinstance(value, dict):
        raise Refused(Problem(ProblemCode.NOT_A_BUNDLE, "the input is not a JSON object"))
    _check_depth(value)
    return value


def _inflate(raw: bytes) -> bytes:
    if not raw.startswith(GZIP_MAGIC):
        _check_size(len(raw))
        return raw
    return _gunzip(raw)


def _gunzip(raw: bytes) -> bytes:
    parts: list[bytes] = []
    total = 0
    rest = raw
    try:
        while rest.startswith(GZIP_MAGIC):  # a gzip file may have several members
            inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            # One byte more than allowed is asked for, so that the limit is seen to be passed
            # without ever inflating the rest.
            part = inflater.decompress(rest, BYTES_MAX - total + 1)
            total += len(part)
            _check_size(total)
            if not inflater.eof:
                raise Refused(Problem(ProblemCode.BAD_GZIP, "the gzip data ends too early"))
            parts.append(part)
            rest = inflater.unused_data
    except zlib.error as error:
        raise Refused(Problem(ProblemCode.BAD_GZIP, "the gzip data is damaged")) from error
    return b"".join(parts)


def _check_size(size_bytes: int) -> None:
    if size_bytes > BYTES_MAX:
        message = f"the bundle is larger than {BYTES_MAX // (1024 * 1024)} MB"
        raise Refused(Problem(ProblemCode.TOO_LARGE, message))


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text: byte {error.start}"
        raise Refused(Problem(ProblemCode.NOT_UTF8, message)) from error


def _load(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        message = f"not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        raise Refused(Problem(ProblemCode.NOT_JSON, message)) from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # a number with thousands of digits, NaN, Infinity
        raise Refused(Problem(ProblemCode.NOT_JSON, "not JSON: a number is not valid")) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _too_deep() -> Refused:
    message = f"nested deeper than {DEPTH_MAX} levels"
    return Refused(Problem(ProblemCode.TOO_DEEP, message))


def _check_depth(value: dict[str, Any]) -> None:
    level: list[Any] = [value]
    for _ in range(DEPTH_MAX):
        below: list[Any] = []
        for node in level:
            children = node.values() if isinstance(node, dict) else node
            below.extend(child for child in children if isinstance(child, (dict, list)))
        if not below:
            return
        level = below
    raise _too_deep()
