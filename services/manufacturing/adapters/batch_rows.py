"""Batches over one transaction: the row of each state, and back."""

from datetime import datetime
from typing import assert_never
from uuid import UUID

from services.manufacturing.domain.batch import (
    Batch,
    ConditionallyReleasedBatch,
    Culture,
    FormulatedBatch,
    Formulation,
    GrowingBatch,
    HarvestedBatch,
    Origin,
    RecalledBatch,
    ReceivedBatch,
    RejectedBatch,
    ReleasedBatch,
    UnfinishedBatch,
)
from services.manufacturing.domain.product import Form
from shared.persistence.database import Row

_STAGES: dict[type[UnfinishedBatch], str] = {
    ReceivedBatch: "RECEIVED",
    GrowingBatch: "GROWING",
    HarvestedBatch: "HARVESTED",
    FormulatedBatch: "FORMULATED",
}


def batch_of(row: Row) -> Batch:
    """The batch in a row of the table."""
    state: str = row["state"]
    match state:
        case "RELEASED":
            return ReleasedBatch(_formulated(row), row["certificate_id"], row["released_at"])
        case "RELEASED_CONDITIONALLY":
            return ConditionallyReleasedBatch(
                _formulated(row), row["certificate_id"], row["released_at"], tuple(row["pending"])
            )
        case "RECALLED":
            return RecalledBatch(_formulated(row), row["ended_at"])
        case "REJECTED":
            return RejectedBatch(_unfinished(row, row["rejected_stage"]), row["ended_at"])
        case _:
            return _unfinished(row, state)


def _unfinished(row: Row, state: str) -> UnfinishedBatch:
    match state:
        case "RECEIVED":
            return ReceivedBatch(_origin(row))
        case "GROWING":
            return GrowingBatch(_origin(row), _culture(row))
        case "HARVESTED":
            return HarvestedBatch(_origin(row), _culture(row), row["harvested_at"])
        case "FORMULATED":
            return _formulated(row)
        case _:
            raise ValueError(f"unknown state of a batch: {state}")


def _origin(row: Row) -> Origin:
    return Origin(
        row["batch_id"], row["case_id"], row["collection_id"], row["collected_at"],
        row["received_at"],
    )  # fmt: skip


def _culture(row: Row) -> Culture:
    return Culture(row["culture_started_at"], row["culture_start_id"], row["forecast_on"])


def _formulated(row: Row) -> FormulatedBatch:
    made = Formulation(
        Form(row["form"]),
        row["formulated_at"],
        row["printed_expiry"],
        row["frozen_on"],
        row["expires_at"],
    )
    return FormulatedBatch(_origin(row), _culture(row), row["harvested_at"], made)


def columns_of(batch: Batch) -> tuple[object, ...]:
    """The columns of `save_batch` after the id, in its order."""
    match batch:
        case ReceivedBatch() | GrowingBatch() | HarvestedBatch() | FormulatedBatch():
            return (_STAGES[type(batch)], *_process(batch), *_ends())
        case ReleasedBatch():
            ends = _ends(batch.certificate_id, batch.released_at, [])
            return ("RELEASED", *_process(batch.product), *ends)
        case ConditionallyReleasedBatch():
            ends = _ends(batch.certificate_id, batch.released_at, list(batch.pending))
            return ("RELEASED_CONDITIONALLY", *_process(batch.product), *ends)
        case RejectedBatch():
            ends = _ends(ended_at=batch.rejected_at, stage=_STAGES[type(batch.stage)])
            return ("REJECTED", *_process(batch.stage), *ends)
        case RecalledBatch():
            return ("RECALLED", *_process(batch.product), *_ends(ended_at=batch.recalled_at))
        case _:
            assert_never(batch)


def _process(batch: UnfinishedBatch) -> tuple[object, ...]:
    """From culture_started_at to expires_at."""
    culture = None if isinstance(batch, ReceivedBatch) else batch.culture
    harvested = batch.harvested_at if isinstance(batch, HarvestedBatch | FormulatedBatch) else None
    made = batch.formulation if isinstance(batch, FormulatedBatch) else None
    return (
        None if culture is None else culture.started_at,
        None if culture is None else culture.start_id,
        None if culture is None else culture.forecast_on,
        harvested,
        None if made is None else made.form.value,
        None if made is None else made.formulated_at,
        None if made is None else made.printed_expiry,
        None if made is None else made.frozen_on,
        None if made is None else made.expires_at,
    )


def _ends(
    certificate_id: UUID | None = None,
    released_at: datetime | None = None,
    pending: list[str] | None = None,
    *,
    ended_at: datetime | None = None,
    stage: str | None = None,
) -> tuple[object, ...]:
    """From certificate_id to rejected_stage."""
    return (certificate_id, released_at, pending, ended_at, stage)
