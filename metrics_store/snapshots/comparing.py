"""What became of every value between two snapshots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from metrics_store import clock
from metrics_store.families.snapshots import PROJECT_COUNTS
from metrics_store.snapshots.fields import FIELDS
from metrics_store.snapshots.results import Change, Found, Project, ProjectDiff, SnapshotDiff

_Known = int | float | str | None


def diff(before: Found, after: Found) -> SnapshotDiff:
    """Compare two snapshots."""
    one, other = before.snapshot, after.snapshot
    span_us = clock.parse(other.recorded_at) - clock.parse(one.recorded_at)
    changes = (
        # A process id is a name, not a number.
        change(f.name, getattr(one, f.name), getattr(other, f.name), counts=f.kind != "pid")
        for f in FIELDS
    )
    projects = _projects(one.projects or (), other.projects or ())
    if one.projects is None or other.projects is None:
        # One of them said nothing of projects: that they are gone is not what it said.
        projects = iter(())
    seconds = span_us / clock.MICROSECONDS
    return SnapshotDiff(before, after, seconds, tuple(changes), tuple(projects))


def change(field: str, before: _Known, after: _Known, *, counts: bool = True) -> Change:
    """What became of one value."""
    difference: int | float | None = None
    if counts and isinstance(before, (int, float)) and isinstance(after, (int, float)):
        difference = after - before
    return Change(field, before, after, difference, difference is not None and difference < 0)


def _projects(before: tuple[Project, ...], after: tuple[Project, ...]) -> Iterator[ProjectDiff]:
    gone = _numbered(before)
    for key, project in _numbered(after).items():
        earlier = gone.pop(key, None)
        yield _project("added" if earlier is None else "both", earlier, project)
    for project in gone.values():
        yield _project("removed", project, None)


def _numbered(projects: tuple[Project, ...]) -> dict[tuple[str, int], Project]:
    """Projects by name; several of one name in their order."""
    met: Counter[str] = Counter()
    found = {}
    for project in projects:
        found[project.name, met[project.name]] = project
        met[project.name] += 1
    return found


def _project(kind: str, before: Project | None, after: Project | None) -> ProjectDiff:
    known = after or before
    assert known is not None
    changes = (
        change(name, getattr(before, name, None), getattr(after, name, None))
        for name in PROJECT_COUNTS
    )
    return ProjectDiff(known.name, kind, tuple(changes))
