"""`python -m tools.fuzz_bundles FOLDER [libFuzzer flags]`: coverage-guided damage to real bundles.

Needs atheris, which is no dependency of the project: `pip install atheris` where it is wanted.
FOLDER holds bundles, such as tests/data/fhir. Without `-runs=N` it goes on until it is interrupted;
a crash, or a bundle that takes longer than `-timeout=5` seconds, ends it with the input in a file.
"""

import importlib
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tools.fuzz_bundles.mutation import mutated
from tools.fuzz_bundles.seeds import seeds

RECEIVED_AT = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
BYTES_SHARE = 8
"""One round in so many damages bytes instead of JSON."""


def main(arguments: Sequence[str]) -> int:
    """Never returns while the fuzzer runs; 2 when it cannot start."""
    folders = [Path(given) for given in arguments if not given.startswith("-")]
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        sys.stderr.write("atheris is not installed: pip install atheris\n")
        return 2
    if not folders or not folders[0].is_dir():
        sys.stderr.write("usage: python -m tools.fuzz_bundles FOLDER [flags]\n")
        return 2
    with atheris.instrument_imports(include=["services.intake.adapters.fhir"]):
        from services.intake.adapters.fhir import read_bundle  # noqa: PLC0415 - instrumented
    from tools.fuzz_bundles.invariants import check  # noqa: PLC0415 - after the instrumentation

    def one_input(data: bytes) -> None:
        check(read_bundle(data, received_at=RECEIVED_AT))

    def mutator(data: bytes, max_size: int, seed: int) -> bytes:
        chance = random.Random(seed)  # noqa: S311 - repeatable damage, no secret
        content = None if chance.randrange(BYTES_SHARE) == 0 else _loaded(data)
        made = _written(mutated(content, chance)) if content is not None else b""
        return made if 0 < len(made) <= max_size else bytes(atheris.Mutate(data, max_size))

    flags = [given for given in arguments if given.startswith("-")]
    with tempfile.TemporaryDirectory() as corpus:
        _write_seeds(folders[0], Path(corpus))
        defaults = ["-max_len=16384", "-timeout=5", "-print_final_stats=1"]
        command = [sys.argv[0], *defaults, *flags, *map(str, folders[1:]), corpus]
        atheris.Setup(command, one_input, custom_mutator=mutator)
        atheris.Fuzz()
    return 0


def _write_seeds(folder: Path, corpus: Path) -> None:
    paths = sorted([*folder.rglob("*.json"), *folder.rglob("*.json.gz")])
    for number, bundle in enumerate(seeds(paths)):
        (corpus / f"{number:04}.json").write_bytes(_written(bundle))


def _loaded(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _written(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("utf-8", "surrogatepass")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
