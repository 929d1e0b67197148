"""What the record's use cases ask of their store. Each method is one SQL statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal, Protocol
from uuid import UUID

Origin = Literal["imported", "entered", "event"]
Statement = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact on its way into the record: a statement with its source's id and version."""

    fact_id: UUID
    source_id: str
    source_version: str
    kind: str
    statement: Statement


@dataclass(frozen=True, slots=True)
class StoredFact:
    """A fact as it is on record. `ordinal` is the order of arrival over all cases."""

    fact_id: UUID
    ordinal: int
    source_id: str
    source_version: str
    kind: str
    statement: Statement
    recorded_at: datetime
    origin: Origin
    reporter: str


@dataclass(frozen=True, slots=True)
class PatientIdentity:
    """Who the patient is; it leaves the identity tables only to people who may see it."""

    family_name: str | None
    given_names: str | None
    birth_date: date | None


@dataclass(frozen=True, slots=True)
class CaseSummary:
    """A case without anything that names the patient. `merged_into`: the case that survived it."""

    case_id: UUID
    site: str | None
    status: Literal["open", "closed"]
    alias: str
    opened_at: datetime
    merged_into: UUID | None = None


@dataclass(frozen=True, slots=True)
class StoredTimeline:
    """The latest published timeline of a gate. `blocking` are [rule, episode] pairs.

    `made_by` names the protocol as `Protocol.identity` does; None: kept before that was.
    """

    gate: str
    timeline_version: int
    body: Sequence[Mapping[str, Any]]
    verdict: str
    blocking: frozenset[tuple[str, str]]
    next_boundary: datetime | None
    made_by: str | None = None


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """A decision that was acted on. `body` is the canonical JSON as it was given.

    `last_ordinal`: the facts of the case up to that one were known. `protocol_digest` names the
    rulebook's texts; None on what was kept before they were.
    `watermarks`: what it knew of each source beside the facts on record, by name.
    """

    decision_id: UUID
    case_id: UUID
    gate: str
    decided_at: datetime
    recorded_at: datetime
    last_ordinal: int
    protocol_version: str
    protocol_digest: str | None
    protocol_status: str | None
    verdict: str
    body: str
    watermarks: Mapping[str, Statement] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Product:
    """What manufacturing said of a dose. Unknown stays None."""

    dose_id: UUID
    case_id: UUID
    batch_id: UUID
    certificate_id: UUID | None
    state: str
    form: str | None
    formulated_at: datetime | None
    expires_at: datetime | None
    thawed_at: datetime | None
    usable_until: datetime | None
    issue_permit: UUID | None
    issued_for: UUID | None


class RecordRows(Protocol):
    """The tables of the coordination record."""

    async def insert_case(self, case: CaseSummary) -> None:
        """Adds a case."""
        ...

    async def insert_identity(self, case_id: UUID, identity: PatientIdentity) -> None:
        """Adds who the patient is."""
        ...

    async def claim_identifier(self, system: str, value: str, case_id: UUID) -> bool:
        """Whether the identifier is now this case's; False: another case has it."""
        ...

    async def case_by_identifier(self, system: str, value: str) -> UUID | None:
        """The case that has the identifier."""
        ...

    async def case_summary(self, case_id: UUID) -> CaseSummary | None:
        """The case, or None."""
        ...

    async def cases_page(
        self, before: UUID | None, site: str | None, limit: int
    ) -> Sequence[CaseSummary]:
        """Cases, newest first, before the given id."""
        ...

    async def identity_of(self, case_id: UUID) -> PatientIdentity | None:
        """Who the patient is."""
        ...

    async def insert_facts(
        self,
        case_id: UUID,
        facts: Sequence[NewFact],
        *,
        recorded_at: datetime,
        origin: Origin,
        reporter: str,
    ) -> frozenset[UUID]:
        """The ids of those facts that were not on record yet."""
        ...

    async def facts_of_case(
        self, case_id: UUID, as_of: datetime | None = None
    ) -> Sequence[StoredFact]:
        """All facts in order of arrival, or those recorded by `as_of`."""
        ...

    async def fact_by_id(self, case_id: UUID, fact_id: UUID) -> StoredFact | None:
        """One fact."""
        ...

    async def insert_decisions(self, decisions: Sequence[StoredDecision]) -> None:
        """Keeps decisions for good."""
        ...

    async def decision_given(
        self, case_id: UUID, gate: str, at: datetime, recorded_at: datetime
    ) -> StoredDecision | None:
        """The last decision of a gate that was given about `at` at that very instant."""
        ...

    async def decisions_page(
        self, after: UUID | None, case_id: UUID | None, as_of: datetime | None, limit: int
    ) -> Sequence[StoredDecision]:
        """Decisions in the order of their ids, after the given one, recorded by `as_of`."""
        ...

    async def timelines_of_case(self, case_id: UUID) -> Sequence[StoredTimeline]:
        """The latest timeline of each gate."""
        ...

    async def put_timeline(self, case_id: UUID, timeline: StoredTimeline) -> None:
        """Replaces the latest timeline of a gate."""
        ...

    async def cases_due(self, now: datetime, limit: int) -> Sequence[UUID]:
        """Cases whose timeline has a boundary at or before `now`."""
        ...

    async def cases_made_by_others(self, made_by: str, limit: int) -> Sequence[UUID]:
        """Cases with a timeline that another protocol made."""
        ...

    async def count_made_by_others(self, made_by: str) -> int:
        """How many cases have a timeline that another protocol made."""
        ...

    async def put_product(self, product: Product) -> None:
        """Adds or replaces a dose's certificate."""
        ...

    async def mark_issued(
        self, dose_id: UUID, permit_id: UUID, infusion_id: UUID, usable_until: datetime
    ) -> None:
        """The dose was handed out for an infusion."""
        ...

    async def mark_thawed(self, dose_id: UUID, thawed_at: datetime, usable_until: datetime) -> None:
        """The dose was thawed."""
        ...

    async def mark_product_state(self, dose_id: UUID, state: str) -> None:
        """The dose has another state."""
        ...

    async def product_of_dose(self, dose_id: UUID) -> Product | None:
        """What is known of a dose."""
        ...

    async def products_of_case(self, case_id: UUID) -> Sequence[Product]:
        """What is known of the case's doses."""
        ...

    async def insert_eligibility(
        self,
        case_id: UUID,
        *,
        eligibility_id: UUID,
        outcome: str,
        advice: str,
        reevaluate_on: date | None,
        reason: str | None,
        signer: str,
        signed_at: datetime,
    ) -> None:
        """Keeps a physician's signed eligibility decision."""
        ...

    async def permits_out(self) -> int:
        """How many start permits are GRANTED, over all cases (the demo's clock asks)."""
        ...
