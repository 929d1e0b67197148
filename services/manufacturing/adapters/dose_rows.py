"""Doses over one transaction: the row of each state, and back."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import assert_never
from uuid import UUID

from services.manufacturing.adapters.statements import STATEMENTS
from services.manufacturing.application.dossier_ports import Issue
from services.manufacturing.domain.dose import (
    AvailableDose,
    Bag,
    BlockedDose,
    BlockPurpose,
    DiscardedDose,
    DiscardReason,
    Dose,
    GivenDose,
    IssuedDose,
    QuarantinedDose,
    RecalledDose,
    ReturnedDose,
    RunningDose,
    ThawedDose,
)
from services.manufacturing.domain.product import Form
from shared.persistence.database import Row, Tx


@dataclass(frozen=True, slots=True)
class _Columns:
    """What `save_dose` sets besides the bag, in its order; absent means NULL."""

    state: str
    start_id: UUID | None = None
    thawed_at: datetime | None = None
    issued_at: datetime | None = None
    usable_until: datetime | None = None
    began_at: datetime | None = None
    completed_at: datetime | None = None
    hold_id: UUID | None = None
    purpose: str | None = None
    discarded_for: str | None = None


class DoseRows:
    """The port `Doses`."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx

    async def insert(self, dose: Dose) -> None:
        """The dose is on record, in quarantine."""
        bag = dose.bag
        await self._tx.run(
            STATEMENTS["insert_dose"],
            bag.dose_id, bag.batch_id, bag.case_id, bag.container_id, bag.number, bag.form.value,
            bag.formulated_at, bag.expires_at,
        )  # fmt: skip

    async def find(self, dose_id: UUID) -> Dose | None:
        """The dose."""
        row = await self._tx.row(STATEMENTS["dose_by_id"], dose_id)
        return None if row is None else _dose(row)

    async def version(self, dose_id: UUID) -> int:
        """How often it changed."""
        row = await self._tx.row(STATEMENTS["dose_by_id"], dose_id)
        return 0 if row is None else int(row["version"])

    async def of_batch(self, batch_id: UUID) -> Sequence[Dose]:
        """A batch's doses."""
        return [_dose(r) for r in await self._tx.rows(STATEMENTS["doses_of_batch"], batch_id)]

    async def of_infusion(self, infusion_id: UUID) -> Sequence[Dose]:
        """The doses bound to an infusion."""
        rows = await self._tx.rows(STATEMENTS["doses_of_infusion"], infusion_id)
        return [_dose(row) for row in rows]

    async def save(self, dose: Dose) -> None:
        """The dose in its new state."""
        bag, columns = dose.bag, asdict(_columns(dose))
        state = columns.pop("state")
        await self._tx.run(
            STATEMENTS["save_dose"],
            bag.dose_id, state, bag.form.value, bag.expires_at, bag.bound_to, *columns.values(),
        )  # fmt: skip

    async def add_issue(self, issue: Issue) -> None:
        """The hand-out is on record."""
        await self._tx.run(STATEMENTS["add_issue"], *asdict(issue).values())

    async def issue_of(self, dose_id: UUID) -> Issue | None:
        """The hand-out that stands."""
        row = await self._tx.row(STATEMENTS["issue_of"], dose_id)
        if row is None:
            return None
        return Issue(**{k: v for k, v in dict(row).items() if k != "undone_at"})

    async def undo_issue(self, start_id: UUID, at: datetime) -> None:
        """The hand-out never was."""
        await self._tx.run(STATEMENTS["undo_issue"], start_id, at)


def _columns(dose: Dose) -> _Columns:  # noqa: PLR0911 - one return per state
    match dose:
        case QuarantinedDose():
            return _Columns("QUARANTINED")
        case AvailableDose():
            return _Columns("AVAILABLE")
        case ThawedDose():
            return _Columns("THAWED", dose.start_id, dose.thawed_at,
                            usable_until=dose.usable_until)  # fmt: skip
        case IssuedDose():
            return _issued("ISSUED", dose)
        case RunningDose():
            return _running(dose)
        case GivenDose():
            return _Columns("GIVEN", completed_at=dose.completed_at)
        case BlockedDose():
            return _Columns("BLOCKED", dose.start_id, hold_id=dose.hold_id,
                            purpose=dose.purpose.value)  # fmt: skip
        case RecalledDose():
            return _Columns("RECALLED", hold_id=dose.hold_id)
        case ReturnedDose():
            return _Columns("RETURNED", hold_id=dose.hold_id)
        case DiscardedDose():
            return _Columns("DISCARDED", discarded_for=dose.reason.value)
        case _:
            assert_never(dose)


def _issued(state: str, dose: IssuedDose, began_at: datetime | None = None) -> _Columns:
    return _Columns(state, dose.start_id, issued_at=dose.issued_at,
                    usable_until=dose.usable_until, began_at=began_at)  # fmt: skip


def _running(dose: RunningDose) -> _Columns:
    if dose.issued is None:
        return _Columns("RUNNING", began_at=dose.began_at)
    return _issued("RUNNING", dose.issued, dose.began_at)


def _dose(row: Row) -> Dose:  # noqa: PLR0911 - one return per state
    bag = _bag(row)
    match row["state"]:
        case "QUARANTINED":
            return QuarantinedDose(bag)
        case "AVAILABLE":
            return AvailableDose(bag)
        case "THAWED":
            return ThawedDose(
                bag, row["bound_to"], row["start_id"], row["thawed_at"], row["usable_until"]
            )
        case "ISSUED":
            return _issued_of(bag, row)
        case "RUNNING":
            issued = None if row["start_id"] is None else _issued_of(bag, row)
            return RunningDose(bag, row["bound_to"], row["began_at"], issued)
        case "GIVEN":
            return GivenDose(bag, row["bound_to"], row["completed_at"])
        case state:
            return _out_of_use(bag, row, state)


def _out_of_use(bag: Bag, row: Row, state: str) -> Dose:
    match state:
        case "BLOCKED":
            return BlockedDose(
                bag, row["hold_id"], BlockPurpose(row["purpose"]), row["bound_to"], row["start_id"]
            )
        case "RECALLED":
            return RecalledDose(bag, row["hold_id"])
        case "RETURNED":
            return ReturnedDose(bag, row["hold_id"])
        case "DISCARDED":
            return DiscardedDose(bag, DiscardReason(row["discarded_for"]))
        case _:
            raise ValueError(f"unknown state of a dose: {state}")


def _issued_of(bag: Bag, row: Row) -> IssuedDose:
    return IssuedDose(bag, row["bound_to"], row["start_id"], row["issued_at"], row["usable_until"])


def _bag(row: Row) -> Bag:
    return Bag(
        dose_id=row["dose_id"],
        batch_id=row["batch_id"],
        case_id=row["case_id"],
        container_id=row["container_id"],
        number=row["number"],
        form=Form(row["form"]),
        formulated_at=row["formulated_at"],
        expires_at=row["expires_at"],
        bound_to=row["bound_to"],
    )
