"""The commands import, case and why: the coordination record of a running system.

Invariant: what is shown is what the record answers; nothing is judged here.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from services.console.operator.calling import AsJson, Caller, Refused, end, print_json, tell
from shared.contracts.vocabulary import Gate, Role, Service
from shared.runtime.exits import Exit

CaseId = Annotated[UUID, typer.Argument(help="The case's id.", show_default=False)]
AsOf = Annotated[
    str | None, typer.Option(help="Only facts recorded by then, judged at that instant.")
]
GateName = Annotated[Gate, typer.Option(help="The step that is asked about.")]


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command("import")(import_bundles)
    app.command("case")(case)
    app.command("why")(why)


def import_bundles(
    bundles: Annotated[list[Path], typer.Argument(help="FHIR bundles (JSON, also gzip).")],
    *,
    as_json: AsJson = False,
) -> None:
    """Send FHIR bundles to a running intake; report what each resource became.

    Example: tandem import patient.json

    Exit codes: 0 all imported, 1 refused by a rule, 2 bad usage, 3 a bundle was refused,
    4 intake cannot be reached.
    """
    worst = Exit.DONE
    for path in bundles:
        try:
            answer = Caller(Role.COORDINATOR).post(Service.INTAKE, "/fhir/Bundle", _content(path))
        except Refused as refused:
            worst = max(worst, tell(refused, as_json=as_json, bundle=path.name))
            continue
        if as_json:
            print_json({"bundle": path.name, **answer})
        else:
            _show_import(path.name, answer)
    raise typer.Exit(worst)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        title = f"cannot be read: {error.strerror}"
        raise Refused(Exit.INPUT_REFUSED, {"title": title, "code": "unreadable"}) from error


def _show_import(name: str, answer: Mapping[str, Any]) -> None:
    verb = "opened" if answer["opened"] else "known"
    facts, counts = answer["facts"], answer["resources"]
    typer.echo(f"{name}: case {answer['case_id']} ({verb})")
    typer.echo(f"  facts: {facts['recorded']} new, {facts['unchanged']} known before")
    typer.echo("  resources: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()))
    for line in answer["report"]:
        if line.get("outcome") == "rejected":
            where = f"{line['pointer']} {line['resource']}"
            typer.echo(f"  rejected: {where}: {line['message']} ({line['reason']})")


def case(case_id: CaseId, *, as_of: AsOf = None, as_json: AsJson = False) -> None:
    """Show a case: its standing at each gate, open holds, facts by kind, and what is due.

    Example: tandem case 01890000-0000-7000-8000-000000000000

    Exit codes: 0 shown, 1 refused, 2 bad usage, 3 no such case, 4 intake cannot be reached.
    """
    caller = Caller(Role.COORDINATOR)
    try:
        shown = caller.get(Service.INTAKE, f"/cases/{case_id}")
        shown["due"] = caller.get(Service.INTAKE, f"/cases/{case_id}/due", at=as_of)["due"]
        if as_of is not None:
            shown["as_of"] = as_of
            shown["decisions"] = {
                gate.value: _decision(caller, case_id, gate, as_of)["decision"] for gate in Gate
            }
    except Refused as refused:
        end(refused, as_json=as_json)
    if as_json:
        print_json(shown)
    else:
        _show_case(shown)


def _decision(caller: Caller, case_id: UUID, gate: Gate, as_of: str | None) -> Any:  # noqa: ANN401
    path = f"/cases/{case_id}/decisions/{gate.value}"
    return caller.get(Service.INTAKE, path, at=as_of, as_of=as_of)


def _show_case(shown: Mapping[str, Any]) -> None:
    typer.echo(f"{shown['alias']}  {shown['case_id']}  {shown['status']}  ({shown['mode']})")
    decisions = shown.get("decisions")
    if decisions is None:
        for gate, standing in sorted(shown["gates"].items()):
            typer.echo(f"  {gate:<20} {standing['start']:<8} until {standing['until']}")
    else:
        for gate, decision in decisions.items():
            typer.echo(f"  {gate:<20} {decision} as of {shown['as_of']}")
    for hold in shown["open_holds"]:
        typer.echo(f"  hold {hold['kind']} {hold['rule'] or ''} {hold['state']} {hold['hold_id']}")
    kinds = [fact["kind"] for fact in shown["facts"]]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in sorted(set(kinds)))
    typer.echo(f"  facts: {counts or 'none'}")
    for item in shown["due"]:
        typer.echo(f"  due: {item['item']} by {item['owner']}, not after {item['not_after']}")


def why(
    case_id: CaseId,
    *,
    gate: GateName = Gate.INFUSION,
    as_of: AsOf = None,
    as_json: AsJson = False,
) -> None:
    """Say why a step may or may not start: what would open it, and every finding.

    Example: tandem why 01890000-0000-7000-8000-000000000000 --gate infusion

    Exit codes: 0 shown whatever the decision, 1 refused, 2 bad usage, 3 no such case,
    4 intake cannot be reached.
    """
    caller = Caller(Role.COORDINATOR)
    try:
        decision = _decision(caller, case_id, gate, as_of)
        clearance = caller.get(Service.INTAKE, f"/cases/{case_id}/clearance")
    except Refused as refused:
        end(refused, as_json=as_json)
    now = clearance["gates"][gate.value]
    if as_json:
        print_json({"case_id": str(case_id), **decision, "clearance": now})
        return
    typer.echo(f"{gate.value}: {decision['decision']}; may start now: {now['may_start']}")
    for hold_id in now["hold_ids"]:
        typer.echo(f"  open hold {hold_id}")
    if decision["blockers"]:
        typer.echo("  opens when all of these are settled, and not before:")
    for blocker in decision["blockers"]:
        clears = f" (clears {blocker['clears_at']})" if blocker["clears_at"] else ""
        typer.echo(f"    {blocker['message']}{clears} [{', '.join(blocker['rules'])}]")
    for finding in decision["findings"]:
        typer.echo(f"  {finding['rule']} {finding['effect']}: {finding['message']}")
        typer.echo(f"    clears {finding['clears_at'] or 'at no date on record'}")
