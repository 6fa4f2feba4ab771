"""A bar on standard error while a legacy file is read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metrics_store.render.screen import is_terminal

if TYPE_CHECKING:
    from metrics_store.legacy.report import Progress


@contextmanager
def progress_bar() -> Iterator[Callable[[Progress], None] | None]:
    """A bar with rate and time left, if somebody is looking; a stage begun again begins anew."""
    if not is_terminal(sys.stderr):
        yield None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description:<10}", markup=False),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TextColumn(
            "{task.fields[records]:,} records, {task.fields[rate]:,.0f}/s", markup=False
        ),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        stage = ""

        def show(at: Progress) -> None:
            nonlocal stage
            if at.stage == "done":
                return
            if at.stage != stage:
                for before in bar.task_ids:
                    bar.remove_task(before)
                bar.add_task(at.stage, total=at.total, records=0, rate=0.0)
                stage = at.stage
            [task] = bar.tasks
            elapsed = task.elapsed or 0.0
            # Sooner there is none to speak of.
            rate = at.records / elapsed if elapsed > 0.2 else 0.0
            bar.update(task.id, completed=at.done, total=at.total, records=at.records, rate=rate)

        yield show
