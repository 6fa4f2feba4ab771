"""`snapshots list | show | diff | trend | export`, and the group of their neighbours."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Literal, TextIO

import typer

from metrics_store.cli import snapshot_lines, targets
from metrics_store.cli.options import (
    FOUND_A_PROBLEM,
    Database,
    Json,
    moment,
    open_store,
    say,
)
from metrics_store.errors import ExportFailed, InvalidValue, SnapshotNotFound
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.snapshot_changes import show_diff
from metrics_store.render.snapshots import show_list, show_snapshot, show_trend
from metrics_store.render.text import visible
from metrics_store.replacing import replaced
from metrics_store.snapshots.exporting import csv_lines
from metrics_store.snapshots.results import Snapshot
from metrics_store.snapshots.trends import Per
from metrics_store.store import MetricsStore

app = typer.Typer(
    help="What a status tool says, over time.", no_args_is_help=True, rich_markup_mode=None
)
Format = Literal["csv", "jsonl", "json"]
Last = Annotated[
    str | None,
    typer.Option(
        "--last",
        metavar="SPAN|N",
        help="Of a span before now, such as 24h or '7 days', or the newest N.",
        show_default=False,
    ),
]
Until = Annotated[
    str | None,
    typer.Option(
        metavar="WHEN",
        help="The end: a moment, a span ago, or 'last', the newest snapshot. By default now.",
        show_default=False,
    ),
]
_WHICH = "A number, an id, 'latest', a moment (UTC), or a span ago such as 2h."


@app.callback()
def snapshots(db: Database = None) -> None:
    """What a status tool says, over time."""


@app.command("list")
def list_snapshots(
    last: Last = None, until: Until = None, json: Json = False, db: Database = None
) -> None:
    """List snapshots, oldest first; without --last the newest 50.

    \b
    metrics-store snapshots list --last 24h
    """
    screen = Screen()
    window, limit = _last(last, 50)
    with open_store(db) as store:
        found = store.snapshots(window, limit=limit, now=_end(store, until))
    if json:
        screen.json({"snapshots": [one.as_dict() for one in found]})
    elif found:
        show_list(screen, found)
    else:
        say(
            "There is no snapshot" + (f" of the last {last}." if window else " yet."),
            "hint: metrics-store snapshots collect -- COMMAND records one.",
        )


@app.command()
def show(
    which: Annotated[str, typer.Argument(metavar="[SNAPSHOT]", help=_WHICH)] = "latest",
    json: Json = False,
    db: Database = None,
) -> None:
    """Show everything of one snapshot; of a moment, the nearest one.

    \b
    metrics-store snapshots show
    metrics-store snapshots show 2026-02-06T11:00
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.snapshot(_which(store, which))
    if found is None:
        raise SnapshotNotFound(which, hint="metrics-store snapshots list shows what there is.")
    if json:
        screen.json(found.as_dict())
    else:
        show_snapshot(screen, found)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="FROM", help=_WHICH)],
    after: Annotated[str, typer.Argument(metavar="[TO]", help="As FROM.")] = "latest",
    json: Json = False,
    db: Database = None,
) -> None:
    """Show what became of every number between two snapshots.

    Drops are marked.

    \b
    metrics-store snapshots diff 24h
    metrics-store snapshots diff 2026-02-06 2026-02-07
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.snapshot_diff(_which(store, before), _which(store, after))
    if json:
        screen.json({**found.as_dict(), "drops": found.drops})
    else:
        show_diff(screen, found)


@app.command()
def trend(
    field: Annotated[str, typer.Argument(metavar="FIELD", help="Such as files_indexed.")],
    per: Annotated[Per, typer.Option(help="Buckets, in UTC.")] = "day",
    last: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="How far back; 30 days, or 48 hours, by default.",
            show_default=False,
        ),
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="A project's number.", show_default=False),
    ] = None,
    until: Until = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show the course of one number.

    \b
    metrics-store snapshots trend files_indexed
    metrics-store snapshots trend chunk_count --project docs --per hour
    """
    screen = Screen()
    with open_store(db) as store:
        end = _end(store, until)
        found = store.snapshot_trend(field, per, last, project=project, now=end)
    if json:
        screen.json(found.as_dict())
    elif any(point.snapshots for point in found.points):
        show_trend(screen, found)
    else:
        whose = "" if project is None else f" of {project!r}"
        say(f"No snapshot of that time has {field}{whose}.")


@app.command()
def export(
    file: Annotated[
        str, typer.Argument(metavar="[FILE]", help="Where to; - is standard output.")
    ] = "-",
    format_: Annotated[
        Format, typer.Option("--format", help="jsonl can be imported again.")
    ] = "csv",
    last: Last = None,
    until: Until = None,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As --format json.")] = False,
    db: Database = None,
) -> None:
    """Write snapshots, oldest first, in a format of other programs.

    FILE is written whole.

    \b
    metrics-store snapshots export --format csv --last 100
    """
    window, limit = _last(last, None)
    kind: Format = "json" if json else format_
    n = 0

    def counted(found: Iterable[Snapshot]) -> Iterator[Snapshot]:
        nonlocal n
        for one in found:
            n += 1
            yield one

    with open_store(db) as store:
        targets.refuse(file, store.path, force=force)
        end = _end(store, until)
        with _target(file) as stream:
            _write(stream, kind, counted(store.each_snapshot(window, limit=limit, now=end)))
    if file != "-":
        say(f"Exported {figures.plural(n, 'snapshot')} to {file}.")


def _write(stream: TextIO, kind: Format, found: Iterator[Snapshot]) -> None:
    screen = Screen(stream)
    match kind:
        case "json":
            screen.json({"snapshots": [one.as_dict() for one in found]})
        case "jsonl":
            for one in found:
                screen.json_line(one.as_dict())
        case "csv":
            for line in csv_lines(found, visible):
                stream.write(line)


@contextmanager
def _target(file: str) -> Iterator[TextIO]:
    if file == "-":
        yield sys.stdout
        return
    try:
        with replaced(file) as stream:
            yield stream
    except OSError as error:
        raise ExportFailed(f"{file}: {error.strerror}") from error


def _last(text: str | None, otherwise: int | None) -> tuple[str | None, int | None]:
    """A window and a limit: whichever is meant."""
    if text is None:
        return None, otherwise
    if text.isascii() and text.isdigit():
        return None, int(text)
    return text, None


def _end(store: MetricsStore, until: str | None) -> str | None:
    """The end that an option means; None is now."""
    if until == "last":
        newest = store.snapshot()
        return None if newest is None else newest.snapshot.recorded_at
    return moment("--until", until, store.database.clock.now_us(), end=True)


def _which(store: MetricsStore, text: str) -> str:
    """An id, a number or a moment as the store takes it: a moment may be a span before now."""
    if store.snapshot(text) is not None:
        return text
    try:
        said = moment("the snapshot", text, store.database.clock.now_us())
    except InvalidValue as error:
        raise SnapshotNotFound(
            f"{text!r}", hint="metrics-store snapshots list shows them; a moment is fine, too."
        ) from error
    return said or text


@app.command()
def quarantine(
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show at most N.")] = 100,
    json: Json = False,
    db: Database = None,
) -> None:
    """List the lines that imports could not take in.

    Exit code 1 if there are any.
    """
    from metrics_store.render.snapshot_lines import quarantine_table

    screen = Screen()
    with open_store(db) as store:
        found = store.snapshot_quarantine(limit)
    if json:
        screen.json({"quarantine": [line.as_dict() for line in found]})
    elif found:
        screen.table(quarantine_table(found))
    else:
        say("Nothing is in quarantine.")
    if found:
        raise typer.Exit(FOUND_A_PROBLEM)


app.command("import")(snapshot_lines.import_)
app.command("sink")(snapshot_lines.sink)
app.command("collect")(snapshot_lines.collect)
