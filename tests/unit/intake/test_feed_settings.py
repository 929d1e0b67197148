"""What an installation may say of its feeds, and what is refused at start."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from services.intake.settings import FeedSettings, FhirFeedSettings, IntakeSettings
from shared.runtime.settings import SettingsError, load_settings

ONE = TypeAdapter(FeedSettings)
SECRET = "0123456789abcdef0123456789abcdef"
EHR = {"name": "ehr", "kind": "fhir", "base": "https://ehr.example/fhir", "secret": SECRET}
LAB = {"name": "lab", "kind": "mllp"}


def test_a_listening_feed_stays_on_loopback_and_reads_its_own_profile() -> None:
    feed = ONE.validate_json('{"name": "lab", "kind": "mllp", "systems": {"CLINIC": "urn:x"}}')

    assert (feed.host, feed.beyond_loopback) == ("127.0.0.1", False)
    assert feed.systems == {"CLINIC": "urn:x"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "Lab 1", "kind": "mllp"},
        {"name": "lab", "kind": "fax"},
        {"name": "lab", "kind": "folder"},
        {"name": "lab", "kind": "mllp", "folder": "/srv/x"},
        {"name": "lab", "kind": "mllp", "port": 70000},
        {"name": "lab", "kind": "mllp", "charset": "ebcdic"},
        {"name": "lab", "kind": "mllp", "prot": 1},
    ],
)
def test_a_feed_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FeedSettings.model_validate(wrong)


def test_a_folder_feed_names_its_folder() -> None:
    feed = FeedSettings.model_validate({"name": "n", "kind": "folder", "folder": "/srv/x"})

    assert feed.folder == Path("/srv/x")


def test_a_fhir_feed_names_its_server_and_keeps_its_secret_to_itself() -> None:
    feed = FhirFeedSettings.model_validate({**EHR, "token": "t-123456"})

    assert feed.secret.get_secret_value() == SECRET
    assert SECRET not in repr(feed)
    assert "t-123456" not in repr(feed)


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": "ehr.example/fhir"},
        {"base": "https://ehr.example/fhir/"},
        {"base": "https://ehr.example/fhir?x=1"},
        {"base": "http://ehr.example/fhir"},
        {"secret": "too short"},
        {"secret": SECRET + "\u00e9"},
        {"secret": SECRET + " x"},
        {"token": ""},
        {"token": "a\r\nb"},
        {"port": 1},
        {"name": "Ehr"},
    ],
)
def test_a_fhir_feed_that_is_not_safe_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FhirFeedSettings.model_validate({**EHR, **wrong})


def test_plain_http_is_allowed_only_when_somebody_says_so() -> None:
    plain = {**EHR, "base": "http://127.0.0.1:8090/fhir", "plain_http": True}

    assert FhirFeedSettings.model_validate(plain).base == "http://127.0.0.1:8090/fhir"


def started(monkeypatch: pytest.MonkeyPatch, feeds: str) -> IntakeSettings:
    """The settings as a process reads them at its start."""
    given = {
        "MODE": "demo", "KAFKA_BOOTSTRAP": "k:1", "OIDC_ISSUER": "http://127.0.0.1:1",
        "OIDC_JWKS_URL": "http://127.0.0.1:1", "OIDC_TOKEN_URL": "http://127.0.0.1:1",
        "CLIENT_SECRET": "x", "DATABASE_URL_INTAKE": "postgresql://x", "FEEDS": feeds,
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"TANDEM_{name}", value)
    return load_settings(IntakeSettings)


def test_feeds_of_all_kinds_stand_in_one_list(monkeypatch: pytest.MonkeyPatch) -> None:
    found = started(monkeypatch, json.dumps([LAB, EHR]))

    assert [feed.name for feed in found.message_feeds] == ["lab"]
    assert [feed.name for feed in found.fhir_feeds] == ["ehr"]


@pytest.mark.parametrize(
    ("feeds", "place"),
    [
        (json.dumps([LAB, {**EHR, "base": "https://ehr.example/"}]), "TANDEM_FEEDS[1].fhir:"),
        (json.dumps([{**EHR, "secret": "short"}]), "TANDEM_FEEDS[0].fhir.secret:"),
        (json.dumps([{**EHR, "sekret": SECRET}]), "TANDEM_FEEDS[0].fhir.sekret:"),
        (json.dumps([{**LAB, "port": -1}]), "TANDEM_FEEDS[0].mllp.port:"),
        (json.dumps([EHR, {**EHR, "name": "other"}]), "two feeds have one secret"),
        (json.dumps([EHR, {**LAB, "name": "ehr"}]), "two feeds have one name"),
        (f'[{{"secret": "{SECRET}", "name": x}}]', "TANDEM_FEEDS: not JSON at line 1 column 57"),
    ],
)
def test_what_is_wrong_is_told_at_start_with_its_place_and_without_the_secret(
    monkeypatch: pytest.MonkeyPatch, feeds: str, place: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        started(monkeypatch, feeds)

    assert place in str(refused.value)
    assert SECRET not in str(refused.value)
    assert refused.value.__suppress_context__
