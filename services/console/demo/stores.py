"""The demo begins with empty stores: its clock starts where the main bundle ends.

Invariant: only what a demo has written is removed. Stores that something else filled are left
alone, and the demo says so instead of starting.
"""

from typing import Final

from shared.runtime.paths import Paths
from shared.runtime.postgres import remove_tree

_MARK: Final = "demo-data"
_CLOCK: Final = "demo-clock.json"


class NotOurStoresError(RuntimeError):
    """`var` holds data that no demo wrote."""


def empty_stores(paths: Paths) -> bool:
    """Removes what an earlier demo wrote; whether there was one. Raises `NotOurStoresError`."""
    mark = paths.var / _MARK
    stores = [paths.var / "postgres", paths.var / "kafka" / "data", paths.var / "audit-roots"]
    filled = [store for store in stores if store.exists()]
    if filled and not mark.exists():
        raise NotOurStoresError(
            f"{paths.var} holds data that no demo wrote, and the demo begins with empty stores. "
            "Either `make clean` removes that data, or TANDEM_VAR=some/other/place keeps it."
        )
    for store in filled:
        remove_tree(store)
    (paths.var / _CLOCK).unlink(missing_ok=True)
    was_there = mark.exists()
    paths.var.mkdir(parents=True, exist_ok=True)
    mark.write_text("This var was filled by `tandem demo`, which empties it when it starts.\n")
    return was_there
