"""Intake's settings; the common ones stand in `shared.runtime.settings`."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, model_validator

from services.intake.domain.fhir_addresses import FhirBase
from shared.contracts.vocabulary import Service
from shared.runtime.settings import DEFAULT_PORT, ServiceSettings

FEED_NAME: Final = r"^[a-z][a-z0-9-]{0,39}$"
#: a bearer secret that nobody guesses: 128 bits as hexadecimal
SECRET_LENGTH_MIN: Final = 32
_VISIBLE: Final = re.compile(r"[!-~]+")


class FeedSettings(BaseModel):
    """One feed of HL7 v2 messages: a port that is listened at, or a folder that is watched.

    `systems` maps assigning authorities (PID-3.4) to the identifier systems of referrals.
    `processing` are the values of MSH-11 that are about real patients (default: P; in the demo also
    T and D).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=FEED_NAME)]
    kind: Literal["mllp", "folder"]
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 0
    #: others than this machine may connect; put TLS and a firewall in front
    beyond_loopback: bool = False
    folder: Path | None = None
    systems: dict[str, str] = {}
    charset: Literal["latin-1", "iso8859-9", "cp1252", "cp1254", "utf-8"] = "latin-1"
    processing: frozenset[Literal["P", "T", "D"]] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.kind == "folder") != (self.folder is not None):
            raise ValueError("a folder feed, and no other, names its folder")
        return self


class FhirFeedSettings(BaseModel):
    """One FHIR R4 server whose subscriptions notify this installation.

    `base` is where its resources are fetched, and nowhere else. `secret` is what it sends as a
    bearer token; `token` is the one that is shown to it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=FEED_NAME)]
    kind: Literal["fhir"]
    base: Annotated[str, Field(max_length=500)]
    secret: Annotated[SecretStr, Field(min_length=SECRET_LENGTH_MIN, max_length=500)]
    token: Annotated[SecretStr | None, Field(min_length=1, max_length=8_000)] = None
    #: without TLS others read along; for servers on this machine or behind a tunnel
    plain_http: bool = False

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        base = FhirBase(self.base)
        if base.url.startswith("http:") and not self.plain_http:
            raise ValueError("the base is https; allow http by plain_http")
        for said in (self.secret, self.token):
            if said is not None and not _VISIBLE.fullmatch(said.get_secret_value()):
                raise ValueError("a secret has visible ASCII characters only")
        return self


AnyFeed = Annotated[FeedSettings | FhirFeedSettings, Field(discriminator="kind")]
#: reads the setting by itself, for commands that need nothing else of it
FEEDS: Final[TypeAdapter[tuple[AnyFeed, ...]]] = TypeAdapter(tuple[AnyFeed, ...])


class IntakeSettings(ServiceSettings):
    """What only intake needs."""

    database_url: SecretStr = Field(validation_alias="TANDEM_DATABASE_URL_INTAKE")
    port: int = Field(
        default=DEFAULT_PORT[Service.INTAKE], validation_alias="TANDEM_PORT_INTAKE", ge=0, le=65535
    )
    #: sources that must be heard: `name=feed@site`, comma-separated
    sources: str = Field(default="", max_length=2_000)
    smtp_host: str | None = None
    smtp_port: int = Field(default=25, ge=1, le=65535)
    mail_sender: str = "tandem@localhost"
    #: the centre's 24-hour number on the red-flag card; without it there is no card
    centre_phone: str | None = Field(default=None, pattern=r"^\+?[0-9][0-9 ()/-]{4,30}$")
    #: where the centre's own, reviewed texts of the card are; None: the packaged drafts
    card_templates: Path | None = None
    mail_on_call: str = "on-call@localhost"
    #: what other systems send by HL7 v2 or notify by FHIR (`TANDEM_FEEDS`, a JSON list)
    feeds: Annotated[tuple[AnyFeed, ...], Field(max_length=20)] = ()

    @property
    def message_feeds(self) -> tuple[FeedSettings, ...]:
        """Those of HL7 v2."""
        return tuple(feed for feed in self.feeds if isinstance(feed, FeedSettings))

    @property
    def fhir_feeds(self) -> tuple[FhirFeedSettings, ...]:
        """Those of FHIR subscriptions."""
        return tuple(feed for feed in self.feeds if isinstance(feed, FhirFeedSettings))

    @model_validator(mode="after")
    def _feeds_have_names_of_their_own(self) -> Self:
        if len({feed.name for feed in self.feeds}) != len(self.feeds):
            raise ValueError("two feeds have one name")
        secrets = {feed.secret.get_secret_value() for feed in self.fhir_feeds}
        if len(secrets) != len(self.fhir_feeds):
            raise ValueError("two feeds have one secret")
        return self
