"""`vacuum`, `analyze`, `checkpoint`, `info`: keeping the file in shape, and what it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, open_database, say
from metrics_store.cli.stages import stages
from metrics_store.render import figures
from metrics_store.render import maintenance as render
from metrics_store.render.screen import Screen


def vacuum(
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            min=0,
            metavar="S",
            help="Stop after as long; the rest is for the next time.",
            show_default=False,
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Rewrite the whole file; until it is done nobody can write."),
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Give space that is free in the file back to the disk.

    It goes in short steps beside writers. A store that was made before schema 5 cannot do that
    piece by piece: --full rewrites it, once.

    \b
    metrics-store vacuum
    metrics-store vacuum --full
    """
    from metrics_store import maintenance

    screen = Screen()
    with open_database(db) as database, stages() as progress:
        done = maintenance.vacuum(
            database,
            seconds=seconds,
            full=full,
            tell=lambda pages, of: progress("giving back", pages, of) if progress else None,
        )
    if json:
        screen.json(asdict(done))
    else:
        render.show_vacuumed(screen, done)
    if done.kind == "none":
        say(
            "This file cannot be shortened piece by piece: it was made before schema 5.",
            "Once: metrics-store vacuum --full (nobody can write until it is done).",
        )
        raise typer.Exit(FOUND_A_PROBLEM)


def analyze(json: Json = False, db: Database = None) -> None:
    """Renew the statistics by which SQLite chooses indexes."""
    from metrics_store import maintenance

    screen = Screen()
    with open_database(db) as database:
        seconds = maintenance.analyze(database)
    if json:
        screen.json({"seconds": seconds})
    else:
        screen.line(f"Renewed the statistics in {figures.duration(seconds)}.")


def checkpoint(
    truncate: Annotated[
        bool,
        typer.Option("--truncate", help="And make the log's file empty; waits for its readers."),
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Fold the write-ahead log back into the store's file. (It is done as you go, too.)"""
    from metrics_store import maintenance

    screen = Screen()
    with open_database(db) as database:
        done = maintenance.checkpoint(database, truncate=truncate)
    if json:
        screen.json(asdict(done))
    else:
        render.show_checkpointed(screen, done)
    if done.folded < done.frames or (truncate and not done.truncated):
        say("A reader still needs the rest: `metrics-store health` names who reads.")
        raise typer.Exit(FOUND_A_PROBLEM)


def info(json: Json = False, db: Database = None) -> None:
    """Tell what the store is: its ids, size, logs and settings."""
    from metrics_store import maintenance

    screen = Screen()
    with open_database(db, or_read_only=True) as database:
        known = maintenance.info(database)
    if json:
        screen.json(asdict(known))
    else:
        render.show_info(screen, known)
