"""Intake's settings; the common ones stand in `shared.runtime.settings`."""

from pathlib import Path

from pydantic import Field, SecretStr

from shared.contracts.vocabulary import Service
from shared.runtime.settings import DEFAULT_PORT, ServiceSettings


class IntakeSettings(ServiceSettings):
    """What only intake needs."""

    database_url: SecretStr = Field(validation_alias="TANDEM_DATABASE_URL_INTAKE")
    port: int = Field(
        default=DEFAULT_PORT[Service.INTAKE], validation_alias="TANDEM_PORT_INTAKE", ge=0, le=65535
    )
    smtp_host: str | None = None
    smtp_port: int = Field(default=25, ge=1, le=65535)
    mail_sender: str = "tandem@localhost"
    #: the centre's 24-hour number on the red-flag card; without it there is no card
    centre_phone: str | None = Field(default=None, pattern=r"^\+?[0-9][0-9 ()/-]{4,30}$")
    #: where the centre's own, reviewed texts of the card are; None: the packaged drafts
    card_templates: Path | None = None
    mail_on_call: str = "on-call@localhost"
