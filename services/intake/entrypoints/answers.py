"""The bodies of successes, as the API's document promises them.

Endpoints write their answers from the use cases' results; these models are the document's side of
it. Invariant: no member is answered that the document does not name, and none that it names lacks;
the fuzz of the API and the carried-out examples hold answers against them.
"""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from shared.contracts.vocabulary import Gate, Role, Verdict

Statement = dict[str, Any]


class AnswerModel(BaseModel):
    """The base of all answers' models."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClearanceAnswer(AnswerModel):
    """The version against which holders check."""

    epoch: int
    version: int


class CaseOpened(AnswerModel):
    """The patient's case; `opened` when it is new."""

    case_id: UUID
    opened: bool


class CaseListed(AnswerModel):
    """A case without anything that names the patient."""

    case_id: UUID
    alias: str
    status: Literal["open", "closed"]
    opened_at: datetime


class CasesPage(AnswerModel):
    """A page of cases, newest first; `next` is the cursor of the following page."""

    items: list[CaseListed]
    next: str | None


class GateStanding(AnswerModel):
    """The published decision of a gate, and until when time alone does not change it."""

    start: Verdict
    until: datetime | None
    timeline_version: int


class OpenHold(AnswerModel):
    """A hold of the case that is open."""

    hold_id: UUID
    kind: str
    rule: str | None
    state: str
    gates: list[Gate]
    since: datetime


class FactListed(AnswerModel):
    """A fact without its value."""

    fact_id: UUID
    source_id: str
    kind: str
    origin: Literal["imported", "entered", "event"]
    recorded_at: datetime


class ProtocolAnswer(AnswerModel):
    """Which protocol decides."""

    id: str
    version: str
    status: str


class CaseAnswer(CaseListed):
    """A case: its standing at each gate, its open holds, its facts."""

    mode: Literal["demo", "shadow", "live"]
    protocol: ProtocolAnswer
    clearance: ClearanceAnswer
    gates: dict[Gate, GateStanding]
    open_holds: list[OpenHold]
    facts: list[FactListed]


class FactAnswer(AnswerModel):
    """A fact with its value and where it comes from."""

    fact_id: UUID
    statement: Statement
    origin: Literal["imported", "entered", "event"]
    reporter: str
    recorded_at: datetime


class FactsRecorded(AnswerModel):
    """The facts that were new, and those that were on record already."""

    recorded: list[UUID]
    unchanged: list[UUID]
    clearance: ClearanceAnswer


class CorrectionRecorded(AnswerModel):
    """The correction, as a fact."""

    recorded: list[UUID]


class FactsCounted(AnswerModel):
    """How many facts were new, and how many were on record already."""

    recorded: int
    unchanged: int


class BundleImported(CaseOpened):
    """What became of a bundle, and of each of its resources."""

    facts: FactsCounted
    resources: dict[str, int]
    report: list[dict[str, Any]]


class FormChoice(AnswerModel):
    """One of the values that a field may have, in words."""

    value: str
    title: str


class FormField(AnswerModel):
    """A field as a page shows it. `null_means`: what no value says, where that is an answer."""

    name: str
    title: str
    hint: str
    type: Literal[
        "text", "number", "whole", "whole-list", "date", "instant", "yes-no", "yes-no-unknown"
    ]
    required: bool
    null_means: str | None
    choices: list[FormChoice]
    minimum: float | None
    above: float | None
    maximum: float | None
    max_length: int | None


class FormAnswer(AnswerModel):
    """A form, and the roles that enter it."""

    form: str
    title: str
    about: str
    entered_by: list[Role]
    fields: list[FormField]


class FormsAnswer(AnswerModel):
    """All forms; times are typed in `zone`."""

    zone: str
    items: list[FormAnswer]


class FactMade(AnswerModel):
    """A fact that an entry made."""

    fact_id: UUID
    kind: str


class EntryProvenance(AnswerModel):
    """Who entered it and when."""

    by: str
    at: datetime
    source: Literal["entered"]


class GateChanged(AnswerModel):
    """A gate whose decision an entry changed."""

    gate: Gate
    start: Verdict
    until: datetime | None


class EntryLinks(AnswerModel):
    """Where an entry is corrected and withdrawn."""

    correct: str
    withdraw: str


class EntryRecorded(AnswerModel):
    """What a form has recorded, and what followed at once."""

    entry_id: UUID
    form: str
    version: int
    withdrawn: bool
    facts: list[FactMade]
    shown: dict[str, Any]
    assumed: list[str]
    provenance: EntryProvenance
    gates_changed: list[GateChanged]
    clearance: ClearanceAnswer
    links: EntryLinks


class EntryFinding(AnswerModel):
    """A finding that rests on an entry. `clears_at`: a day or an instant, null if time does not."""

    rule: str
    effect: str
    message: str
    clears_at: datetime | date | None


class GateKeptShut(AnswerModel):
    """A gate that findings keep shut which rest on an entry."""

    gate: Gate
    start: Verdict | None
    until: datetime | None
    because: list[EntryFinding]


class EntryVersion(AnswerModel):
    """One version of an entry."""

    version: int
    by: str
    at: datetime
    withdrawn: bool


class EntryAnswer(AnswerModel):
    """An entry with what rests on it now. `body` is the form as it was sent."""

    entry_id: UUID
    form: str
    version: int
    withdrawn: bool
    reason: str | None
    body: dict[str, Any]
    facts: list[FactMade]
    shown: dict[str, Any]
    assumed: list[str]
    closes: list[GateKeptShut]
    history: list[EntryVersion]


class EntriesAnswer(AnswerModel):
    """The entries of a case, newest first."""

    items: list[EntryAnswer]


class CdsService(AnswerModel):
    """A CDS service as clients discover it (CDS Hooks 2.0)."""

    hook: str
    id: str
    title: str
    description: str
    prefetch: dict[str, str]


class CdsServices(AnswerModel):
    """The CDS services."""

    services: list[CdsService]


class CdsCoding(AnswerModel):
    """A code with its system."""

    code: str
    system: str
    display: str


class CdsSource(AnswerModel):
    """Whose card it is, and about what."""

    label: str
    topic: CdsCoding


class CdsCard(AnswerModel):
    """A card (CDS Hooks 2.0)."""

    uuid: UUID
    summary: str
    detail: str
    indicator: Literal["info", "warning"]
    source: CdsSource
    overrideReasons: list[CdsCoding]


class CdsCards(AnswerModel):
    """The cards for an order or appointment."""

    cards: list[CdsCard]


class FeedbackRecorded(AnswerModel):
    """How many items of feedback were taken."""

    recorded: int


class TopicsExplained(AnswerModel):
    """The topics marked now, and those that still lack."""

    explained: list[str]
    still_to_explain: list[str]


class QuestionAnswer(AnswerModel):
    """A question of the patient, and whether it waits for an answer."""

    question_id: UUID
    open: bool
