"""`make contracts`: writes every document that follows from the code.

Exit codes: 0 written (or, with `--check`, nothing differs), 1 a committed document differs, or an
event no longer keeps what was promised of it; then nothing is written.
"""

import sys
from collections.abc import Sequence

from shared.contracts.example_events import write_missing
from tools.documents.tree import (
    EXAMPLES_BELOW,
    ROOT,
    broken_promises,
    drift,
    promised_text,
    write,
)

_NEW_TYPE = (
    "Leave the event as it was and add a new type (…v2) beside it: docs/architecture/contracts.md"
)


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    broken = broken_promises(promised_text(ROOT))
    if broken:
        _say(*broken, _NEW_TYPE)
        return 1
    if "--check" in arguments:
        found = list(drift(ROOT))
        _say(*found, *(["Run `make contracts` and commit what it writes."] if found else []))
        return 1 if found else 0
    examples = [f"{EXAMPLES_BELOW}/{t}.json" for t in write_missing(ROOT / EXAMPLES_BELOW)]
    _say(*examples, *write(ROOT))
    return 0


def _say(*lines: str) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
