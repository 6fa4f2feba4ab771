"""`snapshots collect | sink | import`: how snapshots come in."""

from __future__ import annotations

import json as json_module
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, open_store, say
from metrics_store.errors import (
    CommandFailed,
    InvalidValue,
    MetricsStoreError,
    OpenError,
    OutcomeUnknown,
    SchemaError,
    UsageError,
    WriteError,
)
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.snapshot_lines import show_import
from metrics_store.snapshots.collecting import output_of
from metrics_store.snapshots.results import Recorded, Sunk
from metrics_store.snapshots.sink import SnapshotSink

Zone = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The zone of moments without an offset, such as Europe/Berlin; by default this "
        "machine's.",
        show_default=False,
    ),
]
Daily = Annotated[bool, typer.Option("--daily", help="Begin a new sink each UTC day.")]
MaxMb = Annotated[
    float | None,
    typer.Option(metavar="MB", help="Begin a new sink before this size.", show_default=False),
]
NoSync = Annotated[
    bool, typer.Option("--no-fsync", help="Do not wait for the disk after each line of a sink.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing if all is well.")]


def collect(
    command: Annotated[
        list[str], typer.Argument(metavar="-- CMD...", help="What prints the JSON, and its words.")
    ],
    timeout: Annotated[
        float,
        typer.Option(
            min=0.01, metavar="S", help="Seconds after which it and all it started are ended."
        ),
    ] = 60.0,
    min_interval: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="Skip it if another snapshot is less than this away, such as 5m.",
            show_default=False,
        ),
    ] = None,
    sink: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Append to FILE, not to the store.", show_default=False),
    ] = None,
    else_sink: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Append to FILE if the store cannot take it; exit code 1.",
            show_default=False,
        ),
    ] = None,
    daily: Daily = False,
    max_mb: MaxMb = None,
    no_fsync: NoSync = False,
    zone: Zone = None,
    quiet: Quiet = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Record the status that a command prints as JSON.

    For cron and systemd timers.

    \b
    metrics-store snapshots collect --min-interval 5m -- status-tool --json
    metrics-store snapshots collect --sink status.jsonl --daily -- status-tool --json
    """
    if sink is not None and (min_interval is not None or else_sink is not None):
        other = "--min-interval" if min_interval is not None else "--else-sink"
        raise UsageError(f"--sink and {other}", hint=f"{other} needs the store.")
    screen = Screen()
    file = sink or else_sink
    lines = None
    if file is not None:
        lines = SnapshotSink(file, fsync=not no_fsync, daily=daily, max_mb=max_mb)
    printed = output_of(command, timeout)
    done: Recorded | Sunk
    failure: MetricsStoreError | None = None
    try:
        if sink is not None and lines is not None:
            done = lines.append(printed, zone=zone)
        else:
            try:
                with open_store(db, create=True, writing=True) as store:
                    done = store.record_snapshot(printed, min_interval=min_interval, zone=zone)
            except OutcomeUnknown:
                raise  # the store may have it
            except (OpenError, SchemaError, WriteError) as error:
                if lines is None:
                    raise
                failure, done = error, lines.append(printed, zone=zone)
    except InvalidValue as error:
        raise CommandFailed(
            f"{command[0]} printed no status: {error.detail}",
            hint=error.hint or "It has to print one JSON object on standard output.",
        ) from error
    if json:
        screen.json(done.as_dict())
    _tell(done, failure, quiet=quiet or json)
    if failure is not None:
        raise typer.Exit(FOUND_A_PROBLEM)


def _tell(done: Recorded | Sunk, failure: MetricsStoreError | None, *, quiet: bool) -> None:
    if failure is not None:
        say(f"The store did not take it: {failure}")
        say(f"hint: {failure.hint}") if failure.hint else None
    if isinstance(done, Sunk):
        _tell_if_not_compressed(done)
        if failure is not None or not quiet:
            say(f"Appended {done.recorded_at} to {figures.path(done.path)}.")
    elif quiet:
        return
    elif done.recorded:
        say(f"Recorded {done.recorded_at} as {done.id}.")
    else:
        away = figures.duration(done.seconds_away)
        say(f"Skipped: {done.because_of_at} is {away} away, as {done.because_of}.")


def _tell_if_not_compressed(sunk: Sunk) -> None:
    if sunk.not_compressed:
        say(f"A rotated file is not compressed yet: {sunk.not_compressed}")


def sink(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", readable=False, help="The file of JSON lines.")
    ],
    daily: Daily = False,
    max_mb: MaxMb = None,
    no_fsync: NoSync = False,
    zone: Zone = None,
    quiet: Quiet = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Append the JSON objects of standard input to a file of lines.

    No store is needed.

    \b
    status-tool --json | metrics-store snapshots sink status.jsonl --daily
    """
    lines = SnapshotSink(file, fsync=not no_fsync, daily=daily, max_mb=max_mb)
    sunk = []
    for text in _objects(_given()):
        sunk.append(lines.append(text, zone=zone))
        _tell_if_not_compressed(sunk[-1])
    if json:
        Screen().json({"appended": [one.as_dict() for one in sunk]})
    elif not sunk:
        raise UsageError("standard input is empty", hint="Give it the JSON of a status.")
    elif not quiet:
        say(f"Appended {figures.plural(len(sunk), 'snapshot')} to {figures.path(lines.path)}.")


def _given() -> str:
    """Standard input, whatever the encoding of the terminal: JSON is UTF-8."""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidValue(f"standard input is not UTF-8: {error}") from error


def _objects(text: str) -> Iterator[str]:
    """The JSON objects of a text, one after the other, each as it is."""
    decoder = json_module.JSONDecoder()
    at, end = 0, len(text)
    while True:
        while at < end and text[at].isspace():
            at += 1
        if at == end:
            return
        try:
            _, after = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise InvalidValue(
                f"standard input is not JSON: {error}",
                hint="The objects before it were appended.",
            ) from error
        yield text[at:after]
        at = after


def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", readable=False, help="Files of JSON lines; they are only read."
        ),
    ],
    zone: Zone = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take in JSON lines, compressed or not; again only what is new.

    Exit code 1 for bad lines.

    \b
    metrics-store snapshots import status.jsonl*
    """
    screen = Screen()
    with open_store(db, create=True, writing=True) as store:
        found = store.import_snapshots(*files, zone=zone)
    if json:
        screen.json(found.as_dict())
    else:
        show_import(screen, found)
    if found.total("new_bad"):
        raise typer.Exit(FOUND_A_PROBLEM)
