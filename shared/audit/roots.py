"""Signed roots over all chain heads, written where the service only ever adds files.

Each root is one file, a JSON Web Signature whose payload names the service, its number, the digest
of the file before it, the Merkle root, and the heads that changed since. Replaying the files gives
the heads at any of those times, so a database that was rewritten as a whole no longer fits. A file
is linked into place complete and never opened again for writing.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from shared.audit.chain import STATEMENTS, canonical
from shared.audit.merkle import Head, root_of
from shared.contracts.vocabulary import Service
from shared.persistence.database import Database
from shared.ports import Clock

ALGORITHM: Final = "ES256"
#: how often the timer runs (security checklist AUD2)
EXPORT_SECONDS: Final = 60
#: without any change a root is still written this often, as a sign of life
QUIET_FOR_MAX: Final = timedelta(hours=1)
#: files of one folder, so that a year of minutes stays readable by ordinary tools
FILES_PER_FOLDER: Final = 1_000
#: the first root of a large installation lists all its chains
PAYLOAD_BYTES_MAX: Final = 256_000_000


class RootError(Exception):
    """The exported roots are not what was written. The message names the file."""


@dataclass(slots=True)
class Exported:
    """What the files say, replayed in order."""

    number: int = 0
    digest: str | None = None
    at: datetime | None = None
    heads: dict[str, Head] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RootFolder:
    """The files of one service's roots."""

    path: Path
    service: Service

    def file(self, number: int) -> Path:
        """Where the root of that number lies."""
        return self.path / self.service.value / f"{number // FILES_PER_FOLDER:06d}" / (
            f"{number:09d}.jws"
        )  # fmt: skip

    def replay(self, key: ECKey) -> Exported:
        """What all files say. Raises `RootError` for a bad signature, order or root."""
        exported = Exported()
        for path in self._files():
            _take(exported, path, path.read_bytes(), key, self.service)
        return exported

    def add(self, number: int, content: bytes) -> None:
        """Writes one file, whole or not at all. Raises FileExistsError when it is there."""
        target = self.file(number)
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = target.with_suffix(f".{os.getpid()}")
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, target)
        finally:
            fresh.unlink()

    def _files(self) -> Iterator[Path]:
        number = 1
        while (path := self.file(number)).exists():
            yield path
            number += 1
        later = sorted((self.path / self.service.value).glob("*/*.jws"))
        if later and later[-1].name > f"{number:09d}.jws":
            raise RootError(f"{path.name} is missing, and later ones are there")


def _take(exported: Exported, path: Path, content: bytes, key: ECKey, service: Service) -> None:
    """Moves `exported` on by one file, after checking everything that it claims."""
    statement = _verified(path, content, key)
    expected = (service.value, exported.number + 1, exported.digest)
    if (statement["service"], statement["number"], statement["previous"]) != expected:
        raise RootError(f"{path.name} does not follow the file before it")
    for chain, seq, digest in statement["changed"]:
        if seq <= exported.heads.get(chain, (0, b""))[0]:
            raise RootError(f"{path.name}: {chain} went back")
        exported.heads[chain] = (int(seq), bytes.fromhex(digest))
    if root_of(exported.heads).hex() != statement["root"]:
        raise RootError(f"{path.name}: the root does not fit its heads")
    exported.number += 1
    exported.digest = hashlib.sha256(content).hexdigest()
    exported.at = datetime.fromisoformat(statement["at"])


def _registry() -> JWSRegistry:
    registry = JWSRegistry(algorithms=[ALGORITHM])
    registry.max_payload_length = PAYLOAD_BYTES_MAX
    return registry


def _verified(path: Path, content: bytes, key: ECKey) -> Mapping[str, Any]:
    try:
        signed = jws.deserialize_compact(content, key, [ALGORITHM], _registry())
        statement: Mapping[str, Any] = json.loads(signed.payload)
    except (JoseError, ValueError) as error:
        raise RootError(f"{path.name}: the signature does not fit ({error})") from None
    return statement


class RootExporter:
    """Writes a root whenever a head has changed; for a timer of `EXPORT_SECONDS`."""

    def __init__(self, *, database: Database, folder: RootFolder, key: ECKey, clock: Clock) -> None:
        self._database = database
        self._folder = folder
        self._key = key
        self._clock = clock
        self._exported: Exported | None = None

    async def export(self) -> int | None:
        """The number of the root written, None when there was nothing to tell.

        Raises `RootError` when the files are no longer what was written: then nothing is added.
        """
        async with self._database.transaction() as tx:
            rows = await tx.rows(STATEMENTS["audit_heads"])
        heads = {str(r["chain"]): (int(r["seq"]), bytes(r["hash"])) for r in rows}
        if self._exported is None:
            self._exported = self._folder.replay(self._key)
        exported = self._exported
        now = self._clock.now().astimezone(UTC)
        changed = [(name, *heads[name]) for name in sorted(heads) if _rose(exported, heads, name)]
        if not changed and exported.at is not None and now - exported.at < QUIET_FOR_MAX:
            return None
        return self._write(exported, changed, now)

    def age_seconds(self, now: datetime) -> float:
        """How long ago the last root was written; 0 before this process has written or read one."""
        at = None if self._exported is None else self._exported.at
        return 0.0 if at is None else (now - at).total_seconds()

    def _write(
        self, exported: Exported, changed: Sequence[tuple[str, int, bytes]], now: datetime
    ) -> int:
        following = dict(exported.heads) | {name: (seq, digest) for name, seq, digest in changed}
        statement = {
            "at": now.isoformat(),
            "changed": [[name, seq, digest.hex()] for name, seq, digest in changed],
            "chains": len(following),
            "number": exported.number + 1,
            "previous": exported.digest,
            "root": root_of(following).hex(),
            "service": self._folder.service.value,
        }
        header = {"alg": ALGORITHM, "kid": str(self._key.kid)}
        content = jws.serialize_compact(
            header, canonical(statement), self._key, [ALGORITHM], _registry()
        ).encode()
        self._exported = None  # read back from the files if anything below goes wrong
        self._folder.add(exported.number + 1, content)
        self._exported = Exported(
            exported.number + 1, hashlib.sha256(content).hexdigest(), now, following
        )
        return exported.number + 1


def _rose(exported: Exported, heads: Mapping[str, Head], name: str) -> bool:
    """Whether the chain grew. One that shrank is left for `verify` to tell; a root never lies."""
    return heads[name][0] > exported.heads.get(name, (0, b""))[0]
