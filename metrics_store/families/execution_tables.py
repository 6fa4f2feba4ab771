"""The tables that triggers keep of executions beside the rollups, for the views."""

from __future__ import annotations

from metrics_store.families.declaration import Derived

_DAY = "substr(row.timestamp, 1, 10)"
_TIER = "ifnull(row.model_tier, '')"
_REPO = "ifnull(row.repo, '')"
_TASK = "ifnull(row.task_type, '')"

#: Days after it are whole in the log; of those before it retention has deleted rows.
_HORIZON = (
    "(SELECT ifnull(max(substr(before_at, 1, 10)), '') FROM retention_horizon "
    "WHERE family = 'execution')"
)
_CELL = "cell.date, cell.repo, cell.model_tier, cell.task_type"
_CELL_KEY = "date, repo, model_tier, task_type"
_CELL_SUMS = (
    "count(*), sum(row.success), count(row.duration_us), ifnull(sum(row.duration_us), 0), "
    "min(row.duration_us), max(row.duration_us), "
    "count(row.actual_cost_nano), ifnull(sum(row.actual_cost_nano), 0), "
    "count(row.quality_milli), ifnull(sum(row.quality_milli), 0)"
)
_CELL_NUMBERS = (
    "executions, successes, duration_n, duration_us, minimum_us, maximum_us, cost_n, cost_nano, "
    "quality_n, quality_milli"
)
_CELLS_DUE = (
    f"SELECT {_DAY} AS date, {_REPO} AS repo, {_TIER} AS model_tier, {_TASK} AS task_type, "
    f"{_CELL_SUMS} FROM executions AS row NOT INDEXED WHERE {_DAY} > {_HORIZON} "
    "GROUP BY 1, 2, 3, 4"
)
_BOUND = (
    "(SELECT lower FROM bucket_bound WHERE lower <= row.duration_us ORDER BY lower DESC LIMIT 1)"
)
_BUCKETS_DUE = (
    f"SELECT {_DAY} AS date, {_REPO} AS repo, {_TIER} AS model_tier, {_TASK} AS task_type, "
    f"{_BOUND} AS lower, count(*) AS n FROM executions AS row NOT INDEXED "
    f"WHERE {_DAY} > {_HORIZON} AND row.duration_us IS NOT NULL GROUP BY 1, 2, 3, 4, 5"
)
#: The nearest rank from the top, then the middle of its bucket, within the extremes.
_P95 = (
    "(SELECT max(cell.minimum_us, min(cell.maximum_us, CAST(round("
    "2.0 * at.lower * at.upper / max(1, at.lower + at.upper)) AS INTEGER))) FROM ("
    "SELECT found.lower, (SELECT min(lower) - 1 FROM bucket_bound WHERE lower > found.lower) "
    "AS upper FROM (SELECT max(lower) AS lower FROM (SELECT bucket.lower, "
    "sum(bucket.n) OVER (ORDER BY bucket.lower DESC) AS from_top FROM execution_cell_bucket AS "
    "bucket WHERE bucket.cell = cell.cell) WHERE from_top > cell.duration_n - "
    "(cell.duration_n * 95 + 99) / 100) AS found) AS at)"
)
#: Cells whose percentile can be told: of days before that whose buckets are lost it stays.
_VOUCHED = (
    f"(cell.date > {_HORIZON} OR EXISTS (SELECT 1 FROM execution_cell_bucket AS known "
    "WHERE known.cell = cell.cell))"
)
_REBUILD_CELLS = (
    (
        "DELETE FROM execution_cell_bucket WHERE cell IN "
        f"(SELECT cell FROM execution_cell WHERE date > {_HORIZON})"
    ),
    f"DELETE FROM execution_cell WHERE date > {_HORIZON}",
    f"INSERT INTO execution_cell ({_CELL_KEY}, {_CELL_NUMBERS}) {_CELLS_DUE}",
    (
        "INSERT INTO execution_cell_bucket (cell, lower, n) SELECT cell.cell, due.lower, due.n "
        f"FROM ({_BUCKETS_DUE}) AS due JOIN execution_cell AS cell USING ({_CELL_KEY})"
    ),
    f"UPDATE execution_cell AS cell SET p95_us = {_P95} WHERE {_VOUCHED}",
)

_PATTERN_KEY = "solution_summary, repo, task_type"
_PATTERN_NUMBERS = (
    "executions, successes, duration_n, duration_us, cost_n, cost_nano, quality_n, quality_milli"
)


def _of(table: str) -> str:
    return ", ".join(f"{table}.{name}" for name in _PATTERN_NUMBERS.split(", "))


_PATTERNS_DUE = (
    f"SELECT row.solution_summary AS solution_summary, {_REPO} AS repo, {_TASK} AS task_type, "
    f"{_DAY} AS date, count(*) AS executions, sum(row.success) AS successes, "
    "count(row.duration_us) AS duration_n, ifnull(sum(row.duration_us), 0) AS duration_us, "
    "count(row.actual_cost_nano) AS cost_n, ifnull(sum(row.actual_cost_nano), 0) AS cost_nano, "
    "count(row.quality_milli) AS quality_n, ifnull(sum(row.quality_milli), 0) AS quality_milli "
    "FROM executions AS row NOT INDEXED "
    f"WHERE row.solution_summary IS NOT NULL AND {_DAY} > {_HORIZON} GROUP BY 1, 2, 3, 4"
)
_REBUILD_PATTERNS = (
    f"DELETE FROM solution_pattern_day WHERE date > {_HORIZON}",
    (
        f"INSERT OR IGNORE INTO solution_pattern ({_PATTERN_KEY}, executions) "
        f"SELECT DISTINCT {_PATTERN_KEY}, 0 FROM ({_PATTERNS_DUE})"
    ),
    (
        f"INSERT INTO solution_pattern_day (pattern, date, {_PATTERN_NUMBERS}) "
        f"SELECT pattern.pattern, due.date, {_of('due')} "
        f"FROM ({_PATTERNS_DUE}) AS due JOIN solution_pattern AS pattern USING ({_PATTERN_KEY})"
    ),
    (
        "UPDATE solution_pattern AS pattern SET executions = "
        "(SELECT ifnull(sum(day.executions), 0) FROM solution_pattern_day AS day "
        "WHERE day.pattern = pattern.pattern)"
    ),
    "DELETE FROM solution_pattern WHERE executions = 0",
)

DERIVED = (
    Derived(
        "execution_cell",
        kept=f"SELECT {_CELL_KEY}, {_CELL_NUMBERS} FROM execution_cell WHERE date > {_HORIZON}",
        due=_CELLS_DUE,
        rebuild=_REBUILD_CELLS,
        whole=False,
    ),
    Derived(
        "execution_cell_bucket",
        kept=f"SELECT {_CELL}, bucket.lower, bucket.n FROM execution_cell_bucket AS bucket "
        f"JOIN execution_cell AS cell USING (cell) WHERE cell.date > {_HORIZON}",
        due=_BUCKETS_DUE,
        rebuild=_REBUILD_CELLS,
        whole=False,
    ),
    Derived(
        "execution_cell",
        kept=f"SELECT {_CELL}, p95_us FROM execution_cell AS cell WHERE {_VOUCHED}",
        due=f"SELECT {_CELL}, {_P95} FROM execution_cell AS cell WHERE {_VOUCHED}",
        rebuild=_REBUILD_CELLS,
        whole=False,
    ),
    Derived(
        "solution_pattern_day",
        kept=f"SELECT {_PATTERN_KEY}, day.date, "
        f"{_of('day')} "
        "FROM solution_pattern_day AS day "
        f"JOIN solution_pattern AS pattern USING (pattern) WHERE day.date > {_HORIZON}",
        due=_PATTERNS_DUE,
        rebuild=_REBUILD_PATTERNS,
        whole=False,
    ),
    Derived(
        "solution_pattern",
        kept=f"SELECT {_PATTERN_KEY}, executions FROM solution_pattern",
        due=f"SELECT {_PATTERN_KEY}, (SELECT sum(day.executions) FROM solution_pattern_day "
        "AS day WHERE day.pattern = pattern.pattern) FROM solution_pattern AS pattern",
        rebuild=_REBUILD_PATTERNS,
        whole=False,
    ),
)
