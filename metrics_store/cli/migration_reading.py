"""`legacy doctor | plan | status | proof`: looking, without changing anything."""

from __future__ import annotations

import shlex
import time
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metrics_store.cli.operating import DEFAULT, JsonFile, Typed, operating
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, say
from metrics_store.errors import UsageError
from metrics_store.render.gates import show_diagnosis
from metrics_store.render.migration import show_status
from metrics_store.render.screen import Screen
from metrics_store.render.signs import command

if TYPE_CHECKING:
    from metrics_store.phases.operator import Operator
    from metrics_store.phases.status import Status

Zone = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="The zone of its naive times, such as Europe/Berlin; by default this machine's.",
        show_default=False,
    ),
]


def doctor(
    zone: Zone = None, json_file: JsonFile = DEFAULT, json: Json = False, db: Database = None
) -> None:
    """Look whether a JSON file is fit to be left.

    Exit code 1 if something keeps the migration from beginning.

    \b
    metrics-store legacy doctor --zone Europe/Berlin
    """
    from metrics_store.legacy.control import read
    from metrics_store.phases.doctor import examine

    screen, typed = Screen(), Typed(json_file, db)
    with operating(json_file, db) as operator:
        found = examine(operator, zone)
        begun = read(operator.json_file) is not None
    if json:
        screen.json(found.as_dict() | {"healthy": found.healthy})
    else:
        show_diagnosis(screen, found, typed)
        if found.healthy and not begun:
            named = "" if zone is None else f" --zone {shlex.quote(zone)}"
            screen.heading("Next")
            command(screen, typed(f"metrics-store legacy start{named}"))
    if not found.healthy:
        raise typer.Exit(FOUND_A_PROBLEM)


def plan(
    zone: Zone = None, json_file: JsonFile = DEFAULT, json: Json = False, db: Database = None
) -> None:
    """Show the way from here to the end: phases, gates, times, disk.

    \b
    metrics-store legacy plan
    """
    from metrics_store.phases.planning import plan_of
    from metrics_store.render.plan import show_plan

    screen = Screen()
    with operating(json_file, db) as operator:
        found = plan_of(operator, zone)
    if json:
        screen.json(found.as_dict())
    else:
        show_plan(screen, found, Typed(json_file, db))


def status(
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until Ctrl-C or complete.")
    ] = False,
    interval: Annotated[
        float, typer.Option(min=0.1, metavar="S", help="Seconds from one look to the next.")
    ] = 2.0,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show phase, gates, progress and the next command to type.

    Exit code 1 if something asks for a person: a mismatch, a zombie, an unfinished command, a
    store that cannot be asked.

    \b
    metrics-store legacy status
    metrics-store legacy status --watch --interval 5
    """
    screen, typed = Screen(), Typed(json_file, db)
    with operating(json_file, db) as operator:
        if watch and screen.terminal and not json:
            found = _watched(operator, screen, typed, interval)
        else:
            found = _look(operator)
            _show(screen, found, typed, json=json, line=watch)
            while watch and found.phase != "complete":
                screen.stream.flush()
                time.sleep(interval)
                found = _look(operator)
                _show(screen, found, typed, json=json, line=True)
    if not found.fine:
        raise typer.Exit(FOUND_A_PROBLEM)


def _look(operator: Operator) -> Status:
    from metrics_store.phases.status import status as look

    return look(operator)


def as_typed(found: Status, typed: Typed) -> dict[str, object]:
    """A status for a script, with commands that can be typed here."""
    command, advice = typed(found.next_command), typed(found.advice)
    return found.as_dict() | {"fine": found.fine, "next_command": command, "advice": advice}


def _show(screen: Screen, found: Status, typed: Typed, *, json: bool, line: bool) -> None:
    if not json:
        show_status(screen, found, typed)
        if line:
            screen.line()
    elif line:
        screen.json_line(as_typed(found, typed))
    else:
        screen.json(as_typed(found, typed))


class _Page(StringIO):
    """What would be written to the terminal, kept to be drawn in one go."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def _watched(operator: Operator, screen: Screen, typed: Typed, interval: float) -> Status:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    def drawn() -> tuple[Status, Text]:
        found, page = _look(operator), _Page()
        page.encoding = screen.stream.encoding or "utf-8"
        _show(Screen(page), found, typed, json=False, line=True)
        # Our own styles alone: in the text of others every escape was made visible.
        page.write(f"every {interval:g} s; Ctrl-C ends it\n")
        return found, Text.from_ansi(page.getvalue())

    found, text = drawn()
    console = Console(file=screen.stream, markup=False, emoji=False, highlight=False)
    with Live(text, console=console, screen=True, auto_refresh=False) as live:
        while found.phase != "complete":
            time.sleep(interval)
            found, text = drawn()
            live.update(text, refresh=True)
    _show(screen, found, typed, json=False, line=False)
    return found


def proof(
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Write proof-ID.md and proof-ID.json there; else Markdown is printed.",
            show_default=False,
        ),
    ] = None,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Write down what went in, what is there, every difference.

    Exit code 1 if anything is unexplained.

    \b
    metrics-store legacy proof
    metrics-store legacy proof --output proofs
    """
    from metrics_store.phases.proving import prove
    from metrics_store.render.proof import markdown, write_proof

    screen = Screen()
    with operating(json_file, db) as operator:
        found = prove(operator)
    if output is not None:
        if output.exists() and not output.is_dir():
            raise UsageError(f"{output} is not a directory", hint="Name one with --output.")
        written = write_proof(found, output)
        if json:
            screen.json({"clean": found.clean, "files": [str(path) for path in written]})
        else:
            for path in written:
                screen.line(str(path), wrap=False)
    elif json:
        screen.json(found.as_dict() | {"clean": found.clean})
    else:
        for line in markdown(found).splitlines():
            screen.line(line, wrap=False)
    if not found.clean:
        say("Something is unexplained: see the first part of the proof.")
        raise typer.Exit(FOUND_A_PROBLEM)
