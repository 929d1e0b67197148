"""What an installation may say of its feeds, and what is refused at start."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from services.intake.settings import FeedSettings

ONE = TypeAdapter(FeedSettings)


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
