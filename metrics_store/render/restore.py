"""How a restore looks, done or only looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.signs import command, hanging, signs
from metrics_store.render.table import Cell, Column, Table

if TYPE_CHECKING:
    from metrics_store.backup.restoring_report import LogChange, Restored, Side

_LABEL = 10
_MOST = 10
_STATES = {
    "store": "the store as it is",
    "damaged": "damaged: not all of it can be read",
    "unreadable": "no database that can be opened",
    "empty": "an empty file",
    "missing": "nothing",
}


def show_restored(screen: Screen, done: Restored) -> None:
    """Write what a restore came to, or would."""
    _show_head(screen, done)
    _show_sides(screen, done)
    _show_logs(screen, done)
    _show_warnings(screen, done)
    if done.executed:
        _show_kept(screen, done)
    else:
        _show_way(screen, done)


def show_dry_end(screen: Screen, to_execute: str) -> None:
    """Write that nothing was changed, and how to do it."""
    screen.line()
    screen.line("Nothing was changed. To do it:")
    command(screen, to_execute)


def show_undo(screen: Screen, to_undo: str) -> None:
    """Write how a restore is taken back."""
    screen.line()
    screen.line("To take it back:")
    command(screen, to_undo)


def _show_head(screen: Screen, done: Restored) -> None:
    database, sign = figures.path(done.database), signs(screen)
    if not done.executed:
        verb = "Would take the last restore back in" if done.undo else "Would restore"
        screen.line(Cell(f"{verb} {database}", "bold"))
    elif done.problems:
        screen.line(Cell(f"{sign.unmet} Restored {database}, and something is wrong", "bold red"))
    else:
        verb = "Took the last restore back in" if done.undo else "Restored"
        screen.line(Cell(f"{sign.met} {verb} {database}", "bold green"))
    _fact(screen, "from", figures.path(done.file), wrap=False)
    made = f"{figures.moment(done.made_at)} UTC" if done.made_at else "no manifest tells"
    reason = f", {done.reason}" if done.reason else ""
    _fact(screen, "made", f"{made}, {_age(done)}{reason}")
    digest = "its write-ahead log was read with it" if done.sha256 is None else ""
    if done.made_at and done.sha256:
        digest = "its SHA-256 is the one in its manifest"
    _fact(screen, "size", ", ".join(filter(None, (figures.size(done.size), digest))))
    for problem in done.problems[:_MOST]:
        _fact(screen, "problem", problem, "red")
    _more(screen, len(done.problems))


def _age(done: Restored) -> str:
    if done.age_seconds < 0:
        return "in the future"
    if done.age_seconds < 10:
        return "just now"
    age = figures.duration(round(done.age_seconds))
    return f"{age} ago" if done.made_at else f"last written {age} ago"


def _show_sides(screen: Screen, done: Restored) -> None:
    """What is there and what takes its place, side by side."""
    screen.line()
    here, there = done.here, done.there
    now, then = ("before", "restored") if done.executed else ("now", "then")
    table = Table([Column(""), Column(now, "right"), Column(then, "right"), Column("")], indent=2)
    change = "" if there.schema_version == done.schema_version else _from_schema(there)
    table.add("schema", _number(here.schema_version), _number(done.schema_version), change)
    reap = Cell("metrics-store reap closes what nobody works on" if there.in_flight else "", "dim")
    table.add("in flight", _number(here.in_flight), _number(there.in_flight), reap)
    table.add("store", _id(here.store_id), _id(there.store_id), _relation(done))
    table.add("generation", _id(here.generation), _id(done.generation), _generation(done))
    screen.table(table)


def _from_schema(there: Side) -> str:
    return f"brought up from {there.schema_version}"


def _relation(done: Restored) -> Cell:
    if done.same_store is None:
        return Cell("whether it is the same cannot be told", "yellow")
    return Cell("the same", "dim") if done.same_store else Cell("another store", "yellow")


def _generation(done: Restored) -> Cell:
    return Cell("a new one begins" if not done.executed else "", "dim")


def _show_logs(screen: Screen, done: Restored) -> None:
    screen.line()
    now, then = ("before", "restored") if done.executed else ("now", "then")
    table = Table(
        [
            Column("log", elastic=True),
            Column(now, "right"),
            Column(then, "right"),
            Column("lost", "right"),
            Column("gained", "right"),
        ],
        indent=2,
    )
    # None is a log that cannot be read; the others are of families that are not used here.
    used = [log for log in done.logs if log.before != 0 or log.after != 0]
    for log in used or done.logs[:1]:
        table.add(
            log.table,
            _number(log.before),
            _number(log.after),
            Cell(_number(log.lost), "bold red" if log.lost else ""),
            Cell(_number(log.gained), "green" if log.gained else ""),
        )
    screen.table(table)
    for log in done.logs:
        _show_spans(screen, log)
    if done.lost is None:
        text = "What is there cannot be read, so nobody can say what is lost."
        hanging(screen, [Cell("  ")], text, "yellow")


def _show_spans(screen: Screen, log: LogChange) -> None:
    for verb, first, last in (
        ("lost", log.lost_first_at, log.lost_last_at),
        ("gained", log.gained_first_at, log.gained_last_at),
    ):
        if first is not None and last is not None:
            # The seconds too: they tell which records.
            span = first[:19] if first == last else f"{first[:19]} to {last[:19]}"
            _fact(screen, verb, f"{log.table} of {span.replace('T', ' ')} UTC")


def _show_warnings(screen: Screen, done: Restored) -> None:
    if done.state not in ("store", "missing"):
        there = "there was" if done.executed else "there is"
        _fact(screen, there, _STATES[done.state], "yellow")
    if done.findings:
        screen.line()
    for finding in done.findings[:_MOST]:
        _fact(screen, "note", finding, "yellow")
    _more(screen, len(done.findings))
    if done.resume_needed:
        for word, side in (("before", done.here), ("restored", done.there)):
            phases = [f"{s.phase}, epoch {s.epoch}, of {figures.path(s.path)}" for s in side.staged]
            _fact(screen, word, f"migration: {'; '.join(phases) or 'none'}", "yellow")
        _fact(screen, "then", "metrics-store legacy resume, for its phase is another one", "yellow")


def _show_way(screen: Screen, done: Restored) -> None:
    screen.line()
    step = [Cell(f"  {signs(screen).todo} ", "dim")]
    if done.way == "in_place":
        hanging(screen, step, "What is there is copied first, under the store's lock.")
        hanging(screen, step, "Processes that have the store open go on; they wait meanwhile.")
        return
    hanging(screen, step, "A new file is put there; nobody may have the store open.")
    for path in done.moved_aside:
        hanging(screen, step, f"Moved aside: {figures.path(path)}")


def _show_kept(screen: Screen, done: Restored) -> None:
    screen.line()
    if done.safety is not None:
        _fact(screen, "kept as", figures.path(done.safety), wrap=False)
        if done.safety_findings:
            errors = figures.plural(done.safety_findings, "error")
            _fact(screen, "", f"what was there, with {errors}", "yellow")
    for path in done.moved_aside:
        _fact(screen, "aside", figures.path(path), wrap=False)
    if done.way == "in_place":
        _fact(screen, "locked", figures.duration(done.locked_seconds))


def _more(screen: Screen, n: int) -> None:
    if n > _MOST:
        _fact(screen, "", f"and {figures.number(n - _MOST)} more (see --json)", "dim")


def _number(n: int | None) -> str:
    return figures.NONE if n is None else figures.number(n)


def _id(text: str | None) -> str:
    """The beginning of an id: enough to tell two apart."""
    return figures.NONE if text is None else text[:8]


def _fact(screen: Screen, label: str, text: str, style: str = "", *, wrap: bool = True) -> None:
    lead = Cell(f"  {label:<{_LABEL}}", "dim")
    if wrap:
        hanging(screen, [lead], text, style)
    else:
        screen.line(lead, Cell(text, style), wrap=False)
