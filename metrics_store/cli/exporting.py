"""`export`: the store's records in another program's format."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from metrics_store.cli import targets
from metrics_store.cli.options import Database, open_store, say
from metrics_store.render import figures
from metrics_store.render.screen import is_terminal

Format = Literal["legacy"]


def export(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="Where to; - is standard output.")
    ] = "-",
    format_: Annotated[
        Format, typer.Option("--format", help="legacy: the JSON file of the legacy tracker.")
    ] = "legacy",
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The zone of its naive times; by default that of the file that was taken in.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    db: Database = None,
) -> None:
    """Write the store in the legacy JSON format.

    FILE is written whole or not at all.

    \b
    metrics-store export skill_metrics.json
    metrics-store export | jq '.skills | keys'
    """
    with open_store(db) as store:
        if file != "-":
            targets.refuse(file, store.path, force=force)
        report = store.export_legacy(sys.stdout if file == "-" else file, zone=zone)
    if file == "-" and is_terminal(sys.stdout):
        # Not into a pipe or file, which is to hold what the tracker would have written.
        sys.stdout.write("\n")
    written = [figures.plural(report.records, "record"), figures.plural(report.skills, "skill")]
    if report.pending:
        written.append(f"{figures.number(report.pending)} never finished")
    where = "" if file == "-" else f" to {file}"
    say(f"Exported {', '.join(written)}{where}, times in {report.zone}.")
