"""How skills look: the table of all, everything of one, its timeline."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table
from metrics_store.results import SkillMetrics, Summary, TimelinePoint, WorkflowPath

_BAR = 24
_MOST = 8


def rate_cell(completed: int, total: int) -> Cell:
    """A completion rate with its colour; none where nothing has ended."""
    if total <= 0:
        return Cell(figures.NONE, "dim")
    rate = 100.0 * completed / total
    return Cell(figures.percent(rate), "green" if rate >= 95 else "yellow" if rate >= 80 else "red")


def moment_cell(utc: str | None) -> Cell:
    """A moment that keeps its day where the terminal is narrow."""
    return Cell(figures.moment(utc), short=figures.day(utc))


def skills_table(
    skills: Iterable[SkillMetrics], trends: Mapping[str, Sequence[int]], trend_title: str
) -> Table:
    """A row for each skill.

    Args:
        trends: invocations over time by skill, for the sparkline.
        trend_title: the time it covers.
    """
    rows = list(skills)
    table = Table(
        [
            Column("skill", elastic=True, style="bold"),
            Column("runs", "right"),
            Column("completed", "right", short="done"),
            Column("p50", "right"),
            Column("p95", "right"),
            Column(trend_title, style="cyan", short="trend"),
            Column("last used (UTC)", short="last used"),
            *(
                [Column("in flight", "right", optional=True)]
                if any(m.in_flight for m in rows)
                else []
            ),
        ]
    )
    length = max(map(len, trends.values()), default=0)
    for m in rows:
        table.add(
            m.skill_name,
            figures.number(m.total_invocations),
            rate_cell(m.completed_invocations, m.total_invocations),
            figures.duration(m.p50_duration_seconds),
            figures.duration(m.p95_duration_seconds),
            figures.sparkline(trends.get(m.skill_name, [0] * length)),
            moment_cell(m.last_invoked),
            *([str(m.in_flight or "")] if len(table.columns) > 7 else []),
        )
    return table


def show_skill(screen: Screen, m: SkillMetrics, trend: Sequence[int], trend_title: str) -> None:
    """Write everything of one skill."""
    screen.line(Cell(m.skill_name, "bold"))
    screen.table(_facts(m, trend, trend_title))
    for title, counts, style in (
        ("Errors", m.common_errors, "red"),
        ("Workflow paths", m.workflow_paths, "cyan"),
        ("Follow-up actions", m.follow_up_actions, "cyan"),
    ):
        if counts:
            screen.heading(title)
            show_counts(screen, counts, style)
    if m.baseline is not None:
        _show_baseline(screen, m)


def _facts(m: SkillMetrics, trend: Sequence[int], trend_title: str) -> Table:
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    ended = m.completed_invocations + m.failed_invocations
    others = m.total_invocations - ended
    table.add("runs", figures.number(m.total_invocations))
    rate = rate_cell(m.completed_invocations, m.total_invocations)
    table.add(
        "completed", Cell(f"{figures.number(m.completed_invocations)}  {rate.text}", rate.style)
    )
    table.add("failed", figures.number(m.failed_invocations))
    if others:
        table.add("neither", figures.number(others))
    if m.in_flight:
        table.add("in flight", figures.number(m.in_flight))
    d = figures.duration
    table.add(
        "duration",
        f"p50 {d(m.p50_duration_seconds)}   p95 {d(m.p95_duration_seconds)}   "
        f"p99 {d(m.p99_duration_seconds)}",
    )
    average = m.avg_duration_seconds if m.completed_invocations > 0 else None
    table.add(
        "",
        f"from {d(m.min_duration_seconds)} to {d(m.max_duration_seconds)}, "
        f"on average {d(average)}, {d(m.total_duration_seconds)} in all",
    )
    table.add("first used", _moment(m.first_invoked))
    table.add("last used", _moment(m.last_invoked))
    table.add(trend_title, Cell(figures.sparkline(trend), "cyan"))
    return table


def _moment(utc: str | None) -> str:
    return figures.NONE if utc is None else f"{figures.moment(utc)} UTC"


def show_counts(screen: Screen, counts: Mapping[str, int], style: str, most: int = _MOST) -> None:
    """Write the largest of some counts as bars."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    table = Table([Column("", elastic=True), Column("", "right"), Column("", style=style)], 2)
    for label, n in ordered[:most]:
        table.add(label or "(empty)", figures.number(n), figures.bar(n, ordered[0][1], _BAR))
    screen.table(table)
    if len(ordered) > most:
        screen.line(Cell(f"  and {figures.number(len(ordered) - most)} more", "dim"))


def _show_baseline(screen: Screen, m: SkillMetrics) -> None:
    baseline = m.baseline
    assert baseline is not None
    screen.heading("Of these, known from a legacy file's totals alone")
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    table.add("runs", figures.number(baseline.total_invocations))
    table.add("completed", figures.number(baseline.completed_invocations))
    table.add("duration", f"{figures.duration(baseline.total_duration_seconds)} in all")
    table.add("in the log", f"{figures.number(m.logged_invocations)} of the runs")
    screen.table(table)


def timeline_table(points: Sequence[TimelinePoint], zone: str, *, hours: bool) -> Table:
    """A row for each bucket, with a bar.

    Args:
        zone: whose days they are.
        hours: whether buckets are shorter than a day.
    """
    most = max((point.invocations for point in points), default=0)
    percentiles = any(point.p50_duration_seconds is not None for point in points)
    table = Table(
        [
            Column(f"from ({zone})", short="from"),
            Column("runs", "right"),
            Column("completed", "right", short="done"),
            Column("average", "right", short="avg"),
            *([Column("p50", "right"), Column("p95", "right")] if percentiles else []),
            Column("", style="cyan"),
        ]
    )
    for point in points:
        bucket = point.time_bucket
        table.add(
            f"{bucket[:10]} {bucket[11:16]}" if hours else bucket[:10],
            Cell(figures.number(point.invocations), "" if point.invocations else "dim"),
            rate_cell(point.completed, point.invocations),
            figures.duration(point.avg_duration_seconds),
            *(
                [
                    figures.duration(point.p50_duration_seconds),
                    figures.duration(point.p95_duration_seconds),
                ]
                if percentiles
                else []
            ),
            figures.bar(point.invocations, most, _BAR),
        )
    return table


def paths_table(paths: Iterable[WorkflowPath]) -> Table:
    """A row for each workflow path."""
    table = Table(
        [
            Column("skill", elastic=True, style="bold"),
            Column("workflow path", elastic=True),
            Column("runs", "right"),
            Column("completed", "right", short="done"),
            Column("average", "right", short="avg"),
            Column("last used (UTC)", short="last used"),
        ]
    )
    for path in paths:
        table.add(
            path.skill_name,
            path.workflow_path or "(empty)",
            figures.number(path.invocation_count),
            rate_cell(path.completed, path.invocation_count),
            figures.duration(path.avg_duration_seconds),
            moment_cell(path.last_invoked),
        )
    return table


def show_summary(screen: Screen, summary: Summary, *, title: str = "") -> None:
    """Write the numbers of all skills together.

    Args:
        title: without one, the skills by usage follow.
    """
    if title:
        screen.line(Cell(title, "bold"))
    runs = figures.plural(summary.total_invocations, "invocation")
    skills = figures.plural(summary.total_skills, "skill")
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    table.add("holds", f"{runs} of {skills}")
    if summary.first_invoked is not None:
        first, last = figures.moment(summary.first_invoked), figures.moment(summary.last_invoked)
        table.add("from", f"{first} to {last} UTC")
    rate = rate_cell(summary.completed_invocations, summary.total_invocations)
    completed = f"{figures.number(summary.completed_invocations)}  {rate.text}"
    table.add("completed", Cell(completed, rate.style))
    table.add("failed", figures.number(summary.failed_invocations))
    ended = summary.completed_invocations + summary.failed_invocations
    if others := summary.total_invocations - ended:
        table.add("neither", f"{figures.number(others)}  abandoned, or in a legacy total alone")
    average = summary.avg_duration_seconds if summary.completed_invocations > 0 else None
    table.add("duration", f"{figures.duration(average)} on average")
    table.add("in flight", figures.number(summary.in_flight))
    screen.table(table)
    if not title and summary.skills_by_usage:
        screen.heading("Most used")
        show_counts(screen, dict(summary.skills_by_usage), "cyan")
