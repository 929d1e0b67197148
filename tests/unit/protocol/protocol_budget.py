"""How many examples the properties of the protocol are tried on; every run tries the same.

`TANDEM_EXAMPLES` is the budget that all properties share; each takes its part of it. `make test`
uses the default, `make test-slow` the long run.
"""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("TANDEM_EXAMPLES", "500"))
LONG_RUN = 12_500
"""The budget of the long run (Makefile, test-slow)."""
PARTS = {
    "convergence": 0.20,
    "blockers undone": 0.10,
    "blockers minimal": 0.20,
    "one more hold": 0.15,
    "one more unknown": 0.10,
    "what-if leaves no trace": 0.10,
    "what-if of nothing": 0.10,
    "what-if differences": 0.05,
    "boundaries": 0.05,
}


def deterministic(name: str) -> settings:
    """Return settings for a property's part of the budget."""
    return settings(
        max_examples=round(EXAMPLES * PARTS[name]),
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
