"""Intake's settings; the common ones stand in `shared.runtime.settings`."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from shared.contracts.vocabulary import Service
from shared.runtime.settings import DEFAULT_PORT, ServiceSettings


class FeedSettings(BaseModel):
    """One feed of HL7 v2 messages: a port that is listened at, or a folder that is watched.

    `systems` maps assigning authorities (PID-3.4) to the identifier systems of referrals.
    `processing` are the values of MSH-11 that are about real patients (default: P; in the demo also
    T and D).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")]
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
    #: what other systems send by HL7 v2 (`TANDEM_FEEDS`, a JSON list)
    feeds: Annotated[tuple[FeedSettings, ...], Field(max_length=20)] = ()

    @model_validator(mode="after")
    def _feeds_have_names_of_their_own(self) -> Self:
        if len({feed.name for feed in self.feeds}) != len(self.feeds):
            raise ValueError("two feeds have one name")
        return self
