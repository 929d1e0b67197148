"""The console's settings; the common ones stand in `shared.runtime.settings`."""

from urllib.parse import urlsplit

from pydantic import Field, SecretStr

from shared.contracts.vocabulary import Service
from shared.runtime.settings import DEFAULT_PORT, ServiceSettings


class ConsoleSettings(ServiceSettings):
    """What only the console needs."""

    database_url: SecretStr = Field(validation_alias="TANDEM_DATABASE_URL_CONSOLE")
    port: int = Field(
        default=DEFAULT_PORT[Service.CONSOLE],
        validation_alias="TANDEM_PORT_CONSOLE",
        ge=0,
        le=65535,
    )
    #: where people open the console; sign-in comes back to an address below it
    url_console: str = "http://127.0.0.1:8080"

    @property
    def cookies_secure(self) -> bool:
        """Whether cookies are for TLS alone: always, but for plain HTTP on this machine."""
        return urlsplit(self.url_console).scheme == "https"
