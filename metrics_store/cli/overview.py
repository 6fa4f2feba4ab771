"""The report on a whole store that `legacy import --report` ends with."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date

from metrics_store.cli.options import PROGRAM
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.skills import show_summary, skills_table
from metrics_store.render.table import Cell, Column, Table
from metrics_store.results import SkillMetrics, Summary
from metrics_store.settings import Settings
from metrics_store.store import MetricsStore

_DAYS = 14
_WEEKS = 14
_SKILLS = 20
_MOST = 6
_BAR = 16


def show_overview(screen: Screen, store: MetricsStore) -> None:
    """Write what a store holds: totals, skills, errors, paths, and what to try next."""
    summary = store.get_summary()
    show_summary(screen, summary, title=f"What is in {figures.path(store.path)}")
    if not summary.total_skills:
        return
    metrics = store.get_all_metrics()
    skills = sorted(metrics.values(), key=lambda m: (-m.total_invocations, m.skill_name))
    trends, span = _trends(store, summary)
    screen.heading("Skills", f"trend: {span}" if span else "")
    table = skills_table(skills[:_SKILLS], trends, "trend")
    table.indent = 2
    screen.table(table)
    if len(skills) > _SKILLS:
        screen.line(Cell(f"  and {figures.number(len(skills) - _SKILLS)} more", "dim"))
    _show_errors(screen, skills)
    _show_paths(screen, skills)
    _show_next(screen, store, skills)


def _trends(store: MetricsStore, summary: Summary) -> tuple[Mapping[str, list[int]], str]:
    """Invocations of each skill up to the last one of all: by day, or by week if there are many."""
    first, last = summary.first_invoked, summary.last_invoked
    if first is None or last is None:
        return {}, ""
    end = date.fromisoformat(last[:10])
    day = f"{end.day} {end:%b %Y}"
    days = (end - date.fromisoformat(first[:10])).days + 1
    weeks = min(_WEEKS, -(-days // 7))
    weekly = {
        name: [sum(counts[i : i + 7]) for i in range(0, len(counts), 7)]
        for name, counts in store.get_daily_counts(weeks * 7, last).items()
    }
    # A log that was trimmed is shorter than its totals are old.
    empty = min((_leading_zeros(counts) for counts in weekly.values()), default=0)
    if weeks - empty <= _DAYS // 7:
        return store.get_daily_counts(_DAYS, last), f"{_DAYS} days to {day}"
    trends = {name: counts[empty:] for name, counts in weekly.items()}
    return trends, f"{weeks - empty} weeks to {day}"


def _leading_zeros(counts: Sequence[int]) -> int:
    return next((i for i, n in enumerate(counts) if n), len(counts))


def _show_errors(screen: Screen, skills: list[SkillMetrics]) -> None:
    total: Counter[str] = Counter()
    where: dict[str, Counter[str]] = {}
    for m in skills:
        for error, n in m.common_errors.items():
            total[error] += n
            where.setdefault(error, Counter())[m.skill_name] += n
    if not total:
        return
    screen.heading("Top errors")
    table = Table(
        [
            Column("", elastic=True),
            Column("", "right"),
            Column("", style="red"),
            Column("", elastic=True, style="dim"),
        ],
        indent=2,
    )
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    for error, n in ordered[:_MOST]:
        names = [name for name, _ in where[error].most_common()]
        table.add(
            error or "(empty)",
            figures.number(n),
            Cell(
                figures.bar(n, ordered[0][1], _BAR), short=figures.bar(n, ordered[0][1], _BAR // 2)
            ),
            Cell(_listed(names, 3), "dim", short=_listed(names, 1)),
        )
    screen.table(table)
    _more(screen, len(ordered))


def _listed(names: list[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"in {', '.join(names[:most])}{more}"


def _show_paths(screen: Screen, skills: list[SkillMetrics]) -> None:
    paths = [
        (n, m.skill_name, path) for m in skills for path, n in m.workflow_paths.items() if n > 0
    ]
    if not paths:
        return
    paths.sort(key=lambda item: (-item[0], item[1], item[2]))
    screen.heading("Workflow paths")
    table = Table(
        [
            Column("", elastic=True),
            Column("", elastic=True),
            Column("", "right"),
            Column("", style="cyan"),
        ],
        indent=2,
    )
    for n, skill, path in paths[:_MOST]:
        bar = figures.bar(n, paths[0][0], _BAR)
        table.add(Cell(skill, "bold"), path or "(empty)", figures.number(n), bar)
    screen.table(table)
    _more(screen, len(paths))


def _more(screen: Screen, n: int) -> None:
    if n > _MOST:
        screen.line(Cell(f"  and {figures.number(n - _MOST)} more", "dim"))


def _show_next(screen: Screen, store: MetricsStore, skills: list[SkillMetrics]) -> None:
    command = _command(store)
    # A name that cannot be typed as it looks makes no good example.
    typable = [m for m in skills if m.skill_name.isprintable() and m.skill_name[0] != "-"]
    screen.heading("Next")
    commands = [f"{command} skills list --sort completion"]
    if typable:
        name = shlex.quote(typable[0].skill_name)
        commands = [
            f"{command} skills show {shlex.quote(_most_failing(typable).skill_name)}",
            f"{command} skills timeline {name} --until last",
        ]
    failures = " --outcome failed" if any(m.failed_invocations for m in skills) else ""
    commands.append(f"{command} invocations{failures} --limit 20")
    for line in commands:
        screen.line(Cell(f"  {line}", "cyan"), wrap=False)


def _most_failing(skills: list[SkillMetrics]) -> SkillMetrics:
    return max(skills, key=lambda m: (m.failed_invocations, m.total_invocations))


def _command(store: MetricsStore) -> str:
    """How this program is called from here for this store."""
    program = sys.argv[0]
    if os.path.basename(program).startswith(PROGRAM):
        found = shutil.which(PROGRAM)
        if found is not None and os.path.realpath(found) == os.path.realpath(program):
            program = PROGRAM
        else:
            program = figures.path(os.path.abspath(program))
    else:
        program = PROGRAM
    if os.path.realpath(Settings.load().database) == store.path:
        return shlex.quote(program)
    return f"{shlex.quote(program)} --db {shlex.quote(figures.path(store.path))}"
