"""The key that signs exported roots: made at the first start, or given as a file."""

import json
import os
from pathlib import Path
from typing import Final

from joserfc.jwk import ECKey

#: lies beside the roots for convenience; who verifies should have it from elsewhere
PUBLIC_KEY_FILE: Final = "public-key.json"


def root_key(private_file: Path, roots: Path) -> ECKey:
    """The signing key in the file, made now where it is missing; its public half goes to `roots`.

    All services of one installation may share it: each root names its service.
    """
    if not private_file.exists():
        _make(private_file)
    key = ECKey.import_key(json.loads(private_file.read_text(encoding="utf-8")))
    roots.mkdir(parents=True, exist_ok=True)
    public = roots / PUBLIC_KEY_FILE
    if not public.exists():
        public.write_text(json.dumps(key.as_dict(private=False)), encoding="utf-8")
    return key


def _make(private_file: Path) -> None:
    private_file.parent.mkdir(parents=True, exist_ok=True)
    key = ECKey.generate_key("P-256", auto_kid=True)
    fresh = private_file.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(key.as_dict(private=True), file)
    try:
        os.link(fresh, private_file)
    except FileExistsError:  # another service of the installation was first: its key counts
        return
    finally:
        fresh.unlink()
