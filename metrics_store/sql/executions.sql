-- Executions. Numbers over time come from the rollups for whole days, and from the log for the two
-- days that a window cuts.

-- name: digests_of
-- The digests of those of some executions that are there, by ids as a JSON array.
SELECT id, digest FROM executions WHERE id IN (SELECT value FROM json_each(?));

-- name: one
-- An execution by its id.
SELECT seq, id, timestamp, task_type, task_description, repo, file_count, estimated_tokens,
       model_tier, pool_type, swarm_topology, routing_confidence, complexity_score, success,
       duration_seconds, quality_score, cost_estimate_nano, actual_cost_nano, error_type,
       error_message, user_accepted, user_rating, peak_memory_mb, cpu_time_seconds,
       solution_summary, embedding IS NOT NULL, metadata
FROM executions WHERE id = ?;

-- name: of_seqs
-- Executions by a JSON array of their places in the log.
SELECT seq, id, timestamp, task_type, task_description, repo, file_count, estimated_tokens,
       model_tier, pool_type, swarm_topology, routing_confidence, complexity_score, success,
       duration_seconds, quality_score, cost_estimate_nano, actual_cost_nano, error_type,
       error_message, user_accepted, user_rating, peak_memory_mb, cpu_time_seconds,
       solution_summary, embedding IS NOT NULL, metadata
FROM executions WHERE seq IN (SELECT value FROM json_each(?));

-- name: page
-- A page of the log, newest first; each filter is off while its parameter is NULL.
SELECT seq, id, timestamp, task_type, task_description, repo, file_count, estimated_tokens,
       model_tier, pool_type, swarm_topology, routing_confidence, complexity_score, success,
       duration_seconds, quality_score, cost_estimate_nano, actual_cost_nano, error_type,
       error_message, user_accepted, user_rating, peak_memory_mb, cpu_time_seconds,
       solution_summary, embedding IS NOT NULL, metadata
FROM executions INDEXED BY executions_quality_trend
WHERE timestamp >= :since AND timestamp <= :until
  AND (:repo IS NULL OR repo = :repo)
  AND (:task_type IS NULL OR task_type = :task_type)
  AND (:model_tier IS NULL OR model_tier = :model_tier)
  AND (:pool_type IS NULL OR pool_type = :pool_type)
  AND (:error_type IS NULL OR error_type = :error_type)
  AND (:success IS NULL OR success = :success)
ORDER BY timestamp DESC LIMIT :count;

-- name: total
-- How many executions there have ever been.
SELECT ifnull(sum(n), 0) FROM rollup
WHERE scope = 'execution' AND period = '' AND subject = '' AND kind = 'total';

-- name: whole_days
-- What whole days come to, by groupings as a JSON array; a pool's hours lie between their days.
SELECT scope, kind, subject, sum(n), sum(completed), sum(measured), sum(total), min(minimum),
       max(maximum)
FROM rollup
WHERE scope IN (SELECT value FROM json_each(:scopes))
  AND period >= :first AND period < :after
  AND kind IN ('duration', 'cost', 'quality', 'savings')
GROUP BY scope, kind, subject;

-- name: parts_of_days
-- What the log comes to of the two days that a window cuts, by the same groupings.
WITH part AS MATERIALIZED (
    SELECT ifnull(model_tier, '') AS tier, ifnull(pool_type, '') AS pool, ifnull(repo, '') AS repo,
           ifnull(task_type, '') AS task, success, duration_us, actual_cost_nano, savings_nano,
           quality_milli
    FROM executions INDEXED BY executions_quality_trend
    WHERE timestamp >= :since AND timestamp < :morning
    UNION ALL
    SELECT ifnull(model_tier, ''), ifnull(pool_type, ''), ifnull(repo, ''), ifnull(task_type, ''),
           success, duration_us, actual_cost_nano, savings_nano, quality_milli
    FROM executions INDEXED BY executions_quality_trend
    WHERE timestamp >= :today AND timestamp <= :until
), one (scope, subject, success, duration_us, cost, savings, quality) AS (
    SELECT 'execution_tier', tier, success, duration_us, actual_cost_nano, savings_nano,
           quality_milli FROM part
    UNION ALL
    SELECT 'execution_repo', repo, success, duration_us, actual_cost_nano, NULL, quality_milli
    FROM part
    UNION ALL
    SELECT 'execution_task', task, success, duration_us, actual_cost_nano, NULL, quality_milli
    FROM part
    UNION ALL
    SELECT 'execution_pool', pool, success, duration_us, actual_cost_nano, NULL, quality_milli
    FROM part
)
SELECT scope, subject, count(*), sum(success), count(duration_us), ifnull(sum(duration_us), 0),
       min(duration_us), max(duration_us), count(cost), ifnull(sum(cost), 0), count(savings),
       ifnull(sum(savings), 0), count(quality), ifnull(sum(quality), 0)
FROM one GROUP BY scope, subject;

-- name: tiers_in_parts
-- The same by tier alone.
SELECT 'execution_tier', tier, count(*), sum(success), count(duration_us),
       ifnull(sum(duration_us), 0), min(duration_us), max(duration_us), count(cost),
       ifnull(sum(cost), 0), count(savings), ifnull(sum(savings), 0), count(quality),
       ifnull(sum(quality), 0)
FROM (
    SELECT ifnull(model_tier, '') AS tier, success, duration_us, actual_cost_nano AS cost,
           savings_nano AS savings, quality_milli AS quality
    FROM executions INDEXED BY executions_quality_trend
    WHERE timestamp >= :since AND timestamp < :morning
    UNION ALL
    SELECT ifnull(model_tier, ''), success, duration_us, actual_cost_nano, savings_nano,
           quality_milli
    FROM executions INDEXED BY executions_quality_trend
    WHERE timestamp >= :today AND timestamp <= :until
)
GROUP BY tier;

-- name: days
-- Each whole day.
SELECT period, kind, sum(n), sum(completed), sum(measured), sum(total)
FROM rollup
WHERE scope = 'execution_tier' AND period >= :first AND period < :after
  AND kind IN ('duration', 'cost', 'quality')
GROUP BY period, kind;

-- name: moments
-- Pieces of a window from the log: so many characters of the moment, in steps of so many minutes.
SELECT substr(timestamp, 1, :length)
           || CASE :step WHEN 0 THEN ''
              ELSE ':' || printf('%02d', substr(timestamp, 15, 2) / :step * :step) END AS piece,
       count(*), sum(success), count(duration_us), ifnull(sum(duration_us), 0),
       count(actual_cost_nano), ifnull(sum(actual_cost_nano), 0),
       count(quality_milli), ifnull(sum(quality_milli), 0)
FROM executions INDEXED BY executions_quality_trend
WHERE timestamp >= :since AND timestamp <= :until GROUP BY piece;

-- name: duration_buckets
-- Duration buckets of whole days, by tier; the tiers as a JSON array.
SELECT tier.value, label, sum(n)
FROM json_each(:days) AS day CROSS JOIN json_each(:subjects) AS tier CROSS JOIN rollup
ON scope = 'execution' AND period = day.value AND subject = tier.value AND kind = 'tier_value'
GROUP BY tier.value, label;

-- name: memory_of_days
-- What whole days come to in memory.
SELECT sum(measured), sum(total), min(minimum), max(maximum)
FROM json_each(:days) AS day CROSS JOIN rollup
ON scope = 'execution' AND period = day.value AND subject = '' AND kind = 'memory';

-- name: memory_buckets
-- Memory buckets of whole days.
SELECT label, sum(n)
FROM json_each(:days) AS day CROSS JOIN rollup
ON scope = 'execution' AND period = day.value AND subject = '' AND kind = 'memory_value'
GROUP BY label;

-- name: measured_in_parts
-- Tier, duration and memory of each execution of the two days that a window cuts.
SELECT ifnull(model_tier, ''), duration_us, peak_memory_kb
FROM executions INDEXED BY executions_quality_trend
WHERE timestamp >= :since AND timestamp < :morning
UNION ALL
SELECT ifnull(model_tier, ''), duration_us, peak_memory_kb
FROM executions INDEXED BY executions_quality_trend
WHERE timestamp >= :today AND timestamp <= :until;

-- name: count_between
-- Executions from one moment to another.
SELECT count(*) FROM executions INDEXED BY executions_quality_trend
WHERE timestamp >= ? AND timestamp <= ?;

-- name: embeddings_there
-- How many executions bear an embedding, and the first and last of them.
SELECT count(*), min(seq), max(seq) FROM executions INDEXED BY executions_embedded
WHERE embedding IS NOT NULL;

-- name: embeddings_up_to
-- How many executions bear an embedding up to a place in the log.
SELECT count(*) FROM executions INDEXED BY executions_embedded
WHERE embedding IS NOT NULL AND seq <= ?;

-- name: mark_of
-- What tells whether a row is still the same one.
SELECT digest FROM executions WHERE seq = ?;

-- name: embeddings_after
-- Embeddings in the order of the log, after a place.
SELECT seq, repo, embedding FROM executions INDEXED BY executions_embedded
WHERE embedding IS NOT NULL AND seq > ? ORDER BY seq LIMIT ?;

-- name: embedding
-- The embedding of an execution.
SELECT embedding FROM executions WHERE id = ?;

-- name: embeddings_of
-- Embeddings by a JSON array of their places in the log.
SELECT seq, embedding FROM executions WHERE seq IN (SELECT value FROM json_each(?));

-- name: set_metadata
-- Keep a value under a key.
INSERT INTO metadata (key, value, updated_at) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
WHERE value <> excluded.value;

-- name: take_metadata
-- Keep a value under a key, if the one that is there is not newer.
INSERT INTO metadata (key, value, updated_at) VALUES (?, ?, ?)
ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at
WHERE excluded.updated_at > updated_at;

-- name: metadata
-- The value of a key, and when it was set.
SELECT value, updated_at FROM metadata WHERE key = ?;

-- name: size
-- The pages of the file and their size.
SELECT page_count, page_size FROM pragma_page_count, pragma_page_size;
