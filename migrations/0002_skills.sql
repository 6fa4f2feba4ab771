-- Skills: what is in flight, the log of what has ended, and its rollups.

CREATE TABLE skill_inflight (
    id            TEXT PRIMARY KEY,
    skill_name    TEXT NOT NULL,
    invoked_at    TEXT NOT NULL,
    workflow_path TEXT,
    session_id    TEXT,
    project_path  TEXT,
    origin        TEXT NOT NULL,
    attributes    TEXT CHECK (attributes IS NULL OR json_valid(attributes)),
    legacy        TEXT CHECK (legacy IS NULL OR json_valid(legacy)),
    process       TEXT,
    heartbeat_at  TEXT
) STRICT, WITHOUT ROWID;

CREATE TABLE skill_invocation (
    seq               INTEGER PRIMARY KEY,
    id                TEXT NOT NULL UNIQUE,
    skill_name        TEXT NOT NULL CHECK (skill_name <> ''),
    invoked_at        TEXT NOT NULL,
    ended_at          TEXT,
    workflow_path     TEXT,
    session_id        TEXT,
    project_path      TEXT,
    outcome           TEXT NOT NULL CHECK (outcome IN ('completed', 'failed', 'abandoned')),
    completed         INTEGER GENERATED ALWAYS AS (outcome = 'completed') VIRTUAL,
    failed            INTEGER GENERATED ALWAYS AS (outcome = 'failed') VIRTUAL,
    duration_us       INTEGER CHECK (duration_us BETWEEN 0 AND 1000000000000000),
    duration_seconds  REAL GENERATED ALWAYS AS (duration_us / 1000000.0) VIRTUAL,
    -- Durations are counted for completed invocations alone, as the legacy averages always were.
    completed_us      INTEGER GENERATED ALWAYS AS (CASE outcome WHEN 'completed' THEN duration_us END)
                      VIRTUAL,
    error_type        TEXT,
    follow_up_actions TEXT NOT NULL
                      CHECK (follow_up_actions = '[]' OR json_type(follow_up_actions) = 'array'),
    origin            TEXT NOT NULL,
    attributes        TEXT CHECK (attributes IS NULL OR json_valid(attributes)),
    legacy            TEXT CHECK (legacy IS NULL OR json_valid(legacy)),
    schema_version    INTEGER NOT NULL,
    digest            TEXT NOT NULL
) STRICT;

-- Newest first, and a filter by skill answered from the index alone.
CREATE INDEX skill_invocation_by_time ON skill_invocation (invoked_at, skill_name);

CREATE TRIGGER skill_invocation_immutable BEFORE UPDATE ON skill_invocation
BEGIN
    SELECT RAISE(ABORT, 'skill_invocation is append-only: a row is never changed');
END;

CREATE TRIGGER skill_invocation_kept BEFORE DELETE ON skill_invocation
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'skill' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'skill_invocation is append-only: only retention deletes rows');
END;

-- What has ended is no longer in flight, in the same statement.
CREATE TRIGGER skill_invocation_landed AFTER INSERT ON skill_invocation
BEGIN
    DELETE FROM skill_inflight WHERE id = NEW.id;
END;

-- From the declaration in metrics_store/families/skills.py, to the letter.
CREATE TRIGGER skill_invocation_rollup AFTER INSERT ON skill_invocation
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'skill')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'skill', '', NEW.skill_name, 'total', '',
      1, NEW.completed, NEW.failed, NEW.completed_us IS NOT NULL, ifnull(NEW.completed_us, 0), NEW.completed_us, NEW.completed_us, NEW.invoked_at, NEW.invoked_at
    UNION ALL SELECT 'skill', substr(NEW.invoked_at, 1, 10), NEW.skill_name, 'hour', substr(NEW.invoked_at, 12, 2),
      1, NEW.completed, NEW.failed, NEW.completed_us IS NOT NULL, ifnull(NEW.completed_us, 0), NEW.completed_us, NEW.completed_us, NULL, NULL
    UNION ALL SELECT 'skill', '', NEW.skill_name, 'path', NEW.workflow_path,
      1, NEW.completed, NEW.failed, NEW.completed_us IS NOT NULL, ifnull(NEW.completed_us, 0), NEW.completed_us, NEW.completed_us, NEW.invoked_at, NEW.invoked_at WHERE NEW.workflow_path IS NOT NULL
    UNION ALL SELECT 'session', '', NEW.session_id, 'skill', NEW.skill_name,
      1, NEW.completed, NEW.failed, NEW.completed_us IS NOT NULL, ifnull(NEW.completed_us, 0), NEW.completed_us, NEW.completed_us, NEW.invoked_at, NEW.invoked_at WHERE NEW.session_id IS NOT NULL
    UNION ALL SELECT 'skill', '', NEW.skill_name, 'error', NEW.error_type,
      1, NEW.completed, NEW.failed, NEW.completed_us IS NOT NULL, ifnull(NEW.completed_us, 0), NEW.completed_us, NEW.completed_us, NEW.invoked_at, NEW.invoked_at WHERE NEW.error_type IS NOT NULL)
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
    SELECT 'skill', '', NEW.skill_name, 'action', item.value,
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL FROM json_each(NEW.follow_up_actions) AS item WHERE NEW.follow_up_actions <> '[]')
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'skill', slot.period, NEW.skill_name, slot.kind,
      bound.bucket / slot.width, 1, 0, 0, 0, 0, NULL, NULL, NULL, NULL
      FROM (SELECT bucket FROM bucket_bound WHERE lower <= NEW.completed_us
            ORDER BY lower DESC LIMIT 1) AS bound,
           (SELECT '' AS period, 'value' AS kind, 1 AS width
            UNION ALL SELECT '', 'block', 16
            UNION ALL SELECT substr(NEW.invoked_at, 1, 10), 'value', 1) AS slot)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
END;

CREATE TRIGGER skill_invocation_fold AFTER DELETE ON rollup_deferred
WHEN OLD.family = 'skill'
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'skill', '', row.skill_name, 'total', '',
      count(*), sum(row.completed), sum(row.failed), count(row.completed_us), ifnull(sum(row.completed_us), 0), min(row.completed_us), max(row.completed_us), min(row.invoked_at), max(row.invoked_at)
      FROM skill_invocation AS row NOT INDEXED
      WHERE (row.seq > OLD.after_seq) GROUP BY 2, 3, 5
    UNION ALL SELECT 'skill', substr(row.invoked_at, 1, 10), row.skill_name, 'hour', substr(row.invoked_at, 12, 2),
      count(*), sum(row.completed), sum(row.failed), count(row.completed_us), ifnull(sum(row.completed_us), 0), min(row.completed_us), max(row.completed_us), NULL, NULL
      FROM skill_invocation AS row NOT INDEXED
      WHERE (row.seq > OLD.after_seq) GROUP BY 2, 3, 5
    UNION ALL SELECT 'skill', '', row.skill_name, 'path', row.workflow_path,
      count(*), sum(row.completed), sum(row.failed), count(row.completed_us), ifnull(sum(row.completed_us), 0), min(row.completed_us), max(row.completed_us), min(row.invoked_at), max(row.invoked_at)
      FROM skill_invocation AS row NOT INDEXED
      WHERE (row.seq > OLD.after_seq) AND (row.workflow_path IS NOT NULL) GROUP BY 2, 3, 5
    UNION ALL SELECT 'session', '', row.session_id, 'skill', row.skill_name,
      count(*), sum(row.completed), sum(row.failed), count(row.completed_us), ifnull(sum(row.completed_us), 0), min(row.completed_us), max(row.completed_us), min(row.invoked_at), max(row.invoked_at)
      FROM skill_invocation AS row NOT INDEXED
      WHERE (row.seq > OLD.after_seq) AND (row.session_id IS NOT NULL) GROUP BY 2, 3, 5
    UNION ALL SELECT 'skill', '', row.skill_name, 'error', row.error_type,
      count(*), sum(row.completed), sum(row.failed), count(row.completed_us), ifnull(sum(row.completed_us), 0), min(row.completed_us), max(row.completed_us), min(row.invoked_at), max(row.invoked_at)
      FROM skill_invocation AS row NOT INDEXED
      WHERE (row.seq > OLD.after_seq) AND (row.error_type IS NOT NULL) GROUP BY 2, 3, 5
    UNION ALL SELECT 'skill', '', row.skill_name, 'action', item.value,
      count(*), 0, 0, 0, 0, NULL, NULL, NULL, NULL
      FROM skill_invocation AS row NOT INDEXED, json_each(row.follow_up_actions) AS item
      WHERE (row.seq > OLD.after_seq) AND (row.follow_up_actions <> '[]') GROUP BY 2, 3, 5
    UNION ALL SELECT 'skill', '', row.skill_name, 'value', (SELECT bucket FROM bucket_bound WHERE lower <= row.completed_us
       ORDER BY lower DESC LIMIT 1) / 1,
      count(*), 0, 0, 0, 0, NULL, NULL, NULL, NULL
      FROM skill_invocation AS row NOT INDEXED
      WHERE (row.seq > OLD.after_seq) AND (row.completed_us IS NOT NULL) GROUP BY 2, 3, 5
    UNION ALL SELECT 'skill', '', row.skill_name, 'block', (SELECT bucket FROM bucket_bound WHERE lower <= row.completed_us
       ORDER BY lower DESC LIMIT 1) / 16,
      count(*), 0, 0, 0, 0, NULL, NULL, NULL, NULL
      FROM skill_invocation AS row NOT INDEXED
      WHERE (row.seq > OLD.after_seq) AND (row.completed_us IS NOT NULL) GROUP BY 2, 3, 5
    UNION ALL SELECT 'skill', substr(row.invoked_at, 1, 10), row.skill_name, 'value', (SELECT bucket FROM bucket_bound WHERE lower <= row.completed_us
       ORDER BY lower DESC LIMIT 1) / 1,
      count(*), 0, 0, 0, 0, NULL, NULL, NULL, NULL
      FROM skill_invocation AS row NOT INDEXED
      WHERE (row.seq > OLD.after_seq) AND (row.completed_us IS NOT NULL) GROUP BY 2, 3, 5)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n,
        completed = completed + excluded.completed, failed = failed + excluded.failed,
        measured = measured + excluded.measured, total = total + excluded.total,
        minimum = ifnull(min(minimum, excluded.minimum), ifnull(minimum, excluded.minimum)),
        maximum = ifnull(max(maximum, excluded.maximum), ifnull(maximum, excluded.maximum)),
        first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);
END;

-- Search covers the distinct workflow paths, not every row of the log. (Not a trigger on rollup:
-- with one, SQLite puts each INSERT ... SELECT into a temporary table first, at twice the cost.)
CREATE TABLE workflow_path (
    id            INTEGER PRIMARY KEY,
    workflow_path TEXT NOT NULL,
    skill_name    TEXT NOT NULL,
    UNIQUE (workflow_path, skill_name)
) STRICT;

CREATE VIRTUAL TABLE workflow_path_fts USING fts5 (
    workflow_path, content = 'workflow_path', content_rowid = 'id',
    tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TRIGGER skill_invocation_path AFTER INSERT ON skill_invocation
WHEN NEW.workflow_path IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM workflow_path
    WHERE workflow_path = NEW.workflow_path AND skill_name = NEW.skill_name
)
BEGIN
    INSERT INTO workflow_path (workflow_path, skill_name)
    VALUES (NEW.workflow_path, NEW.skill_name);
    INSERT INTO workflow_path_fts (rowid, workflow_path)
    VALUES (last_insert_rowid(), NEW.workflow_path);
END;

CREATE VIEW session_skill AS
SELECT subject AS session_id, label AS skill_name, n AS invocation_count,
       first_at AS first_invoked_at, last_at AS last_invoked_at,
       total / 1000000.0 AS total_duration_seconds
FROM rollup WHERE scope = 'session' AND period = '' AND kind = 'skill';

CREATE VIEW skill_hour AS
SELECT subject AS skill_name, period || 'T' || label || ':00:00Z' AS hour, n AS invocations,
       completed, failed, n - completed - failed AS abandoned,
       total / 1000000.0 AS total_duration_seconds,
       minimum / 1000000.0 AS min_duration_seconds, maximum / 1000000.0 AS max_duration_seconds
FROM rollup WHERE scope = 'skill' AND kind = 'hour';

CREATE VIEW skill_day AS
SELECT subject AS skill_name, period AS day, sum(n) AS invocations,
       sum(completed) AS completed, sum(failed) AS failed,
       sum(n - completed - failed) AS abandoned,
       sum(total) / 1000000.0 AS total_duration_seconds,
       min(minimum) / 1000000.0 AS min_duration_seconds,
       max(maximum) / 1000000.0 AS max_duration_seconds
FROM rollup WHERE scope = 'skill' AND kind = 'hour' GROUP BY period, subject;
