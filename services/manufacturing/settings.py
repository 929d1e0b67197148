"""Manufacturing's settings; the common ones stand in `shared.runtime.settings`."""

from pydantic import Field, SecretStr

from shared.contracts.vocabulary import Service
from shared.runtime.settings import DEFAULT_PORT, ServiceSettings


class ManufacturingSettings(ServiceSettings):
    """What only manufacturing needs."""

    database_url: SecretStr = Field(validation_alias="TANDEM_DATABASE_URL_MANUFACTURING")
    port: int = Field(
        default=DEFAULT_PORT[Service.MANUFACTURING],
        validation_alias="TANDEM_PORT_MANUFACTURING",
        ge=0,
        le=65535,
    )
