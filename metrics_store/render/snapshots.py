"""How snapshots look: a list of them, one, and the course of a number."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from metrics_store.families.snapshots import WORKERS
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.signs import signs
from metrics_store.render.table import Cell, Column, Table
from metrics_store.snapshots.results import (
    Found,
    Project,
    Snapshot,
    Trend,
    TrendPoint,
)

_SPARKS = "▁▂▃▄▅▆▇█"
_BAR = 20
#: Characters of a course.
_COURSE = 40
_COURSES = ("files_indexed", "chunks_vectorized", "db_size_mb")

Number = int | float | None


def value(field: str, number: Number) -> str:
    """A number with its unit, as its field has it."""
    if number is None:
        return figures.NONE
    if field.endswith("_percent"):
        return figures.percent(number)
    if field == "db_size_mb":
        return f"{number:,.1f} MB"
    # The average of counts need not be one.
    return f"{number:,}" if isinstance(number, int) else f"{number:,.{0 if number >= 100 else 1}f}"


def course(numbers: Sequence[Number]) -> str:
    """A sparkline on a scale from the least to the most; ``·`` where nothing is known."""
    known = [number for number in numbers if number is not None]
    if not known:
        return "·" * len(numbers)
    least, most = min(known), max(known)
    step = (most - least) / 7
    return "".join(
        "·" if number is None else _SPARKS[3 if not step else round((number - least) / step)]
        for number in numbers
    )


def _thinned(numbers: Sequence[Number]) -> list[Number]:
    """At most so many of them as a course has characters, with the first and the last."""
    if len(numbers) <= _COURSE:
        return list(numbers)
    last = len(numbers) - 1
    return [numbers[round(i * last / (_COURSE - 1))] for i in range(_COURSE)]


def show_list(screen: Screen, snapshots: Sequence[Snapshot]) -> None:
    """Write a row for each snapshot, and the course of the main numbers."""
    sign = signs(screen)
    table = Table(
        [
            Column("#", "right", style="dim"),
            Column("recorded (UTC)"),
            Column("files", "right"),
            Column("indexed", "right"),
            Column("chunks", "right"),
            Column("vectorized", "right", short="vector."),
            Column("database", "right"),
            Column("workers", short="work"),
            Column("indexing", elastic=True, style="cyan"),
        ]
    )
    for s in snapshots:
        table.add(
            str(s.seq),
            figures.moment(s.recorded_at),
            value("files_total", s.files_total),
            value("files_indexed_percent", s.files_indexed_percent),
            value("chunks_total", s.chunks_total),
            value("chunks_vectorization_percent", s.chunks_vectorization_percent),
            value("db_size_mb", s.db_size_mb),
            _workers_cell(s, sign.passed, sign.ahead),
            s.indexing_current_file or s.indexing_operation or figures.NONE,
        )
    screen.table(table)
    if len(snapshots) > 1:
        _show_courses(screen, snapshots)


def _workers_cell(s: Snapshot, reached: str, missed: str) -> Cell:
    there = [_is_reached(s, worker) for worker in WORKERS]
    text = "".join(reached if worker else missed for worker in there)
    return Cell(text, "green" if all(there) else "yellow" if any(there) else "red")


def _is_reached(s: Snapshot, worker: str) -> bool:
    return any(s[f"{worker}_{part}"] is not None for part in ("pid", "operation"))


def _show_courses(screen: Screen, snapshots: Sequence[Snapshot]) -> None:
    table = Table([Column("", style="dim"), Column("", style="cyan"), Column("", elastic=True)])
    for field in _COURSES:
        numbers: list[Number] = [getattr(s, field) for s in snapshots]
        known = [number for number in numbers if number is not None]
        if len(known) > 1:
            table.add(field, course(_thinned(numbers)), _from_to(field, known[0], known[-1]))
    if table.rows:
        screen.line()
        screen.table(table)


def _from_to(field: str, first: Number, last: Number) -> str:
    return f"{value(field, first)} to {value(field, last)}"


def show_snapshot(screen: Screen, found: Found) -> None:
    """Write everything of one snapshot."""
    s, away = found.snapshot, distance(found)
    title = Cell(f"#{s.seq}  {moment(s.recorded_at)}", "bold")
    screen.line(title, Cell(f"  {away}" if away else "", "yellow"))
    table = Table([Column("", style="dim"), Column("", elastic=True)], indent=2)
    table.add("id", s.id)
    table.add(
        "files",
        f"{value('files_total', s.files_total)}, "
        f"{value('files_indexed', s.files_indexed)} indexed "
        f"({value('files_indexed_percent', s.files_indexed_percent)}), "
        f"{value('files_chunked_percent', s.files_chunked_percent)} chunked",
    )
    table.add(
        "chunks",
        f"{value('chunks_total', s.chunks_total)}, "
        f"{value('chunks_vectorized', s.chunks_vectorized)} vectorized "
        f"({value('chunks_vectorization_percent', s.chunks_vectorization_percent)})",
    )
    if s.db_size_mb is not None:
        table.add("database", value("db_size_mb", s.db_size_mb))
    if s.files_updated_24h is not None or s.chunks_updated_24h is not None:
        table.add(
            "in 24 hours",
            f"{value('files_updated_24h', s.files_updated_24h)} files and "
            f"{value('chunks_updated_24h', s.chunks_updated_24h)} chunks updated",
        )
    table.add("payload", f"{figures.size(len(s.payload_json.encode()))}, whole with --json")
    screen.table(table)
    screen.heading("Workers")
    screen.table(_workers(s))
    if s.projects:
        screen.heading("Projects")
        screen.table(_projects(s.projects))


def moment(utc: str) -> str:
    """A moment to the second."""
    return f"{utc[:10]} {utc[11:19]} UTC"


def distance(found: Found) -> str:
    """How far a snapshot is from the moment that was asked for."""
    away = found.seconds_away
    if away is None:
        return ""
    if not away:
        return "at that very moment"
    side = "after" if away > 0 else "before"
    return f"{figures.duration(abs(away))} {side} the moment asked for"


def _workers(s: Snapshot) -> Table:
    table = Table(
        [
            Column("worker"),
            Column("pid", "right"),
            Column("operation", elastic=True),
            Column("progress", "right"),
            Column("", style="cyan", optional=True),
            *([Column("file", elastic=True)] if s.indexing_current_file else []),
        ],
        indent=2,
    )
    for worker in WORKERS:
        pid, progress = s[f"{worker}_pid"], s[f"{worker}_progress_percent"]
        operation = s[f"{worker}_operation"]
        percent = progress if isinstance(progress, float) else None
        file = s.indexing_current_file if worker == "indexing" else None
        table.add(
            worker,
            figures.NONE if pid is None else str(pid),
            str(operation)
            if operation is not None
            else Cell(figures.NONE if _is_reached(s, worker) else "not reached", "red"),
            figures.percent(percent),
            figures.bar(percent or 0.0, 100.0, _BAR),
            *([file or ""] if s.indexing_current_file else []),
        )
    return table


def _projects(projects: Iterable[Project]) -> Table:
    table = Table(
        [
            Column("project", elastic=True, style="bold"),
            Column("files", "right"),
            Column("indexed", "right"),
            Column("chunks", "right"),
            Column("vectorized", "right"),
        ],
        indent=2,
    )
    for p in projects:
        counts = (p.file_count, p.files_indexed, p.chunk_count, p.vectorized_chunks)
        table.add(p.name, *(value("", count) for count in counts))
    return table


def show_trend(screen: Screen, found: Trend) -> None:
    """Write the course of a number: a line of it, then a row for each bucket."""
    points = _begun(found.points)
    of_whom = f" of {found.project}" if found.project is not None else ""
    averages: list[Number] = [point.average for point in points]
    known = [average for average in averages if average is not None]
    screen.line(
        Cell(f"{found.field}{of_whom}", "bold"),
        "  ",
        Cell(course(_thinned(averages)), "cyan"),
        f"  {_from_to(found.field, known[0], known[-1])}" if known else "",
    )
    screen.line()
    table = Table(
        [
            Column(f"{found.per} (UTC)"),
            Column("snapshots", "right", short="n"),
            Column("least", "right"),
            Column("average", "right"),
            Column("most", "right"),
            Column("last", "right"),
            Column("", style="cyan", optional=True),
        ]
    )
    most = max((point.maximum or 0 for point in points), default=0)
    for point in points:
        style = "" if point.snapshots else "dim"
        table.add(
            Cell(f"{point.bucket.replace('T', ' ')}{':00' if found.per == 'hour' else ''}", style),
            Cell(figures.number(point.snapshots), style),
            *(Cell(value(found.field, number), style) for number in _numbers(point)),
            figures.bar(point.average or 0, most, _BAR),
        )
    screen.table(table)


def _numbers(point: TrendPoint) -> tuple[Number, ...]:
    return (point.minimum, point.average, point.maximum, point.last)


def _begun(points: Sequence[TrendPoint]) -> Sequence[TrendPoint]:
    """The buckets from the first one with a snapshot on."""
    first = next((i for i, point in enumerate(points) if point.snapshots), len(points))
    return points[first:]
