"""`legacy start | advance | cutover | rollback`: going from one phase to another.

Each only says what it would do until it is told to do it with --execute.
"""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from metrics_store import windows
from metrics_store.cli.changing import Changing, tell_changed, tell_cut_over, tell_rolled_back
from metrics_store.cli.migration_reading import Zone
from metrics_store.cli.operating import (
    DEFAULT,
    Execute,
    Force,
    JsonFile,
    Reason,
    operating,
)
from metrics_store.cli.options import Database, Json
from metrics_store.cli.progress import progress_bar
from metrics_store.errors import InvalidQuery, UsageError
from metrics_store.render import changes

if TYPE_CHECKING:
    from metrics_store.phases.operator import Operator
    from metrics_store.phases.rolling_back import Rehearsed

#: No time at all, which is no span elsewhere.
_NOTHING = re.compile(r"\s*0+(\.0+)?\s*[a-z]*\s*")


def start(
    context: typer.Context,
    zone: Zone = None,
    shadow_reads: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="Compared reads that the gate asks for."),
    ] = 100,
    max_verify_age: Annotated[
        str, typer.Option(metavar="SPAN", help="How long a full verify stays fresh.")
    ] = "24 hours",
    soak: Annotated[
        str, typer.Option(metavar="SPAN", help="How long the store serves before complete.")
    ] = "7 days",
    sample_rate: Annotated[
        float, typer.Option(min=0, max=1, metavar="R", help="Share of reads that are compared.")
    ] = 1.0,
    execute: Execute = False,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Begin a migration: look at everything, write the control file.

    \b
    metrics-store legacy start --zone Europe/Berlin
    metrics-store legacy start --zone Europe/Berlin --soak "14 days" --execute
    """
    from metrics_store.legacy.control import Gates
    from metrics_store.phases import beginning

    wanted = Gates(
        shadow_reads, _span("--max-verify-age", max_verify_age), _span("--soak", soak), sample_rate
    )
    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        there, found = beginning.start(operator, zone=zone, wanted=wanted, execute=execute)
        values: dict[str, object] = {
            "executed": there is not None,
            "phase": "legacy",
            "epoch": 1,
            "migration_id": None if there is None else there.migration_id,
            "gates": asdict(wanted),
            "diagnosis": found.as_dict() | {"healthy": found.healthy},
        }
        command.tell(
            operator,
            values,
            lambda page: changes.show_start(page, found, wanted, executed=there is not None),
            executed=there is not None,
        )


def _span(option: str, text: str) -> float:
    if _NOTHING.fullmatch(text):
        return 0.0
    try:
        return windows.seconds(text)
    except InvalidQuery as error:
        raise UsageError(f"{option} {text!r}", hint=error.hint) from error


def advance(
    context: typer.Context,
    execute: Execute = False,
    force: Force = False,
    reason: Reason = None,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Go on to the next phase, if its gate is met.

    Exit code 2 if it is not, also without --execute.

    \b
    metrics-store legacy advance
    metrics-store legacy advance --execute
    """
    from metrics_store.phases import beginning

    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        changed = command.through_gate(
            lambda really: beginning.advance(operator, execute=really, force=force, reason=reason),
            execute=execute,
        )
        tell_changed(command, operator, changed, execute=execute)


def cutover(
    context: typer.Context,
    execute: Execute = False,
    force: Force = False,
    reason: Reason = None,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Let the store serve alone: sync, verify, back up, change over.

    Exit code 2 if the gate is not met, also without --execute.

    \b
    metrics-store legacy cutover
    metrics-store legacy cutover --execute
    """
    from metrics_store.phases import cutting_over

    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        with progress_bar() as progress:
            done = command.through_gate(
                lambda really: cutting_over.cutover(
                    operator, execute=really, force=force, reason=reason, progress=progress
                ),
                execute=execute,
            )
        tell_cut_over(command, operator, done, execute=execute)


def rollback(
    context: typer.Context,
    execute: Execute = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="Go the way back on copies; at once.")
    ] = False,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Go back: one dual phase, or from the store alone to JSON.

    What was recorded since the cutover is in the JSON file afterwards.

    \b
    metrics-store legacy rollback --rehearse
    metrics-store legacy rollback --execute
    """
    from metrics_store.phases import beginning, rolling_back

    if rehearse and execute:
        raise UsageError("--rehearse and --execute", hint="Rehearse first, then do it.")
    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        there = operator.control()
        if rehearse:
            with progress_bar() as progress:
                rehearsed = rolling_back.rehearse(operator, progress)
            _tell_rehearsed(command, operator, rehearsed)
        elif there.intent is None and there.phase.in_json:
            changed = beginning.step_back(operator, execute=execute)
            tell_changed(command, operator, changed, execute=execute)
        else:
            with progress_bar() as progress:
                done = rolling_back.rollback(operator, execute=execute, progress=progress)
            tell_rolled_back(command, operator, done)


def _tell_rehearsed(command: Changing, operator: Operator, done: Rehearsed) -> None:
    values = {"rehearsed": True, **done.as_dict()}
    command.tell(operator, values, lambda page: changes.show_rehearsed(page, done), executed=True)
