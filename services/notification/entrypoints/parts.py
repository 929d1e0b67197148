"""What notification's endpoints work with, put together once in bootstrap."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from fastapi import Request

from services.notification.application.ports import AlertRows, Policy, Texts
from services.notification.application.views import AlertViews
from shared.messaging.unit_of_work import UnitOfWork
from shared.persistence.database import Tx
from shared.ports import World


@dataclass(frozen=True, slots=True)
class NotificationParts:
    """The use cases' surroundings."""

    uow: UnitOfWork[AlertRows]
    views: Callable[[Tx], AlertViews]
    policy: Policy
    texts: Texts
    world: World
    mode: Literal["demo", "shadow", "live"]


def parts_of(request: Request) -> NotificationParts:
    """A dependency: the parts."""
    parts = request.app.state.parts
    if not isinstance(parts, NotificationParts):
        raise TypeError("the app was built without its parts")
    return parts
