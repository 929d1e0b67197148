"""Where the running system is reached: read from the declarations of its programs.

Invariant: the demo knows of the system what a staff app knows (addresses, sign-in), plus the
addresses of the stores, which it uses for the read-only queries of its last lines alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.console.programs import MAIL, SERVICES
from shared.contracts.vocabulary import Service
from shared.runtime.ports import LOOPBACK
from shared.runtime.postgres import binaries
from shared.runtime.programs import Program


@dataclass(frozen=True, slots=True)
class Site:
    """One running system. `urls` and `databases` are by service.

    A database is the command that asks it: psql with its address.
    """

    urls: Mapping[Service, str]
    databases: Mapping[Service, tuple[str, ...]]
    issuer: str
    inbox: str
    kafka: str
    var: Path

    @classmethod
    def of(cls, programs: Sequence[Program], var: Path) -> "Site":
        """The site that these programs make up once they run."""
        by_name = {program.name: program for program in programs}
        common = by_name[Service.INTAKE.value].env
        psql = str(binaries() / "psql")
        return cls(
            urls={s: common[f"TANDEM_URL_{s.value.upper()}"] for s in SERVICES},
            databases={
                s: (psql, by_name[s.value].env[f"TANDEM_DATABASE_URL_{s.value.upper()}"])
                for s in SERVICES
            },
            issuer=common["TANDEM_OIDC_ISSUER"],
            inbox=f"http://{LOOPBACK}:{by_name[MAIL].ports[1]}",
            kafka=common["TANDEM_KAFKA_BOOTSTRAP"],
            var=var,
        )
