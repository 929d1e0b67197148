"""Becomes another program, tied to the life of the process that asked for it.

Run as a file by `shared.runtime.children` with one JSON argument and the command to become. It
stands between fork and exec because what it does must happen in the child, and Python code between
fork and exec of a threaded parent may deadlock. It imports the standard library only.

Invariant (Linux): the program gets `death_signal` as soon as its parent is gone, however the
parent went; so a runner that was killed leaves nothing behind.
"""

import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
SECBIT_NO_SETUID_FIXUP = 1 << 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
# The weaker one first; containers commonly grant only the stronger.
PASSING_THROUGH = (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE)

EXIT_ORPHANED = 75
EXIT_NO_SUCH_PROGRAM = 127


def become_user(uid: int, gid: int, *, read_anywhere: bool) -> None:
    """Drops root for good.

    `read_anywhere` keeps one capability, to pass through directories that only root may enter: a
    checkout below /root, for instance. Where that cannot be, the program itself will complain.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if read_anywhere:
        # Without this bit the change of user drops all capabilities, and access(2), by which
        # PostgreSQL looks for its own programs, goes by the bare user.
        libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if read_anywhere:
        keep_one_capability(libc)


def keep_one_capability(libc: ctypes.CDLL) -> None:
    """Reduces the capabilities to the first of `PASSING_THROUGH` that we have, also over exec."""
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    # Two triples of effective, permitted, inheritable: capabilities 0-31 and 32-63.
    data = (ctypes.c_uint32 * 6)()
    libc.capget(ctypes.byref(header), ctypes.byref(data))
    kept = next((cap for cap in PASSING_THROUGH if data[1] & 1 << cap), None)
    mask = 0 if kept is None else 1 << kept
    data = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    libc.capset(ctypes.byref(header), ctypes.byref(data))
    if kept is not None:
        libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept, 0, 0)


def die_with_parent(parent: int, death_signal: int) -> None:
    """Asks the kernel for the signal, then looks whether the parent is already gone.

    It comes after the change of user, which resets the request.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(EXIT_ORPHANED)


def main() -> None:
    """Applies the wishes and becomes the program; returns only by failing."""
    wishes, command = json.loads(sys.argv[1]), sys.argv[2:]
    if wishes["uid"] is not None:
        become_user(wishes["uid"], wishes["gid"], read_anywhere=wishes["read_anywhere"])
    die_with_parent(wishes["parent"], wishes["death_signal"])
    # Python ignores SIGPIPE, and an ignored signal stays ignored over exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted
    except OSError as problem:
        sys.stderr.write(f"cannot run {command[0]}: {problem.strerror}\n")
        sys.exit(EXIT_NO_SUCH_PROGRAM)


if __name__ == "__main__":
    main()
