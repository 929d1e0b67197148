"""A case of the demo, and what people do with it through intake's endpoints."""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from services.console.demo.people import Reply
from services.console.demo.stage import Stage
from services.console.demo.statements import Statement
from shared.contracts.vocabulary import Gate, Role, Service

_BUNDLES: Final = resources.files("services.console.demo") / "bundles"
MAIN_BUNDLE: Final = "Jose871_Grimes165_246570a9-2647-348b-752f-89bdf74dca4d.json.gz"
OTHER_BUNDLES: Final = (
    "Lucien408_Cassin499_0bd9ff00-01cb-a551-4272-43374d2b7eba.json.gz",
    "Clay913_Schinner682_f90137d9-627c-fa7e-71c6-e958d5c50ed2.json.gz",
    "Bundle-mcode-patient-bundle-jenny-m.json.gz",
)


def bundle_text(name: str) -> bytes:
    """A bundle that comes with the demo, as JSON."""
    return gzip.decompress((_BUNDLES / name).read_bytes())


@dataclass(frozen=True, slots=True)
class Patient:
    """One case, seen by the staff."""

    case_id: str
    stage: Stage

    async def enter(self, role: Role, statements: Sequence[Statement], number: int = 1) -> Reply:
        """Facts entered by a person with the role."""
        person = self.stage.one(role, number)
        path = f"/cases/{self.case_id}/facts"
        return await person.post(Service.INTAKE, path, {"facts": list(statements)})

    async def decision(self, gate: Gate) -> Any:  # noqa: ANN401 - a JSON document
        """What the protocol says of the gate now."""
        physician = self.stage.one(Role.TREATING_PHYSICIAN)
        return await physician.get(Service.INTAKE, f"/cases/{self.case_id}/decisions/{gate.value}")

    async def clearance(self) -> Reply:
        """The case's clearance; its ETag is what a press of start carries."""
        nurse = self.stage.one(Role.INFUSION_NURSE)
        return await nurse.look(Service.INTAKE, f"/cases/{self.case_id}/clearance")

    async def place_hold(
        self, kind: str, gates: Sequence[Gate], reason: str, role: Role = Role.TREATING_PHYSICIAN
    ) -> Any:  # noqa: ANN401 - a JSON document
        """A hold by a person."""
        body = {"kind": kind, "gates": [gate.value for gate in gates], "reason": reason}
        path = f"/cases/{self.case_id}/holds"
        return (await self.stage.one(role).post(Service.INTAKE, path, body)).body

    async def release_hold(
        self, hold_id: str, reason: str, role: Role = Role.TREATING_PHYSICIAN
    ) -> Any:  # noqa: ANN401 - a JSON document
        """The end of a person's hold."""
        path = f"/holds/{hold_id}/release"
        return (await self.stage.one(role).post(Service.INTAKE, path, {"reason": reason})).body

    async def open_holds(self) -> list[Any]:
        """The open holds of the case."""
        return list((await self.clearance()).body["holds"])
