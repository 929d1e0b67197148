"""A watched folder: files of HL7 v2 messages, read once they stand still, moved when committed.

Invariant: a file leaves the folder only after each of its messages is answered and its report lies
beside where it goes. A crash at any moment leads to reading it again, and no fact is twice.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from services.intake.application.incoming_messages import Profile
from services.intake.application.receive_message import Feeds, Received, receive_message

_LOG = logging.getLogger(__name__)
FILE_BYTES_MAX: Final = 64 * 1024 * 1024
"""Largest file; a night's export of a laboratory is far below."""
FILES_A_LOOK_MAX: Final = 100
"""Most files of one look, so that a stop need not wait long."""
_DONE, _REFUSED = "done", "refused"

Split = Callable[[bytes], Sequence[bytes]]
Seen = tuple[int, int, int]
"""Size, time of change and inode of a file: what must not have changed since the last look."""


class WatchedFolder:
    """One folder. Writers rename into it (`name.part` to `name.hl7`) when they are done."""

    def __init__(self, feeds: Feeds, profile: Profile, folder: Path, split: Split) -> None:
        self._feeds, self._profile, self._folder, self._split = feeds, profile, folder, split
        self._seen: dict[str, Seen] = {}

    async def look(self) -> int:
        """How many files were read: those that look as they did at the look before."""
        stand_still = await asyncio.to_thread(self._standing_still)
        for path in stand_still:
            await self._take(path)
        return len(stand_still)

    def _standing_still(self) -> list[Path]:
        for name in ("", _DONE, _REFUSED):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        found = {path: _look_of(path) for path in sorted(self._folder.glob("*.hl7"))}
        current = {path: look for path, look in found.items() if look is not None}
        still = [path for path, look in current.items() if self._seen.get(path.name) == look]
        self._seen = {path.name: look for path, look in current.items()}
        return still[:FILES_A_LOOK_MAX]

    async def _take(self, path: Path) -> None:
        raw = await asyncio.to_thread(_bytes_of, path)
        messages = [] if raw is None else self._split(raw)
        received = [await receive_message(self._feeds, self._profile, one) for one in messages]
        accepted = bool(received) and all(one.answer == "AA" for one in received)
        report: dict[str, object] = {
            "file": path.name,
            "messages": [_told(one) for one in received],
            **({} if messages else {"problem": "too large, or no message in it"}),
        }
        target = self._folder / (_DONE if accepted else _REFUSED)
        await asyncio.to_thread(_move, path, target, report)
        self._seen.pop(path.name, None)
        _LOG.info("file_received", extra={"source": self._profile.feed, "count": len(received)})


def _look_of(path: Path) -> Seen | None:
    try:
        found = path.lstat()
    except FileNotFoundError:
        return None
    if not path.is_file() or path.is_symlink() or path.name.startswith("."):
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino


def _bytes_of(path: Path) -> bytes | None:
    return None if path.stat().st_size > FILE_BYTES_MAX else path.read_bytes()


def _move(path: Path, target: Path, report: Mapping[str, object]) -> None:
    """Writes the report first and moves the file last: then a crash can only lead to a re-reading.

    A file of the same name that was there before stays, under its name.
    """
    name, number = path.name, 1
    while (target / name).exists():
        number += 1
        name = f"{path.stem}.{number}{path.suffix}"
    partial = target / f".{name}.part"
    partial.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    os.replace(partial, target / f"{name}.report.json")
    os.replace(path, target / name)


def _told(received: Received) -> dict[str, object]:
    return {
        "control_id": received.message.header.control_id,
        "answer": received.answer,
        "outcome": received.outcome,
        "facts": {"recorded": received.recorded, "unchanged": received.unchanged},
        "problems": [
            {"code": p.code, "place": p.place, "message": p.message} for p in received.problems
        ],
        "segments": [] if received.case_id is None else [
            {"segment": o.segment, "outcome": o.outcome, "reason": o.reason, "place": o.place}
            for o in received.message.report
        ],
    }  # fmt: skip
