"""Intake's forms as the console sees them: real descriptions, and answers that a test sets."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from services.intake.entrypoints.form_fields import described
from shared.ports import HttpAnswer, HttpUnreachableError
from shared.protocol import load_protocol
from tests.unit.console.console_events import known_id

ENTRY = known_id("entry")


def entry(**more: Any) -> dict[str, Any]:
    """A steroid course that closes the infusion."""
    return {
        "entry_id": str(ENTRY),
        "form": "steroid-course",
        "version": 1,
        "withdrawn": False,
        "reason": None,
        "body": {"form": "steroid-course", "drug": "dexamethasone", "mg_per_day": "8"},
        "facts": [{"fact_id": str(known_id("fact")), "kind": "medication"}],
        "shown": {"route": "oral", "first": "2027-03-08", "prednisone_mg_per_day": 160 / 3,
                  "unmapped": []},
        "assumed": ["first", "route"],
        "closes": [
            {
                "gate": "infusion", "start": "hold", "until": "2027-03-12T21:00:00Z",
                "because": [{"rule": "STER-001", "effect": "hold", "clears_at": "2027-03-16",
                             "message": "More than 10 mg of prednisone a day."}],
            }
        ],
        "history": [
            {"version": 1, "by": "u-7", "at": "2027-03-10T07:00:00Z", "withdrawn": False}
        ],
        **more,
    }  # fmt: skip


def problem(status: int, code: str, **more: Any) -> HttpAnswer:
    """A refusal of intake."""
    document = {"status": status, "code": code, "title": f"<{code}>", **more}
    return HttpAnswer(status, json.dumps(document).encode())


@dataclass
class IntakeDesk:
    """Answers reads with `entries`, writes with `written` (None: no answer comes)."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    written: HttpAnswer | None = None
    up: bool = True
    calls: list[tuple[str, str, dict[str, Any], Mapping[str, str]]] = field(default_factory=list)
    read_status: int = 200

    async def __call__(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> HttpAnswer:
        """As the `Http` port."""
        if not self.up:
            raise HttpUnreachableError(path)
        if method != "GET":
            self.calls.append((method, path, json.loads(body or b"{}"), headers))
            if self.written is None:
                raise HttpUnreachableError(path)
            return self.written
        return HttpAnswer(self.read_status, json.dumps(self._read(path)).encode())

    def _read(self, path: str) -> Any:
        if path.endswith("/entry-forms"):
            return {"zone": "Europe/Istanbul", "items": described(load_protocol(), ())}
        if path.endswith("/entries"):
            return {"items": self.entries}
        return self.entries[0]

    def records(self, entry_id: UUID = ENTRY, status: int = 201) -> None:
        """From now on a write is on record."""
        self.written = HttpAnswer(status, json.dumps({"entry_id": str(entry_id)}).encode())
