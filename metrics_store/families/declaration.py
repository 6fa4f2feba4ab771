"""The one rollup mechanism: what a family declares, and the SQL that follows from it.

A family names its log table and, per dimension, which numbers a log row adds to which rollup row.
From that one declaration come the triggers that keep the log as it was written, the trigger that
counts each row as it is written, the trigger that counts a whole batch at once, and the SELECT that
recomputes everything from the log. The triggers' text stands in the family's migration; a test
compares the two.

Every number is a count, an integer sum, a minimum or a maximum, so the order of rows never matters.
"""

from __future__ import annotations

from dataclasses import dataclass

from metrics_store.families.dimensions import (
    ADD,
    BLOCK,
    COLUMNS,
    KEY,
    MERGE,
    NUMBERS,
    SPAN,
    Dimension,
    Histogram,
    Log,
    Measures,
)

__all__ = [
    "BLOCK", "COLUMNS", "KEY", "NUMBERS", "SPAN",
    "Aged", "Derived", "Dimension", "Family", "Histogram", "Keep", "Measures",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Derived:
    """A table that triggers keep from a log beside the rollups, such as a row per service.

    Both SELECTs give the same columns, beginning with the table's key; the check compares them.

    Args:
        table: its name.
        kept: SELECT of what it holds, as far as the log that is left can vouch for it.
        due: SELECT of what the log comes to.
        rebuild: statements that make it anew, as far as the log can.
        whole: whether the log alone is enough for that, whatever retention has deleted of it.
    """

    table: str
    kept: str
    due: str
    rebuild: tuple[str, ...]
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Aged:
    """Rollups of one period that retention deletes too.

    Args:
        kinds: their kinds.
        days: how long they are kept after the period.
    """

    kinds: tuple[str, ...]
    days: int


@dataclass(frozen=True, slots=True)
class Keep:
    """How long retention leaves rows in a log; the numbers they added to stay.

    Args:
        days: None for ever.
        newest_of: SQL; the newest row of each of its values stays, however old.
        always: SQL; rows for which it holds stay. ``{before}`` stands for the moment before which
            rows go.
        remember: keep the ids of deleted rows, so that an import does not bring them back.
        aged: rollups of days or hours that are deleted, later than the rows.
    """

    days: int | None = None
    newest_of: str = ""
    always: str = ""
    remember: bool = False
    aged: tuple[Aged, ...] = ()


@dataclass(frozen=True, slots=True)
class Family:
    """A family of telemetry.

    Its log table has ``seq INTEGER PRIMARY KEY`` first, a unique text ``id`` (stored or generated),
    the columns named here, and ``digest`` last.

    Args:
        name: its scope in ``rollup``, and its key in ``rollup_deferred``.
        table: the log table.
        moment: SQL for the moment a row belongs to, UTC text.
        completed: SQL, 1 for a success, else 0.
        failed: SQL, 1 for a failure, else 0.
        measure: SQL for an integer to be summed and put in buckets, NULL for none.
        dimensions: the rollup rows that each log row adds to.
        histogram: the buckets of the measure, if it has any.
        histograms: further buckets, each with a ``kind`` of its own.
        columns: the log's stored columns between ``seq`` and ``digest``, in the table's order.
        derived: further tables that its triggers keep.
        keep: for how long, by default.
        fold_trigger: a batch is counted by a trigger, rather than by whoever writes it. Only the
            first family has one: every connection reads its text before its first query.
    """

    name: str
    table: str
    moment: str
    completed: str
    failed: str
    measure: str
    dimensions: tuple[Dimension | Measures, ...]
    histogram: Histogram | None = None
    histograms: tuple[Histogram, ...] = ()
    columns: tuple[str, ...] = ()
    derived: tuple[Derived, ...] = ()
    keep: Keep = Keep()
    fold_trigger: bool = False

    def triggers(self) -> str:
        """The DDL of the triggers that keep the rollups, as it stands in the migration."""
        fold = (self._fold_trigger(),) if self.fold_trigger else ()
        return "\n\n".join((self._row_trigger(), *fold)) + "\n"

    def guards(self) -> str:
        """The DDL of the two triggers that keep the log, as it stands in the migration."""
        return (
            f"CREATE TRIGGER {self.table}_immutable BEFORE UPDATE ON {self.table}\n"
            f"BEGIN\n"
            f"    SELECT RAISE(ABORT, '{self.table} is append-only: a row is never changed');\n"
            f"END;\n\n"
            f"CREATE TRIGGER {self.table}_kept BEFORE DELETE ON {self.table}\n"
            f"WHEN NOT EXISTS (\n"
            f"    SELECT 1 FROM retention_permit WHERE family = '{self.name}' "
            f"AND up_to_seq >= OLD.seq\n"
            f")\n"
            f"BEGIN\n"
            f"    SELECT RAISE(ABORT, '{self.table} is append-only: "
            f"only retention deletes rows');\n"
            f"END;\n"
        )

    def recomputed(self, where: str = "") -> str:
        """A SELECT of every rollup row of this family (:data:`COLUMNS`), made from the log.

        Args:
            where: SQL that limits the log rows; ``row.`` stands for the log row.
        """
        return _union(self._grouped(where))

    def folded(self, after_seq: int) -> str:
        """An INSERT that counts all log rows after one, where no trigger has counted them."""
        return _upsert(self._grouped(f"row.seq > {after_seq:d}"), MERGE)

    def retired(self, where: str) -> str:
        """An INSERT that adds what log rows come to, which are about to be deleted, to
        ``rollup_retired``.

        Args:
            where: SQL that limits the log rows; ``row.`` stands for the log row.
        """
        return _upsert(self._grouped(where), MERGE, "rollup_retired")

    def scopes(self) -> tuple[str, ...]:
        """The values of ``rollup.scope`` that are this family's."""
        return tuple(dict.fromkeys((self.name, *(d.scope for d in self.dimensions if d.scope))))

    @property
    def _log(self) -> Log:
        return Log(self.name, self.table, self.moment, self.completed, self.failed, self.measure)

    @property
    def _all_histograms(self) -> tuple[Histogram, ...]:
        return (*(() if self.histogram is None else (self.histogram,)), *self.histograms)

    def _row_trigger(self) -> str:
        log = self._log
        wide = [d.of_row(log) for d in self.dimensions if not d.counts_only]
        counts = [d.of_row(log) for d in self.dimensions if d.counts_only]
        buckets = [h.of_row(log) for h in self._all_histograms]
        upserts = (_upsert(wide, MERGE), _upsert(counts, ADD), _upsert(buckets, ADD))
        body = "\n".join(filter(None, upserts))
        return (
            f"CREATE TRIGGER {self.table}_rollup AFTER INSERT ON {self.table}\n"
            f"WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = '{self.name}')\n"
            f"BEGIN\n{body}\nEND;"
        )

    def _fold_trigger(self) -> str:
        body = _upsert(self._grouped("row.seq > OLD.after_seq"), MERGE)
        return (
            f"CREATE TRIGGER {self.table}_fold AFTER DELETE ON rollup_deferred\n"
            f"WHEN OLD.family = '{self.name}'\nBEGIN\n{body}\nEND;"
        )

    def _grouped(self, where: str) -> list[str]:
        log = self._log
        selects = [d.of_log(log, where) for d in self.dimensions]
        for histogram in self._all_histograms:
            selects += histogram.of_log(log, where)
        return selects


def _union(selects: list[str]) -> str:
    return "\n    UNION ALL ".join(selects)


def _upsert(selects: list[str], change: str, table: str = "rollup") -> str:
    if not selects:
        return ""
    # The outer SELECT ... WHERE true keeps ON CONFLICT from being read as a join's ON.
    return (
        f"  INSERT INTO {table} ({', '.join(COLUMNS)})\n"
        f"    SELECT * FROM (\n    {_union(selects)})\n    WHERE true\n"
        f"    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET\n        {change};"
    )
