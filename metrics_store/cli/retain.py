"""`retain plan | apply`: deleting what is past its time; the numbers it added to stay."""

from __future__ import annotations

from typing import Annotated

import typer

from metrics_store.cli.options import Database, Json, open_store
from metrics_store.cli.stages import stages
from metrics_store.errors import InvalidSetting
from metrics_store.render import retention as render
from metrics_store.render.screen import Screen

app = typer.Typer(
    help="Delete what is past its time; the numbers it added to stay.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Keep = Annotated[
    list[str] | None,
    typer.Option(
        "--keep",
        metavar="FAMILY=SPAN",
        help="Another time for a family, such as execution='180 days' or service=forever; "
        "for good it is the setting `retention`.",
        show_default=False,
    ),
]


@app.callback()
def retention(db: Database = None) -> None:
    """Delete what is past its time; the numbers it added to stay."""


@app.command()
def plan(keep: Keep = None, json: Json = False, db: Database = None) -> None:
    """Tell what is past its time in each family; nothing is deleted.

    \b
    metrics-store retain plan
    metrics-store retain plan --keep execution='180 days'
    """
    screen = Screen()
    with open_store(db) as store:
        found = store.retention_plan(_pairs(keep))
    if json:
        screen.json(found.as_dict())
    else:
        render.show_plan(screen, found)


@app.command()
def apply(
    keep: Keep = None,
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
    trust_clock: Annotated[
        bool,
        typer.Option(
            "--trust-clock", help="Go on although the newest record is more than a week old."
        ),
    ] = False,
    json: Json = False,
    db: Database = None,
) -> None:
    """Delete what is past its time, and give the space back.

    In batches so small that no writer waits long.

    \b
    metrics-store retain apply
    """
    screen = Screen()
    with open_store(db, writing=True) as store, stages() as progress:
        done = store.retain(
            _pairs(keep),
            seconds=seconds,
            trust_clock=trust_clock,
            progress=(lambda family, rows: progress(family, rows, 0)) if progress else None,
        )
    if json:
        screen.json(done.as_dict())
    else:
        render.show_applied(screen, done)


def _pairs(keep: list[str] | None) -> dict[str, str]:
    pairs = {}
    for text in keep or []:
        name, equals, span = text.partition("=")
        if not equals or not name.strip() or not span.strip():
            raise InvalidSetting(
                f"--keep {text!r:.60}", hint="Such as --keep execution='180 days'."
            )
        pairs[name.strip()] = span.strip()
    return pairs
