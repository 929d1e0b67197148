"""The apps of all services as their bootstraps build them, with no server behind them."""

import asyncio
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI

from services.console import bootstrap as console
from services.infusion_scheduling import bootstrap as infusion_scheduling
from services.intake import bootstrap as intake
from services.manufacturing import bootstrap as manufacturing
from services.notification import bootstrap as notification
from shared.contracts.vocabulary import Service
from shared.observability.figures import Figures
from shared.permits.guard import RestoreGuard
from shared.runtime.service import Surroundings
from shared.runtime.world import machine_world
from shared.testing.doubles import FunctionHttp, StandingClock
from shared.testing.sign_in import SignIn

_DSN = "postgresql://nobody@127.0.0.1:1/none"


def _around(program: Any, var: Path) -> Surroundings[Any]:
    settings = program.settings.model_validate(
        {
            "mode": "demo", "kafka_bootstrap": "127.0.0.1:1", "oidc_issuer": "http://127.0.0.1:1",
            "oidc_jwks_url": "http://127.0.0.1:1/jwks", "oidc_token_url": "http://127.0.0.1:1/t",
            "client_secret": "unused", "var": var,
            f"TANDEM_DATABASE_URL_{program.service.value.upper()}": _DSN,
        }
    )  # fmt: skip
    http = FunctionHttp()
    return Surroundings(
        settings=settings,
        world=machine_world(http, demo_clock=var / "demo-clock.json"),
        database=cast(Any, None),
        bus=cast(Any, None),
        authenticator=SignIn(var, StandingClock()).authenticator,
        service_http=http,
        figures=Figures(),
        wakes=cast(Any, None),
    )


def all_apps(var: Path) -> dict[Service, FastAPI]:
    """Each service's app, complete; nothing is called and nothing connects."""

    async def built() -> dict[Service, FastAPI]:
        scheduling, _ = infusion_scheduling.assembled(
            _around(infusion_scheduling.PROGRAM, var), RestoreGuard()
        )
        making, _ = manufacturing.assembled(_around(manufacturing.PROGRAM, var), RestoreGuard())
        others = [
            (module.PROGRAM.service, (await module.build(_around(module.PROGRAM, var))).app)
            for module in (notification, console)
        ]
        record, _ = intake.assembled(_around(intake.PROGRAM, var))
        return {
            **dict(others),
            Service.INTAKE: record.app,
            Service.INFUSION_SCHEDULING: scheduling.app,
            Service.MANUFACTURING: making.app,
        }

    return asyncio.run(built())
