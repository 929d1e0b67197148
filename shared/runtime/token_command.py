"""`tandem token`: a demo user's bearer token for the command line, in demo mode only."""

import json
from typing import Annotated

import typer

from shared.runtime.dev_tokens import (
    DEMO_USERS,
    TOKEN_SECONDS,
    DevIdentity,
    demo_user,
    remembered_issuer,
)
from shared.runtime.paths import default_paths
from shared.runtime.world import MachineClock

_REFUSED = 2


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("token")(token)


def token(
    role: Annotated[str, typer.Option(help="for example coordinator or infusion_nurse")],
    number: Annotated[int, typer.Option(help="1 or 2: many steps need a second person")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Prints a bearer token of a demo user. Exit codes: 0 done, 2 no such role or no demo here.

    Example: curl -H "Authorization: Bearer $(tandem token --role coordinator)" localhost:8081/cases
    """
    try:
        user = demo_user(role, number)
    except KeyError:
        known = ", ".join(sorted({u.roles[0] for u in DEMO_USERS}))
        typer.echo(f"no demo user {number} has the role {role}; there are: {known}", err=True)
        raise typer.Exit(_REFUSED) from None
    var = default_paths().var
    issuer = remembered_issuer(var)
    if issuer is None:
        typer.echo(f"no demo has run here ({var}); start one with make demo", err=True)
        raise typer.Exit(_REFUSED)
    text = DevIdentity.prepare(var, issuer).issue_user_token(user, now=MachineClock().now())
    answer = {"access_token": text, "subject": user.subject, "expires_in": TOKEN_SECONDS}
    typer.echo(json.dumps(answer) if as_json else text)
