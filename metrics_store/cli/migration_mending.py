"""`legacy resume | cancel | complete`: ending what was begun."""

from __future__ import annotations

import typer

from metrics_store.cli.changing import Changing, tell_changed, tell_cut_over, tell_rolled_back
from metrics_store.cli.operating import DEFAULT, Execute, Force, JsonFile, Reason, operating
from metrics_store.cli.options import Database, Json
from metrics_store.cli.progress import progress_bar
from metrics_store.render import changes


def resume(
    context: typer.Context,
    execute: Execute = False,
    force: Force = False,
    reason: Reason = None,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Go on with a cutover or rollback that was cut short.

    An old control file that was put back is brought up to the phase that the store knows.

    \b
    metrics-store legacy resume --execute
    """
    from metrics_store.phases import beginning, resuming
    from metrics_store.phases.beginning import Changed
    from metrics_store.phases.rolling_back import RolledBack

    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        beginning.forced_because(force, reason)
        with progress_bar() as progress:
            done = resuming.resume(
                operator, execute=execute, force=force, reason=reason, progress=progress
            )
        if isinstance(done, RolledBack):
            tell_rolled_back(command, operator, done)
        elif isinstance(done, Changed):
            tell_changed(command, operator, done, execute=execute)
        else:
            tell_cut_over(command, operator, done, execute=execute)


def cancel(
    context: typer.Context,
    execute: Execute = False,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Give up a cutover or rollback before its commit point.

    \b
    metrics-store legacy cancel --execute
    """
    from metrics_store.phases import beginning

    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        before = operator.control()
        there = beginning.cancel(operator, execute=execute)
        values: dict[str, object] = {
            "executed": execute,
            "cancelled": None if before.intent is None else before.intent.command,
            "phase": there.phase,
            "epoch": there.epoch,
        }
        command.tell(
            operator,
            values,
            lambda page: changes.show_cancelled(page, there, executed=execute),
            executed=execute,
        )


def complete(
    context: typer.Context,
    execute: Execute = False,
    force: Force = False,
    reason: Reason = None,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """End the migration: the JSON file goes into the archive.

    Exit code 2 if the gate is not met, also without --execute. The way back stays open.

    \b
    metrics-store legacy complete
    metrics-store legacy complete --execute
    """
    from metrics_store.phases import completing

    command = Changing(context, json_file, db, json=json)
    with operating(json_file, db) as operator:
        changed = command.through_gate(
            lambda really: completing.complete(
                operator, execute=really, force=force, reason=reason
            ),
            execute=execute,
        )
        tell_changed(command, operator, changed, execute=execute)
