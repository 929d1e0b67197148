"""Which failures may pass by themselves. The only list; everything else is for a person."""

from shared.messaging.bus import BusUnavailableError
from shared.messaging.reactions import TransientError
from shared.persistence.database import CommitUnknownError, StoreUnavailableError
from shared.ports import HttpUnreachableError


def is_transient(error: BaseException) -> bool:
    """Whether waiting may help: a store, broker or service that is not reachable now."""
    return isinstance(
        error,
        StoreUnavailableError
        | CommitUnknownError
        | HttpUnreachableError
        | TransientError
        | BusUnavailableError
        | OSError,
    )
