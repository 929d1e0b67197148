"""What a service process is told at start: read once, all problems named, no secret default.

Each service adds its own names (`TANDEM_DATABASE_URL_<SERVICE>`, `TANDEM_PORT_<SERVICE>`). A
setting may also stand in a file of its name below the directory that `TANDEM_SECRETS` names, so
that a secret need not be in the environment, which every child process inherits.
"""

import json
import os
import re
from pathlib import Path
from typing import Final, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict
from pydantic_settings import SettingsError as NotJsonError

from shared.contracts.vocabulary import Service
from shared.observability.tracing import Exporter

Mode = Literal["demo", "shadow", "live"]

#: where each service listens unless told otherwise; the console is the page that people open
DEFAULT_PORT: Final = {
    Service.CONSOLE: 8080,
    Service.INTAKE: 8081,
    Service.MANUFACTURING: 8082,
    Service.INFUSION_SCHEDULING: 8083,
    Service.NOTIFICATION: 8084,
}


class SettingsError(Exception):
    """The settings are incomplete or malformed; the message names every one of them."""


class ServiceSettings(BaseSettings):
    """Settings that every service has. Times are in seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="TANDEM_", extra="ignore", populate_by_name=True)

    mode: Mode
    kafka_bootstrap: str
    #: before the names of topics and consumer groups, where installations share one Kafka
    kafka_prefix: str = Field(default="", pattern=r"^[a-z0-9.-]{0,40}$")
    partitions: int = Field(default=12, ge=1, le=1000)
    bind_host: str = "127.0.0.1"
    replica: int | None = Field(default=None, ge=0)
    oidc_issuer: str
    oidc_jwks_url: str
    oidc_token_url: str
    #: where this process reaches the issuer, if not at the address that browsers use
    oidc_internal_url: str | None = None
    oidc_audience: str = "tandem"
    oidc_service_audience: str = "tandem-services"
    client_secret: SecretStr
    url_intake: str = "http://127.0.0.1:8081"
    url_manufacturing: str = "http://127.0.0.1:8082"
    url_infusion_scheduling: str = "http://127.0.0.1:8083"
    url_notification: str = "http://127.0.0.1:8084"
    demo_clock: Path | None = None
    var: Path = Path("var")
    #: signed roots of the audit go here, a place where files can only be added (default: below var)
    audit_roots: Path | None = None
    #: the key that signs them (default: made below var)
    audit_key: Path | None = None
    log_json: bool = True
    #: where tracing steps go; where OTLP leads stands in OTEL_EXPORTER_OTLP_ENDPOINT
    otel_traces_exporter: Exporter = Field(default="none", validation_alias="OTEL_TRACES_EXPORTER")
    #: divides the start permit's constants in tests
    permit_time_divisor: int = Field(default=1, ge=1, le=100)

    def url_of(self, service: Service) -> str:
        """Where the named service is reached."""
        return str(getattr(self, f"url_{service.value}"))


S = TypeVar("S", bound=ServiceSettings)


def load_settings(kind: type[S]) -> S:
    """The settings from the environment. Raises `SettingsError` naming every problem."""
    try:
        return kind(_secrets_dir=os.environ.get("TANDEM_SECRETS"))
    except ValidationError as error:
        problems = sorted({_name(e["loc"]) + ": " + e["msg"] for e in error.errors()})
        raise SettingsError("; ".join(problems)) from None
    except NotJsonError as error:
        raise SettingsError(_not_json(error)) from None


def _name(location: tuple[int | str, ...]) -> str:
    """The setting, and the place in it where it is a JSON document."""
    name = str(location[0]) if location else "settings"
    name = name if name.startswith(("TANDEM_", "OTEL_")) else f"TANDEM_{name.upper()}"
    return name + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in location[1:])


def _not_json(error: NotJsonError) -> str:
    """Which setting is no JSON, and where: never its text, which may hold secrets."""
    field = re.search(r'field "(\w+)"', str(error))
    cause = error.__cause__
    place = ""
    if isinstance(cause, json.JSONDecodeError):
        place = f" at line {cause.lineno} column {cause.colno}: {cause.msg}"
    return f"{_name((field[1],) if field else ())}: not JSON{place}"
