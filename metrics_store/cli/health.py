"""`health`: how the store is, for people, for cron and for scripts."""

from __future__ import annotations

import os
import re
import shlex
import time
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from metrics_store.cli.operating import program
from metrics_store.cli.options import FOUND_A_PROBLEM, PROGRAM, Database, Json, say
from metrics_store.clock import Clock
from metrics_store.errors import MetricsStoreError, UsageError
from metrics_store.render.health import show_alerts, show_health, show_stats
from metrics_store.render.screen import Screen
from metrics_store.settings import Settings

if TYPE_CHECKING:
    from metrics_store.health.report import HealthReport, Level
    from metrics_store.health.thresholds import Thresholds

_COMMAND = re.compile(rf"`{PROGRAM} (?=[a-z])")
_LONGEST_INTERVAL = 86_400.0
_LEVELS: dict[str, Level] = {"warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}


class FailOn(StrEnum):
    """From which level on the exit code is 1."""

    warning = "warning"
    error = "error"
    critical = "critical"


def health(
    stats: Annotated[
        bool, typer.Option("--stats", help="Every metric, with its thresholds.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")
    ] = False,
    interval: Annotated[
        float, typer.Option(min=0.2, metavar="S", help="Seconds from one look to the next.")
    ] = 2.0,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Print the value of this metric alone; the exit code is by its findings.",
            show_default=False,
        ),
    ] = None,
    alert: Annotated[
        bool,
        typer.Option("--alert", help="Print a line for each finding, nothing if there is none."),
    ] = False,
    thresholds: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            readable=False,  # our own error says it better
            help="A YAML file with thresholds; the others stay as they are.",
            show_default=False,
        ),
    ] = None,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="From which level on the exit code is 1.")
    ] = FailOn.warning,
    json: Json = False,
    db: Database = None,
) -> None:
    """Show how the store is, and what to do.

    OK, WARNING, ERROR or CRITICAL.

    Nothing is changed. Exit code 1 if something was found, 3 if there is no store to look at.

    \b
    metrics-store health
    metrics-store health --watch --interval 1
    metrics-store health --alert --thresholds health-thresholds.yaml --fail-on error
    metrics-store health --metric disk_days_left
    """
    _refuse(stats, watch, metric, alert, interval)
    from metrics_store.health.thresholds import DEFAULTS, load

    limits = DEFAULTS if thresholds is None else load(thresholds)
    watched, screen, typed = _Watched(db, limits), Screen(), _Typed(db)
    if watch:
        if screen.terminal and not json and metric is None:
            _watch_live(watched, screen, typed, interval)
        _watch(watched, screen, typed, metric, interval, json=json)
    report = watched.look()
    if metric is not None:
        report = report.about(metric)
        _show_metric(screen, report, metric, json=json, line=False)
    elif json:
        _show_json(screen, report, limits, stats=stats, alert=alert)
    elif alert:
        show_alerts(screen, report, typed)
    elif stats:
        show_stats(screen, report, limits, typed)
    else:
        show_health(screen, report, typed)
    if report.reaches(_LEVELS[fail_on]):
        raise typer.Exit(FOUND_A_PROBLEM)


def _refuse(stats: bool, watch: bool, metric: str | None, alert: bool, interval: float) -> None:
    from metrics_store.health.metrics import NAMES

    chosen = [
        option
        for option, given in (("--stats", stats), ("--alert", alert), ("--metric", metric))
        if given
    ]
    if not interval <= _LONGEST_INTERVAL:
        raise UsageError(f"--interval is {interval:g}", hint="It is seconds, at most a day.")
    if len(chosen) > 1:
        raise UsageError(f"{' and '.join(chosen)} do not go together", hint="Leave one out.")
    if watch and (stats or alert):
        raise UsageError(
            f"--watch and {chosen[0]} do not go together",
            hint=f"--watch shows the findings by itself; for cron use {PROGRAM} health --alert.",
        )
    if metric is not None and metric not in NAMES:
        raise UsageError(f"there is no metric {metric!r}", hint=f"There are {', '.join(NAMES)}.")


class _Watched:
    """The store that the command line names, to be looked at once or again and again."""

    def __init__(self, db: Path | None, limits: Thresholds) -> None:
        from metrics_store.health.log_readers import LogReaders

        self._settings, self._clock, self._limits = Settings.load(db), Clock(), limits
        # Kept from one look to the next, so that it knows for how long views have been held.
        self._readers = LogReaders(os.path.realpath(self._settings.database), self._clock)

    def look(self) -> HealthReport:
        """Look once."""
        from metrics_store.health.measuring import measure

        return measure(
            self._settings.database,
            self._settings,
            self._clock,
            thresholds=self._limits,
            log_readers=self._readers,
        )

    def ticks(self, interval: float) -> Iterator[HealthReport]:
        """Look without end: each time an interval after the time before, if it can be."""
        from metrics_store.health.measuring import vanished

        due, report = time.monotonic(), self.look()
        while True:
            yield report
            now = time.monotonic()
            due = max(due + interval, now)
            time.sleep(due - now)
            try:
                report = self.look()
            except MetricsStoreError as error:
                # It has gone meanwhile, and may come back.
                report = vanished(report, error, self._clock)


class _Typed:
    """Texts with the commands in them as they are to be typed here."""

    def __init__(self, db: Path | None) -> None:
        self._db = db

    def __call__(self, text: str) -> str:
        options = "" if self._db is None else f" --db {shlex.quote(str(self._db))}"
        return _COMMAND.sub(lambda _: f"`{program()}{options} ", text)


def _show_json(
    screen: Screen, report: HealthReport, limits: Thresholds, *, stats: bool, alert: bool
) -> None:
    if alert and not report.findings:
        return
    more = {"thresholds": limits.as_dict()} if stats else {}
    screen.json(report.as_dict() | more)


def _show_metric(
    screen: Screen, report: HealthReport, metric: str, *, json: bool, line: bool
) -> None:
    value: object = asdict(report.metrics)[metric]
    if json:
        write = screen.json_line if line else screen.json
        write({"metric": metric, "value": value, "status": report.status})
        return
    if metric == "slow_calls_by_name":
        for slow in report.metrics.slow_calls_by_name:
            # The name last: it may hold anything.
            screen.line(f"{slow.calls} {slow.slowest_ms} {slow.name}", wrap=False)
    else:
        screen.line(_bare(value), wrap=False)
    if value is None:
        say(*(f"{finding.level}: {finding.detail}" for finding in report.findings))


def _bare(value: object) -> str:
    if value is None:
        return "unknown"
    return str(value).lower() if isinstance(value, bool) else str(value)


# Watching


def _watch(
    watched: _Watched,
    screen: Screen,
    typed: _Typed,
    metric: str | None,
    interval: float,
    *,
    json: bool,
) -> NoReturn:
    for report in watched.ticks(interval):
        if metric is not None:
            _show_metric(screen, report.about(metric), metric, json=json, line=True)
        elif json:
            screen.json_line(report.as_dict())
        else:
            show_health(screen, report, typed)
            screen.line()
        screen.stream.flush()
    raise AssertionError("a watch ends by Ctrl-C")


def _watch_live(watched: _Watched, screen: Screen, typed: _Typed, interval: float) -> NoReturn:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    from metrics_store.render.watching import History, Page, show_watch

    history, ticks = History(), watched.ticks(interval)
    history.add(time.monotonic(), next(ticks))  # what it raises is told on the ordinary screen
    console = Console(file=screen.stream, markup=False, emoji=False, highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            page = Page(screen.stream.encoding)
            show_watch(Screen(page), history, typed)
            lines = page.getvalue().splitlines()[: max(1, console.height - 2)]
            # Our own styles alone: in the text of others every escape was made visible.
            text = Text.from_ansi("\n".join([*lines, "", ""]))
            text.append(f"every {interval:g} s; Ctrl-C ends it", "dim")
            live.update(text, refresh=True)
            history.add(time.monotonic(), next(ticks))
