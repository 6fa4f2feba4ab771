"""`backup create | list | verify | prune`: copies of the store, made while others write."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metrics_store import clock
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, open_database, say
from metrics_store.cli.stages import stages
from metrics_store.clock import Clock
from metrics_store.errors import MetricsStoreError
from metrics_store.render import backups, figures
from metrics_store.render.screen import Screen
from metrics_store.settings import Settings

if TYPE_CHECKING:
    from metrics_store.backup.catalogue import Shelf
    from metrics_store.backup.creating import Backup
    from metrics_store.backup.keeping import Judged, Pruned
    from metrics_store.backup.verifying import Verified
    from metrics_store.manifest import Entry

app = typer.Typer(
    help="Back the store up, and look after the backups.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Directory = Annotated[
    Path | None,
    typer.Argument(
        metavar="DIR",
        readable=False,
        help="Where; by default NAME.backups beside the store, or METRICS_STORE_BACKUP_DIRECTORY.",
        show_default=False,
    ),
]
KeepLast = Annotated[int, typer.Option("--keep-last", min=0, metavar="N", help="The newest N.")]
KeepDaily = Annotated[
    int,
    typer.Option("--keep-daily", min=0, metavar="N", help="The newest of each of the last N days."),
]
KeepWeekly = Annotated[
    int,
    typer.Option(
        "--keep-weekly", min=0, metavar="N", help="The newest of each of the last N weeks."
    ),
]


@app.callback()
def copies(db: Database = None) -> None:
    """Back the store up, and look after the backups."""


@app.command()
def create(
    directory: Directory = None,
    keep_last: KeepLast = 7,
    keep_daily: KeepDaily = 7,
    keep_weekly: KeepWeekly = 4,
    keep_all: Annotated[
        bool, typer.Option("--keep-all", help="Delete no older backup, whatever the numbers say.")
    ] = False,
    as_it_is: Annotated[
        bool,
        typer.Option(
            "--as-it-is",
            help="Keep the copy even if the store is damaged; it then counts as one made before a "
            "repair, not as a backup.",
        ),
    ] = False,
    gently: Annotated[
        bool,
        typer.Option("--gently", help="Check the copy with low priority, on a busy machine."),
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Copy the store while others write, and check the copy.

    Older ordinary backups in the same directory that no rule keeps are deleted afterwards.

    \b
    metrics-store backup create
    metrics-store backup create /mnt/backups --keep-daily 14
    """
    from metrics_store import manifest
    from metrics_store.backup import creating
    from metrics_store.backup.keeping import Keep

    screen = Screen()
    keep = None if keep_all or as_it_is else Keep(keep_last, keep_daily, keep_weekly)
    reason = manifest.SAFETY[1] if as_it_is else manifest.ORDINARY
    with open_database(db, or_read_only=True) as database, stages() as progress:
        made = creating.create(
            database, directory, keep=keep, reason=reason, gently=gently, progress=progress
        )
    if json:
        screen.json(_created(made))
    else:
        backups.show_created(screen, made)
    say(*made.notes)
    if made.pruned is not None:
        _tell_failed([made.pruned])


@app.command("list")
def list_(directory: Directory = None, json: Json = False, db: Database = None) -> None:
    """Show the backups of the store, newest first.

    Wherever it remembers having put some.

    It works without the store, too: then for the default directory alone.
    """
    from metrics_store import manifest
    from metrics_store.backup import catalogue

    screen, now = Screen(), Clock().now_us()
    settings = Settings.load(db)
    owner, wanted = None, manifest.directories(settings)
    try:
        known = catalogue.asked(settings)
    except MetricsStoreError as error:
        say(f"The store cannot be asked: {error}")
    else:
        owner, wanted = known.owner, known.directories
    shelves = catalogue.shelves(
        wanted if directory is None else [Path(os.path.realpath(directory))]
    )
    newest = catalogue.newest(shelves, owner)
    if json:
        screen.json(
            {
                "database": str(settings.database),
                "newest": None if newest is None else _entry(newest, now),
                "directories": [_shelf(shelf, now) for shelf in shelves],
            }
        )
    else:
        backups.show_shelves(screen, shelves, newest, now)
    if not any(shelf.entries for shelf in shelves):
        looked = ", ".join(figures.path(str(shelf.directory)) for shelf in shelves)
        say(f"There is no backup in {looked}.", "Make one: metrics-store backup create")
    elif newest is None:
        say("None of them is a whole backup of this store.")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The backup.")],
    json: Json = False,
    db: Database = None,
) -> None:
    """Hash a backup and check it in full; exit code 1 if it is damaged."""
    from metrics_store.backup import verifying

    screen = Screen()
    with stages() as progress:
        found = verifying.verify(file, progress=progress)
    if json:
        screen.json(_verified(found))
    else:
        backups.show_verified(screen, found, Clock().now_us())
    if not found.ok:
        raise typer.Exit(FOUND_A_PROBLEM)


@app.command()
def prune(
    directory: Directory = None,
    keep_last: KeepLast = 7,
    keep_daily: KeepDaily = 7,
    keep_weekly: KeepWeekly = 4,
    execute: Annotated[
        bool, typer.Option("--execute", help="Do it; else only say what would be done.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Delete the backups of this store that no rule keeps.

    In each directory by itself.

    Days and weeks are those of UTC, and one without a backup does not count. What is not surely a
    backup of this store stays. Without --execute nothing is deleted.

    \b
    metrics-store backup prune --keep-last 3
    metrics-store backup prune --keep-last 3 --execute
    """
    from metrics_store.backup import catalogue, keeping

    screen, now = Screen(), Clock().now_us()
    settings = Settings.load(db)
    keep = keeping.Keep(keep_last, keep_daily, keep_weekly)
    known = catalogue.asked(settings)
    chosen = known.directories if directory is None else (Path(os.path.realpath(directory)),)
    pruned = [keeping.prune(path, keep, known.owner, now, execute=execute) for path in chosen]
    if json:
        documents = [_pruned(item, now) for item in pruned]
        screen.json({"executed": execute, "directories": documents})
    else:
        backups.show_pruned(screen, [item for item in pruned if item.judged], now)
    count = sum(len(item.deleted if execute else item.due) for item in pruned)
    size = figures.size(sum(item.freed for item in pruned))
    if not any(item.due for item in pruned):
        say("There is nothing to delete.")
    elif execute:
        say(f"Deleted {figures.plural(count, 'backup')}, {size}.")
    else:
        say(f"Would delete {figures.plural(count, 'backup')}, {size}. Do it with --execute.")
    _tell_failed(pruned)


def _tell_failed(all_pruned: list[Pruned]) -> None:
    failed = [item for pruned in all_pruned for item in pruned.failed]
    for path, why in failed:
        say(f"Could not delete {path}: {why}")
    if failed:
        raise typer.Exit(FOUND_A_PROBLEM)


def _created(made: Backup) -> dict[str, object]:
    return {
        "path": str(made.path),
        "manifest": asdict(made.manifest),
        "check": made.report.as_dict(),
        "seconds": made.seconds,
        "copied_in_seconds": made.copied_in,
        "left_overs": [str(path) for path in made.left_overs],
        "notes": list(made.notes),
        "deleted": [str(entry.path) for entry in made.pruned.deleted] if made.pruned else [],
    }


def _entry(entry: Entry, now_us: int) -> dict[str, object]:
    known = entry.manifest
    return {
        "path": str(entry.path),
        "size": entry.size,
        "made_at": entry.made_at,
        "age_seconds": (now_us - clock.parse(entry.made_at)) / clock.MICROSECONDS,
        "whole": known is not None and not (entry.problem or known.findings),
        "problem": entry.problem or None,
        "manifest": None if known is None else asdict(known),
    }


def _shelf(shelf: Shelf, now_us: int) -> dict[str, object]:
    return {
        "directory": str(shelf.directory),
        "problem": shelf.problem or None,
        "backups": [_entry(entry, now_us) for entry in shelf.entries],
    }


def _judged(item: Judged, now_us: int) -> dict[str, object]:
    return {**_entry(item.entry, now_us), "kept": item.kept, "why": item.why}


def _pruned(pruned: Pruned, now_us: int) -> dict[str, object]:
    return {
        "directory": str(pruned.directory),
        "backups": [_judged(item, now_us) for item in pruned.judged],
        "deleted": [str(entry.path) for entry in pruned.deleted],
        "failed": [{"path": str(path), "reason": why} for path, why in pruned.failed],
        "freed_bytes": pruned.freed,
    }


def _verified(found: Verified) -> dict[str, object]:
    return {
        "path": str(found.path),
        "ok": found.ok,
        "size": found.size,
        "sha256": found.sha256,
        "problems": list(found.problems),
        "notes": list(found.notes),
        "manifest": None if found.manifest is None else asdict(found.manifest),
        "check": found.report.as_dict(),
    }
