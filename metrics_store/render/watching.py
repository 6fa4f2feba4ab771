"""The live screen of health: what it draws, and what it remembers from tick to tick."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.health import Typed, facts, show_findings, show_status
from metrics_store.render.screen import Screen
from metrics_store.render.signs import hanging
from metrics_store.render.table import Cell

if TYPE_CHECKING:
    from metrics_store.health.report import HealthReport

_LABEL = 12
_MOST, _LEAST, _BESIDE = 120, 8, 26
#: These have a line of their own on the live screen.
_DRAWN = ("in flight", "log")


class Page(StringIO):
    """What would be written to the terminal, kept to be drawn in one go."""

    def __init__(self, encoding: str | None) -> None:
        super().__init__()
        self._encoding = encoding or "utf-8"

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return True


@dataclass(slots=True)
class History:
    """The last ticks of a watch.

    Args:
        moments: seconds on a monotonic clock.
        reports: what was found; the newest last.
    """

    moments: deque[float] = field(default_factory=lambda: deque(maxlen=_MOST + 1))
    reports: deque[HealthReport] = field(default_factory=lambda: deque(maxlen=_MOST + 1))

    def add(self, moment: float, report: HealthReport) -> None:
        """Note a tick."""
        self.moments.append(moment)
        self.reports.append(report)

    def recorded(self) -> list[int]:
        """Runs recorded between each tick and the one before."""
        totals = [report.metrics.invocations_total for report in self.reports]
        return [
            max(0, later - before) if later is not None and before is not None else 0
            for before, later in zip(totals, list(totals)[1:], strict=False)
        ]

    def rate(self) -> float | None:
        """Runs recorded per second since the tick before; None at the first."""
        recorded = self.recorded()
        if not recorded:
            return None
        seconds = self.moments[-1] - self.moments[-2]
        return recorded[-1] / seconds if seconds > 0 else None

    def series(self, metric: str) -> list[int]:
        """A metric at each tick, in whole numbers; 0 where it is not known."""
        return [int(report.metrics.number(metric) or 0) for report in self.reports]


def show_watch(screen: Screen, history: History, typed: Typed) -> None:
    """Write what one tick shows; what matters least comes last, where a low screen ends."""
    report = history.reports[-1]
    m = report.metrics
    show_status(screen, report, f"{report.at[11:19]} UTC")
    screen.line()
    wide = max(_LEAST, min(_MOST, (screen.width or 80) - _LABEL - _BESIDE - 4))
    rate = history.rate()
    pages = m.wal_unfolded_frames
    log = f"{m.wal_mb or 0:,.1f} MiB"
    if pages is not None:
        log = f"{figures.plural(pages, 'page')}, {log}"
    lines = [
        ("recorded", history.recorded(), "green", "" if rate is None else f"{_rate(rate)}/s"),
        ("log", history.series("wal_mb" if pages is None else "wal_unfolded_frames"), "cyan", log),
        ("views", history.series("readers"), "magenta", _number(m.readers)),
        ("in flight", history.series("in_flight"), "blue", _number(m.in_flight)),
    ]
    for label, values, style, said in lines:
        drawn = figures.sparkline(values[-wide:])
        screen.line(
            Cell(f"  {label:<{_LABEL}}", "dim"), Cell(f"{drawn:<{wide}}", style), f"  {said}"
        )
    show_findings(screen, report.findings, typed)
    screen.line()
    for label, text in facts(m):
        if label not in _DRAWN:
            hanging(screen, [Cell(f"  {label:<{_LABEL}}", "dim")], text)


def _number(n: int | None) -> str:
    return figures.NONE if n is None else figures.number(n)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 or rate == 0 else f"{rate:.1f}"
