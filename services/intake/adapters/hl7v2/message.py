"""Reads one message: its envelope, whom it is about, then each segment by itself.

Invariant: a failure inside one segment costs that segment only; every segment has one line.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from services.intake.adapters.fhir import ReportLine, read_bundle
from services.intake.adapters.fhir.access import Rejected as Unreadable
from services.intake.adapters.fhir.access import fingerprint
from services.intake.adapters.fhir.moments import moment
from services.intake.adapters.fhir.terminology import terminology
from services.intake.adapters.hl7v2.appointments import read_services
from services.intake.adapters.hl7v2.orders import Group, groups, read_administration, read_order
from services.intake.adapters.hl7v2.parsing import Message, RefusedError, Segment, parse_message
from services.intake.adapters.hl7v2.people import (
    everybody,
    identity_changes,
    one_patient,
    read_patient,
)
from services.intake.adapters.hl7v2.problems import read_allergy, read_diagnosis, read_procedure
from services.intake.adapters.hl7v2.results import read_panel, read_result
from services.intake.adapters.hl7v2.translated import Answer, Around, Left, Translated
from services.intake.application.incoming_messages import (
    IncomingMessage,
    MessageProblem,
    Profile,
    SegmentLine,
)

CONTROL_ID_LENGTH_MAX = 199
"""Longest control id (HL7 2.8); it is repeated in answers and in every fact's source."""
_RANKS = 10
_CONTENT_SPACE = 10**4
"""How many different contents of one second and one status are told apart."""
_ENVELOPE = frozenset({"MSH", "EVN", "MRG"})
_CLINICAL = frozenset({"OBX", "DG1", "AL1", "PR1", "RXE", "RXO", "RXD", "RXA", "SCH"})
_AS_PROBLEM = "not-about-real-patients"


def read_message(raw: bytes, profile: Profile, received_at: datetime) -> IncomingMessage:
    """Return what a message says; bad input gives problems or rejected lines, never an exception.

    `received_at` (aware) is the moment against which dates count as future.
    """
    digest = hashlib.sha256(raw).hexdigest()
    try:
        message = parse_message(raw, profile)
    except RefusedError as refusal:
        return IncomingMessage(digest, problems=(refusal.problem,))
    around = Around(message, profile)
    envelope = IncomingMessage(digest, message.header, everybody(message, around))
    try:
        problems = (*_problems(message, profile), *_unsent(around, received_at))
        patient = one_patient(message, around)
        if patient is None and any(s.name in _CLINICAL for s in message.segments):
            raise RefusedError("no-patient", "results or orders of nobody", "PID[1]")
    except RefusedError as refusal:
        return replace(envelope, problems=(refusal.problem,))
    if problems:
        return replace(envelope, problems=problems)
    changes = identity_changes(message, around)
    if patient is None:
        return replace(envelope, report=_lines(message, [], {}, {}))
    who = read_patient(patient, around)
    identifiers = tuple((i["system"], i["value"]) for i in who.resource["identifier"])
    if not identifiers:
        said = MessageProblem("no-patient", "the patient has no identifier", patient.at(3))
        return replace(envelope, problems=(said,))
    answers = list(_answers(message, around))
    statements, results, ids = _read(who, answers, around, received_at)
    report = _lines(message, [who, *answers], results, ids)
    return replace(
        envelope,
        identifiers=identifiers,
        statements=statements,
        report=report,
        identity_changes=changes,
    )


def _problems(message: Message, profile: Profile) -> Iterator[MessageProblem]:
    header = message.header
    if not header.kind:
        yield MessageProblem("required-element-missing", "no type of message", "MSH[1]-9")
    if not 0 < len(header.control_id) <= CONTROL_ID_LENGTH_MAX:
        yield MessageProblem("required-element-missing", "no usable control id", "MSH[1]-10")
    if header.processing not in profile.processing:
        said = f"{header.processing[:10]!a}: messages of this kind are not taken here"
        yield MessageProblem(_AS_PROBLEM, said, "MSH[1]-11", for_good=True)
    if header.version and not header.version.startswith("2."):
        said = f"version {header.version[:10]!a} is not read"
        yield MessageProblem("unsupported-version", said, "MSH[1]-12", for_good=True)


def _unsent(around: Around, received_at: datetime) -> Iterator[MessageProblem]:
    """Yield what is wrong with MSH-7: without it nothing could be told to be older or newer."""
    at = "MSH[1]-7"
    try:
        sent = moment(around.sent, "")
    except Unreadable as error:
        yield MessageProblem(error.reason.value, error.message, at)
        return
    if sent is None:
        yield MessageProblem("required-element-missing", "no time of the message", at)
    elif sent.is_after(received_at):
        yield MessageProblem("future-date", "sent after it was received: compare the clocks", at)


def _answers(message: Message, around: Around) -> Iterator[Answer]:
    ordered = groups(message.segments)
    for group in ordered:
        yield from read_order(group, around)
    appointment = message.first("SCH")
    if appointment is not None:
        yield from read_services(appointment, list(message.named("AIS")), around, terminology())
    before: list[Segment] = []
    for segment in message.segments:
        if segment.name == "ORC":
            before = [segment]
        elif segment.name == "OBR":
            yield read_panel(segment, before, around)
            before = [*[s for s in before if s.name == "ORC"], segment]
        else:
            yield from _by_itself(segment, before, ordered, around)


def _by_itself(
    segment: Segment, before: list[Segment], ordered: list[Group], around: Around
) -> Iterator[Answer]:
    match segment.name:
        case "OBX":
            yield read_result(segment, before, around)
        case "DG1":
            yield read_diagnosis(segment, around)
        case "AL1":
            yield read_allergy(segment, around)
        case "PR1":
            yield read_procedure(segment, around)
        case "RXA":
            own = next((g for g in ordered if segment in g.segments), None)
            yield read_administration(segment, own, around)


@dataclass(frozen=True, slots=True)
class _Read:
    """What the reader of resources said of a translated segment."""

    line: ReportLine
    place: str


_Results = dict[int, _Read]
_Ids = dict[int, tuple[str, ...]]


def _read(
    who: Translated, answers: Sequence[Answer], around: Around, received_at: datetime
) -> tuple[tuple[dict[str, Any], ...], _Results, _Ids]:
    """Return the statements, and by position (0: the patient) line and ids of each answer."""
    translated = {0: who} | {
        n: one for n, one in enumerate(answers, start=1) if isinstance(one, Translated)
    }
    names = _distinct(translated)
    carried = [n for n, one in translated.items() if one.planned is None]
    entries = [{"resource": {**translated[n].resource, "id": _key(n)}} for n in carried]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    reading = read_bundle(json.dumps(bundle).encode(), received_at=received_at)
    results = {
        n: _Read(line, translated[n].place(_inside(line)))
        for n, line in zip(carried, reading.report, strict=True)
    }
    by_reference = {f"{translated[n].resource['resourceType']}/{_key(n)}": n for n in carried}
    found: list[tuple[int, dict[str, Any]]] = []
    for one in reading.statements:
        reference = str(one["source"]).removeprefix("FHIR ")
        n = by_reference[reference]
        suffix = str(one["id"]).removeprefix(reference)
        found += [(n, made) for made in _stated(translated[n], names[n] + suffix, one, around)]
    for n, planned in translated.items():
        if planned.planned is not None:
            found += [(n, made) for made in _stated(planned, names[n], planned.planned, around)]
    ids: _Ids = {}
    for n, statement in found:
        ids[n] = (*ids.get(n, ()), str(statement["id"]))
    return tuple(statement for _, statement in found), results, ids


def _key(n: int) -> str:
    return "pid" if n == 0 else f"s{n}"


def _inside(line: ReportLine) -> str:
    return line.pointer.partition("/resource")[2]


def _distinct(translated: Mapping[int, Translated]) -> dict[int, str]:
    """Return a name for each; what a message says twice under one name is told apart by time.

    Serial results of one order carry no other mark. Their place among each other would be none: a
    later message with one of them only would then change another one.
    """
    said = Counter(one.identity for one in translated.values())
    timed = {
        n: one.identity if said[one.identity] == 1 else f"{one.identity}@{_time(one)}"
        for n, one in translated.items()
    }
    seen: Counter[str] = Counter()
    names = {}
    for n, name in timed.items():
        seen[name] += 1
        names[n] = f"{name}~{seen[name]}" if seen[name] > 1 else name
    return names


def _time(one: Translated) -> str:
    return str(one.resource.get("effectiveDateTime", ""))


def _stated(
    one: Translated, name: str, statement: Mapping[str, Any], around: Around
) -> Iterator[dict[str, Any]]:
    """Yield the statement under its lasting name, version and source.

    Only a message of the patient's administration states the patient, and death by itself: it stays
    on record when a later message does not mention it.
    """
    body = {k: v for k, v in statement.items() if k not in {"id", "version", "source"}}
    if statement["kind"] == "patient":
        if not around.is_adt:
            return
        if "deceased" in body:
            yield _whole(one, f"{name}-death", body, around)
        body.pop("deceased", None)
    yield _whole(one, name, body, around)


def _whole(one: Translated, name: str, body: Mapping[str, Any], around: Around) -> dict[str, Any]:
    feed, header = around.profile.feed, around.message.header
    return {
        "kind": body["kind"],
        "id": f"HL7v2/{feed}/{name}",
        "version": _version(one, body),
        **{key: value for key, value in body.items() if key != "kind" and value is not None},
        "source": f"HL7v2 {feed} {header.control_id} {one.segment.at()}",
    }


def _version(one: Translated, body: Mapping[str, Any]) -> int:
    """Return a version that grows with the sender's own time of the change, then with status.

    The content tells the rest apart, so the same content sent again, in whichever message, is the
    same version.
    """
    try:
        found = moment(one.moment, "")
    except Unreadable:
        found = None
    seconds = 0
    if found is not None:
        start = found.instant or datetime.combine(found.first_day, datetime.min.time())
        aware = start if start.tzinfo is not None else start.replace(tzinfo=UTC)
        seconds = max(0, int(aware.timestamp()))
    content = int(fingerprint(dict(body)), 16) % _CONTENT_SPACE
    return (seconds * _RANKS + one.rank) * _CONTENT_SPACE + content


def _lines(
    message: Message, answers: Sequence[Answer], results: _Results, ids: _Ids
) -> tuple[SegmentLine, ...]:
    """Return one line a segment; of several answers about one segment the used one counts."""
    found: dict[str, SegmentLine] = {}
    supporting: dict[str, str] = {}
    for n, answer in enumerate(answers):
        line = _line(answer, results.get(n), ids.get(n, ()))
        known = found.get(line.segment)
        if known is None or _better(line, known):
            found[line.segment] = line
        if isinstance(answer, Translated):
            supporting |= {s.at(): line.segment for s in answer.supports}
    return tuple(
        found.get(segment.at()) or _other(segment, supporting.get(segment.at()))
        for segment in message.segments
    )


def _better(line: SegmentLine, known: SegmentLine) -> bool:
    return ("ignored", "rejected", "used").index(line.outcome) > (
        "ignored",
        "rejected",
        "used",
    ).index(known.outcome)


def _line(answer: Answer, read: _Read | None, ids: tuple[str, ...]) -> SegmentLine:
    at = answer.segment.at()
    if isinstance(answer, Left):
        outcome: Literal["rejected", "ignored"] = "rejected" if answer.rejected else "ignored"
        return SegmentLine(at, outcome, answer.reason, answer.message, answer.place or at)
    if read is None:
        return SegmentLine(at, "used", "stated", "planned", answer.place(""), ids)
    line = read.line
    return SegmentLine(
        at, line.outcome.value, line.reason.value, line.message, read.place, ids, line.warnings
    )


def _other(segment: Segment, supports: str | None) -> SegmentLine:
    at = segment.at()
    if supports:
        return SegmentLine(at, "used", "supports-another-resource", f"part of {supports}", at)
    if segment.name in _ENVELOPE:
        return SegmentLine(at, "used", "supports-another-resource", "part of the message", at)
    if segment.name.startswith("Z"):
        return SegmentLine(at, "ignored", "resource-type-not-needed", "a segment of the site", at)
    said = f"{segment.name}: nothing of it is needed"
    return SegmentLine(at, "ignored", "resource-type-not-needed", said, at)
