"""One spelling of each unit, for the many that laboratories write.

Invariant: only the way of writing changes, never the unit: litre with a small or a large letter,
the signs for micro, the signs for a power of ten. What is not recognised stays as it was written,
and a unit that the rulebook does not list stays unknown.
"""

import re
from functools import lru_cache
from typing import Final

_MICRO: Final = re.compile(r"[\u00b5\u03bc]|(?<![A-Za-z])mc(?=(?:L|l|g|mol)(?![A-Za-z]))")
"""The micro sign, the Greek letter, and "mc" as in mcL, which is written to avoid both."""
_LITRE: Final = re.compile(r"(?<![A-Za-z])([dcmunpf]?)l(?![A-Za-z])")
_SUPERSCRIPTS: Final = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"
_POWER: Final = re.compile(
    rf"^[xX\u00d7]?\s*10\s*(?:(?:\*\*|[*^Ee])\s*\+?0?(\d)|\((\d)\)|([{_SUPERSCRIPTS}]))"
)
_RAISED: Final = str.maketrans(_SUPERSCRIPTS, "0123456789")
SPELLINGS_MAX: Final = 4_096
"""How many spellings are remembered; a record has a few dozen."""


@lru_cache(maxsize=SPELLINGS_MAX)
def spelled(unit: str) -> str:
    """Return the unit as the rulebook spells it: 10*3/uL for x10E3/µl and its like."""
    plain = _MICRO.sub("u", unit.strip())
    plain = _LITRE.sub(r"\1L", plain)
    return _POWER.sub(_power, plain, count=1)


def _power(found: re.Match[str]) -> str:
    digit = found[1] or found[2] or found[3].translate(_RAISED)
    return f"10*{digit}"
