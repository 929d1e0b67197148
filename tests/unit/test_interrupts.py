"""What a test starts hears Ctrl-C, also where a shell runs the tests in the background."""

import subprocess
import sys

import pytest

from shared.runtime.paths import CHECKOUT

CHILD = "import signal; print(signal.getsignal(signal.SIGINT) is signal.SIG_IGN)"
BACKGROUND = f"""
import signal, subprocess, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
from shared.testing.processes import heed_interrupts
if sys.argv[1] == "heeds": heed_interrupts()
subprocess.run([sys.executable, "-c", {CHILD!r}], check=True)
"""


@pytest.mark.parametrize(("started", "is_deaf"), [("heeds", "False"), ("inherits", "True")])
def test_a_child_hears_ctrl_c_only_if_its_parent_heeds_it(started: str, is_deaf: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", BACKGROUND, started],
        cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip

    assert told.stdout.strip() == is_deaf
