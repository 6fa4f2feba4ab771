"""Whether a service is getting slower: the median of some recent days against the days before.

A difference counts if it is more than a fifth of the earlier median and more than three times the
usual spread of the earlier daily medians (their median absolute deviation times 1.4826, which is
the standard deviation where they are normally distributed; Hampel 1974). Medians, so that a bad
minute, a bad hour or one bad day changes nothing. From histograms of at most 1 % error.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from statistics import median
from typing import Literal

from metrics_store import asked, clock, percentiles
from metrics_store.connection import Database
from metrics_store.services.results import ServiceTrend, TrendDay, Verdict
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Fewer values of a side than these say nothing; fewer of a day are no daily median.
LEAST, LEAST_OF_DAY = 20, 5
#: A change of less than this share of the median before is no change.
SHARE = 0.2
#: So many times the usual spread of daily medians.
SPREADS = 3 * 1.4826
_MOST_DAYS = 3650

#: How many values each bucket has, by day.
_Days = dict[str, dict[int, int]]


def trend(database: Database, service: str, days: int, before: int) -> ServiceTrend | None:
    """See ``MetricsStore.service_trend``."""
    wanted = asked.text("service", service)
    asked.count("days", days, _MOST_DAYS)
    asked.count("before", before, _MOST_DAYS)
    today = clock.to_datetime(database.clock.now_us()).date()
    every = [today - timedelta(days=back) for back in range(days + before - 1, -1, -1)]
    with database.read() as connection:
        if connection.execute(query("services.total"), (wanted,)).fetchone() is None:
            return None
        measure: Literal["latency", "interval"] = "latency"
        found = _latencies(connection, service, every)
        if not found:
            measure = "interval"
            found = _intervals(connection, service, every)
    names = [day.isoformat() for day in every]
    return _compared(service, measure, found, names[:before], names[before:])


def _latencies(connection: Connection, service: str, days: Sequence[date]) -> _Days:
    found: _Days = {}
    wanted = json.dumps([day.isoformat() for day in days])
    for day, bucket, n in connection.execute(query("services.day_latencies"), (wanted, service)):
        found.setdefault(day, {})[bucket] = n
    return found


def _intervals(connection: Connection, service: str, days: Sequence[date]) -> _Days:
    """From the log itself, as far as retention has left it; not over what was an outage."""
    start = clock.of_datetime(datetime.combine(days[0], time(), UTC))
    end = clock.of_datetime(datetime.combine(days[-1], time.max, UTC))
    found: _Days = {}
    for us, interval_us in connection.execute(query("services.intervals"), (service, start, end)):
        counts = found.setdefault(clock.text(us)[:10], {})
        bucket = bisect_right(percentiles.BOUNDS, interval_us) - 1
        counts[bucket] = counts.get(bucket, 0) + 1
    return found


def _compared(
    service: str,
    measure: Literal["latency", "interval"],
    found: _Days,
    before: Sequence[str],
    recent: Sequence[str],
) -> ServiceTrend:
    earlier, later = _together(found, before), _together(found, recent)
    was, now = _median(earlier), _median(later)
    enough = min(sum(earlier.values()), sum(later.values())) >= LEAST
    verdict: Verdict = "unknown"
    tolerance = None
    if was is not None and now is not None and enough:
        daily = [m for day in before if (m := _daily(found.get(day, {}))) is not None]
        tolerance = max(SHARE * was, SPREADS * _deviation(daily))
        verdict = "steady"
        if abs(now - was) > tolerance:
            verdict = "slower" if now > was else "faster"
    return ServiceTrend(
        service,
        measure,
        verdict,
        _seconds(now),
        _seconds(was),
        sum(later.values()),
        sum(earlier.values()),
        100.0 * (now - was) / was if was and now is not None else None,
        _seconds(tolerance),
        tuple(
            TrendDay(day, sum(counts.values()), _seconds(_median(counts)))
            for day in (*before, *recent)
            for counts in [found.get(day, {})]
        ),
    )


def _together(found: _Days, days: Sequence[str]) -> dict[int, int]:
    counts: dict[int, int] = {}
    for day in days:
        for bucket, n in found.get(day, {}).items():
            counts[bucket] = counts.get(bucket, 0) + n
    return counts


def _median(counts: Mapping[int, int]) -> float | None:
    return percentiles.estimate_us(sorted(counts.items()), 0.5, None, None)


def _daily(counts: Mapping[int, int]) -> float | None:
    return _median(counts) if sum(counts.values()) >= LEAST_OF_DAY else None


def _deviation(medians: Sequence[float]) -> float:
    if not medians:
        return 0.0
    middle = median(medians)
    return median(abs(m - middle) for m in medians)


def _seconds(us: float | None) -> float | None:
    return None if us is None else us / 1e6
