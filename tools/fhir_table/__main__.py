"""`python -m tools.fhir_table FOLDER [--check]`: writes docs/clinical/fhir-bundles.md.

FOLDER holds the reference bundles; it is not part of the repository. Exit codes: 0 written (or,
with `--check`, nothing differs), 1 the committed page differs, 2 the folder is not there.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tools.fhir_table.page import PAGE, page

ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    folders = [Path(given) for given in arguments if not given.startswith("--")]
    if len(folders) != 1 or not folders[0].is_dir():
        sys.stderr.write("usage: python -m tools.fhir_table FOLDER [--check]\n")
        return 2
    made = page(folders[0])
    target = ROOT / PAGE
    if "--check" in arguments:
        same = target.is_file() and target.read_text(encoding="utf-8") == made
        sys.stdout.write("" if same else f"{PAGE} differs from what the reader does\n")
        return 0 if same else 1
    target.write_text(made, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
