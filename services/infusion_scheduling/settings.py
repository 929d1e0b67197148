"""Infusion scheduling's settings; the common ones stand in `shared.runtime.settings`."""

from pydantic import Field, SecretStr

from shared.contracts.vocabulary import Service
from shared.runtime.settings import DEFAULT_PORT, ServiceSettings


class SchedulingSettings(ServiceSettings):
    """What only infusion scheduling needs."""

    database_url: SecretStr = Field(validation_alias="TANDEM_DATABASE_URL_INFUSION_SCHEDULING")
    port: int = Field(
        default=DEFAULT_PORT[Service.INFUSION_SCHEDULING],
        validation_alias="TANDEM_PORT_INFUSION_SCHEDULING",
        ge=0,
        le=65535,
    )
