"""The command recover: two people begin a new epoch after a restore of the authority."""

from typing import Annotated

import typer

from services.console.operator.calling import AsJson, Caller, Refused, end, print_json, token
from shared.contracts.vocabulary import Role, Service
from shared.runtime.exits import Exit


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("recover")(recover)


def recover(
    *,
    reason: Annotated[str, typer.Option(help="What happened; kept in the audit.")],
    old_primary_is_stopped: Annotated[
        bool,
        typer.Option(
            "--old-primary-is-stopped", help="You have made sure that the old one cannot grant."
        ),
    ] = False,
    epoch_min: Annotated[
        int, typer.Option(min=0, help="One more than the highest epoch that anybody remembers.")
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Begin a new epoch after a restore: old permits are void, each case is to be re-verified.

    Needs a second person: TANDEM_SECOND_TOKEN, in the demo the second demo user of operations.

    Example: tandem recover --reason "restored from last night's backup" --old-primary-is-stopped

    Exit codes: 0 done, 1 refused, 2 bad usage (also: not confirmed), 3 input refused,
    4 intake cannot be reached.
    """
    try:
        if not old_primary_is_stopped:
            title = "stop the old primary, make sure, and say --old-primary-is-stopped"
            raise Refused(Exit.BAD_USAGE, {"title": title, "code": "old-primary"})
        body = {
            "reason": reason,
            "old_primary_is_stopped": True,
            "second_signer_token": token(Role.OPS, 2),
            "epoch_min": epoch_min,
        }
        done = Caller(Role.OPS).post(Service.INTAKE, "/ops/recover", body)
    except Refused as refused:
        end(refused, as_json=as_json)
    if as_json:
        print_json(done)
        return
    typer.echo(
        f"epoch {done['epoch']}: {done['permits_voided']} permits void, {done['cases']} cases wait "
        "for their re-verification by a person"
    )
