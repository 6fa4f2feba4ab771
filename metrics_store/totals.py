"""Lifetime numbers of skills, put together from rollup rows."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from metrics_store import asked, percentiles
from metrics_store.families.declaration import BLOCK
from metrics_store.results import Baseline, SkillMetrics, Summary
from metrics_store.sql import query
from metrics_store.sqlite import Connection

_QUANTILES = (0.5, 0.95, 0.99)
_SECOND = 1e6


#: skill, n, completed, failed, total, minimum, maximum, first_at, last_at.
_Total = tuple[str, int, int, int, int, int | None, int | None, str | None, str | None]
#: skill, kind, label, n; the label of a block is its number, any other is text.
_Count = tuple[str, str, str | int, int]
#: skill, kind, label, n, completed, duration_us, first_at, last_at.
_BaselineRow = tuple[str, str, str, int, int, int, str | None, str | None]


@dataclass(slots=True)
class _Numbers:
    """What the rows of one skill say, being collected."""

    n: int = 0
    completed: int = 0
    failed: int = 0
    total_us: int = 0
    least: int | None = None
    most: int | None = None
    first: str | None = None
    last: str | None = None
    counts: dict[str, dict[str, int]] = field(
        default_factory=lambda: {"path": {}, "error": {}, "action": {}}
    )
    blocks: list[tuple[int, int]] = field(default_factory=list)
    baseline: Baseline | None = None


def of_skill(connection: Connection, skill_name: str) -> SkillMetrics | None:
    """The numbers of one skill; None if nothing is known of it."""
    one = (asked.text("skill_name", skill_name),)
    totals = connection.execute(query("reports.total_of"), one).fetchall()
    counts = connection.execute(query("reports.counts_of"), one).fetchall() if totals else []
    numbers = _collected(
        ((skill_name, *row) for row in totals), ((skill_name, *row) for row in counts)
    )
    _add_baselines(numbers, connection.execute(query("reports.baseline_of"), one))
    in_flight = connection.execute(query("reports.in_flight_of"), one).fetchone()[0]
    if not numbers and not in_flight:
        return None
    return _finished(connection, numbers or {skill_name: _Numbers()}, {skill_name: in_flight})[0]


def of_all(connection: Connection) -> dict[str, SkillMetrics]:
    """The numbers of every skill that has ended an invocation, by its name."""
    numbers = _collected(
        connection.execute(query("reports.totals_of_all")).fetchall(),
        connection.execute(query("reports.counts_of_all")).fetchall(),
    )
    _add_baselines(numbers, connection.execute(query("reports.baseline_of_all")))
    in_flight = dict(connection.execute(query("reports.in_flight_of_all")).fetchall())
    return {m.skill_name: m for m in _finished(connection, numbers, in_flight)}


def summary(connection: Connection) -> Summary:
    """The numbers of all skills together."""
    numbers = _collected(connection.execute(query("reports.totals_of_all")).fetchall(), ())
    _add_baselines(numbers, connection.execute(query("reports.baseline_of_all")))
    in_flight = sum(n for _, n in connection.execute(query("reports.in_flight_of_all")))
    skills = [_classic(name, x) for name, x in numbers.items()]
    usage = sorted(((c.name, c.n) for c in skills), key=lambda pair: (-pair[1], pair[0]))
    total = sum(c.n for c in skills)
    completed = sum(c.completed for c in skills)
    seconds = sum(c.total_us for c in skills) / _SECOND
    return Summary(
        total_skills=len(skills),
        total_invocations=total,
        completed_invocations=completed,
        failed_invocations=sum(x.failed for x in numbers.values()),
        overall_completion_rate=100.0 * completed / total if total > 0 else 0.0,
        most_used_skill=usage[0][0] if usage else None,
        most_used_count=usage[0][1] if usage else 0,
        avg_duration_seconds=seconds / completed if completed > 0 else 0.0,
        in_flight=in_flight,
        first_invoked=min((c.first for c in skills if c.first), default=None),
        last_invoked=max((c.last for c in skills if c.last), default=None),
        skills_by_usage=tuple(usage),
    )


def exact_percentiles(connection: Connection, skill_name: str) -> dict[str, float | None]:
    """Percentiles by sorting what the log still has, in seconds, by the name of their field."""
    found = connection.execute(query("reports.exact_durations"), (skill_name,)).fetchall()
    return {
        f"p{round(q * 100)}_duration_seconds": found[percentiles.rank(q, len(found)) - 1][0]
        / _SECOND
        if found
        else None
        for q in _QUANTILES
    }


def _collected(totals: Iterable[_Total], counts: Iterable[_Count]) -> dict[str, _Numbers]:
    collected = {
        name: _Numbers(n, completed, failed, total, least, most, first, last)
        for name, n, completed, failed, total, least, most, first, last in totals
    }
    for name, kind, label, n in counts:
        numbers = collected[name]
        if kind == "block":
            numbers.blocks.append((int(label), n))
        elif label != "" or kind == "action":
            # The legacy rules count no empty path and no empty error.
            numbers.counts[kind][str(label)] = n
    return collected


def _add_baselines(numbers: dict[str, _Numbers], rows: Iterable[_BaselineRow]) -> None:
    totals: dict[str, tuple[int, int, int]] = {}
    counts: dict[str, dict[str, dict[str, int]]] = {}
    for name, kind, label, n, completed, us, first, last in rows:
        of_skill = counts.setdefault(name, {"path": {}, "error": {}, "action": {}})
        if kind != "total":
            of_skill[kind][label] = n
            continue
        totals[name] = (n, completed, us)
        entry = numbers.setdefault(name, _Numbers())
        entry.first = min((m for m in (entry.first, first) if m), default=None)
        entry.last = max((m for m in (entry.last, last) if m), default=None)
    for name, of_skill in counts.items():
        n, completed, us = totals.get(name, (0, 0, 0))
        numbers.setdefault(name, _Numbers()).baseline = Baseline(
            n,
            completed,
            us / _SECOND,
            workflow_paths=of_skill["path"],
            common_errors=of_skill["error"],
            follow_up_actions=of_skill["action"],
        )


@dataclass(frozen=True, slots=True)
class _Classic:
    name: str
    n: int
    completed: int
    total_us: int
    first: str | None
    last: str | None


def _classic(name: str, numbers: _Numbers) -> _Classic:
    n, completed, total = numbers.n, numbers.completed, numbers.total_us
    if numbers.baseline is not None:
        n += numbers.baseline.total_invocations
        completed += numbers.baseline.completed_invocations
        total += round(numbers.baseline.total_duration_seconds * _SECOND)
    return _Classic(name, n, completed, total, numbers.first, numbers.last)


def _finished(
    connection: Connection, collected: Mapping[str, _Numbers], in_flight: Mapping[str, int]
) -> list[SkillMetrics]:
    estimates = _percentiles(connection, collected)
    return [
        _metrics(name, numbers, in_flight.get(name, 0), estimates.get(name, (None, None, None)))
        for name, numbers in collected.items()
    ]


def _percentiles(
    connection: Connection, collected: Mapping[str, _Numbers]
) -> dict[str, tuple[float | None, ...]]:
    """Find the block each percentile falls in, then read only those blocks' buckets."""
    wanted: list[tuple[str, int, int]] = []  # skill, block, rank within the block
    for name, numbers in collected.items():
        n = sum(count for _, count in numbers.blocks)
        if n:
            for quantile in _QUANTILES:
                block, within = percentiles.locate(numbers.blocks, percentiles.rank(quantile, n))
                wanted.append((name, block, within))
    if not wanted:
        return {}
    found: dict[str, tuple[float | None, ...]] = {}
    for (name, _, _), bucket in zip(wanted, _buckets(connection, wanted), strict=True):
        numbers = collected[name]
        us = percentiles.clamped(percentiles.representative_us(bucket), numbers.least, numbers.most)
        found[name] = (*found.get(name, ()), us / _SECOND)
    return found


def _buckets(connection: Connection, wanted: list[tuple[str, int, int]]) -> list[int]:
    """The bucket in which each wanted rank falls."""
    if len(wanted) > len(_QUANTILES):
        asked = json.dumps([[s, b * BLOCK, b * BLOCK + BLOCK - 1, rank] for s, b, rank in wanted])
        rows = connection.execute(query("reports.finest_at_ranks"), (asked,)).fetchall()
        return [row[0] for row in rows]
    # For one skill plain look-ups take half the time of a window over a JSON array.
    counts: dict[int, list[tuple[int, int]]] = {}
    for skill, block, _ in wanted:
        if block not in counts:
            ends = (skill, block * BLOCK, block * BLOCK + BLOCK - 1)
            counts[block] = connection.execute(query("reports.finest_in_block"), ends).fetchall()
    return [percentiles.locate(counts[block], rank)[0] for _, block, rank in wanted]


def _metrics(
    name: str, numbers: _Numbers, in_flight: int, estimates: tuple[float | None, ...]
) -> SkillMetrics:
    classic = _classic(name, numbers)
    baseline = numbers.baseline
    p50, p95, p99 = estimates
    seconds = classic.total_us / _SECOND
    counts = numbers.counts
    if baseline is not None:
        counts = {
            "path": _sum(counts["path"], baseline.workflow_paths),
            "error": _sum(counts["error"], baseline.common_errors),
            "action": _sum(counts["action"], baseline.follow_up_actions),
        }
    return SkillMetrics(
        name,
        classic.n,
        classic.completed,
        classic.n - classic.completed,
        numbers.failed,
        100.0 * classic.completed / classic.n if classic.n > 0 else 0.0,
        seconds,
        seconds / classic.completed if classic.completed > 0 else 0.0,
        None if numbers.least is None else numbers.least / _SECOND,
        None if numbers.most is None else numbers.most / _SECOND,
        p50,
        p95,
        p99,
        counts["path"],
        counts["error"],
        counts["action"],
        classic.first,
        classic.last,
        in_flight,
        numbers.n,
        baseline,
    )


def _sum(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    names = [*counts, *(name for name in more if name not in counts)]
    summed = {name: counts.get(name, 0) + more.get(name, 0) for name in names}
    return {name: n for name, n in summed.items() if n != 0}
