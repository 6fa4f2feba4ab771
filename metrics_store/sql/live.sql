-- The current picture: what each key is, newest by its own moment, and what came after a row.
-- Long texts are cut, so that what is in memory stays bounded.

-- name: version
-- Changes whenever another connection has committed something.
PRAGMA data_version;

-- name: generation
-- Which generation of the store this is; each restore begins another.
SELECT value FROM store_property WHERE name = 'generation';

-- name: tops
-- How far each log goes.
SELECT (SELECT max(seq) FROM agent_metrics), (SELECT max(seq) FROM task_events),
       (SELECT max(seq) FROM git_commits), (SELECT max(seq) FROM system_health),
       (SELECT max(seq) FROM rag_metrics), (SELECT max(seq) FROM alert_event),
       (SELECT max(seq) FROM system_status_history);

-- name: agents
-- The agents whose newest samples are the latest; the recursion jumps from agent to agent.
WITH RECURSIVE agent (name) AS (
    SELECT min(agent_id) FROM agent_metrics
    UNION ALL
    SELECT (SELECT min(agent_id) FROM agent_metrics WHERE agent_id > agent.name)
    FROM agent WHERE agent.name IS NOT NULL
)
SELECT name FROM agent WHERE name IS NOT NULL
ORDER BY (SELECT max(recorded_at) FROM agent_metrics WHERE agent_id = name) DESC, name LIMIT ?;

-- name: samples_of
-- The newest samples of an agent, newest first.
SELECT seq, id, agent_id, recorded_at, status, substr(current_task, 1, 2000), cpu_usage,
       memory_usage, memory_percent, uncommitted_changes, uptime_seconds, last_activity,
       substr(branch, 1, 2000)
FROM agent_metrics WHERE agent_id = ? ORDER BY recorded_at DESC, seq DESC LIMIT ?;

-- name: samples_after
-- Samples after one in the log.
SELECT seq, id, agent_id, recorded_at, status, substr(current_task, 1, 2000), cpu_usage,
       memory_usage, memory_percent, uncommitted_changes, uptime_seconds, last_activity,
       substr(branch, 1, 2000)
FROM agent_metrics WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: latest_events
-- The latest task events: what an agent did or got.
SELECT id, recorded_at, event_type, task_id, assigned_to, changed_by FROM task_events
ORDER BY recorded_at DESC, seq DESC LIMIT ?;

-- name: events_after
-- Task events after one in the log.
SELECT id, recorded_at, event_type, task_id, assigned_to, changed_by FROM task_events
WHERE seq > ? ORDER BY seq LIMIT ?;

-- name: latest_commits
-- The latest commits of agents.
SELECT commit_hash, commit_timestamp, short_hash, substr(message, 1, 200), agent_id
FROM git_commits INDEXED BY git_commits_by_time
WHERE commit_timestamp > '' AND agent_id IS NOT NULL
ORDER BY commit_timestamp DESC, seq DESC LIMIT ?;

-- name: commits_after
-- Commits after one in the log.
SELECT commit_hash, commit_timestamp, short_hash, substr(message, 1, 200), agent_id
FROM git_commits WHERE seq > ? AND agent_id IS NOT NULL ORDER BY seq LIMIT ?;

-- name: feed
-- The latest commits of all.
SELECT commit_hash, short_hash, agent_id, author, substr(message, 1, 2000), branch, files_changed,
       lines_added, lines_deleted, commit_timestamp, recorded_at, repository
FROM git_commits INDEXED BY git_commits_by_time WHERE commit_timestamp > ''
ORDER BY commit_timestamp DESC, seq DESC LIMIT ?;

-- name: tasks
-- Every task, with the moment of its newest event, and whether the newest event that tells a
-- status completes it.
WITH RECURSIVE task (name) AS (
    SELECT min(task_id) FROM task_events
    UNION ALL
    SELECT (SELECT min(task_id) FROM task_events WHERE task_id > task.name)
    FROM task WHERE task.name IS NOT NULL
)
SELECT name, (SELECT max(recorded_at) FROM task_events WHERE task_id = name),
       ifnull((SELECT event_type = 'completed' FROM task_events
               WHERE task_id = name
                 AND (new_status IS NOT NULL OR event_type IN ('completed', 'blocked'))
               ORDER BY recorded_at DESC, seq DESC LIMIT 1), 0)
FROM task WHERE name IS NOT NULL;

-- name: task
-- Where one task stands, and whether it is completed.
SELECT last.task_id,
       (SELECT ifnull(new_status, event_type) FROM task_events
        WHERE task_id = ?1 AND (new_status IS NOT NULL OR event_type IN ('completed', 'blocked'))
        ORDER BY recorded_at DESC, seq DESC LIMIT 1),
       nullif((SELECT assigned_to FROM task_events
               WHERE task_id = ?1 AND assigned_to IS NOT NULL
               ORDER BY recorded_at DESC, seq DESC LIMIT 1), ''),
       substr((SELECT json_extract(details, '$.title') FROM task_events
               WHERE task_id = ?1 AND json_type(details, '$.title') = 'text'
               ORDER BY recorded_at DESC, seq DESC LIMIT 1), 1, 2000),
       last.event_type, last.changed_by,
       (SELECT min(recorded_at) FROM task_events WHERE task_id = ?1),
       last.recorded_at,
       ifnull((SELECT event_type = 'completed' FROM task_events
               WHERE task_id = ?1
                 AND (new_status IS NOT NULL OR event_type IN ('completed', 'blocked'))
               ORDER BY recorded_at DESC, seq DESC LIMIT 1), 0)
FROM task_events AS last WHERE last.task_id = ?1
ORDER BY last.recorded_at DESC, last.seq DESC LIMIT 1;

-- name: history_of
-- The newest events of a task, newest first; long details are left out.
SELECT id, task_id, recorded_at, event_type, substr(previous_status, 1, 2000),
       substr(new_status, 1, 2000), assigned_to, changed_by,
       CASE WHEN length(details) <= 2000 THEN details END
FROM task_events WHERE task_id = ? ORDER BY recorded_at DESC, seq DESC LIMIT ?;

-- name: tasks_after
-- The tasks of events after one in the log.
SELECT DISTINCT task_id FROM task_events WHERE seq > ? LIMIT ?;

-- name: health
-- How the system was last.
SELECT id, recorded_at, overall_status, api_latency, websocket_connections, file_watch_events,
       error_count, cpu, memory, disk, CASE WHEN length(details) <= 65536 THEN details END
FROM system_health ORDER BY recorded_at DESC, seq DESC LIMIT 1;

-- name: rag
-- How retrieval was last.
SELECT id, recorded_at, total_patterns, total_queries, average_response_time, hit_rate,
       memory_usage, query_volume_last_hour,
       CASE WHEN length(top_patterns) <= 65536 THEN top_patterns END,
       CASE WHEN length(recent_queries) <= 65536 THEN recent_queries END
FROM rag_metrics ORDER BY recorded_at DESC, seq DESC LIMIT 1;

-- name: services
-- What each service said last, those first that spoke last.
SELECT service_name, status, substr(current_task, 1, 2000), heartbeat_us, down, grace_us,
       latency_us
FROM system_status ORDER BY heartbeat_us DESC, service_name LIMIT ?;
