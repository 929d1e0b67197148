"""Notification's settings; the common ones stand in `shared.runtime.settings`."""

from typing import Self

from pydantic import Field, SecretStr, model_validator

from shared.contracts.vocabulary import Service
from shared.runtime.settings import DEFAULT_PORT, ServiceSettings


class NotificationSettings(ServiceSettings):
    """What only notification needs.

    In live mode the fallback recipient must be named: it is who is told when a role has nobody on
    duty. In shadow mode the coordinators' own address must be, for nobody else is ever told.
    """

    database_url: SecretStr = Field(validation_alias="TANDEM_DATABASE_URL_NOTIFICATION")
    port: int = Field(
        default=DEFAULT_PORT[Service.NOTIFICATION],
        validation_alias="TANDEM_PORT_NOTIFICATION",
        ge=0,
        le=65535,
    )
    #: where the links in messages lead
    url_console: str = "http://127.0.0.1:8080"
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=1025, ge=1, le=65535)
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_tls: bool = False
    smtp_starttls: bool = False
    mail_sender: str = "tandem@clinic.invalid"
    fallback_name: str = "Duty desk"
    fallback_email: str = ""
    #: told in shadow mode when no coordinator is on the roster
    coordinator_name: str = "Coordinators"
    coordinator_email: str = ""

    @model_validator(mode="after")
    def _fallback_is_named(self) -> Self:
        if not self.fallback_email and self.mode == "live":
            raise ValueError("TANDEM_FALLBACK_EMAIL is needed in live mode")
        if not self.coordinator_email and self.mode == "shadow":
            raise ValueError("TANDEM_COORDINATOR_EMAIL is needed in shadow mode")
        return self

    @property
    def fallback_address(self) -> str:
        """The fallback recipient's address; in demo mode one that only the demo inbox takes."""
        return self.fallback_email or "duty-desk@demo.invalid"

    @property
    def mail_domain(self) -> str:
        """The domain in Message-IDs."""
        return self.mail_sender.rpartition("@")[2] or "tandem.invalid"
