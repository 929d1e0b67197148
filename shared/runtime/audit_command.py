"""`tandem audit verify`: whether the audit in each service's database is what was written."""

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from joserfc.jwk import ECKey

from shared.audit.keys import PUBLIC_KEY_FILE
from shared.audit.roots import RootError, RootFolder
from shared.audit.verify import Report, verify, verify_against
from shared.contracts.vocabulary import Service
from shared.persistence.database import StoreError
from shared.persistence.postgres import PostgresDatabase

DATABASE_VARIABLE: Final = "TANDEM_DATABASE_URL_"
BROKEN, BAD_USAGE, UNREACHABLE = 1, 2, 4


def register(app: typer.Typer) -> None:
    """Adds the command group."""
    group = typer.Typer(no_args_is_help=True, help="The tamper-evident record of who did what.")
    group.command("verify")(verify_command)
    app.add_typer(group, name="audit")


def verify_command(
    service: Annotated[
        list[Service] | None, typer.Option(help="only this service; may be repeated")
    ] = None,
    roots: Annotated[
        Path | None, typer.Option(help="the folder with the exported signed roots")
    ] = None,
    public_key: Annotated[
        Path | None, typer.Option(help="the key to check them with, from a place you trust")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
) -> None:
    """Checks every chain, and with --roots also that no exported root was betrayed since.

    Databases are those of TANDEM_DATABASE_URL_<SERVICE>. Exit codes: 0 intact, 1 broken, 2 bad
    usage, 4 a database cannot be reached. Example: tandem audit verify --roots var/audit-roots
    """
    chosen = [(s, _address(s)) for s in service or list(Service)]
    known = [(s, dsn) for s, dsn in chosen if dsn is not None]
    if not known or (service and len(known) != len(service)):
        typer.echo(f"set {DATABASE_VARIABLE}<SERVICE> for each service to check", err=True)
        raise typer.Exit(BAD_USAGE)
    key = _key(public_key or roots / PUBLIC_KEY_FILE) if roots else None
    reports: dict[str, Report] = {}
    for one, dsn in known:
        try:
            reports[one.value] = asyncio.run(_check(one, dsn, roots, key))
        except (StoreError, OSError) as error:
            typer.echo(f"{one.value}: {error}", err=True)
            raise typer.Exit(UNREACHABLE) from None
    _show(reports, as_json=as_json)
    if any(report.faults for report in reports.values()):
        raise typer.Exit(BROKEN)


def _address(service: Service) -> str | None:
    return os.environ.get(f"{DATABASE_VARIABLE}{service.value.upper()}")


def _key(path: Path) -> ECKey:
    try:
        return ECKey.import_key(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        typer.echo(f"{path} is no public key: {error}", err=True)
        raise typer.Exit(BAD_USAGE) from None


async def _check(service: Service, dsn: str, roots: Path | None, key: ECKey | None) -> Report:
    database = await PostgresDatabase.open(dsn, size_max=2)
    try:
        async with database.session() as tx:
            report = await verify(tx)
            if roots is not None and key is not None:
                try:
                    exported = RootFolder(roots, service).replay(key)
                except RootError as error:
                    report.fault("roots", 0, str(error))
                else:
                    report.roots = exported.number
                    await verify_against(tx, exported.heads, report)
            return report
    finally:
        await database.close()


def _show(reports: dict[str, Report], *, as_json: bool) -> None:
    if as_json:
        intact = not any(report.faults for report in reports.values())
        services = {name: asdict(report) for name, report in reports.items()}
        typer.echo(json.dumps({"intact": intact, "services": services}))
        return
    for name, report in reports.items():
        verdict = "intact" if not report.faults else f"BROKEN in {len(report.faults)} places"
        counts = f"{report.entries} entries, {report.chains} chains, {report.roots} roots"
        typer.echo(f"{name}: {verdict} ({counts})")
        for fault in report.faults:
            typer.echo(f"  {fault.chain} #{fault.seq}: {fault.what}")
