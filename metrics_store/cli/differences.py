"""`legacy diff list | show | explain`: the differences that were found, and why they are none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from metrics_store.cli.operating import DEFAULT, Habit, JsonFile, Typed, operating
from metrics_store.cli.options import FOUND_A_PROBLEM, Database, Json, say
from metrics_store.errors import UsageError
from metrics_store.render import differences as looks
from metrics_store.render import figures
from metrics_store.render.screen import Screen

if TYPE_CHECKING:
    from metrics_store.legacy.differences import Difference
    from metrics_store.phases.operator import Operator

app = typer.Typer(
    help="The differences that were found, and their explanations.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def diff(db: Database = None) -> None:
    """The differences that were found, and their explanations."""


@app.command("list")
def list_differences(
    open_: Annotated[bool, typer.Option("--open", help="Only what nobody has explained.")] = False,
    kind: Annotated[
        str | None, typer.Option(metavar="K", help="Only of this kind.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="Show at most N.")] = 50,
    after: Annotated[int, typer.Option(min=0, metavar="ID", help="Go on after this one.")] = 0,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """List what the newest verify and compared reads found.

    Exit code 1 if one of them is open.

    \b
    metrics-store legacy diff list --open
    """
    from metrics_store.legacy import differences

    screen = Screen()
    with operating(json_file, db) as operator:
        store = operator.store()
        counts = differences.counts(store)
        found = differences.listed(store, open_only=open_, kind=kind, limit=limit + 1, after=after)
    rows = found[:limit]
    following = rows[-1].id if len(found) > limit else None
    if json:
        screen.json(
            {
                "counts": [count.as_dict() for count in counts],
                "differences": [_plain(difference) for difference in rows],
                "next": following,
            }
        )
    else:
        looks.show_counts(screen, counts)
        if rows:
            screen.line()
            screen.table(looks.differences_table(rows))
        if following is not None:
            say(f"There are more: add --after {following}")
    if any(count.open for count in counts if kind in (None, count.kind)):
        raise typer.Exit(FOUND_A_PROBLEM)


@app.command()
def show(
    id_: Annotated[int, typer.Argument(metavar="ID", help="Its number.", show_default=False)],
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show both sides of one difference.

    \b
    metrics-store legacy diff show 1
    """
    from metrics_store.legacy import differences

    screen = Screen()
    with operating(json_file, db) as operator:
        found = differences.one(operator.store(), id_)
    if json:
        screen.json(_plain(found))
    else:
        looks.show_difference(screen, found, Typed(json_file, db))


@app.command()
def explain(
    id_: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="Its number.", show_default=False)
    ] = None,
    reason: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Why it is no fault.", show_default=False),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Look all open ones up again on both sides.")
    ] = False,
    execute: Habit = False,
    json_file: JsonFile = DEFAULT,
    json: Json = False,
    db: Database = None,
) -> None:
    """Explain a difference, or look all of them up again.

    With --all those are explained that both sides bear out; exit code 1 if any is open then.

    \b
    metrics-store legacy diff explain 1 --reason "the tracker was killed"
    metrics-store legacy diff explain --all
    """
    from metrics_store.legacy import differences

    screen = Screen()
    if all_ == (id_ is not None) or all_ == (reason is not None):
        raise UsageError("it takes ID and --reason, or --all", hint="One of the two.")
    with operating(json_file, db) as operator:
        if id_ is None:
            reads, resolved = _look_again(operator)
            left = sum(count.open for count in differences.counts(operator.store()))
        else:
            found = differences.explain(operator.store(), id_, reason or "", operator.by())
    if id_ is not None:
        if json:
            screen.json(_plain(found))
        else:
            looks.show_difference(screen, found, Typed(json_file, db))
        return
    if json:
        plain = [_plain(difference) for difference in resolved]
        screen.json({"reads": reads, "resolved": plain, "open": left})
    else:
        screen.line(f"Compared reads explained: {figures.number(reads)}.")
        screen.line(f"Differences of the newest verify resolved: {figures.number(len(resolved))}.")
        screen.line(f"Still open: {figures.number(left)}.")
    if left:
        raise typer.Exit(FOUND_A_PROBLEM)


def _look_again(operator: Operator) -> tuple[int, tuple[Difference, ...]]:
    from metrics_store.legacy import differences
    from metrics_store.phases import explaining

    with operator.at_work():
        there = operator.control()
        reads = explaining.explain_reads(operator, there)
        path = Path(operator.json_file)
        return reads, differences.explain_again(operator.store(), path, zone=there.zone)


def _plain(found: Difference) -> dict[str, object]:
    members = [list(member) for member in found.members]
    return found.as_dict() | {"open": found.is_open, "members": members}
