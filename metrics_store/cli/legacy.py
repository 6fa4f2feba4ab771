"""`legacy import`: takes a legacy JSON file into the store; and the group of its neighbours."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metrics_store.cli import (
    differences,
    migration,
    migration_mending,
    migration_passes,
    migration_reading,
)
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, open_store, say
from metrics_store.cli.overview import show_overview
from metrics_store.cli.progress import progress_bar
from metrics_store.errors import LegacyFileNotFound
from metrics_store.render.imports import show_import
from metrics_store.render.screen import Screen
from metrics_store.settings import Settings
from metrics_store.store import MetricsStore

if TYPE_CHECKING:
    from metrics_store.legacy.report import ImportReport

app = typer.Typer(
    help="The way from a legacy JSON file.", no_args_is_help=True, rich_markup_mode=None
)


@app.callback()
def legacy(db: Database = None) -> None:
    """The way from a legacy JSON file."""


@app.command("import")
def import_(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", readable=False, help="The legacy JSON file; it is only read."
        ),
    ],
    zone: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The zone of its naive times, such as Europe/Berlin; by default this machine's.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Do everything, report it, and keep nothing.")
    ] = False,
    report: Annotated[
        bool, typer.Option("--report", help="Go on with a report of what the store then holds.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take a legacy JSON file into the store, compare every record.

    Taking the same file again adds nothing; an interrupted pass goes on where it stopped. Exit
    code 1 if the file is not whole or anything about it is unexplained.

    \b
    metrics-store legacy import skill_metrics.json --zone Europe/Berlin
    metrics-store legacy import skill_metrics.json --dry-run --json
    """
    screen = Screen()
    if not file.exists():
        raise LegacyFileNotFound(str(file))  # before a store is made for nothing
    with _store_for(db, dry_run=dry_run) as (store, database):
        try:
            done = replace(_take_in(store, file, zone, dry_run=dry_run), database=database)
        except KeyboardInterrupt:
            if not dry_run:
                say("The same command goes on where it stopped.")
            raise
        if json:
            screen.json(done.as_dict() | {"conserved": done.conserved, "fine": done.fine})
        else:
            show_import(screen, done)
            if report and not dry_run:
                screen.line()
                show_overview(screen, store)
    if not done.fine:
        raise typer.Exit(FOUND_A_PROBLEM)


def _take_in(store: MetricsStore, file: Path, zone: str | None, *, dry_run: bool) -> ImportReport:
    # Only this command needs it, and it is the largest part of the package.
    from metrics_store.legacy.importing import take_in

    with progress_bar() as show:
        return take_in(store, file, zone=zone, dry_run=dry_run, progress=show)


@contextmanager
def _store_for(db: Path | None, *, dry_run: bool) -> Iterator[tuple[MetricsStore, str]]:
    """The store to take records into, and the name to give it in the report."""
    wanted = os.path.realpath(Settings.load(db).database)
    if dry_run and not os.path.exists(wanted):
        # A dry run leaves nothing behind, not even an empty store.
        with (
            tempfile.TemporaryDirectory(prefix="metrics-store-") as folder,
            open_store(Path(folder) / "dry-run.db", create=True) as store,
        ):
            yield store, wanted
    else:
        with open_store(db, create=True) as store:
            yield store, store.path


# In the order of the way.
app.command("doctor")(migration_reading.doctor)
app.command("plan")(migration_reading.plan)
app.command("start")(migration.start)
app.command("status")(migration_reading.status)
app.command("backfill")(migration_passes.backfill)
app.command("advance")(migration.advance)
app.command("verify")(migration_passes.verify)
app.add_typer(differences.app, name="diff")
app.command("cutover")(migration.cutover)
app.command("rollback")(migration.rollback)
app.command("resume")(migration_mending.resume)
app.command("cancel")(migration_mending.cancel)
app.command("reconcile")(migration_passes.reconcile)
app.command("harvest")(migration_passes.harvest)
app.command("complete")(migration_mending.complete)
app.command("proof")(migration_reading.proof)
