"""How health looks: one page, every number with its limits, lines for mail, and a live screen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.signs import hanging, signs
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.health.metrics import Metrics
    from metrics_store.health.report import Finding, HealthReport
    from metrics_store.health.thresholds import Thresholds

Typed = Callable[[str], str]

_STYLES = {
    "OK": "bold green",
    "WARNING": "bold yellow",
    "ERROR": "bold red",
    "CRITICAL": "bold white on red",
}
_LABEL = 12
_SLOWEST = 5


def show_health(screen: Screen, report: HealthReport, typed: Typed) -> None:
    """Write how a store is, on one page.

    Args:
        typed: makes commands such as can be typed here.
    """
    show_status(screen, report)
    show_findings(screen, report.findings, typed)
    screen.line()
    for label, text in facts(report.metrics):
        hanging(screen, [Cell(f"  {label:<{_LABEL}}", "dim")], text)


def show_status(screen: Screen, report: HealthReport, note: str = "") -> None:
    """Write which store it is, and its status.

    Args:
        note: said beside the status, instead of the moment.
    """
    n = len(report.findings)
    found = figures.plural(n, "finding") if n else "nothing to do"
    screen.line(Cell(figures.path(report.database), "bold"))
    screen.line(
        Cell(f" {report.status} ", _STYLES[report.status]),
        Cell(f" {found}, {note or figures.moment(report.at) + ' UTC'}", "dim"),
    )


def show_findings(screen: Screen, findings: Sequence[Finding], typed: Typed) -> None:
    """Write what asks for a person, and what to do about it."""
    if not findings:
        return
    screen.line()
    sign = signs(screen)
    width = max(len(finding.kind) for finding in findings)
    for finding in findings:
        mark, style = (sign.warning, "yellow")
        if finding.level != "WARNING":
            mark, style = (sign.unmet, "bold red" if finding.level == "CRITICAL" else "red")
        lead = [Cell(f"  {mark} ", style), Cell(f"{finding.kind:<{width}}  ", style)]
        hanging(screen, lead, finding.detail)
        if finding.hint:
            todo = Cell(f"    {'':{width}}  {sign.todo} ", "dim")
            hanging(screen, [todo], typed(finding.hint), "cyan")


def facts(m: Metrics) -> list[tuple[str, str]]:
    """What most people want to know, each in a line."""
    return [
        ("runs", _runs(m)),
        ("newest", _ago(m.newest_age_s)),
        ("completed", _completed(m)),
        ("in flight", _in_flight(m)),
        ("slow calls", _slow(m)),
        ("store", _store(m)),
        ("log", _log(m)),
        ("open", _open(m)),
        ("backup", _backup(m)),
        ("disk", _disk(m)),
        ("SQLite", _sqlite(m)),
    ]


def _said(value: object, unit: str = "count") -> str:
    from metrics_store.health.wording import spoken

    return figures.NONE if value is None else spoken(value, unit)


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return figures.NONE
    ago = _said(abs(seconds), "s")
    return f"{ago} ago" if seconds >= 0 else f"{ago} in the future"


def _runs(m: Metrics) -> str:
    return (
        f"{_said(m.invocations_hour)} in an hour, {_said(m.invocations_day)} in a day, "
        f"{_said(m.invocations_week)} in a week, {_said(m.invocations_total)} in all"
    )


def _completed(m: Metrics) -> str:
    day, total = m.success_rate_percent, m.success_rate_total_percent
    if day is None:
        return f"{figures.NONE} in the last day, {_said(total, '%')} of all"
    return f"{_said(day, '%')} of the last day's, {_said(total, '%')} of all"


def _in_flight(m: Metrics) -> str:
    gone = m.in_flight_without_process
    left = f", {_said(gone)} left by processes that have ended" if gone else ""
    return f"{_said(m.in_flight)}{left}"


def _slow(m: Metrics) -> str:
    if not m.slow_calls_day:
        return "none in the last day" if m.slow_calls_day == 0 else figures.NONE
    first = m.slow_calls_by_name[0].name
    slowest = _said(m.slowest_ms, "ms")
    return f"{_said(m.slow_calls_day)} in the last day, the slowest {slowest}; most often {first}"


def _store(m: Metrics) -> str:
    free = f", {_said(m.reclaimable_mb, 'MiB')} of it free" if m.reclaimable_mb else ""
    return f"{_said(m.database_mb, 'MiB')}{free}, schema {_said(m.schema_version)}"


def _log(m: Metrics) -> str:
    left = m.wal_unfolded_frames
    waiting = "" if left is None else f", {figures.plural(left, 'page')} to be folded back"
    return f"{_said(m.wal_mb, 'MiB')}{waiting}, last checkpoint {_ago(m.checkpoint_age_s)}"


def _open(m: Metrics) -> str:
    if m.attached_processes is None:
        return "this system does not tell by whom"
    n = m.attached_processes
    others = f"in {figures.plural(n, 'other process', 'other processes')}" if n else "nowhere else"
    writing = f"; {m.writing_process} writes" if m.writing_process is not None else ""
    return f"{others}, {_views(m)}{writing}"


def _views(m: Metrics) -> str:
    if not m.readers:
        return "no view is held"
    age = f" for {_said(m.oldest_reader_s, 's')} or longer" if m.oldest_reader_s else ""
    more = f" and {m.readers - 1} more" if m.readers > 1 else ""
    return f"a view is held by {m.oldest_reader}{age}{more}"


def _backup(m: Metrics) -> str:
    if m.last_backup is None:
        return figures.NONE if m.backups is None else "none"
    age = None if m.backup_age_hours is None else m.backup_age_hours * 3600
    n = m.backups or 0
    return f"{_ago(age)}, {figures.path(m.last_backup)}" + (f"; {n:,} in all" if n > 1 else "")


def _disk(m: Metrics) -> str:
    free = f"{_said(m.disk_free_mb, 'MiB')} of {_said(m.disk_total_mb, 'MiB')} left"
    if not m.growth_mb_per_day:
        return f"{free}; nothing grew in the last week" if m.growth_mb_per_day == 0 else free
    growth = _said(m.growth_mb_per_day, "MiB")
    return f"{free}, at {growth} a day for {_said(m.disk_days_left, 'days')}"


def _sqlite(m: Metrics) -> str:
    if m.sqlite_version is None:
        return figures.NONE
    has = "has" if m.sqlite_has_wal_reset_fix else "lacks"
    return f"{m.sqlite_version}, which {has} the WAL-reset fix; durability {m.durability}"


def show_alerts(screen: Screen, report: HealthReport, typed: Typed) -> None:
    """Write a line a finding, as for mail; nothing if there is none."""
    for finding in report.findings:
        line = f"{finding.level} {report.database}: {finding.detail} {typed(finding.hint)}"
        screen.line(line.rstrip(), wrap=False)


def show_stats(screen: Screen, report: HealthReport, thresholds: Thresholds, typed: Typed) -> None:
    """Write every metric with its limits, in groups."""
    from metrics_store.health.rules import RULES

    show_status(screen, report)
    show_findings(screen, report.findings, typed)
    screen.line()
    table = Table(
        [
            Column("metric"),
            Column("value", elastic=True, style="bold"),
            Column("warning", style="yellow"),
            Column("error", style="red"),
            Column("critical", style="red"),
        ]
    )
    group = ""
    for rule in RULES:
        if rule.group != group:
            if group:
                table.add(*[""] * 5)
            group = rule.group
        value = getattr(report.metrics, rule.metric)
        limits = thresholds.of(rule.metric)
        sign = "> " if rule.bad == "above" else "< "
        shown = [
            "" if limit is None else sign + _said(limit, rule.unit)
            for limit in (limits.warning, limits.error, limits.critical)
        ]
        text = figures.moment(value) if rule.unit == "moment" else _said(value, rule.unit)
        if rule.metric == "last_backup" and value is not None:
            text = figures.path(value)
        table.add(rule.metric, text, *shown)
    screen.table(table)
    _show_slow(screen, report.metrics)


def _show_slow(screen: Screen, m: Metrics) -> None:
    if not m.slow_calls_by_name:
        return
    screen.heading("Slow calls of the last day")
    table = Table(
        [Column("", elastic=True), Column("calls", "right"), Column("slowest", "right")], indent=2
    )
    for slow in m.slow_calls_by_name[:_SLOWEST]:
        table.add(slow.name, figures.number(slow.calls), _said(slow.slowest_ms, "ms"))
    screen.table(table)
    more = len(m.slow_calls_by_name) - _SLOWEST
    if more > 0:
        screen.line(Cell(f"  and {figures.number(more)} more", "dim"))
