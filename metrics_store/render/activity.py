"""How commits and tasks look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from metrics_store.agents.results import Commit, TaskEvent, TaskState, TaskVelocity
from metrics_store.render import figures
from metrics_store.render.agents import optional, status_cell
from metrics_store.render.screen import Screen
from metrics_store.render.skills import moment_cell
from metrics_store.render.table import Cell, Column, Table

_BAR = 20


def feed_table(commits: Iterable[Commit]) -> Table:
    """A row for each commit."""
    table = Table(
        [
            Column("commit", style="yellow"),
            Column("committed (UTC)", short="committed"),
            Column("by", elastic=True),
            Column("message", elastic=True),
            Column("files", "right", optional=True),
            Column("added", "right", style="green"),
            Column("deleted", "right", style="red", short="del"),
            Column("branch", elastic=True, optional=True),
        ]
    )
    for commit in commits:
        table.add(
            commit.short_hash[:12],
            moment_cell(commit.commit_timestamp),
            Cell(commit.agent_id, "bold") if commit.agent_id else commit.author.split(" <")[0],
            commit.message.split("\n", 1)[0],
            optional(commit.files_changed),
            figures.NONE if commit.lines_added is None else f"+{commit.lines_added:,}",
            figures.NONE if commit.lines_deleted is None else f"-{commit.lines_deleted:,}",
            commit.branch or figures.NONE,
        )
    return table


def tasks_table(tasks: Iterable[TaskState]) -> Table:
    """A row for each task."""
    table = Table(
        [
            Column("task", elastic=True, style="bold"),
            Column("status", elastic=True),
            Column("assigned to", elastic=True, short="to"),
            Column("title", elastic=True),
            Column("changed (UTC)", short="changed"),
            Column("by", elastic=True, optional=True),
        ]
    )
    for task in tasks:
        table.add(
            task.task_id,
            status_cell(task.status),
            task.assigned_to or figures.NONE,
            task.title or figures.NONE,
            moment_cell(task.last_at),
            task.changed_by or figures.NONE,
        )
    return table


def show_task(screen: Screen, events: Sequence[TaskEvent]) -> None:
    """Write what happened to a task."""
    titles = [str(e.details["title"]) for e in events if e.details.get("title")]
    screen.line(Cell(events[0].task_id, "bold"), f"  {titles[-1]}" if titles else "")
    table = Table(
        [
            Column("when (UTC)"),
            Column("event"),
            Column("status", elastic=True),
            Column("assigned to", elastic=True),
            Column("by", elastic=True),
            Column("changed", elastic=True, style="dim", optional=True),
        ],
        indent=2,
    )
    for event in events:
        table.add(
            f"{event.recorded_at[:10]} {event.recorded_at[11:19]}",
            status_cell(event.event_type),
            _step(event),
            "nobody" if event.assigned_to == "" else event.assigned_to or figures.NONE,
            event.changed_by or figures.NONE,
            _changed(event.details),
        )
    screen.table(table)


def _step(event: TaskEvent) -> str:
    if event.previous_status is None or event.previous_status == event.new_status:
        return event.new_status or figures.NONE
    return f"{event.previous_status} > {event.new_status or figures.NONE}"


def _changed(details: Mapping[str, object]) -> str:
    changed = details.get("changed")
    return ", ".join(map(str, changed)) if isinstance(changed, list) else ""


def show_velocity(screen: Screen, found: TaskVelocity) -> None:
    """Write how fast tasks are done, day by day."""
    table = Table(
        [
            Column("day (UTC)"),
            Column("created", "right"),
            Column("completed", "right"),
            Column("blocked", "right"),
            Column("assigned", "right"),
            Column("", style="green"),
        ]
    )
    most = max(day.completed for day in found.days)
    for day in found.days:
        numbers = (day.created, day.completed, day.blocked, day.assigned)
        table.add(
            day.day,
            *(Cell(figures.number(n), "" if n else "dim") for n in numbers),
            figures.bar(day.completed, most, _BAR),
        )
    screen.table(table)
    screen.line()
    facts = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    facts.add(
        "completed", f"{figures.number(found.completed)}, {found.completed_per_day:.2f} a day"
    )
    facts.add("lead time", _lead(found))
    if found.by_assignee:
        named = [f"{name} {n:,}" for name, n in list(found.by_assignee.items())[:8]]
        facts.add("by", ", ".join(named))
    screen.table(facts)


def _lead(found: TaskVelocity) -> str:
    if not found.lead_times:
        return figures.NONE
    median = figures.duration(found.median_lead_seconds)
    return f"{figures.duration(found.average_lead_seconds)} on average, half within {median}"
