"""Intake's settings; the common ones stand in `shared.runtime.settings`."""

from pydantic import Field, SecretStr

from shared.contracts.vocabulary import Service
from shared.runtime.settings import DEFAULT_PORT, ServiceSettings


class IntakeSettings(ServiceSettings):
    """What only intake needs."""

    database_url: SecretStr = Field(validation_alias="TANDEM_DATABASE_URL_INTAKE")
    port: int = Field(
        default=DEFAULT_PORT[Service.INTAKE], validation_alias="TANDEM_PORT_INTAKE", ge=0, le=65535
    )
    #: sources that must be heard: `name=feed@site`, comma-separated
    feeds: str = Field(default="", max_length=2_000)
    smtp_host: str | None = None
    smtp_port: int = Field(default=25, ge=1, le=65535)
    mail_sender: str = "tandem@localhost"
    mail_on_call: str = "on-call@localhost"
