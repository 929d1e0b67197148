"""What manufacturing's API shows, and how its refusals read."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, assert_never

from services.manufacturing.application.ports import AuthorityUnreachableError
from services.manufacturing.application.row_ports import NotFoundError, Slot
from services.manufacturing.application.verify_label import IdentityMismatchError
from services.manufacturing.domain.batch import (
    Batch,
    ConditionallyReleasedBatch,
    FormulatedBatch,
    GrowingBatch,
    HarvestedBatch,
    RecalledBatch,
    ReceivedBatch,
    RejectedBatch,
    ReleasedBatch,
)
from services.manufacturing.domain.collection import (
    BookedCollection,
    CancelledCollection,
    Collection,
    DoneCollection,
    RunningCollection,
)
from services.manufacturing.domain.dose import (
    AvailableDose,
    BlockedDose,
    DiscardedDose,
    Dose,
    GivenDose,
    IssuedDose,
    QuarantinedDose,
    RecalledDose,
    ReturnedDose,
    RunningDose,
    ThawedDose,
)
from services.manufacturing.domain.holds import HoldOrder
from services.manufacturing.domain.labels import label_of
from services.manufacturing.domain.refusal import Reason, RefusedError
from shared.persistence.database import ConstraintError
from shared.web.problems import Problem, not_found

#: constraints that a race can meet although the use case looked before
_BY_CONSTRAINT: Final = {
    "signer_is_no_operator": "signer-is-operator",
    "certificate_two_signers": "signed-already",
    "release_signature_pkey": "signed-already",
    "dose_issued_once": "issued-already",
    "dose_keeps_its_infusion": "other-infusion",
    "dose_issued_unexpired": "expired",
    "start_one_per_attempt": "issued-already",
    "start_one_per_dose_and_attempt": "issued-already",
    "deviation_closed_by_another": "same-person",
    "handover_two_people": "same-person",
    "hold_order_one_recall": "recalled",
    "batch_end_is_final": "wrong-state",
}
_TITLE: Final = "This is refused; every reason is listed, with what would lift it."


@contextmanager
def problems() -> Iterator[None]:
    """Turns what use cases raise into problem answers."""
    try:
        yield
    except RefusedError as error:
        raise refusal(error.reasons) from error
    except NotFoundError as error:
        raise not_found(error.what) from error
    except IdentityMismatchError as error:
        raise _mismatch(error) from error
    except AuthorityUnreachableError as error:
        raise unreachable() from error
    except ConstraintError as error:
        code = _BY_CONSTRAINT.get(error.constraint)
        if code is None:
            raise
        raise Problem(409, code, _TITLE, extra={"reasons": [{"code": code}]}) from error


def refusal(reasons: tuple[Reason, ...]) -> Problem:
    """409 with all reasons; the code is that of the first."""
    listed = [
        {
            "code": reason.code.value,
            "rule": reason.rule,
            "subject": reason.subject,
            "lifted_by": reason.lifted_by,
        }
        for reason in reasons
    ]
    return Problem(409, reasons[0].code.value, _TITLE, extra={"reasons": listed})


def unreachable(**extra: object) -> Problem:
    """503: the authority did not confirm; what was ordered is kept and sent again."""
    return Problem(
        503,
        "authority-unreachable",
        "The coordination record could not be reached; this is not done yet.",
        "What must be on record there is kept and sent again by itself. Until it is, telephone"
        " whoever might act on the old state.",
        extra=extra,
        headers={"Retry-After": "2"},
    )


def _mismatch(error: IdentityMismatchError) -> Problem:
    extra = {"hold_id": str(error.hold_id), "deviation_id": str(error.deviation_id)}
    if not error.on_record:
        return unreachable(refused="identity-mismatch", **extra)
    return Problem(
        409,
        "identity-mismatch",
        "The scanned label is another container's; the step is refused and the case is on hold.",
        extra=extra,
    )


def slot_json(slot: Slot) -> dict[str, object]:
    """A culture place."""
    return {
        "slot_id": slot.slot_id,
        "day": slot.day,
        "place": slot.place,
        "free": slot.collection_id is None,
    }


def collection_json(collection: Collection) -> dict[str, object]:
    """A collection in its state."""
    b = collection.booking
    return {
        "collection_id": b.collection_id,
        "case_id": b.case_id,
        "method": b.method,
        "planned_at": b.planned_at,
        "slot_id": b.slot_id,
        **_collection_state(collection),
    }


def _collection_state(collection: Collection) -> dict[str, object]:
    match collection:
        case BookedCollection():
            return {"state": "booked"}
        case RunningCollection():
            return {"state": "running", "started_at": collection.started_at}
        case DoneCollection():
            return {
                "state": "done",
                "started_at": collection.started_at,
                "collected_at": collection.collected_at,
                "label": label_of(collection.container_id),
            }
        case CancelledCollection():
            return {"state": "cancelled", "cancelled_at": collection.cancelled_at}
        case _:
            assert_never(collection)


def batch_json(batch: Batch) -> dict[str, object]:
    """A batch in its state; a conditional release names what is pending."""
    o = batch.origin
    return {
        "batch_id": o.batch_id,
        "case_id": o.case_id,
        "collection_id": o.collection_id,
        "collected_at": o.collected_at,
        "received_at": o.received_at,
        **_batch_state(batch),
    }


def _batch_state(batch: Batch) -> dict[str, object]:
    match batch:
        case ReceivedBatch() | GrowingBatch() | HarvestedBatch() | FormulatedBatch():
            return {"state": _STAGE[type(batch)], **_made(batch)}
        case ReleasedBatch():
            return {"state": "released", "pending": [], **_released(batch)}
        case ConditionallyReleasedBatch():
            pending = list(batch.pending)
            return {"state": "released_sterility_pending", "pending": pending, **_released(batch)}
        case RejectedBatch():
            return {"state": "rejected", "rejected_at": batch.rejected_at, **_made(batch.stage)}
        case RecalledBatch():
            return {"state": "recalled", "recalled_at": batch.recalled_at, **_made(batch.product)}
        case _:
            assert_never(batch)


_STAGE: Final = {
    ReceivedBatch: "received",
    GrowingBatch: "growing",
    HarvestedBatch: "harvested",
    FormulatedBatch: "formulated",
}


def _released(batch: ReleasedBatch | ConditionallyReleasedBatch) -> dict[str, object]:
    return {
        "certificate_id": batch.certificate_id,
        "released_at": batch.released_at,
        **_made(batch.product),
    }


def _made(
    batch: ReceivedBatch | GrowingBatch | HarvestedBatch | FormulatedBatch,
) -> dict[str, object]:
    shown: dict[str, object] = {}
    if not isinstance(batch, ReceivedBatch):
        shown["culture_started_at"] = batch.culture.started_at
        shown["harvest_forecast_on"] = batch.culture.forecast_on
    if isinstance(batch, HarvestedBatch | FormulatedBatch):
        shown["harvested_at"] = batch.harvested_at
    if isinstance(batch, FormulatedBatch):
        made = batch.formulation
        shown |= {"form": made.form, "formulated_at": made.formulated_at,
                  "frozen_on": made.frozen_on, "expires_at": made.expires_at}  # fmt: skip
    return shown


def dose_json(dose: Dose, batch: Batch | None = None) -> dict[str, object]:
    """A dose in its state, with its clocks; with its batch, also whether sterility is pending."""
    bag = dose.bag
    shown: dict[str, object] = {
        "dose_id": bag.dose_id,
        "batch_id": bag.batch_id,
        "case_id": bag.case_id,
        "number": bag.number,
        "form": bag.form,
        "label": label_of(bag.container_id),
        "expires_at": bag.expires_at,
        "infusion_id": bag.bound_to,
        **_dose_state(dose),
    }
    if batch is not None:
        shown["sterility_pending"] = isinstance(batch, ConditionallyReleasedBatch)
        shown["batch_state"] = _batch_state(batch)["state"]
    return shown


def _dose_state(dose: Dose) -> Mapping[str, Any]:  # noqa: PLR0911 - one return per state
    match dose:
        case QuarantinedDose():
            return {"state": "quarantined"}
        case AvailableDose():
            return {"state": "available"}
        case ThawedDose():
            return {"state": "thawed", "thawed_at": dose.thawed_at,
                    "usable_until": dose.usable_until}  # fmt: skip
        case IssuedDose():
            return {"state": "issued", "issued_at": dose.issued_at,
                    "usable_until": dose.usable_until}  # fmt: skip
        case RunningDose():
            return {"state": "in_use", "began_at": dose.began_at}
        case GivenDose():
            return {"state": "given", "completed_at": dose.completed_at}
        case BlockedDose():
            return {"state": "blocked", "hold_id": dose.hold_id, "purpose": dose.purpose}
        case RecalledDose() | ReturnedDose():
            state = "recalled" if isinstance(dose, RecalledDose) else "returned"
            return {"state": state, "hold_id": dose.hold_id}
        case DiscardedDose():
            return {"state": "discarded", "reason": dose.reason}
        case _:
            assert_never(dose)


def hold_json(order: HoldOrder) -> dict[str, object]:
    """A hold that was ordered here, as far as it has come."""
    return {
        "hold_id": order.hold_id,
        "purpose": order.purpose,
        "on_record": order.on_record_at is not None,
        "effective": order.effective,
    }
