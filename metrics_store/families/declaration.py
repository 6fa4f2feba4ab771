"""The one rollup mechanism: what a family declares, and the SQL that follows from it.

A family names its log table and, per dimension, which numbers a log row adds to which rollup row.
From that one declaration come the trigger that counts each row as it is written, the trigger that
counts a whole batch at once, and the SELECT that recomputes everything from the log. The triggers'
text stands in the family's migration; a test compares the two.

Every number is a count, an integer sum, a minimum or a maximum, so the order of rows never matters.
"""

from __future__ import annotations

from dataclasses import dataclass

#: The columns of ``rollup``, in the order every generated SELECT gives them.
KEY = ("scope", "period", "subject", "kind", "label")
NUMBERS = ("n", "completed", "failed", "measured", "total", "minimum", "maximum")
SPAN = ("first_at", "last_at")
COLUMNS = KEY + NUMBERS + SPAN

#: Buckets of a histogram that one ``block`` row counts together: a percentile over a lifetime
#: then reads some 30 blocks and 16 buckets instead of some 400 buckets.
BLOCK = 16

_ADD = "n = n + excluded.n"
_MERGE = f"""{_ADD},
        completed = completed + excluded.completed, failed = failed + excluded.failed,
        measured = measured + excluded.measured, total = total + excluded.total,
        minimum = ifnull(min(minimum, excluded.minimum), ifnull(minimum, excluded.minimum)),
        maximum = ifnull(max(maximum, excluded.maximum), ifnull(maximum, excluded.maximum)),
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at)"""


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


@dataclass(frozen=True, slots=True)
class Histogram:
    """Log-spaced buckets of the family's measure, per subject: for the lifetime and per day."""

    subject: str
    day: str


@dataclass(frozen=True, slots=True)
class Family:
    """A family of telemetry.

    Args:
        name: its scope in ``rollup``, and its key in ``rollup_deferred``.
        table: the log table; it has ``seq INTEGER PRIMARY KEY``.
        moment: SQL for the moment a row belongs to, UTC text.
        completed: SQL, 1 for a success, else 0.
        failed: SQL, 1 for a failure, else 0.
        measure: SQL for an integer to be summed and put in buckets, NULL for none.
        dimensions: the rollup rows that each log row adds to.
        histogram: the buckets, if it has any.
    """

    name: str
    table: str
    moment: str
    completed: str
    failed: str
    measure: str
    dimensions: tuple[Dimension, ...]
    histogram: Histogram | None = None

    def triggers(self) -> str:
        """The DDL of the two triggers that keep the rollups, as it stands in the migration."""
        return "\n\n".join((self._row_trigger(), self._fold_trigger())) + "\n"

    def recomputed(self, where: str = "") -> str:
        """A SELECT of every rollup row of this family (:data:`COLUMNS`), made from the log.

        Args:
            where: SQL that limits the log rows; ``row.`` stands for the log row.
        """
        return _union(self._grouped(where))

    def scopes(self) -> tuple[str, ...]:
        """The values of ``rollup.scope`` that are this family's."""
        return tuple(dict.fromkeys((self.name, *(d.scope for d in self.dimensions if d.scope))))

    def _row_trigger(self) -> str:
        wide = [self._one(d) for d in self.dimensions if not d.counts_only]
        counts = [self._one(d) for d in self.dimensions if d.counts_only]
        body = "\n".join(
            filter(None, (_upsert(wide, _MERGE), _upsert(counts, _ADD), self._row_histogram()))
        )
        return (
            f"CREATE TRIGGER {self.table}_rollup AFTER INSERT ON {self.table}\n"
            f"WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = '{self.name}')\n"
            f"BEGIN\n{body}\nEND;"
        )

    def _fold_trigger(self) -> str:
        body = _upsert(self._grouped("row.seq > OLD.after_seq"), _MERGE)
        return (
            f"CREATE TRIGGER {self.table}_fold AFTER DELETE ON rollup_deferred\n"
            f"WHEN OLD.family = '{self.name}'\nBEGIN\n{body}\nEND;"
        )

    def _one(self, d: Dimension) -> str:
        numbers = (
            "1, 0, 0, 0, 0, NULL, NULL"
            if d.counts_only
            else f"1, {self.completed}, {self.failed}, {self.measure} IS NOT NULL, "
            f"ifnull({self.measure}, 0), {self.measure}, {self.measure}"
        )
        span = f"{self.moment}, {self.moment}" if d.span and not d.counts_only else "NULL, NULL"
        source = f" FROM json_each(row.{d.each}) AS item" if d.each else ""
        where = f" WHERE {d.when}" if d.when else ""
        return f"SELECT {self._key(d)},\n      {numbers}, {span}{source}{where}".replace(
            "row.", "NEW."
        )

    def _grouped(self, where: str) -> list[str]:
        selects = [self._grouped_dimension(d, where) for d in self.dimensions]
        if self.histogram is not None:
            selects += self._grouped_histogram(self.histogram, where)
        return selects

    def _grouped_dimension(self, d: Dimension, where: str) -> str:
        numbers = (
            "count(*), 0, 0, 0, 0, NULL, NULL"
            if d.counts_only
            else f"count(*), sum({self.completed}), sum({self.failed}), count({self.measure}), "
            f"ifnull(sum({self.measure}), 0), min({self.measure}), max({self.measure})"
        )
        span = (
            f"min({self.moment}), max({self.moment})"
            if d.span and not d.counts_only
            else "NULL, NULL"
        )
        source = f", json_each(row.{d.each}) AS item" if d.each else ""
        return (
            f"SELECT {self._key(d)},\n      {numbers}, {span}\n"
            f"      FROM {self.table} AS row NOT INDEXED{source}"
            f"{_where(where, d.when)} GROUP BY 2, 3, 5"
        )

    def _key(self, d: Dimension) -> str:
        return f"'{d.scope or self.name}', {d.period}, {d.subject}, '{d.kind}', {d.label}"

    def _row_histogram(self) -> str:
        h = self.histogram
        if h is None:
            return ""
        rows = (
            f"SELECT '{self.name}', slot.period, {h.subject}, slot.kind,\n"
            f"      bound.bucket / slot.width, 1, 0, 0, 0, 0, NULL, NULL, NULL, NULL\n"
            f"      FROM (SELECT bucket FROM bucket_bound WHERE lower <= {self.measure}\n"
            f"            ORDER BY lower DESC LIMIT 1) AS bound,\n"
            f"           (SELECT '' AS period, 'value' AS kind, 1 AS width\n"
            f"            UNION ALL SELECT '', 'block', {BLOCK}\n"
            f"            UNION ALL SELECT {h.day}, 'value', 1) AS slot"
        ).replace("row.", "NEW.")
        return _upsert([rows], _ADD)

    def _grouped_histogram(self, h: Histogram, where: str) -> list[str]:
        bucket = (
            f"(SELECT bucket FROM bucket_bound WHERE lower <= {self.measure}\n"
            f"       ORDER BY lower DESC LIMIT 1)"
        )
        slots = (("''", "value", 1), ("''", "block", BLOCK), (h.day, "value", 1))
        return [
            f"SELECT '{self.name}', {period}, {h.subject}, '{kind}', {bucket} / {width},\n"
            f"      count(*), 0, 0, 0, 0, NULL, NULL, NULL, NULL\n"
            f"      FROM {self.table} AS row NOT INDEXED"
            f"{_where(where, f'{self.measure} IS NOT NULL')} GROUP BY 2, 3, 5"
            for period, kind, width in slots
        ]


def _where(*conditions: str) -> str:
    held = [f"({c})" for c in conditions if c]
    return f"\n      WHERE {' AND '.join(held)}" if held else ""


def _union(selects: list[str]) -> str:
    return "\n    UNION ALL ".join(selects)


def _upsert(selects: list[str], change: str) -> str:
    if not selects:
        return ""
    # The outer SELECT ... WHERE true keeps ON CONFLICT from being read as a join's ON.
    return (
        f"  INSERT INTO rollup ({', '.join(COLUMNS)})\n"
        f"    SELECT * FROM (\n    {_union(selects)})\n    WHERE true\n"
        f"    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET\n        {change};"
    )
