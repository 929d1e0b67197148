"""Every command that the README shows runs in CI: here, or where the table below says.

A new command in the README fails here until it runs somewhere.
"""

import os
import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from shared.runtime.paths import CHECKOUT

#: commands that other parts of CI run, and the line there that runs them
ELSEWHERE = {
    "make demo": ("tests/system/test_demo.py", 'installation.tandem("demo", "--once", "--fast")'),
    "make test": (".ci/run", "make test"),
    "make check": (".ci/run", "make check"),
}
_BLOCK = re.compile(r"^```(?P<language>\w*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_TARGET = re.compile(r"`make ([a-z-]+)[^`]*`")
#: what starts servers or changes the machine is never run here
_NEVER_HERE = ("make ", "docker", "sudo ", "DEMO_ONCE=", "INFRA=")
_COMMENT = re.compile(r"\s+#.*$")


def commands(text: str) -> Iterator[str]:
    """The commands of the shell blocks, without comments."""
    for block in _BLOCK.finditer(text):
        if block["language"] in {"sh", "bash", "shell", "console"}:
            lines = block["text"].replace("\\\n", " ").splitlines()
            yield from (_COMMENT.sub("", line).strip() for line in lines if line.strip())


def readme() -> tuple[str, ...]:
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    return tuple(dict.fromkeys(c for c in commands(text) if c))


HERE = tuple(c for c in readme() if not c.startswith(_NEVER_HERE))


def unrun(shown: Iterable[str]) -> list[str]:
    """Commands that run neither here nor where the table says."""
    return [c for c in shown if c.startswith(_NEVER_HERE) and c not in ELSEWHERE]


def test_the_readme_shows_commands() -> None:
    assert {"make demo", "make test"} <= set(readme())
    assert HERE != ()


@pytest.mark.parametrize("command", HERE)
def test_the_command_does_what_the_readme_says(command: str) -> None:
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", command], cwd=CHECKOUT, capture_output=True, text=True,
        check=False, timeout=25, env={**os.environ, "COLUMNS": "100"},
    )  # fmt: skip

    assert done.returncode == 0, f"{command}\n{done.stdout[-1000:]}\n{done.stderr[-1000:]}"
    assert done.stdout.strip() != ""


@pytest.mark.parametrize("command", sorted(set(readme()) & set(ELSEWHERE)))
def test_a_command_that_runs_elsewhere_runs_there(command: str) -> None:
    place, line = ELSEWHERE[command]

    assert line in (CHECKOUT / place).read_text(encoding="utf-8")
    assert Path(CHECKOUT / "Makefile").read_text().count(f"\n{command.split()[1]}:") == 1


def test_every_command_runs_here_or_elsewhere() -> None:
    assert unrun(readme()) == []
    assert unrun(["make demo", "make planted", ".venv/bin/tandem x"]) == ["make planted"]


def test_every_target_that_the_readme_names_is_in_the_help() -> None:
    named = _TARGET.findall((CHECKOUT / "README.md").read_text(encoding="utf-8"))
    done = subprocess.run(
        ["make", "help"], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    listed = re.findall(r"^  make ([a-z-]+)", done.stdout, re.MULTILINE)

    assert "doctor" in named
    assert set(named) - set(listed) == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "```sh\nmake demo   # starts\n\n.venv/bin/tandem x\n```\n",
            ["make demo", ".venv/bin/tandem x"],
        ),
        ("```sh\na \\\n  b\n```\n", ["a    b"]),
        ("```\nGET /cases\n```\n```json\n{}\n```\n", []),
        ("Run `make doctor`.", []),
    ],
)
def test_commands_are_found_in_a_text(text: str, found: list[str]) -> None:
    assert list(commands(text)) == found


def test_a_planted_command_that_fails_is_found() -> None:
    with pytest.raises(AssertionError, match="tandem no-such-command"):
        test_the_command_does_what_the_readme_says(".venv/bin/tandem no-such-command")
