"""OpenAPI of each service, from the app that its bootstrap puts together.

The endpoints are real and what stands behind them is not: a document needs no store. The document
is that of a demo installation, which has everything that others have and the clock that jumps.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from unittest.mock import MagicMock

from fastapi import APIRouter, FastAPI

from services.infusion_scheduling import bootstrap as scheduling
from services.intake import bootstrap as intake
from services.manufacturing import bootstrap as manufacturing
from services.notification import bootstrap as notification
from shared.contracts.vocabulary import Service
from shared.observability.figures import Figures
from shared.runtime.world import DemoClock
from shared.web.app import create_app
from shared.web.documentation import openapi
from shared.web.ops import ops_router


def _routers() -> dict[Service, Sequence[APIRouter]]:
    nothing = MagicMock()
    own = {
        Service.INTAKE: intake.all_routers(nothing, nothing, DemoClock(Path("demo-clock"))),
        Service.INFUSION_SCHEDULING: scheduling.all_routers(nothing),
        Service.NOTIFICATION: notification.ROUTERS,
    }
    shared = {
        service: (*routers, ops_router(service, nothing, nothing, nothing))
        for service, routers in own.items()
    }
    return {**shared, Service.MANUFACTURING: manufacturing.all_routers(nothing, nothing, nothing)}


SERVICES: Final = (
    Service.INTAKE,
    Service.MANUFACTURING,
    Service.INFUSION_SCHEDULING,
    Service.NOTIFICATION,
)


def app_of(service: Service) -> FastAPI:
    """The service's app with all its endpoints, for reading."""
    nothing = MagicMock()
    return create_app(
        service,
        routers=_routers()[service],
        world=nothing,
        authenticator=nothing,
        mode="demo",
        figures=Figures(),
    )


def openapi_document(service: Service) -> dict[str, Any]:
    """What the running service answers at /openapi.json."""
    return openapi(app_of(service))
