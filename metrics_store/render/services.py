"""How services look: what they said last, their heartbeats, uptime, outages, trend."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.signs import hanging
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.services.results import (
        Heartbeat,
        Outage,
        ServiceSetting,
        ServicesImported,
        ServiceStatus,
        ServiceTrend,
        Uptime,
    )

_STATES = {"up": "green", "down": "bold red", "silent": "red"}
_VERDICTS = {"faster": "green", "steady": "green", "slower": "bold yellow", "unknown": "dim"}
_MEASURES = {"latency": "latency", "interval": "from one heartbeat to the next"}


def _course(shares: Sequence[float | None]) -> Cell:
    """Uptime over time: a full block is all of it, a dot none, or nothing heard yet."""
    # On a scale from none to all of it; what is less than all never looks like all.
    parts = [
        0 if s is None else 100 if s == 100 else min(round(s), 86) or int(s > 0) for s in shares
    ]
    return Cell(figures.sparkline([*parts, 100])[:-1], "cyan")


def _rate(percent: float | None) -> Cell:
    if percent is None:
        return Cell(figures.NONE, "dim")
    # 99.95 % of a month is twenty minutes: rounding must not hide them.
    text = f"{min(percent, 99.999):.3f} %" if 99.9 <= percent < 100 else figures.percent(percent)
    return Cell(text, "green" if percent >= 99 else "yellow" if percent >= 90 else "red")


def services_table(
    services: Iterable[ServiceStatus],
    courses: Mapping[str, Sequence[float | None]],
    course_title: str,
) -> Table:
    """A row for each service.

    Args:
        courses: uptime over time by service, for the sparkline.
        course_title: the time it covers.
    """
    table = Table(
        [
            Column("service", elastic=True, style="bold"),
            Column("state"),
            Column("said", elastic=True),
            Column("ago", "right"),
            Column("works on", elastic=True),
            Column(course_title, short="24 hours"),
            Column("latency", "right", optional=True),
        ]
    )
    for one in services:
        table.add(
            one.service_name,
            Cell(one.state, _STATES[one.state]),
            one.status,
            figures.duration(one.age_seconds),
            one.current_task or "",
            _course(courses[one.service_name]),
            figures.duration(one.latency_seconds),
        )
    return table


def doubts(services: Iterable[ServiceStatus]) -> Iterator[str]:
    """What to say of services whose newest heartbeat lies in the future."""
    for one in services:
        if one.ahead_seconds is not None:
            yield (
                f"{one.service_name}: its newest heartbeat is {figures.duration(one.ahead_seconds)}"
                " in the future: a clock was wrong; shown is the newest that is not."
            )


def history_table(heartbeats: Iterable[Heartbeat]) -> Table:
    """A row for each heartbeat."""
    rows = list(heartbeats)
    any_late = any(beat.created_at > beat.heartbeat_timestamp for beat in rows)
    table = Table(
        [
            Column("moment (UTC)", short="moment"),
            Column("said", elastic=True),
            Column("works on", elastic=True),
            Column("latency", "right"),
            *([Column("late by", "right", style="dim", optional=True)] if any_late else []),
        ]
    )
    for beat in rows:
        table.add(
            beat.heartbeat_timestamp[:19].replace("T", " "),
            Cell(beat.status, "red" if beat.down else ""),
            beat.current_task or "",
            figures.duration(beat.latency_seconds),
            *([_late_by(beat)] if any_late else []),
        )
    return table


def _late_by(beat: Heartbeat) -> str:
    from metrics_store import clock

    late_us = clock.parse(beat.created_at) - clock.parse(beat.heartbeat_timestamp)
    if late_us <= 0:
        return ""
    return figures.duration(late_us / clock.MICROSECONDS)


def show_uptime(screen: Screen, up: Uptime, course: Sequence[float | None]) -> None:
    """Write how much of a time a service was up."""
    screen.line(Cell(up.service_name, "bold"), "  ", _rate(up.uptime_percent), " up")
    table = Table([Column("", style="dim"), Column("", "right"), Column("", "right")], indent=2)
    for name, seconds, style in (
        ("up", up.up_seconds, "green"),
        ("down", up.down_seconds, "red"),
        ("silent", up.silent_seconds, "red"),
    ):
        share = 100.0 * seconds / up.seconds if up.seconds else None
        shown = Cell(figures.percent(share), style if seconds else "dim")
        table.add(name, figures.duration(seconds), shown)
    screen.table(table)
    facts = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    since, until = figures.moment(up.since), figures.moment(up.until)
    facts.add("from", f"{since} to {until} UTC, {figures.duration(up.seconds)}")
    facts.add("outages", figures.number(up.outages))
    facts.add("over time", _course(course))
    screen.table(facts)


def outages_table(outages: Iterable[Outage]) -> Table:
    """A row for each outage."""
    table = Table(
        [
            Column("from (UTC)", short="from"),
            Column("to (UTC)", short="to"),
            Column("for", "right"),
            Column("cause", elastic=True),
            Column("down", "right", optional=True),
            Column("silent", "right", optional=True),
        ]
    )
    for outage in outages:
        table.add(
            outage.start_at[:19].replace("T", " "),
            Cell("it lasts", "bold red")
            if outage.end_at is None
            else outage.end_at[:19].replace("T", " "),
            figures.duration(outage.seconds),
            Cell(_cause(outage), "red"),
            figures.duration(outage.down_seconds),
            figures.duration(outage.silent_seconds),
        )
    return table


def _cause(outage: Outage) -> str:
    if outage.cause == "said":
        return f"said {outage.status}"
    return "silent" if outage.status is None else f"silent, then said {outage.status}"


def show_trend(screen: Screen, trend: ServiceTrend) -> None:
    """Write whether a service is getting slower."""
    head = Cell(trend.verdict, _VERDICTS[trend.verdict])
    screen.line(Cell(trend.service_name, "bold"), "  ", head)
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    table.add("measured", _MEASURES[trend.measure])
    change = ""
    if trend.change_percent is not None:
        change = f", {trend.change_percent:+.1f} %"
    table.add("recently", f"{_median(trend.recent_seconds, trend.recent_measured)}{change}")
    table.add("before", _median(trend.before_seconds, trend.before_measured))
    if trend.tolerance_seconds is not None:
        table.add("tolerated", f"{figures.duration(trend.tolerance_seconds)} either way")
    if not trend.recent_measured + trend.before_measured:
        screen.table(table)
        return
    values = [round((day.median_seconds or 0.0) * 1e6) for day in trend.days]
    table.add("each day", Cell(figures.sparkline(values), "cyan"))
    screen.table(table)


def _median(seconds: float | None, measured: int) -> str:
    if not measured:
        return "nothing was measured"
    return f"{figures.duration(seconds)}, median of {figures.number(measured)}"


def show_setting(screen: Screen, setting: ServiceSetting) -> None:
    """Write how a service is judged."""
    screen.line(Cell(setting.service_name, "bold"))
    for name, field, text in (
        ("expected every", "every_seconds", figures.duration(setting.every_seconds)),
        ("vouches for", "grace_seconds", figures.duration(setting.grace_seconds)),
        ("down if it says", "bad_statuses", ", ".join(setting.bad_statuses) or figures.NONE),
    ):
        said = text if field in setting.own else f"{text} (default)"
        hanging(screen, [Cell(f"  {name:<17}", "dim")], said)


def show_import(screen: Screen, done: ServicesImported, *, dry_run: bool) -> None:
    """Write what an import came to."""
    verb = "Dry run over" if dry_run else "Took in"
    screen.line(Cell(f"{verb} {figures.path(done.source)}", "bold"))
    n = figures.number
    table = Table([Column("", "right"), Column("", style="bold"), Column("", elastic=True)], 2)
    of = f"heartbeats; new ones of {', '.join(done.services)}" if done.services else "heartbeats"
    table.add(n(done.read), "read", Cell(of, "dim"))
    table.add(f"= {n(done.inserted)}", "inserted", Cell("new in the store", "dim"))
    table.add(f"+ {n(done.already_there)}", "already there", Cell("", "dim"))
    table.add(f"+ {n(done.retired)}", "retired", Cell("retention has deleted that time", "dim"))
    refused = Cell("refused", "yellow" if done.refused else "bold")
    table.add(f"+ {n(done.refused)}", refused, Cell("cannot be a heartbeat", "dim"))
    screen.table(table)
    for reason in done.reasons:
        screen.line(Cell(f"  {reason}", "yellow"))
