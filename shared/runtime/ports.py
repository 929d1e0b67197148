"""Which TCP ports a run uses: those of the settings, or free ones.

Invariant: loopback only. A free port is taken below the range that the kernel hands to outgoing
connections, so that none of those can grab it between the choice and the server's bind.
"""

import random
import socket
from collections.abc import Iterable

LOOPBACK = "127.0.0.1"
# Linux gives outgoing connections ports from 32768 on; below 20000 live well-known servers.
FREE_PORTS = range(20_000, 32_000)
# Each try is one bind; a machine on which this many fail has no port to give.
TRIES_MAX = 200

_choice = random.SystemRandom()


class NoFreePort(RuntimeError):
    """No port could be bound in the range of free ports."""


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """True if a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that lingers in TIME_WAIT does not make the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port(*, besides: Iterable[int] = ()) -> int:
    """A port that nothing listens on, and none of `besides`."""
    taken = set(besides)
    for _ in range(TRIES_MAX):
        port = _choice.choice(FREE_PORTS)
        if port not in taken and is_free(port):
            return port
    raise NoFreePort(f"no free port found between {FREE_PORTS.start} and {FREE_PORTS.stop - 1}")


def free_ports(count: int) -> tuple[int, ...]:
    """That many different free ports."""
    found: list[int] = []
    while len(found) < count:
        found.append(free_port(besides=found))
    return tuple(found)
