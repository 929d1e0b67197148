"""The command what-if: what hypothetical facts would change in a case of a running system.

Invariant: the case stays as it is; the facts live as long as the answer.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from services.console.operator.calling import AsJson, Caller, Refused, end, print_json
from shared.contracts.vocabulary import Gate, Role, Service
from shared.protocol.facts_text import FactsTextError, facts_data
from shared.runtime.exits import Exit

#: largest facts file, so that a wrong path cannot fill the memory
FACTS_BYTES_MAX: Final = 32 * 1024 * 1024
_SENT: Final = ("facts", "assume_other_evidence_current")

CaseId = Annotated[UUID, typer.Argument(help="The case's id.", show_default=False)]
FactsFile = Annotated[
    Path, typer.Option("--facts", help="The hypothetical statements, YAML or JSON.")
]
Gates = Annotated[
    list[Gate] | None, typer.Option("--gate", help="Steps whose timelines are asked; repeatable.")
]
Since = Annotated[str | None, typer.Option("--from", help="Instant at which timelines begin.")]
Until = Annotated[str | None, typer.Option("--to", help="Instant at which timelines end.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("what-if")(what_if)


def what_if(
    case_id: CaseId,
    *,
    facts: FactsFile,
    gate: Gates = None,
    since: Since = None,
    until: Until = None,
    as_json: AsJson = False,
) -> None:
    """Say what hypothetical facts would change in a case; nothing is stored.

    Example: tandem what-if 01890000-0000-7000-8000-000000000000 --facts extra.yaml

    Exit codes: 0 shown whatever it changes, 1 refused, 2 bad usage, 3 no such case or facts
    refused, 4 intake cannot be reached.
    """
    asked = {"gates": [g.value for g in gate or ()], "since": since, "until": until}
    try:
        body = {**_supposed(facts), **{name: value for name, value in asked.items() if value}}
        shown = Caller(Role.COORDINATOR).post(Service.INTAKE, f"/cases/{case_id}/what-if", body)
    except Refused as refused:
        end(refused, as_json=as_json)
    if as_json:
        print_json({"case_id": str(case_id), **shown})
    else:
        _show(shown)


def _supposed(path: Path) -> Mapping[str, Any]:
    """What the file supposes. Raises `Refused`."""
    try:
        if path.stat().st_size > FACTS_BYTES_MAX:
            raise _refused(path, "is too large")
        document = facts_data(path.read_bytes(), is_json=path.suffix == ".json")
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}") from error
    except FactsTextError as error:
        place = "" if error.line is None else f"line {error.line} "
        raise _refused(path, f"{place}{error}") from error
    if not isinstance(document, dict) or not isinstance(document.get("facts"), list):
        raise _refused(path, "has no list of facts")
    return {name: document[name] for name in _SENT if name in document}


def _refused(path: Path, why: str) -> Refused:
    problem = {"title": f"{path.name}: {why}", "code": "facts-unreadable"}
    return Refused(Exit.INPUT_REFUSED, problem)


def _show(shown: Mapping[str, Any]) -> None:
    for gate, before in shown["before"].items():
        after = shown["after"][gate]["decision"]
        typer.echo(f"{gate:<20} {before}" + ("" if after == before else f" -> {after}"))
    for gate, changes in shown["changes"].items():
        typer.echo(f"\n{gate}: " + ("the timeline would change" if changes else "no change"))
        for change in changes:
            typer.echo(f"  {change['from']}  {change['to']}")
            typer.echo(f"    as it stands  {_said(change['before'])}")
            typer.echo(f"    with these    {_said(change['after'])}")


def _said(said: Mapping[str, Any]) -> str:
    verdicts = f"start {said['start']:<16} plan {said['plan']:<16}"
    return f"{verdicts} {', '.join(said['findings'])}".rstrip()
