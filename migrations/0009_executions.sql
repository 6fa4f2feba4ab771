-- Executions: one row per task that a model ran to its end, and what is derived from it.

CREATE TABLE executions (
    seq                INTEGER PRIMARY KEY,
    id                 TEXT NOT NULL UNIQUE CHECK (id <> ''),
    timestamp          TEXT NOT NULL,
    task_type          TEXT,
    task_description   TEXT,
    repo               TEXT,
    file_count         INTEGER CHECK (file_count >= 0),
    estimated_tokens   INTEGER CHECK (estimated_tokens >= 0),
    model_tier         TEXT,
    pool_type          TEXT,
    swarm_topology     TEXT,
    routing_confidence REAL,
    complexity_milli   INTEGER CHECK (complexity_milli BETWEEN 0 AND 1000000000000000),
    success            INTEGER NOT NULL CHECK (success IN (0, 1)),
    duration_us        INTEGER CHECK (duration_us BETWEEN 0 AND 1000000000000000),
    quality_milli      INTEGER CHECK (quality_milli BETWEEN 0 AND 100000),
    -- Money in thousand-millionths of a dollar: sums of whole numbers are exact, in any order.
    cost_estimate_nano INTEGER CHECK (cost_estimate_nano BETWEEN 0 AND 1000000000000000),
    actual_cost_nano   INTEGER CHECK (actual_cost_nano BETWEEN 0 AND 1000000000000000),
    error_type         TEXT,
    error_message      TEXT,
    user_accepted      INTEGER CHECK (user_accepted IN (0, 1)),
    user_rating        INTEGER CHECK (user_rating BETWEEN 1 AND 5),
    peak_memory_kb     INTEGER CHECK (peak_memory_kb BETWEEN 0 AND 1000000000000000),
    cpu_time_us        INTEGER CHECK (cpu_time_us BETWEEN 0 AND 1000000000000000),
    solution_summary   TEXT,
    -- 384 numbers of 4 bytes (IEEE 754), the lowest byte first.
    embedding          BLOB CHECK (embedding IS NULL OR length(embedding) = 1536),
    metadata           TEXT CHECK (metadata IS NULL OR json_valid(metadata)),
    digest             TEXT NOT NULL,
    task_id            TEXT GENERATED ALWAYS AS (id) VIRTUAL,
    complexity_score   REAL GENERATED ALWAYS AS (complexity_milli / 1000.0) VIRTUAL,
    duration_seconds   REAL GENERATED ALWAYS AS (duration_us / 1000000.0) VIRTUAL,
    quality_score      REAL GENERATED ALWAYS AS (quality_milli / 1000.0) VIRTUAL,
    cost_estimate      REAL GENERATED ALWAYS AS (cost_estimate_nano / 1000000000.0) VIRTUAL,
    actual_cost        REAL GENERATED ALWAYS AS (actual_cost_nano / 1000000000.0) VIRTUAL,
    savings_nano       INTEGER GENERATED ALWAYS AS (cost_estimate_nano - actual_cost_nano) VIRTUAL,
    savings            REAL GENERATED ALWAYS AS
                       ((cost_estimate_nano - actual_cost_nano) / 1000000000.0) VIRTUAL,
    peak_memory_mb     REAL GENERATED ALWAYS AS (peak_memory_kb / 1000.0) VIRTUAL,
    cpu_time_seconds   REAL GENERATED ALWAYS AS (cpu_time_us / 1000000.0) VIRTUAL
) STRICT;

-- Newest first, and how quality goes, from the index alone.
CREATE INDEX executions_quality_trend ON executions (timestamp, quality_milli);
CREATE INDEX executions_repo_task ON executions (repo, task_type, timestamp);
CREATE INDEX executions_tier_success ON executions (model_tier, success, timestamp);
CREATE INDEX executions_pool_duration ON executions (pool_type, duration_us);
CREATE INDEX executions_embedded ON executions (seq) WHERE embedding IS NOT NULL;

-- What users keep beside the executions, such as a version or a cursor of their own.
CREATE TABLE metadata (
    key        TEXT PRIMARY KEY,
    value      TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER executions_immutable BEFORE UPDATE ON executions
BEGIN
    SELECT RAISE(ABORT, 'executions is append-only: a row is never changed');
END;

CREATE TRIGGER executions_kept BEFORE DELETE ON executions
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'execution' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'executions is append-only: only retention deletes rows');
END;

-- From the declaration in metrics_store/families/executions.py, to the letter.
CREATE TRIGGER executions_rollup AFTER INSERT ON executions
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'execution')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'execution', '', '', 'total', '',
      1, NEW.success, (1 - NEW.success), NEW.duration_us IS NOT NULL, ifnull(NEW.duration_us, 0), NEW.duration_us, NEW.duration_us, NEW.timestamp, NEW.timestamp
    UNION ALL SELECT 'execution_pool', substr(NEW.timestamp, 1, 13), ifnull(NEW.pool_type, ''), 'duration', '',
      1, NEW.success, (1 - NEW.success), NEW.duration_us IS NOT NULL, ifnull(NEW.duration_us, 0), NEW.duration_us, NEW.duration_us, NULL, NULL
    UNION ALL SELECT 'execution_pool', substr(NEW.timestamp, 1, 13), ifnull(NEW.pool_type, ''), 'cost', '',
      1, NEW.success, (1 - NEW.success), NEW.actual_cost_nano IS NOT NULL, ifnull(NEW.actual_cost_nano, 0), NEW.actual_cost_nano, NEW.actual_cost_nano, NULL, NULL WHERE NEW.actual_cost_nano IS NOT NULL
    UNION ALL SELECT 'execution_pool', substr(NEW.timestamp, 1, 13), ifnull(NEW.pool_type, ''), 'quality', '',
      1, NEW.success, (1 - NEW.success), NEW.quality_milli IS NOT NULL, ifnull(NEW.quality_milli, 0), NEW.quality_milli, NEW.quality_milli, NULL, NULL WHERE NEW.quality_milli IS NOT NULL
    UNION ALL SELECT 'execution_tier', substr(NEW.timestamp, 1, 10), ifnull(NEW.model_tier, ''), 'duration', '',
      1, NEW.success, (1 - NEW.success), NEW.duration_us IS NOT NULL, ifnull(NEW.duration_us, 0), NEW.duration_us, NEW.duration_us, NULL, NULL
    UNION ALL SELECT 'execution_tier', substr(NEW.timestamp, 1, 10), ifnull(NEW.model_tier, ''), 'cost', '',
      1, NEW.success, (1 - NEW.success), NEW.actual_cost_nano IS NOT NULL, ifnull(NEW.actual_cost_nano, 0), NEW.actual_cost_nano, NEW.actual_cost_nano, NULL, NULL WHERE NEW.actual_cost_nano IS NOT NULL
    UNION ALL SELECT 'execution_tier', substr(NEW.timestamp, 1, 10), ifnull(NEW.model_tier, ''), 'estimate', '',
      1, NEW.success, (1 - NEW.success), NEW.cost_estimate_nano IS NOT NULL, ifnull(NEW.cost_estimate_nano, 0), NEW.cost_estimate_nano, NEW.cost_estimate_nano, NULL, NULL WHERE NEW.cost_estimate_nano IS NOT NULL
    UNION ALL SELECT 'execution_tier', substr(NEW.timestamp, 1, 10), ifnull(NEW.model_tier, ''), 'savings', '',
      1, NEW.success, (1 - NEW.success), NEW.savings_nano IS NOT NULL, ifnull(NEW.savings_nano, 0), NEW.savings_nano, NEW.savings_nano, NULL, NULL WHERE NEW.savings_nano IS NOT NULL
    UNION ALL SELECT 'execution_tier', substr(NEW.timestamp, 1, 10), ifnull(NEW.model_tier, ''), 'quality', NEW.quality_milli / 10000,
      1, NEW.success, (1 - NEW.success), NEW.quality_milli IS NOT NULL, ifnull(NEW.quality_milli, 0), NEW.quality_milli, NEW.quality_milli, NULL, NULL WHERE NEW.quality_milli IS NOT NULL
    UNION ALL SELECT 'execution_repo', substr(NEW.timestamp, 1, 10), ifnull(NEW.repo, ''), 'duration', '',
      1, NEW.success, (1 - NEW.success), NEW.duration_us IS NOT NULL, ifnull(NEW.duration_us, 0), NEW.duration_us, NEW.duration_us, NULL, NULL
    UNION ALL SELECT 'execution_repo', substr(NEW.timestamp, 1, 10), ifnull(NEW.repo, ''), 'cost', '',
      1, NEW.success, (1 - NEW.success), NEW.actual_cost_nano IS NOT NULL, ifnull(NEW.actual_cost_nano, 0), NEW.actual_cost_nano, NEW.actual_cost_nano, NULL, NULL WHERE NEW.actual_cost_nano IS NOT NULL
    UNION ALL SELECT 'execution_repo', substr(NEW.timestamp, 1, 10), ifnull(NEW.repo, ''), 'quality', '',
      1, NEW.success, (1 - NEW.success), NEW.quality_milli IS NOT NULL, ifnull(NEW.quality_milli, 0), NEW.quality_milli, NEW.quality_milli, NULL, NULL WHERE NEW.quality_milli IS NOT NULL
    UNION ALL SELECT 'execution_repo', substr(NEW.timestamp, 1, 10), ifnull(NEW.repo, ''), 'complexity', '',
      1, NEW.success, (1 - NEW.success), NEW.complexity_milli IS NOT NULL, ifnull(NEW.complexity_milli, 0), NEW.complexity_milli, NEW.complexity_milli, NULL, NULL WHERE NEW.complexity_milli IS NOT NULL
    UNION ALL SELECT 'execution_task', substr(NEW.timestamp, 1, 10), ifnull(NEW.task_type, ''), 'duration', '',
      1, NEW.success, (1 - NEW.success), NEW.duration_us IS NOT NULL, ifnull(NEW.duration_us, 0), NEW.duration_us, NEW.duration_us, NULL, NULL
    UNION ALL SELECT 'execution_task', substr(NEW.timestamp, 1, 10), ifnull(NEW.task_type, ''), 'cost', '',
      1, NEW.success, (1 - NEW.success), NEW.actual_cost_nano IS NOT NULL, ifnull(NEW.actual_cost_nano, 0), NEW.actual_cost_nano, NEW.actual_cost_nano, NULL, NULL WHERE NEW.actual_cost_nano IS NOT NULL
    UNION ALL SELECT 'execution_task', substr(NEW.timestamp, 1, 10), ifnull(NEW.task_type, ''), 'quality', '',
      1, NEW.success, (1 - NEW.success), NEW.quality_milli IS NOT NULL, ifnull(NEW.quality_milli, 0), NEW.quality_milli, NEW.quality_milli, NULL, NULL WHERE NEW.quality_milli IS NOT NULL
    UNION ALL SELECT 'execution', substr(NEW.timestamp, 1, 10), '', 'memory', '',
      1, NEW.success, (1 - NEW.success), NEW.peak_memory_kb IS NOT NULL, ifnull(NEW.peak_memory_kb, 0), NEW.peak_memory_kb, NEW.peak_memory_kb, NULL, NULL WHERE NEW.peak_memory_kb IS NOT NULL)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n,
        completed = completed + excluded.completed, failed = failed + excluded.failed,
        measured = measured + excluded.measured, total = total + excluded.total,
        minimum = ifnull(min(minimum, excluded.minimum), ifnull(minimum, excluded.minimum)),
        maximum = ifnull(max(maximum, excluded.maximum), ifnull(maximum, excluded.maximum)),
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'execution', substr(NEW.timestamp, 1, 10), ifnull(NEW.model_tier, ''), 'error', NEW.error_type,
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL WHERE NEW.error_type IS NOT NULL
    UNION ALL SELECT 'execution', substr(NEW.timestamp, 1, 10), '', 'accepted', NEW.user_accepted,
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL WHERE NEW.user_accepted IS NOT NULL
    UNION ALL SELECT 'execution', substr(NEW.timestamp, 1, 10), '', 'rating', NEW.user_rating,
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL WHERE NEW.user_rating IS NOT NULL)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'execution', slot.period, ifnull(NEW.model_tier, ''), slot.kind,
      bound.bucket / slot.width, 1, 0, 0, 0, 0, NULL, NULL, NULL, NULL
      FROM (SELECT bucket FROM bucket_bound WHERE lower <= NEW.duration_us
            ORDER BY lower DESC LIMIT 1) AS bound,
           (SELECT substr(NEW.timestamp, 1, 10) AS period, 'tier_value' AS kind, 1 AS width) AS slot
    UNION ALL SELECT 'execution', slot.period, ifnull(NEW.pool_type, ''), slot.kind,
      bound.bucket / slot.width, 1, 0, 0, 0, 0, NULL, NULL, NULL, NULL
      FROM (SELECT bucket FROM bucket_bound WHERE lower <= NEW.duration_us
            ORDER BY lower DESC LIMIT 1) AS bound,
           (SELECT substr(NEW.timestamp, 1, 10) AS period, 'pool_value' AS kind, 1 AS width) AS slot
    UNION ALL SELECT 'execution', slot.period, '', slot.kind,
      bound.bucket / slot.width, 1, 0, 0, 0, 0, NULL, NULL, NULL, NULL
      FROM (SELECT bucket FROM bucket_bound WHERE lower <= NEW.peak_memory_kb
            ORDER BY lower DESC LIMIT 1) AS bound,
           (SELECT substr(NEW.timestamp, 1, 10) AS period, 'memory_value' AS kind, 1 AS width) AS slot)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
END;

-- One row per day, repository, tier and task type, with everything the view of tiers shows: it
-- reads one row where the rollups would have four and all their buckets.
CREATE TABLE execution_cell (
    cell          INTEGER PRIMARY KEY,
    date          TEXT NOT NULL,
    repo          TEXT NOT NULL,
    model_tier    TEXT NOT NULL,
    task_type     TEXT NOT NULL,
    executions    INTEGER NOT NULL,
    successes     INTEGER NOT NULL,
    duration_n    INTEGER NOT NULL,
    duration_us   INTEGER NOT NULL,
    minimum_us    INTEGER,
    maximum_us    INTEGER,
    cost_n        INTEGER NOT NULL,
    cost_nano     INTEGER NOT NULL,
    quality_n     INTEGER NOT NULL,
    quality_milli INTEGER NOT NULL,
    p95_us        INTEGER,
    UNIQUE (date, repo, model_tier, task_type)
) STRICT;

CREATE TABLE execution_cell_bucket (
    cell  INTEGER NOT NULL,
    lower INTEGER NOT NULL,
    n     INTEGER NOT NULL,
    PRIMARY KEY (cell, lower)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER executions_cell AFTER INSERT ON executions
BEGIN
    INSERT INTO execution_cell (date, repo, model_tier, task_type, executions, successes,
        duration_n, duration_us, minimum_us, maximum_us, cost_n, cost_nano, quality_n,
        quality_milli)
    VALUES (substr(NEW.timestamp, 1, 10), ifnull(NEW.repo, ''), ifnull(NEW.model_tier, ''),
        ifnull(NEW.task_type, ''), 1, NEW.success,
        NEW.duration_us IS NOT NULL, ifnull(NEW.duration_us, 0), NEW.duration_us, NEW.duration_us,
        NEW.actual_cost_nano IS NOT NULL, ifnull(NEW.actual_cost_nano, 0),
        NEW.quality_milli IS NOT NULL, ifnull(NEW.quality_milli, 0))
    ON CONFLICT (date, repo, model_tier, task_type) DO UPDATE SET
        executions = executions + 1, successes = successes + excluded.successes,
        duration_n = duration_n + excluded.duration_n,
        duration_us = duration_us + excluded.duration_us,
        minimum_us = ifnull(min(minimum_us, excluded.minimum_us),
                            ifnull(minimum_us, excluded.minimum_us)),
        maximum_us = ifnull(max(maximum_us, excluded.maximum_us),
                            ifnull(maximum_us, excluded.maximum_us)),
        cost_n = cost_n + excluded.cost_n, cost_nano = cost_nano + excluded.cost_nano,
        quality_n = quality_n + excluded.quality_n,
        quality_milli = quality_milli + excluded.quality_milli;

    INSERT INTO execution_cell_bucket (cell, lower, n)
    SELECT cell, (SELECT lower FROM bucket_bound WHERE lower <= NEW.duration_us
                  ORDER BY lower DESC LIMIT 1), 1
    FROM execution_cell
    WHERE NEW.duration_us IS NOT NULL
      AND date = substr(NEW.timestamp, 1, 10) AND repo = ifnull(NEW.repo, '')
      AND model_tier = ifnull(NEW.model_tier, '') AND task_type = ifnull(NEW.task_type, '')
    ON CONFLICT (cell, lower) DO UPDATE SET n = n + 1;

    -- The 95th percentile by nearest rank, counted from the top: the middle of its bucket.
    UPDATE execution_cell SET p95_us = (
        SELECT max(minimum_us, min(maximum_us, CAST(round(
            2.0 * at.lower * at.upper / max(1, at.lower + at.upper)) AS INTEGER)))
        FROM (SELECT found.lower, (SELECT min(lower) - 1 FROM bucket_bound
                                   WHERE lower > found.lower) AS upper
              FROM (SELECT max(lower) AS lower FROM (
                        SELECT bucket.lower,
                               sum(bucket.n) OVER (ORDER BY bucket.lower DESC) AS from_top
                        FROM execution_cell_bucket AS bucket
                        WHERE bucket.cell = execution_cell.cell)
                    WHERE from_top > duration_n - (duration_n * 95 + 99) / 100) AS found) AS at
    )
    WHERE NEW.duration_us IS NOT NULL
      AND date = substr(NEW.timestamp, 1, 10) AND repo = ifnull(NEW.repo, '')
      AND model_tier = ifnull(NEW.model_tier, '') AND task_type = ifnull(NEW.task_type, '');
END;

-- What solved tasks, by its summary. Most summaries come once: the view looks only at those that
-- came often enough, and adds their days up.
CREATE TABLE solution_pattern (
    pattern          INTEGER PRIMARY KEY,
    solution_summary TEXT NOT NULL,
    repo             TEXT NOT NULL,
    task_type        TEXT NOT NULL,
    executions       INTEGER NOT NULL,
    UNIQUE (solution_summary, repo, task_type)
) STRICT;

CREATE INDEX solution_pattern_used ON solution_pattern (pattern) WHERE executions >= 5;

CREATE TABLE solution_pattern_day (
    pattern       INTEGER NOT NULL,
    date          TEXT NOT NULL,
    executions    INTEGER NOT NULL,
    successes     INTEGER NOT NULL,
    duration_n    INTEGER NOT NULL,
    duration_us   INTEGER NOT NULL,
    cost_n        INTEGER NOT NULL,
    cost_nano     INTEGER NOT NULL,
    quality_n     INTEGER NOT NULL,
    quality_milli INTEGER NOT NULL,
    PRIMARY KEY (pattern, date)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER executions_pattern AFTER INSERT ON executions
WHEN NEW.solution_summary IS NOT NULL
BEGIN
    INSERT INTO solution_pattern (solution_summary, repo, task_type, executions)
    VALUES (NEW.solution_summary, ifnull(NEW.repo, ''), ifnull(NEW.task_type, ''), 1)
    ON CONFLICT (solution_summary, repo, task_type) DO UPDATE SET executions = executions + 1;

    INSERT INTO solution_pattern_day (pattern, date, executions, successes, duration_n,
        duration_us, cost_n, cost_nano, quality_n, quality_milli)
    SELECT pattern, substr(NEW.timestamp, 1, 10), 1, NEW.success,
           NEW.duration_us IS NOT NULL, ifnull(NEW.duration_us, 0),
           NEW.actual_cost_nano IS NOT NULL, ifnull(NEW.actual_cost_nano, 0),
           NEW.quality_milli IS NOT NULL, ifnull(NEW.quality_milli, 0)
    FROM solution_pattern
    WHERE solution_summary = NEW.solution_summary AND repo = ifnull(NEW.repo, '')
      AND task_type = ifnull(NEW.task_type, '')
    ON CONFLICT (pattern, date) DO UPDATE SET
        executions = executions + 1, successes = successes + excluded.successes,
        duration_n = duration_n + excluded.duration_n,
        duration_us = duration_us + excluded.duration_us,
        cost_n = cost_n + excluded.cost_n, cost_nano = cost_nano + excluded.cost_nano,
        quality_n = quality_n + excluded.quality_n,
        quality_milli = quality_milli + excluded.quality_milli;
END;

-- The last 30 days. A rate is percent; where nothing is known there is NULL, never 0.
CREATE VIEW tier_performance_mv AS
SELECT nullif(repo, '') AS repo, nullif(model_tier, '') AS model_tier,
       nullif(task_type, '') AS task_type, date, executions, successes,
       100.0 * successes / executions AS success_rate,
       duration_us / 1000000.0 / nullif(duration_n, 0) AS avg_duration_seconds,
       p95_us / 1000000.0 AS p95_duration_seconds,
       cost_nano / 1000000000.0 / nullif(cost_n, 0) AS avg_cost,
       CASE WHEN cost_n > 0 THEN cost_nano / 1000000000.0 END AS total_cost,
       quality_milli / 1000.0 / nullif(quality_n, 0) AS avg_quality_score
FROM execution_cell WHERE date >= strftime('%Y-%m-%d', 'now', '-30 days');

-- The last 7 days, by hour.
CREATE VIEW pool_performance_mv AS
SELECT nullif(subject, '') AS pool_type, period || ':00:00Z' AS hour,
       sum(n) FILTER (WHERE kind = 'duration') AS executions,
       sum(completed) FILTER (WHERE kind = 'duration') AS successes,
       100.0 * sum(completed) FILTER (WHERE kind = 'duration')
           / sum(n) FILTER (WHERE kind = 'duration') AS success_rate,
       sum(total) FILTER (WHERE kind = 'duration') / 1000000.0
           / nullif(sum(measured) FILTER (WHERE kind = 'duration'), 0) AS avg_duration_seconds,
       sum(total) FILTER (WHERE kind = 'cost') / 1000000000.0
           / nullif(sum(measured) FILTER (WHERE kind = 'cost'), 0) AS avg_cost,
       sum(total) FILTER (WHERE kind = 'cost') / 1000000000.0 AS total_cost,
       sum(total) FILTER (WHERE kind = 'quality') / 1000.0
           / nullif(sum(measured) FILTER (WHERE kind = 'quality'), 0) AS avg_quality_score
FROM rollup
WHERE scope = 'execution_pool' AND period >= strftime('%Y-%m-%dT%H', 'now', '-7 days')
GROUP BY period, subject;

-- What solved tasks at least five times within the last 90 days.
CREATE VIEW solution_patterns_mv AS
SELECT solution_summary, nullif(repo, '') AS repo, nullif(task_type, '') AS task_type,
       used.executions AS usage_count, successes,
       100.0 * successes / used.executions AS success_rate,
       duration_us / 1000000.0 / nullif(duration_n, 0) AS avg_duration_seconds,
       cost_nano / 1000000000.0 / nullif(cost_n, 0) AS avg_cost,
       quality_milli / 1000.0 / nullif(quality_n, 0) AS avg_quality_score,
       first_used, last_used
FROM (
    -- The texts are looked up only for what remains.
    SELECT found.pattern, sum(day.executions) AS executions, sum(day.successes) AS successes,
           sum(day.duration_n) AS duration_n, sum(day.duration_us) AS duration_us,
           sum(day.cost_n) AS cost_n, sum(day.cost_nano) AS cost_nano,
           sum(day.quality_n) AS quality_n, sum(day.quality_milli) AS quality_milli,
           min(day.date) AS first_used, max(day.date) AS last_used
    FROM solution_pattern AS found INDEXED BY solution_pattern_used
    CROSS JOIN solution_pattern_day AS day ON day.pattern = found.pattern
    WHERE found.executions >= 5 AND day.date >= strftime('%Y-%m-%d', 'now', '-90 days')
    GROUP BY found.pattern HAVING sum(day.executions) >= 5
) AS used
CROSS JOIN solution_pattern ON solution_pattern.pattern = used.pattern;
