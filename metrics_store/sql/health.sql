-- Looking after a store. Counts come from the rollups; of the log only an index is walked, and of
-- it only what began within an hour.

-- name: totals
-- Runs and completed runs ever counted; the recursion jumps from skill to skill.
WITH RECURSIVE skill (name) AS (
    SELECT min(subject) FROM rollup WHERE scope = 'skill' AND period = ''
    UNION ALL
    SELECT (SELECT min(subject) FROM rollup
            WHERE scope = 'skill' AND period = '' AND subject > skill.name)
    FROM skill WHERE skill.name IS NOT NULL
)
SELECT ifnull(sum(n), 0), ifnull(sum(completed), 0)
FROM skill CROSS JOIN rollup
ON scope = 'skill' AND period = '' AND subject = skill.name AND kind = 'total' AND label = '';

-- name: hours
-- Runs and completed runs of each hour of the days given as a JSON array, jumping likewise.
WITH RECURSIVE skill (day, name) AS (
    SELECT day.value,
           (SELECT min(subject) FROM rollup WHERE scope = 'skill' AND period = day.value)
    FROM json_each(?) AS day
    UNION ALL
    SELECT skill.day,
           (SELECT min(subject) FROM rollup
            WHERE scope = 'skill' AND period = skill.day AND subject > skill.name)
    FROM skill WHERE skill.name IS NOT NULL
)
SELECT period, label, sum(n), sum(completed)
FROM skill CROSS JOIN rollup
ON scope = 'skill' AND period = skill.day AND subject = skill.name AND kind = 'hour'
GROUP BY period, label;

-- name: began_between
-- Runs that began from one moment to before another.
SELECT count(*) FROM skill_invocation INDEXED BY skill_invocation_by_time
WHERE invoked_at >= ? AND invoked_at < ?;

-- name: span
-- When the first and the last run of the log began, and where the log begins and ends.
SELECT (SELECT invoked_at FROM skill_invocation INDEXED BY skill_invocation_by_time
        ORDER BY invoked_at LIMIT 1),
       (SELECT invoked_at FROM skill_invocation INDEXED BY skill_invocation_by_time
        ORDER BY invoked_at DESC LIMIT 1),
       (SELECT min(seq) FROM skill_invocation), (SELECT max(seq) FROM skill_invocation);

-- name: in_flight
-- How many runs each process has in flight.
SELECT process, count(*) FROM skill_inflight GROUP BY process;

-- name: slow_calls
-- The slow calls from one moment to another by name, the most frequent first.
SELECT name, count(*), max(duration_us) FROM slow_call
WHERE ended_at > ? AND ended_at <= ? GROUP BY name ORDER BY count(*) DESC, name;

-- name: newest_slow_call
-- When the latest slow call ended.
SELECT max(ended_at) FROM slow_call;
