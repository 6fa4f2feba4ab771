-- Agents, tasks, commits, system health and retrieval; {table} is of a declaration.

-- name: status_of_all
-- Where each agent stands.
SELECT id, agent_id, recorded_at, status, current_task, cpu_usage, memory_usage, memory_percent,
       uncommitted_changes, uptime_seconds, last_activity, branch
FROM agent_status;

-- name: history_of
-- The newest samples of an agent from one moment to another, newest first.
SELECT id, agent_id, recorded_at, status, current_task, cpu_usage, memory_usage, memory_percent,
       uncommitted_changes, uptime_seconds, last_activity, branch
FROM agent_metrics WHERE agent_id = ?1 AND recorded_at >= ?2 AND recorded_at <= ?3
ORDER BY recorded_at DESC, seq DESC LIMIT ?4;

-- name: hours
-- Samples of one agent, or of each, from an hour to a moment, added up by hour and status.
WITH RECURSIVE agent (name) AS (
    SELECT ifnull(?1, (SELECT min(agent_id) FROM agent_metrics))
    UNION ALL
    SELECT (SELECT min(agent_id) FROM agent_metrics WHERE agent_id > agent.name)
    FROM agent WHERE agent.name IS NOT NULL AND ?1 IS NULL
)
SELECT substr(m.recorded_at, 1, 13), m.agent_id, m.status, count(*),
       count(m.cpu_milli), ifnull(sum(m.cpu_milli), 0), min(m.cpu_milli), max(m.cpu_milli),
       count(m.memory_milli), ifnull(sum(m.memory_milli), 0), min(m.memory_milli),
       max(m.memory_milli),
       count(m.memory_percent_milli), ifnull(sum(m.memory_percent_milli), 0),
       min(m.memory_percent_milli), max(m.memory_percent_milli),
       count(m.uncommitted_changes), ifnull(sum(m.uncommitted_changes), 0),
       min(m.uncommitted_changes), max(m.uncommitted_changes)
FROM agent CROSS JOIN agent_metrics AS m
ON m.agent_id = agent.name AND m.recorded_at >= ?2 AND m.recorded_at <= ?3
GROUP BY 1, 2, 3;

-- name: tasks
-- Where each task stands, as task_status says it, the last changed first, so that few need not wait
-- for all; each filter is off while its parameter is NULL.
SELECT last.task_id,
       (SELECT ifnull(new_status, event_type) FROM task_events
        WHERE task_id = last.task_id
          AND (new_status IS NOT NULL OR event_type IN ('completed', 'blocked'))
        ORDER BY recorded_at DESC, seq DESC LIMIT 1) AS status,
       nullif((SELECT assigned_to FROM task_events
               WHERE task_id = last.task_id AND assigned_to IS NOT NULL
               ORDER BY recorded_at DESC, seq DESC LIMIT 1), '') AS assigned_to,
       (SELECT json_extract(details, '$.title') FROM task_events
        WHERE task_id = last.task_id AND json_type(details, '$.title') = 'text'
        ORDER BY recorded_at DESC, seq DESC LIMIT 1),
       last.event_type, last.changed_by,
       (SELECT min(recorded_at) FROM task_events WHERE task_id = last.task_id), last.recorded_at
FROM task_events AS last INDEXED BY task_events_by_time
WHERE last.recorded_at > ''
  AND last.seq = (SELECT newest.seq FROM task_events AS newest WHERE newest.task_id = last.task_id
                  ORDER BY newest.recorded_at DESC, newest.seq DESC LIMIT 1)
  AND (?1 IS NULL OR status = ?1) AND (?2 IS NULL OR assigned_to = ?2)
ORDER BY last.recorded_at DESC, last.seq DESC LIMIT ?3;

-- name: task_history
-- What happened to a task, oldest first.
SELECT id, task_id, recorded_at, event_type, previous_status, new_status, assigned_to, changed_by,
       details
FROM task_events WHERE task_id = ? ORDER BY recorded_at, seq;

-- name: lead_times
-- For each completion from one moment to before another: it, and the task's first creation.
SELECT done.recorded_at,
       (SELECT min(made.recorded_at) FROM task_events AS made
        WHERE made.task_id = done.task_id AND made.event_type = 'created'
          AND made.recorded_at <= done.recorded_at)
FROM task_events AS done INDEXED BY task_events_by_time
WHERE done.recorded_at >= ? AND done.recorded_at < ? AND done.event_type = 'completed';

-- name: commits
-- The newest commits; the filter is off while its parameter is NULL.
SELECT commit_hash, short_hash, agent_id, author, message, branch, files_changed, lines_added,
       lines_deleted, commit_timestamp, recorded_at, repository
FROM git_commits INDEXED BY git_commits_by_time
WHERE commit_timestamp > '' AND (?1 IS NULL OR agent_id = ?1)
ORDER BY commit_timestamp DESC, seq DESC LIMIT ?2;

-- name: health_between
-- The newest records of system health from one moment to another, newest first.
SELECT id, recorded_at, overall_status, api_latency, websocket_connections, file_watch_events,
       error_count, cpu, memory, disk, details
FROM system_health WHERE recorded_at >= ?1 AND recorded_at <= ?2
ORDER BY recorded_at DESC, seq DESC LIMIT ?3;

-- name: rag_between
-- The newest records of retrieval from one moment to another, newest first.
SELECT id, recorded_at, total_patterns, total_queries, average_response_time, hit_rate,
       memory_usage, query_volume_last_hour, top_patterns, recent_queries
FROM rag_metrics WHERE recorded_at >= ?1 AND recorded_at <= ?2
ORDER BY recorded_at DESC, seq DESC LIMIT ?3;

-- name: periods
-- The rollups of a scope over hours or days given as a JSON array, of one subject or of all.
SELECT period, subject, kind, label, n, total, minimum, maximum
FROM json_each(?1) AS wanted CROSS JOIN rollup
ON scope = ?2 AND period = wanted.value
WHERE ?3 IS NULL OR subject = ?3
ORDER BY period, subject, kind, label;

-- name: board
-- The state of a board that was last taken in.
SELECT sha256, state, taken_at FROM task_board WHERE path = ?;

-- name: take_board
-- Keep the state of a board.
INSERT INTO task_board (path, sha256, state, taken_at) VALUES (?1, ?2, ?3, ?4)
ON CONFLICT (path) DO UPDATE SET
    sha256 = excluded.sha256, state = excluded.state, taken_at = excluded.taken_at;

-- name: source_tables
-- The tables and views of somebody else's database.
SELECT name FROM sqlite_schema WHERE type IN ('table', 'view');

-- name: source_rows
-- Every row of one of them.
SELECT * FROM {table};
