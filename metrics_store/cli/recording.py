"""`record` and `reap`: the commands that write invocations."""

from __future__ import annotations

from typing import Annotated

import typer

from metrics_store.cli import json_lines
from metrics_store.cli.options import Database, Json, moment, open_store, say
from metrics_store.errors import UsageError
from metrics_store.records import Record
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Column, Table
from metrics_store.store import MetricsStore


def record(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="The skill that ran.", show_default=False),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="It failed.")] = False,
    duration: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="How long it took.", show_default=False),
    ] = None,
    error: Annotated[
        str | None,
        typer.Option(
            metavar="TYPE", help="What it failed with; means --failed.", show_default=False
        ),
    ] = None,
    path: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Its workflow path.", show_default=False)
    ] = None,
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="Its session.", show_default=False)
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="The project it worked on.", show_default=False),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="When it started: ISO 8601, UTC without an offset, or a span ago. By default it "
            "ended now.",
            show_default=False,
        ),
    ] = None,
    action: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="A follow-up action; may be repeated.", show_default=False
        ),
    ] = None,
    invocation_id: Annotated[
        str | None,
        typer.Option(
            "--id",
            metavar="ID",
            help="Its id: the same one twice is counted once. By default a new one.",
            show_default=False,
        ),
    ] = None,
    attribute: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Whatever else; may be repeated.", show_default=False
        ),
    ] = None,
    stdin: Annotated[
        bool,
        typer.Option("--stdin", help="Read records from standard input, a JSON object a line."),
    ] = False,
    db: Database = None,
) -> None:
    """Record an invocation that has ended, and print its id.

    With --stdin each line is an object with skill_name, completed and, as far as known, invoked_at,
    duration_seconds, workflow_path, session_id, project_path, error_type, follow_up_actions,
    attributes, invocation_id. All of them are recorded, or none.

    \b
    metrics-store record code-review --duration 12.5 --path security
    metrics-store record code-review --error TimeoutError --action retry
    metrics-store record --stdin < records.jsonl
    """
    given = [failed, duration, error, path, session, project, at, action, invocation_id, attribute]
    if stdin:
        if name is not None or any(value not in (None, False, []) for value in given):
            raise UsageError("--stdin takes everything from standard input")
        json_lines.record(db, MetricsStore.record_invocations, "invocation")
        return
    if name is None:
        raise UsageError("which skill ran?", hint="metrics-store record NAME, or --stdin.")
    fields: Record = {
        "duration_seconds": duration,
        "error_type": error,
        "workflow_path": path,
        "session_id": session,
        "project_path": project,
        "follow_up_actions": action or [],
        "invocation_id": invocation_id,
        "attributes": _attributes(attribute) if attribute else None,
    }
    with open_store(db, create=True) as store:
        fields["invoked_at"] = moment("--at", at, store.database.clock.now_us())
        done = store.record_invocation(name, not failed and error is None, **fields)
    Screen().line(done, wrap=False)


def _attributes(pairs: list[str]) -> dict[str, object]:
    attributes: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"--attribute {pair!r}", hint="Write it as KEY=VALUE.")
        attributes[key] = value
    return attributes


def reap(
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="SPAN",
            help="Also those whose last sign of life is older, such as '6 hours'.",
            show_default=False,
        ),
    ] = None,
    include_legacy: Annotated[
        bool, typer.Option("--include-legacy", help="Also those a legacy file never finished.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Close what was left in flight and will never end.

    It is recorded as abandoned if its process on this machine is gone.

    \b
    metrics-store reap --older-than "6 hours"
    """
    screen = Screen()
    with open_store(db, writing=True) as store:
        reaped = store.reap(older_than, include_legacy=include_legacy)
    if json:
        keys = ("invocation_id", "skill_name", "invoked_at", "reason")
        screen.json({"reaped": [{key: getattr(item, key) for key in keys} for item in reaped]})
        return
    if not reaped:
        say("Nothing was left in flight that is known to be abandoned.")
        return
    table = Table(
        [Column("id"), Column("skill", elastic=True), Column("started (UTC)"), Column("why")]
    )
    for item in reaped:
        table.add(item.invocation_id, item.skill_name, figures.moment(item.invoked_at), item.reason)
    screen.table(table)
