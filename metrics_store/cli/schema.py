"""`schema status | apply | rollback`: the versions of the store's own tables."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from metrics_store import schema
from metrics_store.cli.options import Database, Json, open_database, say
from metrics_store.errors import SchemaError
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table

_DROPPED = re.compile(r"(?im)^\s*DROP\s+TABLE\s+(?:IF\s+EXISTS\s+)?(\w+)")

app = typer.Typer(
    help="The versions of the store's own tables.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def versions(db: Database = None) -> None:
    """The versions of the store's own tables."""


@app.command()
def status(json: Json = False, db: Database = None) -> None:
    """Show which migrations are applied and which are pending."""
    screen = Screen()
    with open_database(db, or_read_only=True) as database:
        found = schema.status(database)
        path = database.path
    if json:
        screen.json({"database": path, **asdict(found)})
        return
    table = Table(
        [Column("version", "right"), Column("migration", elastic=True), Column("applied (UTC)")]
    )
    for line in found.applied:
        table.add(f"{line.version:04d}", line.description, figures.moment(line.applied_at))
    for name in found.pending:
        number, _, words = name.partition("_")
        words = words.replace("_", " ").removesuffix(".sql")
        table.add(number, words, Cell("pending", "yellow"))
    screen.table(table)
    if found.pending:
        say("What is pending is applied when the store is next opened, or by: schema apply")


@app.command()
def apply(json: Json = False, db: Database = None) -> None:
    """Apply the pending migrations, all of them or none."""
    screen = Screen()
    with open_database(db) as database:
        done = schema.apply(database)
    if json:
        screen.json({"applied": list(done)})
        return
    for name in done:
        screen.line(name)
    say(f"Applied {figures.plural(len(done), 'migration')}." if done else "Nothing is pending.")


@app.command()
def rollback(
    to: Annotated[
        int | None,
        typer.Option(
            "--to",
            min=0,
            metavar="VERSION",
            help="The version to end at; by default the one before.",
            show_default=False,
        ),
    ] = None,
    execute: Annotated[
        bool, typer.Option("--execute", help="Do it; else only say what would be done.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take migrations back, newest first, with the tables they made.

    A copy of the store is made first. Without --execute nothing is changed.

    \b
    metrics-store schema rollback --to 2
    metrics-store schema rollback --to 2 --execute
    """
    screen = Screen()
    with open_database(db) as database:
        found = schema.status(database)
        target = max(0, found.version - 1) if to is None else to
        if target > found.version:
            raise SchemaError(
                f"cannot go back from {found.version} to {target}",
                hint=f"Name a version from 0 to {found.version}.",
            )
        undone = [line.version for line in reversed(found.applied) if line.version > target]
        dropped = [table for version in undone for table in _tables_of(version)]
        names = schema.roll_back(database, target) if execute and undone else ()
        copy = _copy_made(database.path) if names else None
    if json:
        screen.json(
            {
                "executed": bool(names),
                "from": found.version,
                "to": target,
                "taken_back": undone,
                "tables": dropped,
                "copy": copy,
            }
        )
        return
    if not undone:
        say(f"The schema is at version {found.version} already.")
        return
    did = "Went" if names else "Would go"
    screen.line(
        f"{did} back from version {found.version} to {target}. The tables with all in them:"
    )
    for table in dropped:
        screen.line(f"  {table}")
    if names:
        say(
            f"A copy of the store as it was: {copy}",
            "The next command that opens the store applies the migrations again, to empty tables.",
        )
    else:
        say("Nothing was changed. Do it with --execute; a copy of the store is made first.")


def _tables_of(version: int) -> list[str]:
    [file] = schema.migrations_directory().glob(f"{version:04d}_*.rollback.sql")
    return _DROPPED.findall(file.read_text(encoding="utf-8"))


def _copy_made(path: str) -> str | None:
    store = Path(path)
    prefix = f"{store.name}.before-schema-change-"
    copies = [file for file in store.parent.iterdir() if file.name.startswith(prefix)]
    return str(max(copies, key=lambda file: file.name)) if copies else None
