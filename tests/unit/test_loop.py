"""The loop of a serving process, looked at from a process of its own."""

import subprocess
import sys

_ASKED = """
import asyncio, gc, weakref
from shared.runtime.loop import run_until_done, spare_the_collector

class Node: pass

async def work():
    spare_the_collector()
    frozen = gc.get_freeze_count()
    node = Node(); node.itself = node
    gone = weakref.ref(node); del node
    gc.collect()
    return type(asyncio.get_running_loop()).__module__, frozen, gone() is None

module, frozen, found = run_until_done(work())
assert module.startswith("uvloop"), module
assert frozen > 1_000, frozen
assert found, "garbage of later was not found"
assert gc.get_threshold()[0] > 700, gc.get_threshold()
"""


def test_a_serving_process_runs_on_uvloop_and_still_finds_garbage() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ASKED], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
