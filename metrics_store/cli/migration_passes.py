"""`legacy backfill | verify | harvest | reconcile`: bringing over, and comparing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from metrics_store.cli.changing import Changing
from metrics_store.cli.operating import (
    DEFAULT,
    Execute,
    Habit,
    JsonFile,
    Typed,
    operating,
)
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, say
from metrics_store.cli.progress import progress_bar
from metrics_store.errors import WrongPhase
from metrics_store.render import passes

if TYPE_CHECKING:
    from metrics_store.legacy.report import ImportReport

To = Literal["db", "json"]


def backfill(
    context: typer.Context,
    execute: Habit = False,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take the whole JSON file into the store, twice.

    The second pass shows that nothing counts twice. Exit code 1 if anything is unexplained.

    \b
    metrics-store legacy backfill
    """
    from metrics_store.phases import beginning

    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        try:
            with progress_bar() as progress:
                done = beginning.backfill(operator, progress)
        except KeyboardInterrupt:
            say("The same command goes on where it stopped.")
            raise
        values = done.as_dict() | {"first": _report(done.first), "fine": done.fine}
        command.tell(operator, values, lambda page: passes.show_backfill(page, done), executed=True)
    if not done.fine:
        raise typer.Exit(FOUND_A_PROBLEM)


def verify(
    context: typer.Context,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the one that was cut short.")
    ] = False,
    execute: Habit = False,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Compare every record of the JSON file with the store.

    Runners may go on writing. Exit code 1 if a difference is unexplained.

    \b
    metrics-store legacy verify
    metrics-store legacy verify --resume
    """
    from pathlib import Path

    from metrics_store.legacy import verifying

    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        there = operator.control()
        if not there.phase.in_store:
            raise WrongPhase(f"in {there.phase} nothing was taken into the store yet")
        if there.archived is not None:
            raise WrongPhase(f"in {there.phase} the JSON file is {there.archived}")
        try:
            with progress_bar() as progress:
                done = verifying.verify(
                    operator.store(),
                    Path(operator.json_file),
                    zone=there.zone,
                    resume=resume,
                    epoch=there.epoch,
                    progress=progress,
                )
        except KeyboardInterrupt:
            going_on = Typed(json_file, db)("metrics-store legacy verify")
            say(f"{going_on} --resume goes on where it stopped.")
            raise
        values = done.as_dict() | {"clean": done.clean}
        command.tell(operator, values, lambda page: passes.show_verify(page, done), executed=True)
    if not done.clean:
        raise typer.Exit(FOUND_A_PROBLEM)


def harvest(
    context: typer.Context,
    execute: Habit = False,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take in what somebody wrote to the JSON file after the cutover.

    Exit code 1 if somebody did: a process is still to be found and stopped.

    \b
    metrics-store legacy harvest
    """
    from metrics_store.phases import harvesting

    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        with progress_bar() as progress:
            done = harvesting.harvest(operator, progress)
        values = done.as_dict() | {"report": _report(done.report), "found": done.found}
        command.tell(operator, values, lambda page: passes.show_harvest(page, done), executed=True)
    if done.written:
        raise typer.Exit(FOUND_A_PROBLEM)


def reconcile(
    context: typer.Context,
    to: Annotated[To, typer.Option("--to", help="The side that is brought up to the other.")],
    execute: Execute = False,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Bring the store or the JSON file up to the other side.

    To db: what waits in the spill, and what the JSON file has beyond the store. To json: what the
    store has beyond the JSON file. Exit code 1 if anything is unexplained.

    \b
    metrics-store legacy reconcile --to db --execute
    """
    from metrics_store.phases import reconciling

    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        with progress_bar() as progress:
            done = reconciling.reconcile(operator, to, execute=execute, progress=progress)
        values = done.as_dict() | {"report": _report(done.report)}
        command.tell(
            operator,
            values,
            lambda page: passes.show_reconciled(page, done),
            executed=done.executed,
        )
    if done.report is not None and not done.report.fine:
        raise typer.Exit(FOUND_A_PROBLEM)


def _report(report: ImportReport | None) -> dict[str, object] | None:
    if report is None:
        return None
    return report.as_dict() | {"conserved": report.conserved, "fine": report.fine}
