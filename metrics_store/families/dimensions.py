"""What one log row adds to the rollups, kind by kind, and the SELECTs that follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

#: The columns of ``rollup``, in the order every generated SELECT gives them.
KEY = ("scope", "period", "subject", "kind", "label")
NUMBERS = ("n", "completed", "failed", "measured", "total", "minimum", "maximum")
SPAN = ("first_at", "last_at")
COLUMNS = KEY + NUMBERS + SPAN

#: Buckets of a histogram that one ``block`` row counts together: a percentile over a lifetime
#: then reads some 30 blocks and 16 buckets instead of some 400 buckets.
BLOCK = 16

#: How numbers are added to those that are there; the second for rows that bear a count alone.
ADD = "n = n + excluded.n"
MERGE = f"""{ADD},
        completed = completed + excluded.completed, failed = failed + excluded.failed,
        measured = measured + excluded.measured, total = total + excluded.total,
        minimum = ifnull(min(minimum, excluded.minimum), ifnull(minimum, excluded.minimum)),
        maximum = ifnull(max(maximum, excluded.maximum), ifnull(maximum, excluded.maximum)),
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)"""


@dataclass(frozen=True, slots=True)
class Log:
    """What every SELECT says of a log: its scope, table, moment, outcome and measure, as SQL."""

    name: str
    table: str
    moment: str
    completed: str
    failed: str
    measure: str


@dataclass(frozen=True, slots=True)
class Dimension:
    """One kind of rollup row that each log row adds to.

    Args:
        kind: its name, unique within the scope.
        subject: SQL for whose number it is; ``row.`` stands for the log row.
        label: SQL for what is counted apart within the kind.
        period: SQL for the day it belongs to, ``''`` for the whole lifetime.
        scope: the family of subjects; the family's own name if empty.
        when: SQL; only log rows for which it holds are counted.
        each: a JSON array column; every element ``item.value`` is counted.
        counts_only: keep the count alone, not durations and outcomes.
        span: keep the first and the last moment too.
        measure: SQL for the integer that is summed; the family's measure if empty.
    """

    kind: str
    subject: str
    label: str = "''"
    period: str = "''"
    scope: str = ""
    when: str = ""
    each: str = ""
    counts_only: bool = False
    span: bool = True
    measure: str = ""

    def of_row(self, log: Log) -> str:
        """A SELECT of what one new row adds, within its trigger."""
        measure = self.measure or log.measure
        numbers = (
            "1, 0, 0, 0, 0, NULL, NULL"
            if self.counts_only
            else f"1, {log.completed}, {log.failed}, {measure} IS NOT NULL, "
            f"ifnull({measure}, 0), {measure}, {measure}"
        )
        span = f"{log.moment}, {log.moment}" if self._has_span else "NULL, NULL"
        source = f" FROM json_each(row.{self.each}) AS item" if self.each else ""
        where = f" WHERE {self.when}" if self.when else ""
        return f"SELECT {self._key(log)},\n      {numbers}, {span}{source}{where}".replace(
            "row.", "NEW."
        )

    def of_log(self, log: Log, where: str) -> str:
        """A SELECT of what all rows come to for which ``where`` holds."""
        measure = self.measure or log.measure
        numbers = (
            "count(*), 0, 0, 0, 0, NULL, NULL"
            if self.counts_only
            else f"count(*), sum({log.completed}), sum({log.failed}), count({measure}), "
            f"ifnull(sum({measure}), 0), min({measure}), max({measure})"
        )
        span = f"min({log.moment}), max({log.moment})" if self._has_span else "NULL, NULL"
        source = f", json_each(row.{self.each}) AS item" if self.each else ""
        return (
            f"SELECT {self._key(log)},\n      {numbers}, {span}\n"
            f"      FROM {log.table} AS row NOT INDEXED{source}"
            f"{_where(where, self.when)} GROUP BY 2, 3, 5"
        )

    @property
    def _has_span(self) -> bool:
        return self.span and not self.counts_only

    def _key(self, log: Log) -> str:
        scope = self.scope or log.name
        return f"'{scope}', {self.period}, {self.subject}, '{self.kind}', {self.label}"


@dataclass(frozen=True, slots=True)
class Measures:
    """Several measures of a log row, each a kind of rollup of its own, in one SELECT.

    A connection reads the text of every trigger before its first query, so a dimension for each
    measure and period would slow every start down.

    Args:
        kinds: name and SQL of each measure: an integer, NULL for none; ``row.`` stands for the log
            row, ``item.value`` for an element of ``each``.
        subject: SQL for whose numbers they are.
        periods: SQL for each period they are kept for; ``''`` is the lifetime.
        each: a JSON array column whose elements are measured.
    """

    kinds: tuple[tuple[str, str], ...]
    subject: str
    periods: tuple[str, ...]
    each: str = ""

    counts_only: ClassVar[bool] = False
    scope: ClassVar[str] = ""

    def of_row(self, log: Log) -> str:
        """A SELECT of what one new row adds, within its trigger."""
        item = f"json_each(row.{self.each}) AS item, " if self.each else ""
        return (
            f"SELECT '{log.name}', period, subject, kind, '',\n"
            f"      1, {log.completed}, {log.failed}, 1, value, value, value, NULL, NULL\n"
            f"      FROM ({self._values()} FROM {item}{self._kinds()})\n"
            f"      WHERE value IS NOT NULL AND subject IS NOT NULL"
        ).replace("row.", "NEW.")

    def of_log(self, log: Log, where: str) -> str:
        """A SELECT of what all rows come to for which ``where`` holds."""
        item = f", json_each(row.{self.each}) AS item" if self.each else ""
        outcome = f"{log.completed} AS completed, {log.failed} AS failed"
        return (
            f"SELECT '{log.name}', period, subject, kind, '',\n"
            f"      count(*), sum(completed), sum(failed), count(*), sum(value), min(value), "
            f"max(value), NULL, NULL\n"
            f"      FROM ({self._values()}, {outcome}\n"
            f"      FROM {log.table} AS row NOT INDEXED{item}, {self._kinds()}{_where(where)})\n"
            f"      WHERE value IS NOT NULL AND subject IS NOT NULL GROUP BY 2, 3, 4"
        )

    def _values(self) -> str:
        cases = " ".join(f"WHEN '{kind}' THEN {measure}" for kind, measure in self.kinds)
        at = " ".join(f"WHEN {n} THEN {period}" for n, period in enumerate(self.periods))
        return (
            f"SELECT CASE at.column1 {at} END AS period, {self.subject} AS subject, "
            f"kind.column1 AS kind,\n      CASE kind.column1 {cases} END AS value"
        )

    def _kinds(self) -> str:
        at = ", ".join(f"({n})" for n in range(len(self.periods)))
        kinds = ", ".join(f"('{kind}')" for kind, _ in self.kinds)
        return f"(VALUES {at}) AS at, (VALUES {kinds}) AS kind"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Log-spaced buckets of a measure, per subject: for the lifetime and per day.

    The kinds of its rows are ``value``, and ``block`` for the lifetime.

    Args:
        subject: SQL for whose buckets they are.
        day: SQL for the day, or another period, they belong to.
        kind: put before the names of its kinds; empty for the family's first histogram.
        measure: SQL for the integer, 0 to 1e15; the family's measure if empty.
        lifetime: keep them for the lifetime too.
    """

    subject: str
    day: str
    kind: str = ""
    measure: str = ""
    lifetime: bool = True

    def of_row(self, log: Log) -> str:
        """A SELECT of what one new row adds, within its trigger."""
        slots = "\n            UNION ALL ".join(
            f"SELECT {period}, '{kind}', {width}"
            if at
            else f"SELECT {period} AS period, '{kind}' AS kind, {width} AS width"
            for at, (period, kind, width) in enumerate(self._slots())
        )
        return (
            f"SELECT '{log.name}', slot.period, {self.subject}, slot.kind,\n"
            f"      bound.bucket / slot.width, 1, 0, 0, 0, 0, NULL, NULL, NULL, NULL\n"
            f"      FROM (SELECT bucket FROM bucket_bound WHERE lower <= {self._of(log)}\n"
            f"            ORDER BY lower DESC LIMIT 1) AS bound,\n"
            f"           ({slots}) AS slot"
        ).replace("row.", "NEW.")

    def of_log(self, log: Log, where: str) -> list[str]:
        """SELECTs of what all rows come to for which ``where`` holds."""
        bucket = (
            f"(SELECT bucket FROM bucket_bound WHERE lower <= {self._of(log)}\n"
            f"       ORDER BY lower DESC LIMIT 1)"
        )
        return [
            f"SELECT '{log.name}', {period}, {self.subject}, '{kind}', {bucket} / {width},\n"
            f"      count(*), 0, 0, 0, 0, NULL, NULL, NULL, NULL\n"
            f"      FROM {log.table} AS row NOT INDEXED"
            f"{_where(where, f'{self._of(log)} IS NOT NULL')} GROUP BY 2, 3, 5"
            for period, kind, width in self._slots()
        ]

    def _of(self, log: Log) -> str:
        return self.measure or log.measure

    def _slots(self) -> list[tuple[str, str, int]]:
        """Period, kind, and how many buckets a row counts together."""
        lifetime = [("''", f"{self.kind}value", 1), ("''", f"{self.kind}block", BLOCK)]
        return [*(lifetime if self.lifetime else []), (self.day, f"{self.kind}value", 1)]


def _where(*conditions: str) -> str:
    held = [f"({c})" for c in conditions if c]
    return f"\n      WHERE {' AND '.join(held)}" if held else ""
