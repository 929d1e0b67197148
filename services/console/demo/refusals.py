"""(f) A start against a hold, at every stage: refused, with all reasons.

Each refusal is a real press by the person who acts at that stage; its reasons are printed as the
person would read them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from services.console.demo.patient import Patient
from services.console.demo.people import DONE, Person, Reply
from services.console.demo.stage import Stage
from shared.contracts.vocabulary import Gate, Service


async def refuse_against_hold(
    stage: Stage, patient: Patient, gate: Gate, person: Person, path: str, body: object
) -> None:
    """A physician's hold at the gate; a start by `person` is refused; the hold is released."""
    hold = await patient.place_hold("clinical_concern", [gate], "seen at rounds")
    seen = await patient.clearance()
    reply = await person.ask(Service.MANUFACTURING, path, body, seen=seen.etag)
    check_refused(stage, f"{gate.value} against a hold", reply, "hold-open")
    await patient.release_hold(hold["hold_id"], "looked at: no objection")


def check_refused(stage: Stage, what: str, reply: Reply, *expected: str) -> None:
    """The reply is a refusal that names one of the expected codes among all its reasons."""
    codes = {str(reason.get("code")) for reason in reply.reasons} | {str(reply.code)}
    stage.check(
        reply.status not in DONE and codes & set(expected),
        f"refused: {what} ({reply.status} {reply.code})",
    )
    for reason in reply.reasons:
        stage.note(words_of(reason))


def words_of(reason: Mapping[str, Any]) -> str:
    """One reason as a line."""
    rules = _joined(reason.get("rules") or [reason.get("rule")])
    title = reason.get("title") or ""
    return f"{reason.get('code')}: {title} {rules}".strip().rstrip(":")


def _joined(words: Iterable[object]) -> str:
    return ", ".join(str(word) for word in words if word)
