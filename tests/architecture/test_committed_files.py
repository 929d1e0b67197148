"""What is committed runs anywhere: no path of one machine, no address of one network."""

import re
from collections.abc import Iterator

import pytest

from tests.architecture.tree import text_files

#: home directories and work places; written so that this file does not find itself
_PLACES = "|".join(["home", "work", "root", "Users", "builds", "workspace"])
ABSOLUTE = re.compile(rf"(?<![\w./~$}}])/(?:{_PLACES})/[\w.-]+")
REGISTRIES = re.compile(
    "|".join(
        [
            r"--(?:extra-)?index" + r"-url",
            r"files\.python" + r"hosted\.org",
            r"registry\.npm" + r"js\.org",
            r"(?:repo|repo1)\.maven" + r"\.(?:apache\.)?org",
            r"\b(?:arti" + r"factory|nexus)\.[\w.-]+",
            r"\bproxy\.gol" + r"ang\.org",
            r"\b(?:10|192\.168|172\.(?:1[6-9]|2\d|3[01]))(?:\.\d{1,3}){2,3}:\d+",
        ]
    )
)


def places_of_one_machine(path: str, text: str) -> Iterator[str]:
    """The lines of a file that name an absolute path or a registry."""
    for number, line in enumerate(text.splitlines(), start=1):
        for pattern in (ABSOLUTE, REGISTRIES):
            if found := pattern.search(line):
                yield f"{path}:{number} {found[0]}"


def test_no_committed_file_names_a_place_of_one_machine() -> None:
    found = [fault for path, text in text_files() for fault in places_of_one_machine(path, text)]

    assert found == []


@pytest.mark.parametrize(
    "planted",
    [
        "cd /" + "home/ada/tandem",
        "path = '/" + "work/main/var'",
        "index: https://files.python" + "hosted.org/x",
        "pip install --index" + "-url https://x",
        "resolved https://registry.npm" + "js.org/x",
        "https://repo.maven" + ".apache.org/maven2",
        "broker = 10.1." + "2.3:9092",
    ],
)
def test_a_planted_place_is_found(planted: str) -> None:
    assert list(places_of_one_machine("x", planted)) != []


@pytest.mark.parametrize(
    "harmless", ["GET /cases/work/1", "see ~/work/x", "http://127.0.0.1:8080", "./home/x"]
)
def test_what_only_looks_like_one_is_left_alone(harmless: str) -> None:
    assert list(places_of_one_machine("x", harmless)) == []
