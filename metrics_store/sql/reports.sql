-- Reading skills. Everything but single rows of the log comes from the rollups.

-- name: total_of
-- The lifetime total of one skill.
SELECT n, completed, failed, total, minimum, maximum, first_at, last_at FROM rollup
WHERE scope = 'skill' AND period = '' AND subject = ? AND kind = 'total' AND label = '';

-- name: counts_of
-- Its lifetime counts but for the finest buckets: actions, blocks of buckets, errors, paths.
SELECT kind, label, n FROM rollup
WHERE scope = 'skill' AND period = '' AND subject = ? AND kind < 'total';

-- name: counts_of_all
-- The same for every skill; the recursion jumps from subject to subject over the finest buckets.
WITH RECURSIVE skill (name) AS (
    SELECT min(subject) FROM rollup WHERE scope = 'skill' AND period = ''
    UNION ALL
    SELECT (SELECT min(subject) FROM rollup
            WHERE scope = 'skill' AND period = '' AND subject > skill.name)
    FROM skill WHERE skill.name IS NOT NULL
)
SELECT subject, kind, label, n FROM skill CROSS JOIN rollup
ON scope = 'skill' AND period = '' AND subject = skill.name AND kind < 'total';

-- name: totals_of_all
-- The lifetime totals of every skill.
WITH RECURSIVE skill (name) AS (
    SELECT min(subject) FROM rollup WHERE scope = 'skill' AND period = ''
    UNION ALL
    SELECT (SELECT min(subject) FROM rollup
            WHERE scope = 'skill' AND period = '' AND subject > skill.name)
    FROM skill WHERE skill.name IS NOT NULL
)
SELECT subject, n, completed, failed, total, minimum, maximum, first_at, last_at
FROM skill CROSS JOIN rollup
ON scope = 'skill' AND period = '' AND subject = skill.name AND kind = 'total' AND label = '';

-- name: finest_in_block
-- The finest lifetime buckets of one skill from one to another.
SELECT label, n FROM rollup
WHERE scope = 'skill' AND period = '' AND subject = ? AND kind = 'value'
  AND label BETWEEN ? AND ?;

-- name: finest_at_ranks
-- For each rank within a block, as a JSON array of [skill, first bucket, last bucket, rank]: the
-- bucket in which it falls, in the order given.
SELECT (
    SELECT label FROM (
        SELECT label, sum(n) OVER (ORDER BY label) AS up_to FROM rollup
        WHERE scope = 'skill' AND period = '' AND subject = wanted.value ->> 0 AND kind = 'value'
          AND label BETWEEN wanted.value ->> 1 AND wanted.value ->> 2
    )
    WHERE up_to >= wanted.value ->> 3 LIMIT 1
)
FROM json_each(?) AS wanted ORDER BY wanted.key;

-- name: baseline_of
-- What legacy totals add to one skill, over all histories.
SELECT skill_name, kind, label, sum(n), sum(completed), sum(duration_us), min(first_at),
       max(last_at)
FROM legacy_baseline WHERE skill_name = ? GROUP BY skill_name, kind, label;

-- name: baseline_of_all
-- What legacy totals add to every skill.
SELECT skill_name, kind, label, sum(n), sum(completed), sum(duration_us), min(first_at),
       max(last_at)
FROM legacy_baseline GROUP BY skill_name, kind, label;

-- name: in_flight_of
-- How many invocations of one skill are in flight.
SELECT count(*) FROM skill_inflight WHERE skill_name = ?;

-- name: in_flight_of_all
-- How many invocations of each skill are in flight.
SELECT skill_name, count(*) FROM skill_inflight GROUP BY skill_name;

-- name: exact_durations
-- Every duration of one skill's completed invocations that the log still has, in order.
SELECT duration_us FROM skill_invocation
WHERE skill_name = ? AND outcome = 'completed' AND duration_us IS NOT NULL ORDER BY duration_us;

-- name: hours_of
-- The hours of one skill on days given as a JSON array.
SELECT period, label, n, completed, failed, measured, total, minimum, maximum
FROM json_each(?) AS day CROSS JOIN rollup
ON scope = 'skill' AND period = day.value AND subject = ? AND kind = 'hour';

-- name: day_values_of
-- The duration buckets of one skill on days given as a JSON array.
SELECT period, label, n
FROM json_each(?) AS day CROSS JOIN rollup
ON scope = 'skill' AND period = day.value AND subject = ? AND kind = 'value';

-- name: span_of
-- The numbers of one skill from one moment to before another, from the log itself.
SELECT count(*), ifnull(sum(completed), 0), ifnull(sum(failed), 0), count(completed_us),
       ifnull(sum(completed_us), 0), min(completed_us), max(completed_us)
FROM skill_invocation INDEXED BY skill_invocation_by_time
WHERE skill_name = ? AND invoked_at >= ? AND invoked_at < ?;

-- name: days_of_all
-- Invocations of every skill per day, on days given as a JSON array.
SELECT subject, period, sum(n)
FROM json_each(?) AS day CROSS JOIN rollup
ON scope = 'skill' AND period = day.value AND kind = 'hour'
GROUP BY subject, period;

-- name: session_skills
-- What one session did, the most used skill first.
SELECT subject, label, n, completed, failed, first_at, last_at, total
FROM rollup WHERE scope = 'session' AND period = '' AND subject = ? AND kind = 'skill'
ORDER BY n DESC, label;

-- name: sessions
-- Every session, the latest first.
SELECT subject, count(*), sum(n), sum(completed), sum(failed), min(first_at), max(last_at),
       sum(total)
FROM rollup WHERE scope = 'session' AND period = '' AND kind = 'skill'
GROUP BY subject ORDER BY max(last_at) DESC, subject LIMIT ?;

-- name: search_paths
-- Workflow paths by full-text search, the most used first.
SELECT path.skill_name, path.workflow_path, n, completed, failed, measured, total, last_at
FROM workflow_path_fts AS found
JOIN workflow_path AS path ON path.id = found.rowid
JOIN rollup ON scope = 'skill' AND period = '' AND subject = path.skill_name AND kind = 'path'
           AND label = path.workflow_path
WHERE workflow_path_fts MATCH ?
ORDER BY n DESC, path.skill_name, path.workflow_path LIMIT ?;

-- name: search_paths_literally
-- Workflow paths that hold a text, which full-text search has no word for.
SELECT path.skill_name, path.workflow_path, n, completed, failed, measured, total, last_at
FROM workflow_path AS path
JOIN rollup ON scope = 'skill' AND period = '' AND subject = path.skill_name AND kind = 'path'
           AND label = path.workflow_path
WHERE instr(path.workflow_path, ?) > 0
ORDER BY n DESC, path.skill_name, path.workflow_path LIMIT ?;

-- name: span_of_skill
-- The first and last moment of a skill's log, to look for its rows within them only.
SELECT first_at, last_at FROM rollup
WHERE scope = 'skill' AND period = '' AND subject = ? AND kind = 'total' AND label = '';

-- name: span_of_session
-- The first and last moment of a session.
SELECT min(first_at), max(last_at) FROM rollup
WHERE scope = 'session' AND period = '' AND subject = ? AND kind = 'skill';

-- name: page
-- A page of the log, newest first; each filter is off while its parameter is NULL.
SELECT seq, id, skill_name, invoked_at, ended_at, workflow_path, session_id, project_path, outcome,
       completed, duration_seconds, error_type, follow_up_actions, origin, attributes
FROM skill_invocation INDEXED BY skill_invocation_by_time
WHERE invoked_at >= :since AND invoked_at <= :until
  AND (invoked_at, skill_name, seq) < (:last_at, :last_skill, :last_seq)
  AND (:skill_name IS NULL OR skill_name = :skill_name)
  AND (:session_id IS NULL OR session_id = :session_id)
  AND (:workflow_path IS NULL OR workflow_path = :workflow_path)
  AND (:project_path IS NULL OR project_path = :project_path)
  AND (:outcome IS NULL OR outcome = :outcome)
  AND (:error_type IS NULL OR error_type = :error_type)
  AND (:origin IS NULL OR origin = :origin)
ORDER BY invoked_at DESC, skill_name DESC, seq DESC LIMIT :count;

-- name: one_invocation
-- A row of the log by its id.
SELECT seq, id, skill_name, invoked_at, ended_at, workflow_path, session_id, project_path, outcome,
       completed, duration_seconds, error_type, follow_up_actions, origin, attributes
FROM skill_invocation WHERE id = ?;

-- name: in_flight
-- What is in flight, the latest first.
SELECT id, skill_name, invoked_at, workflow_path, session_id, project_path, origin, attributes,
       heartbeat_at
FROM skill_inflight WHERE ?1 IS NULL OR skill_name = ?1 ORDER BY invoked_at DESC, id LIMIT ?2;
