-- Agents: samples, task events, commits, system health, retrieval (RAG); each is a log.

-- Stored whole, so that sums never drift: thousandths of a percent or of a MB (1,048,576 bytes).
CREATE TABLE agent_metrics (
    seq                  INTEGER PRIMARY KEY,
    id                   TEXT NOT NULL UNIQUE,
    agent_id             TEXT NOT NULL CHECK (agent_id <> ''),
    recorded_at          TEXT NOT NULL,
    status               TEXT NOT NULL
                         CHECK (status IN ('active', 'idle', 'blocked', 'error', 'offline')),
    current_task         TEXT,
    cpu_milli            INTEGER CHECK (cpu_milli BETWEEN 0 AND 1000000000000),
    memory_milli         INTEGER CHECK (memory_milli BETWEEN 0 AND 1000000000000),
    memory_percent_milli INTEGER CHECK (memory_percent_milli BETWEEN 0 AND 100000),
    uncommitted_changes  INTEGER CHECK (uncommitted_changes BETWEEN 0 AND 1000000000000),
    uptime_us            INTEGER CHECK (uptime_us BETWEEN 0 AND 1000000000000000000),
    last_activity        TEXT,
    branch               TEXT,
    digest               TEXT NOT NULL,
    cpu_usage            REAL GENERATED ALWAYS AS (cpu_milli / 1000.0) VIRTUAL,
    memory_usage         REAL GENERATED ALWAYS AS (memory_milli / 1000.0) VIRTUAL,
    memory_percent       REAL GENERATED ALWAYS AS (memory_percent_milli / 1000.0) VIRTUAL,
    uptime_seconds       REAL GENERATED ALWAYS AS (uptime_us / 1000000.0) VIRTUAL
) STRICT;

-- The newest of each agent first.
CREATE INDEX agent_metrics_by_agent ON agent_metrics (agent_id, recorded_at);

CREATE TRIGGER agent_metrics_immutable BEFORE UPDATE ON agent_metrics
BEGIN
    SELECT RAISE(ABORT, 'agent_metrics is append-only: a row is never changed');
END;

CREATE TRIGGER agent_metrics_kept BEFORE DELETE ON agent_metrics
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'agent' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'agent_metrics is append-only: only retention deletes rows');
END;

-- From the declaration in metrics_store/families/agents.py, to the letter.
CREATE TRIGGER agent_metrics_rollup AFTER INSERT ON agent_metrics
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'agent')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'agent', '', NEW.agent_id, 'total', '',
      1, NEW.status = 'active', NEW.status = 'error', NEW.cpu_milli IS NOT NULL, ifnull(NEW.cpu_milli, 0), NEW.cpu_milli, NEW.cpu_milli, NEW.recorded_at, NEW.recorded_at
    UNION ALL SELECT 'agent', period, subject, kind, '',
      1, NEW.status = 'active', NEW.status = 'error', 1, value, value, value, NULL, NULL
      FROM (SELECT CASE at.column1 WHEN 0 THEN substr(NEW.recorded_at, 1, 10) END AS period, NEW.agent_id AS subject, kind.column1 AS kind,
      CASE kind.column1 WHEN 'cpu' THEN NEW.cpu_milli WHEN 'memory' THEN NEW.memory_milli WHEN 'memory_percent' THEN NEW.memory_percent_milli WHEN 'uncommitted' THEN NEW.uncommitted_changes END AS value FROM (VALUES (0)) AS at, (VALUES ('cpu'), ('memory'), ('memory_percent'), ('uncommitted')) AS kind)
      WHERE value IS NOT NULL AND subject IS NOT NULL)
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
    SELECT 'agent', substr(NEW.recorded_at, 1, 10), NEW.agent_id, 'status', NEW.status,
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
END;

-- Where each agent stands: its newest sample. The recursion jumps from agent to agent.
CREATE VIEW agent_status AS
WITH RECURSIVE agent (name) AS (
    SELECT min(agent_id) FROM agent_metrics
    UNION ALL
    SELECT (SELECT min(agent_id) FROM agent_metrics WHERE agent_id > agent.name)
    FROM agent WHERE agent.name IS NOT NULL
)
SELECT m.agent_id, m.status, m.current_task, m.cpu_usage, m.memory_usage, m.memory_percent,
       m.uncommitted_changes, m.uptime_seconds, m.last_activity, m.branch, m.recorded_at, m.id
FROM agent CROSS JOIN agent_metrics AS m
ON m.seq = (
    SELECT newest.seq FROM agent_metrics AS newest WHERE newest.agent_id = agent.name
    ORDER BY newest.recorded_at DESC, newest.seq DESC LIMIT 1
);

CREATE TABLE task_events (
    seq             INTEGER PRIMARY KEY,
    id              TEXT NOT NULL UNIQUE,
    task_id         TEXT NOT NULL CHECK (task_id <> ''),
    recorded_at     TEXT NOT NULL,
    event_type      TEXT NOT NULL
                    CHECK (event_type IN ('created', 'updated', 'completed', 'blocked', 'assigned')),
    previous_status TEXT,
    new_status      TEXT,
    assigned_to     TEXT,
    changed_by      TEXT,
    details         TEXT CHECK (details IS NULL OR json_valid(details)),
    digest          TEXT NOT NULL
) STRICT;

CREATE INDEX task_events_by_task ON task_events (task_id, recorded_at);
CREATE INDEX task_events_by_time ON task_events (recorded_at, event_type);

CREATE TRIGGER task_events_immutable BEFORE UPDATE ON task_events
BEGIN
    SELECT RAISE(ABORT, 'task_events is append-only: a row is never changed');
END;

CREATE TRIGGER task_events_kept BEFORE DELETE ON task_events
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'task' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'task_events is append-only: only retention deletes rows');
END;

-- From the declaration in metrics_store/families/activity.py, to the letter.
CREATE TRIGGER task_events_rollup AFTER INSERT ON task_events
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'task')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'task', '', NEW.event_type, 'type', '',
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL
    UNION ALL SELECT 'task', substr(NEW.recorded_at, 1, 10), NEW.event_type, 'type', '',
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL
    UNION ALL SELECT 'task', substr(NEW.recorded_at, 1, 10), NEW.assigned_to, 'assignee', NEW.event_type,
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL WHERE NEW.assigned_to <> '')
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
END;

-- Where each task stands: of each thing the newest event that says it; '' stands for nobody.
CREATE VIEW task_status AS
WITH RECURSIVE task (name) AS (
    SELECT min(task_id) FROM task_events
    UNION ALL
    SELECT (SELECT min(task_id) FROM task_events WHERE task_id > task.name)
    FROM task WHERE task.name IS NOT NULL
)
SELECT task.name AS task_id,
       (SELECT ifnull(new_status, event_type) FROM task_events
        WHERE task_id = task.name
          AND (new_status IS NOT NULL OR event_type IN ('completed', 'blocked'))
        ORDER BY recorded_at DESC, seq DESC LIMIT 1) AS status,
       nullif((SELECT assigned_to FROM task_events
               WHERE task_id = task.name AND assigned_to IS NOT NULL
               ORDER BY recorded_at DESC, seq DESC LIMIT 1), '') AS assigned_to,
       (SELECT json_extract(details, '$.title') FROM task_events
        WHERE task_id = task.name AND json_type(details, '$.title') = 'text'
        ORDER BY recorded_at DESC, seq DESC LIMIT 1) AS title,
       last.event_type AS last_event,
       last.changed_by AS changed_by,
       (SELECT min(recorded_at) FROM task_events WHERE task_id = task.name) AS first_at,
       last.recorded_at AS last_at
FROM task CROSS JOIN task_events AS last
ON last.seq = (
    SELECT newest.seq FROM task_events AS newest WHERE newest.task_id = task.name
    ORDER BY newest.recorded_at DESC, newest.seq DESC LIMIT 1
);

-- The last state of each watched board that was taken in, in one transaction with its events.
CREATE TABLE task_board (
    path     TEXT PRIMARY KEY,
    sha256   TEXT NOT NULL,
    state    TEXT NOT NULL CHECK (json_valid(state)),
    taken_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- A commit is the same wherever it is met: its hash is its id.
CREATE TABLE git_commits (
    seq              INTEGER PRIMARY KEY,
    commit_hash      TEXT NOT NULL UNIQUE CHECK (commit_hash <> ''),
    short_hash       TEXT NOT NULL,
    agent_id         TEXT CHECK (agent_id <> ''),
    author           TEXT NOT NULL,
    message          TEXT NOT NULL,
    branch           TEXT,
    files_changed    INTEGER CHECK (files_changed BETWEEN 0 AND 1000000000000),
    lines_added      INTEGER CHECK (lines_added BETWEEN 0 AND 1000000000000),
    lines_deleted    INTEGER CHECK (lines_deleted BETWEEN 0 AND 1000000000000),
    commit_timestamp TEXT NOT NULL,
    recorded_at      TEXT NOT NULL,
    repository       TEXT,
    digest           TEXT NOT NULL,
    id               TEXT GENERATED ALWAYS AS (commit_hash) VIRTUAL
) STRICT;

CREATE INDEX git_commits_by_time ON git_commits (commit_timestamp, agent_id);

CREATE TRIGGER git_commits_immutable BEFORE UPDATE ON git_commits
BEGIN
    SELECT RAISE(ABORT, 'git_commits is append-only: a row is never changed');
END;

CREATE TRIGGER git_commits_kept BEFORE DELETE ON git_commits
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'commit' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'git_commits is append-only: only retention deletes rows');
END;

-- From the declaration in metrics_store/families/activity.py, to the letter.
CREATE TRIGGER git_commits_rollup AFTER INSERT ON git_commits
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'commit')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'commit', '', ifnull(NEW.agent_id, ''), 'total', '',
      1, 1, 0, NEW.lines_added IS NOT NULL, ifnull(NEW.lines_added, 0), NEW.lines_added, NEW.lines_added, NEW.commit_timestamp, NEW.commit_timestamp
    UNION ALL SELECT 'commit', period, subject, kind, '',
      1, 1, 0, 1, value, value, value, NULL, NULL
      FROM (SELECT CASE at.column1 WHEN 0 THEN substr(NEW.commit_timestamp, 1, 10) END AS period, ifnull(NEW.agent_id, '') AS subject, kind.column1 AS kind,
      CASE kind.column1 WHEN 'files' THEN NEW.files_changed WHEN 'added' THEN NEW.lines_added WHEN 'deleted' THEN NEW.lines_deleted END AS value FROM (VALUES (0)) AS at, (VALUES ('files'), ('added'), ('deleted')) AS kind)
      WHERE value IS NOT NULL AND subject IS NOT NULL)
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
    SELECT 'commit', substr(NEW.commit_timestamp, 1, 10), ifnull(NEW.agent_id, ''), 'day', '',
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
END;

CREATE TABLE system_health (
    seq                   INTEGER PRIMARY KEY,
    id                    TEXT NOT NULL UNIQUE,
    recorded_at           TEXT NOT NULL,
    overall_status        TEXT NOT NULL
                          CHECK (overall_status IN ('healthy', 'degraded', 'unhealthy')),
    api_latency_us        INTEGER CHECK (api_latency_us BETWEEN 0 AND 1000000000000),
    websocket_connections INTEGER CHECK (websocket_connections BETWEEN 0 AND 1000000000000),
    file_watch_events     INTEGER CHECK (file_watch_events BETWEEN 0 AND 1000000000000),
    error_count           INTEGER CHECK (error_count BETWEEN 0 AND 1000000000000),
    cpu_milli             INTEGER CHECK (cpu_milli BETWEEN 0 AND 100000),
    memory_milli          INTEGER CHECK (memory_milli BETWEEN 0 AND 100000),
    disk_milli            INTEGER CHECK (disk_milli BETWEEN 0 AND 100000),
    details               TEXT CHECK (details IS NULL OR json_valid(details)),
    digest                TEXT NOT NULL,
    -- Milliseconds, and percent.
    api_latency           REAL GENERATED ALWAYS AS (api_latency_us / 1000.0) VIRTUAL,
    cpu                   REAL GENERATED ALWAYS AS (cpu_milli / 1000.0) VIRTUAL,
    memory                REAL GENERATED ALWAYS AS (memory_milli / 1000.0) VIRTUAL,
    disk                  REAL GENERATED ALWAYS AS (disk_milli / 1000.0) VIRTUAL
) STRICT;

CREATE INDEX system_health_by_time ON system_health (recorded_at);

CREATE TRIGGER system_health_immutable BEFORE UPDATE ON system_health
BEGIN
    SELECT RAISE(ABORT, 'system_health is append-only: a row is never changed');
END;

CREATE TRIGGER system_health_kept BEFORE DELETE ON system_health
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'system' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'system_health is append-only: only retention deletes rows');
END;

-- From the declaration in metrics_store/families/agents.py, to the letter.
CREATE TRIGGER system_health_rollup AFTER INSERT ON system_health
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'system')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'system', period, subject, kind, '',
      1, NEW.overall_status = 'healthy', NEW.overall_status = 'unhealthy', 1, value, value, value, NULL, NULL
      FROM (SELECT CASE at.column1 WHEN 0 THEN substr(NEW.recorded_at, 1, 13) END AS period, '' AS subject, kind.column1 AS kind,
      CASE kind.column1 WHEN 'hour_cpu' THEN NEW.cpu_milli WHEN 'hour_memory' THEN NEW.memory_milli WHEN 'hour_disk' THEN NEW.disk_milli WHEN 'hour_latency' THEN NEW.api_latency_us WHEN 'hour_errors' THEN NEW.error_count WHEN 'hour_websockets' THEN NEW.websocket_connections WHEN 'hour_watches' THEN NEW.file_watch_events END AS value FROM (VALUES (0)) AS at, (VALUES ('hour_cpu'), ('hour_memory'), ('hour_disk'), ('hour_latency'), ('hour_errors'), ('hour_websockets'), ('hour_watches')) AS kind)
      WHERE value IS NOT NULL AND subject IS NOT NULL
    UNION ALL SELECT 'system', period, subject, kind, '',
      1, NEW.overall_status = 'healthy', NEW.overall_status = 'unhealthy', 1, value, value, value, NULL, NULL
      FROM (SELECT CASE at.column1 WHEN 0 THEN substr(NEW.recorded_at, 1, 10) END AS period, '' AS subject, kind.column1 AS kind,
      CASE kind.column1 WHEN 'cpu' THEN NEW.cpu_milli WHEN 'memory' THEN NEW.memory_milli WHEN 'disk' THEN NEW.disk_milli WHEN 'latency' THEN NEW.api_latency_us WHEN 'errors' THEN NEW.error_count WHEN 'websockets' THEN NEW.websocket_connections WHEN 'watches' THEN NEW.file_watch_events END AS value FROM (VALUES (0)) AS at, (VALUES ('cpu'), ('memory'), ('disk'), ('latency'), ('errors'), ('websockets'), ('watches')) AS kind)
      WHERE value IS NOT NULL AND subject IS NOT NULL)
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
    SELECT 'system', substr(NEW.recorded_at, 1, 13), '', 'hour_status', NEW.overall_status,
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL
    UNION ALL SELECT 'system', substr(NEW.recorded_at, 1, 10), '', 'status', NEW.overall_status,
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
END;

CREATE TABLE rag_metrics (
    seq                    INTEGER PRIMARY KEY,
    id                     TEXT NOT NULL UNIQUE,
    recorded_at            TEXT NOT NULL,
    total_patterns         INTEGER CHECK (total_patterns BETWEEN 0 AND 1000000000000),
    total_queries          INTEGER CHECK (total_queries BETWEEN 0 AND 1000000000000),
    average_response_us    INTEGER CHECK (average_response_us BETWEEN 0 AND 1000000000000),
    hit_rate_micro         INTEGER CHECK (hit_rate_micro BETWEEN 0 AND 100000000),
    memory_milli           INTEGER CHECK (memory_milli BETWEEN 0 AND 1000000000000),
    query_volume_last_hour INTEGER CHECK (query_volume_last_hour BETWEEN 0 AND 1000000000000),
    top_patterns           TEXT CHECK (top_patterns IS NULL OR json_valid(top_patterns)),
    recent_queries         TEXT CHECK (recent_queries IS NULL OR json_valid(recent_queries)),
    digest                 TEXT NOT NULL,
    -- Milliseconds; a share as its source writes it; MB.
    average_response_time  REAL GENERATED ALWAYS AS (average_response_us / 1000.0) VIRTUAL,
    hit_rate               REAL GENERATED ALWAYS AS (hit_rate_micro / 1000000.0) VIRTUAL,
    memory_usage           REAL GENERATED ALWAYS AS (memory_milli / 1000.0) VIRTUAL
) STRICT;

CREATE INDEX rag_metrics_by_time ON rag_metrics (recorded_at);

CREATE TRIGGER rag_metrics_immutable BEFORE UPDATE ON rag_metrics
BEGIN
    SELECT RAISE(ABORT, 'rag_metrics is append-only: a row is never changed');
END;

CREATE TRIGGER rag_metrics_kept BEFORE DELETE ON rag_metrics
WHEN NOT EXISTS (
    SELECT 1 FROM retention_permit WHERE family = 'rag' AND up_to_seq >= OLD.seq
)
BEGIN
    SELECT RAISE(ABORT, 'rag_metrics is append-only: only retention deletes rows');
END;

-- From the declaration in metrics_store/families/agents.py, to the letter.
CREATE TRIGGER rag_metrics_rollup AFTER INSERT ON rag_metrics
WHEN NOT EXISTS (SELECT 1 FROM rollup_deferred WHERE family = 'rag')
BEGIN
  INSERT INTO rollup (scope, period, subject, kind, label, n, completed, failed, measured, total, minimum, maximum, first_at, last_at)
    SELECT * FROM (
    SELECT 'rag', period, subject, kind, '',
      1, 1, 0, 1, value, value, value, NULL, NULL
      FROM (SELECT CASE at.column1 WHEN 0 THEN substr(NEW.recorded_at, 1, 10) END AS period, '' AS subject, kind.column1 AS kind,
      CASE kind.column1 WHEN 'patterns' THEN NEW.total_patterns WHEN 'queries' THEN NEW.total_queries WHEN 'response' THEN NEW.average_response_us WHEN 'hit_rate' THEN NEW.hit_rate_micro WHEN 'memory' THEN NEW.memory_milli WHEN 'volume' THEN NEW.query_volume_last_hour END AS value FROM (VALUES (0)) AS at, (VALUES ('patterns'), ('queries'), ('response'), ('hit_rate'), ('memory'), ('volume')) AS kind)
      WHERE value IS NOT NULL AND subject IS NOT NULL)
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
    SELECT 'rag', substr(NEW.recorded_at, 1, 10), '', 'samples', '',
      1, 0, 0, 0, 0, NULL, NULL, NULL, NULL)
    WHERE true
    ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
        n = n + excluded.n;
END;
