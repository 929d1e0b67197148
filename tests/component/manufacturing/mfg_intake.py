"""Intake in the test's hand: it takes holds and facts, or is away."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from shared.ports import HttpAnswer, HttpUnreachableError


class FakeIntake:
    """The `Http` port, answered as intake's published endpoints would answer.

    Parity with the real endpoints is the system tests' matter; what is kept here is their contract:
    holds are idempotent by id, facts by statement id, permits are granted unless told otherwise.
    """

    def __init__(self) -> None:
        self.up = True
        #: holds are committed, but nobody hears of it
        self.lose_answers = False
        #: bodies by hold id, in the order of their commit
        self.holds: dict[UUID, dict[str, Any]] = {}
        #: statements by their own id
        self.facts: dict[str, dict[str, Any]] = {}
        #: rules that shut the gate `release`
        self.shut_by: list[str] = []
        #: requests for permits, in order
        self.permits: list[dict[str, Any]] = []
        #: the code with which permits are refused; None: granted
        self.refuse_permits: str | None = None
        self.calls: list[tuple[str, str]] = []

    async def call(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_seconds: float,
    ) -> HttpAnswer:
        self.calls.append((method, url))
        if not self.up:
            raise HttpUnreachableError(f"{method} {url}: intake is away")
        document = json.loads(body) if body else {}
        parts = url.split("/")[3:]
        match method, parts:
            case "POST", ["cases", _, "holds"]:
                return self._hold(document)
            case "POST", ["cases", _, "facts"]:
                self.facts.update({f["id"]: f for f in document["facts"]})
                return _answer(201, {"recorded": [], "unchanged": []})
            case "GET", ["cases", _, "decisions", _]:
                return self._decision()
            case "PUT", ["cases", _, "permits", permit_id]:
                return self._permit(permit_id, document)
            case _:
                return _answer(404, {"code": "not-found", "title": "There is no such thing."})

    def _permit(self, permit_id: str, document: dict[str, Any]) -> HttpAnswer:
        self.permits.append({**document, "permit_id": permit_id})
        if self.refuse_permits is not None:
            reasons = [{"code": self.refuse_permits}]
            refused = {"code": self.refuse_permits, "title": "refused", "reasons": reasons}
            return _answer(409, {**refused, "epoch": 0, "version": 1})
        expires_at = datetime.now(UTC) + timedelta(seconds=10)
        granted = {"epoch": 0, "version": 0, "ttl_ms": 10_000}
        return _answer(201, {**granted, "expires_at": expires_at.isoformat()})

    def _hold(self, document: dict[str, Any]) -> HttpAnswer:
        hold_id = UUID(document["hold_id"])
        known = hold_id in self.holds
        self.holds[hold_id] = document
        if self.lose_answers:
            raise HttpUnreachableError("the answer was lost")
        return _answer(200 if known else 201, {**document, "state": "EFFECTIVE"})

    def _decision(self) -> HttpAnswer:
        findings = [{"rule": rule, "effect": "hold", "episode": rule} for rule in self.shut_by]
        if findings:  # the engine adds one that sums up what is unknown
            findings.append({"rule": "DATA-008", "effect": "hold", "episode": "evidence"})
        return _answer(200, {"decision": "NO_GO_HOLD" if findings else "GO", "findings": findings})


def _answer(status: int, document: Mapping[str, Any]) -> HttpAnswer:
    return HttpAnswer(status, json.dumps(document).encode(), {"tandem-mode": "demo"})
