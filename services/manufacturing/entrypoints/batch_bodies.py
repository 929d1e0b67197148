"""The bodies of requests about batches."""

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from services.manufacturing.application.record_process import DOSES_PER_BATCH_MAX
from services.manufacturing.domain.holds import RecallReason
from services.manufacturing.domain.product import Form
from services.manufacturing.domain.release import SignatureMeaning
from services.manufacturing.domain.specification import ResultStatus
from services.manufacturing.entrypoints.commands import PressBody
from services.manufacturing.entrypoints.http_collections import Scanned
from shared.web.requests import RequestModel

Code = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{0,59}$")]
Words = Annotated[str, Field(min_length=3, max_length=2_000)]
Stated = Annotated[str, Field(min_length=1, max_length=64)]


class PlainStepBody(RequestModel):
    """A step that only leaves its mark."""

    step: Literal["activate", "expand", "harvest", "freeze"]
    performed_at: AwareDatetime
    scanned_label: Scanned


class FormulateBody(RequestModel):
    """The harvest filled into bags."""

    step: Literal["formulate"]
    performed_at: AwareDatetime
    scanned_label: Scanned
    form: Form
    doses: Annotated[int, Field(ge=1, le=DOSES_PER_BATCH_MAX)]
    printed_expiry: AwareDatetime | None = None


class CultureBody(PressBody):
    """The press that starts a culture; the material's label is scanned."""

    scanned_label: Scanned


class MeasureBody(RequestModel):
    """An in-process measure, as the instrument states it."""

    metric: Code
    value: Stated
    unit: Stated
    measured_at: AwareDatetime


class ForecastBody(RequestModel):
    """The planned harvest day."""

    forecast_on: date


class ResultBody(RequestModel):
    """A release test as the laboratory states it; without `unit` it is a word."""

    test: Code
    value: Stated
    unit: Stated | None = None
    status: ResultStatus = ResultStatus.FINAL
    reported_at: AwareDatetime
    retest_of: UUID | None = None
    deviation_id: UUID | None = None


class DeviationBody(RequestModel):
    """What kind of deviation."""

    kind: Literal[
        "process", "equipment", "environment", "out_of_specification", "documentation",
        "custody", "other",
    ]  # fmt: skip


class ConclusionBody(RequestModel):
    """What quality assurance concluded."""

    conclusion: Words


class SignatureBody(RequestModel):
    """A signature; If-Match carries the version of the batch that was seen."""

    meaning: SignatureMeaning
    reviews_accepted: Annotated[frozenset[str], Field(max_length=50)] = frozenset()


class RejectBody(RequestModel):
    """The rules because of which the batch is not used."""

    rules: Annotated[tuple[str, ...], Field(min_length=1, max_length=50)]


class RecallBody(RequestModel):
    """Why the batch is recalled."""

    reason: RecallReason


class ExpiryBody(RequestModel):
    """The answer to MFG-006."""

    answer: Literal["freeze", "keep"]
