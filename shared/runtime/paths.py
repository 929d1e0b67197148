"""Where files of a running system lie.

Invariant: everything written at run time is below one directory, `var/` of the checkout unless
`TANDEM_VAR` moves it, so that `make clean` removes all of it and two checkouts never meet.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


class NotACheckout(RuntimeError):
    """The files that the native mode needs are not beside the package."""


@dataclass(frozen=True, slots=True)
class Paths:
    """The directories of one installation.

    `var` holds what one run writes; `downloads` holds what any run may reuse (Kafka's jars), so
    that a test with a `var` of its own does not fetch them again.
    """

    var: Path
    downloads: Path

    @property
    def run_state(self) -> Path:
        """Which processes run, for `tandem down` and `tandem doctor` in another shell."""
        return self.var / "run.json"

    @property
    def run_lock(self) -> Path:
        """Held by the one runner of this `var`."""
        return self.var / "run.lock"

    @property
    def logs(self) -> Path:
        """One file for each program."""
        return self.var / "log"

    @property
    def deploy(self) -> Path:
        """The settings of Kafka and PostgreSQL, shipped with the source."""
        found = CHECKOUT / "deploy"
        if not (found / "kafka" / "pom.xml").is_file():
            raise NotACheckout(
                f"{found} is missing: the native mode runs from a checkout of Tandem's source. "
                "With an installed package, set TANDEM_KAFKA_BOOTSTRAP and TANDEM_DATABASE_URL "
                "to servers of your own."
            )
        return found


def default_paths(environ: Mapping[str, str] = os.environ) -> Paths:
    """The directories that `TANDEM_VAR` names, or `var/` of the checkout."""
    moved = environ.get("TANDEM_VAR")
    var = Path(moved).expanduser().resolve() if moved else CHECKOUT / "var"
    kept = environ.get("TANDEM_DOWNLOADS")
    downloads = Path(kept).expanduser().resolve() if kept else var
    return Paths(var=var, downloads=downloads)
