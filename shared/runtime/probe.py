"""Asks a process on this machine whether it is ready; for the health checks of containers.

`python -m shared.runtime.probe PORT [PATH]` ends with 0 if the answer is a success. It runs every
few seconds in each container, so it imports the standard library alone.
"""

import sys
import urllib.error
import urllib.request
from typing import Final

_LOOPBACK: Final = "127.0.0.1"
ANSWER_SECONDS_MAX: Final = 3.0
READY: Final = "/health/ready"


def is_ready(port: int, path: str = READY) -> bool:
    """True if the process at the loopback port answers the path with a success."""
    # a proxy of the environment is for addresses elsewhere
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    url = f"http://{_LOOPBACK}:{port}{path}"
    try:
        with opener.open(url, timeout=ANSWER_SECONDS_MAX):
            return True
    except (OSError, urllib.error.URLError):
        return False


if __name__ == "__main__":
    sys.exit(0 if is_ready(int(sys.argv[1]), *sys.argv[2:3]) else 1)
