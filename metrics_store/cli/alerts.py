"""`alerts list | show | ack | resolve | raise | evaluate | import | rules`: what is wrong."""

from __future__ import annotations

import getpass
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, open_store, say
from metrics_store.clock import Clock
from metrics_store.errors import UsageError
from metrics_store.render import alerts as looks
from metrics_store.render.screen import Screen

app = typer.Typer(
    help="See what is wrong, and say who knows of it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


class State(StrEnum):
    """Which alerts."""

    open = "open"
    unacknowledged = "unacknowledged"
    resolved = "resolved"
    all = "all"


class Severity(StrEnum):
    """How bad."""

    info = "info"
    warning = "warning"
    error = "error"
    critical = "critical"


class Kind(StrEnum):
    """What of."""

    agent = "agent"
    task = "task"
    system = "system"
    performance = "performance"


Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="Of the alert; its last characters are enough."),
]
By = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Who; by default this user.", show_default=False),
]
Rules = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        readable=False,  # our own error says it better
        help="A YAML file with rules and hooks; by default the rules that are shipped.",
        show_default=False,
    ),
]


@app.callback()
def alerts(db: Database = None) -> None:
    """See what is wrong, and say who knows of it."""


@app.command("list")
def list_(
    state: Annotated[State, typer.Option(help="Which.")] = State.open,
    severity: Annotated[
        Severity | None, typer.Option(help="The least.", show_default=False)
    ] = None,
    kind: Annotated[Kind | None, typer.Option("--type", help="Of a type.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="The latest N.")] = 50,
    json: Json = False,
    db: Database = None,
) -> None:
    """List alerts, the latest first."""
    screen = Screen()
    with open_store(db) as store:
        found = store.alerts(state.value, severity=severity, type=kind, limit=limit)
        evaluated_at = store.alerts_evaluated_at()
    if json:
        screen.json({"evaluated_at": evaluated_at, "alerts": [alert.as_dict() for alert in found]})
    else:
        looks.show_alerts(screen, found, state.value, evaluated_at, Clock().now_us())


@app.command()
def show(alert_id: Id, json: Json = False, db: Database = None) -> None:
    """Show an alert and everything that happened to it."""
    screen = Screen()
    with open_store(db) as store:
        found = store.alert(alert_id)
    if json:
        screen.json(found.as_dict())
    else:
        looks.show_history(screen, found, Clock().now_us())


@app.command()
def ack(alert_id: Id, by: By = None, json: Json = False, db: Database = None) -> None:
    """Say that somebody knows of an alert.

    It stays acknowledged while it lasts.
    """
    screen = Screen()
    with open_store(db, writing=True) as store:
        found = store.acknowledge_alert(alert_id, _who(by))
    if json:
        screen.json(found.as_dict())
    else:
        looks.show_one(screen, "acknowledged", found)


@app.command()
def resolve(alert_id: Id, by: By = None, json: Json = False, db: Database = None) -> None:
    """Resolve an alert by hand. If its rule still finds what it found, another one opens."""
    screen = Screen()
    with open_store(db, writing=True) as store:
        found = store.resolve_alert(alert_id, _who(by))
    if json:
        screen.json(found.as_dict())
    else:
        looks.show_one(screen, "resolved", found)


@app.command("raise")
def raise_(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What is wrong.")],
    message: Annotated[str, typer.Argument(metavar="[MESSAGE]", help="More of it.")] = "",
    severity: Annotated[Severity, typer.Option(help="How bad.")] = Severity.warning,
    kind: Annotated[Kind, typer.Option("--type", help="What of.")] = Kind.system,
    source: Annotated[str, typer.Option(metavar="NAME", help="What it is about.")] = "by hand",
    by: By = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Open an alert that no rule knows of. It lasts until somebody resolves it."""
    screen = Screen()
    with open_store(db, create=True, writing=True) as store:
        found = store.raise_alert(
            kind.value, severity.value, title, message, source=source, by=_who(by)
        )
    if json:
        screen.json(found.as_dict())
    else:
        looks.show_one(screen, "opened", found)


@app.command()
def evaluate(
    rules: Rules = None,
    hooks: Annotated[
        bool, typer.Option("--hooks/--no-hooks", help="Whether to tell the hooks now.")
    ] = True,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print nothing unless something changed or failed.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Evaluate the rules once, and tell the hooks.

    Alerts are opened, escalated and resolved.

    Exit code 1 while alerts are open. For cron, every few minutes; what is told is told once.

    \b
    metrics-store alerts evaluate --rules alert-rules.yaml --quiet
    """
    screen = Screen()
    with open_store(db, writing=True) as store:
        done = store.evaluate_alerts(rules, deliver=hooks)
    for delivery in done.deliveries:
        if delivery.error:
            say(f"hook {delivery.hook} was not told: {delivery.error}")
    if json:
        screen.json(done.as_dict())
    elif done.changes or not quiet:
        looks.show_evaluation(screen, done)
    if done.open:
        raise typer.Exit(FOUND_A_PROBLEM)


@app.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", readable=False, help="A SQLite file with a table alerts, or JSON lines."
        ),
    ],
    zone: Annotated[
        str | None,
        typer.Option(metavar="ZONE", help="Of moments without one; UTC.", show_default=False),
    ] = None,
    json: Json = False,
    db: Database = None,
) -> None:
    """Take in alerts that were kept elsewhere. Doing it again adds only what is new.

    Exit code 1 if some of them cannot be recorded.
    """
    screen = Screen()
    with open_store(db, create=True, writing=True) as store:
        found = store.import_alerts(source, zone=zone)
    for problem in found.problems:
        say(problem)
    if json:
        screen.json(found.as_dict())
    else:
        looks.show_imported(screen, found)
    if found.invalid:
        raise typer.Exit(FOUND_A_PROBLEM)


@app.command("rules")
def rules_(
    rules: Rules = None,
    metrics: Annotated[
        bool, typer.Option("--metrics", help="Show what rules can look at instead.")
    ] = False,
    yaml: Annotated[
        bool, typer.Option("--yaml", help="Print the shipped rules, to begin one's own from.")
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show the rules and the hooks.

    How often each rule opened an alert, and what hooks are owed.

    A file is checked by this: what is wrong in it is said with its line.
    """
    from metrics_store.alerts import rule_file

    if yaml + metrics + json > 1 or (yaml and rules is not None):
        raise UsageError("these options do not go together", hint="One of them at a time.")
    screen = Screen()
    if yaml:
        screen.stream.write(rule_file.shipped_text())
        return
    if metrics:
        looks.show_metrics(screen)
        return
    known = rule_file.shipped() if rules is None else rule_file.load(rules)
    with open_store(db) as store:
        counts, debts = store.alert_counts(), store.alert_debts()
    if json:
        screen.json(looks.rules_as_dict(known, counts, debts))
    else:
        looks.show_rules(screen, known, counts, debts)


def _who(by: str | None) -> str | None:
    if by is not None:
        return by
    # OSError and KeyError: no name is known of this user.
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return None
