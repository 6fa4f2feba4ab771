"""How a migration looks: its way as a line, the page of its status, and the next command."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics_store.render import figures
from metrics_store.render.gates import Typed, show_gate
from metrics_store.render.screen import Screen
from metrics_store.render.signs import command, hanging, signs
from metrics_store.render.table import Cell

if TYPE_CHECKING:
    from metrics_store.phases.status import Running, Status

#: In the order of the way, as the control file spells them.
_PHASES = ("legacy", "dual_write", "shadow", "dual_read", "database", "complete")
#: What has begun in a phase and not passed its commit point, which would have changed the phase.
_UNCOMMITTED = {("cutover", "dual_read"), ("rollback", "database"), ("rollback", "complete")}
_STEP = 12
_LABEL = 10
_BAR = 24


def show_way(screen: Screen, phase: str, indent: int = 2) -> None:
    """Write the six phases as a line, with the present one marked."""
    sign, here = signs(screen), _PHASES.index(phase)
    marks, names = [Cell(" " * indent)], [Cell(" " * indent)]
    for i, name in enumerate(_PHASES):
        mark = sign.passed if i < here else sign.here if i == here else sign.ahead
        style = "green" if i < here else "bold cyan" if i == here else "dim"
        marks.append(Cell(mark, style))
        if i < len(_PHASES) - 1:
            way = sign.trodden if i < here else sign.way
            marks.append(Cell(way * (_STEP - 1), "green" if i < here else "dim"))
        names.append(Cell(f"{name:<{_STEP}}" if i < len(_PHASES) - 1 else name, style))
    screen.line(*marks)
    screen.line(*names)


def next_phase(phase: str) -> str:
    """The phase that comes after one; empty after the last."""
    at = _PHASES.index(phase) + 1
    return _PHASES[at] if at < len(_PHASES) else ""


def show_status(screen: Screen, found: Status, typed: Typed) -> None:
    """Write where a migration stands.

    Args:
        typed: makes commands such as can be typed here.
    """
    screen.line(Cell(f"Leaving {figures.path(found.json_file)}", "bold"))
    screen.line()
    show_way(screen, found.phase)
    screen.line()
    _show_facts(screen, found)
    if found.running is not None:
        _show_running(screen, found.running)
    show_gate(screen, next_phase(found.phase), found.requirements, typed)
    if found.unfinished is not None:
        screen.line()
        screen.line(Cell(f"A {found.unfinished} was begun and has not ended.", "yellow"))
        if (found.unfinished, found.phase) in _UNCOMMITTED:
            cancel = typed("metrics-store legacy cancel --execute")
            hanging(screen, [Cell("  ")], f"It has changed nothing yet; to give it up: {cancel}")
    if found.store_error is not None:
        screen.line()
        hanging(screen, [Cell("The store cannot be asked. ", "red")], found.store_error, "red")
    show_next(screen, found, typed)


def _fact(screen: Screen, label: str, text: str, style: str = "") -> None:
    hanging(screen, [Cell(f"  {label:<{_LABEL}}", "dim")], text, style)


def _show_facts(screen: Screen, found: Status) -> None:
    from metrics_store.phases.gates import span

    since = f"for {span(found.in_phase)}, since {figures.moment(found.entered_at)} UTC"
    _fact(screen, "phase", f"{found.phase} {since} (epoch {found.epoch})")
    _fact(screen, "reads", found.reads)
    _fact(screen, "writes", found.writes)
    _fact(screen, "store", figures.path(found.database))
    _fact(screen, "times in", found.zone)
    if found.spill:
        waiting = figures.plural(found.spill, "record waits", "records wait")
        _fact(screen, "spill", f"{waiting} for the store", "yellow")
    else:
        _fact(screen, "spill", "empty")
    if found.store_error is None:
        n = found.open_mismatches
        text = f"{figures.plural(n, 'difference')} that nobody has explained" if n else "none"
        _fact(screen, "open", text, "red" if n else "")
    if found.compared is not None:
        _show_compared(screen, found)
    for change in found.changes:
        if change["forced"]:
            _fact(screen, "forced", f"into {change['to']}: {change['forced']}", "yellow")


def _show_compared(screen: Screen, found: Status) -> None:
    reads = found.compared
    assert reads is not None
    n = reads.matched + reads.mismatched + reads.ignored
    if not n:
        _fact(screen, "compared", "no read yet")
        return
    number = figures.number
    _fact(
        screen,
        "compared",
        f"{figures.plural(n, 'read')}: {number(reads.matched)} matched, "
        f"{number(reads.ignored)} ignored, {number(reads.mismatched)} mismatched",
    )
    for reason, times in sorted(reads.reasons.items(), key=lambda item: (-item[1], item[0])):
        _fact(screen, "", f"{number(times)} ignored: {reason}", "dim")
    if reads.json_ms is not None and reads.store_ms is not None:
        json, store = reads.json_ms / 1000, reads.store_ms / 1000
        _fact(
            screen,
            "latency",
            f"JSON {figures.duration(json)}, the store {figures.duration(store)} on average",
        )


def _show_running(screen: Screen, running: Running) -> None:
    share = min(1.0, running.records / running.about) if running.about else 0.0
    left = running.seconds_left
    bar = figures.bar(share, 1.0, _BAR)
    rest = "·" * (_BAR - len(bar))
    screen.heading("A pass over the JSON file is under way", running.stage)
    screen.line(
        "  ",
        Cell(bar, "cyan"),
        Cell(rest, "dim"),
        f"  {figures.percent(100 * share)}, {figures.number(running.records)} of about "
        f"{figures.plural(running.about, 'record')}"
        + (f", {figures.duration(left)} left" if left is not None else ""),
    )


def show_next(screen: Screen, found: Status, typed: Typed) -> None:
    """Write what to type next; the command is the last line."""
    screen.heading("Next")
    if found.advice:
        hanging(screen, [Cell("  ")], typed(found.advice))
    if found.next_command:
        command(screen, typed(found.next_command))
