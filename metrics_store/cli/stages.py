"""A bar on standard error for work in stages, each with an end of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from metrics_store.render.screen import is_terminal
from metrics_store.render.text import visible


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None] | None]:
    """A bar for the present stage, if somebody is looking; it is gone in the end.

    It is told the stage, how much of it is done, and how much it is in all: 0 if that is not known.
    """
    if not is_terminal(sys.stderr):
        yield None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description:<26}", markup=False),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[share]:>4}", markup=False),
        progress.TimeElapsedColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        stage = ""

        def show(name: str, done: int, total: int) -> None:
            nonlocal stage
            if name != stage:
                for before in bar.task_ids:
                    bar.remove_task(before)
                bar.add_task(visible(name), total=total or None, share="")
                stage = name
            share = f"{done * 100 // total} %" if total else ""
            bar.update(bar.task_ids[0], completed=done, total=total or None, share=share)

        yield show
