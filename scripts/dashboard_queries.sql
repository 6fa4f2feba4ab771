-- What a dashboard asks of executions, in SQLite's own SQL: ten groups of statements, each named by
-- the line above it. All of them read rollups or an index, never the whole log, and can be run
-- while others write:
--     sqlite3 -readonly .session-buddy/skill_metrics.db < scripts/dashboard_queries.sql
-- Where nothing is known there is NULL, never 0. Rates are percent, money is dollars, days are UTC.

-- 1. TIME SERIES

-- Executions by hour, the last 24 hours
SELECT period || ':00:00Z' AS hour, sum(n) AS executions, sum(completed) AS successes,
       100.0 * sum(completed) / sum(n) AS success_rate,
       sum(total) / 1000000.0 / nullif(sum(measured), 0) AS avg_duration_seconds
FROM rollup
WHERE scope = 'execution_pool' AND period >= strftime('%Y-%m-%dT%H', 'now', '-24 hours')
  AND kind = 'duration'
GROUP BY period ORDER BY period;

-- Executions by day, the last 30 days
SELECT period AS day, sum(n) AS executions, sum(completed) AS successes,
       100.0 * sum(completed) / sum(n) AS success_rate,
       sum(total) / 1000000.0 / nullif(sum(measured), 0) AS avg_duration_seconds
FROM rollup
WHERE scope = 'execution_tier' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'duration'
GROUP BY period ORDER BY period;

-- 2. DURATIONS: percentiles by nearest rank, within 1 %

-- Duration percentiles overall, the last 30 days
WITH bucket AS (
    SELECT label, sum(n) AS n FROM rollup
    WHERE scope = 'execution' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
      AND kind = 'tier_value'
    GROUP BY label
), ranked AS (
    SELECT label, n, sum(n) OVER (ORDER BY label) AS up_to,
           sum(n) OVER () AS of_all
    FROM bucket
), middle AS (
    SELECT bucket, 2.0 * lower * (lead(lower) OVER (ORDER BY lower) - 1)
                   / max(1, lower + lead(lower) OVER (ORDER BY lower) - 1) / 1000000.0 AS seconds
    FROM bucket_bound
), place AS (
    SELECT sum(n) AS executions,
           min(label) FILTER (WHERE up_to >= (of_all * 50 + 99) / 100) AS p50,
           min(label) FILTER (WHERE up_to >= (of_all * 95 + 99) / 100) AS p95,
           min(label) FILTER (WHERE up_to >= (of_all * 99 + 99) / 100) AS p99
    FROM ranked HAVING sum(n) > 0
)
SELECT executions,
       (SELECT seconds FROM middle WHERE bucket = p50) AS p50_seconds,
       (SELECT seconds FROM middle WHERE bucket = p95) AS p95_seconds,
       (SELECT seconds FROM middle WHERE bucket = p99) AS p99_seconds
FROM place;

-- Duration percentiles by tier, the last 30 days
WITH bucket AS (
    SELECT subject, label, sum(n) AS n FROM rollup
    WHERE scope = 'execution' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
      AND kind = 'tier_value'
    GROUP BY subject, label
), ranked AS (
    SELECT subject, label, n, sum(n) OVER (PARTITION BY subject ORDER BY label) AS up_to,
           sum(n) OVER (PARTITION BY subject) AS of_all
    FROM bucket
), middle AS (
    SELECT bucket, 2.0 * lower * (lead(lower) OVER (ORDER BY lower) - 1)
                   / max(1, lower + lead(lower) OVER (ORDER BY lower) - 1) / 1000000.0 AS seconds
    FROM bucket_bound
), place AS (
    SELECT subject, sum(n) AS executions,
           min(label) FILTER (WHERE up_to >= (of_all * 50 + 99) / 100) AS p50,
           min(label) FILTER (WHERE up_to >= (of_all * 95 + 99) / 100) AS p95,
           min(label) FILTER (WHERE up_to >= (of_all * 99 + 99) / 100) AS p99
    FROM ranked GROUP BY subject
)
SELECT nullif(subject, '') AS model_tier, executions,
       (SELECT seconds FROM middle WHERE bucket = p50) AS p50_seconds,
       (SELECT seconds FROM middle WHERE bucket = p95) AS p95_seconds,
       (SELECT seconds FROM middle WHERE bucket = p99) AS p99_seconds
FROM place ORDER BY subject;

-- Duration percentiles by pool, the last 30 days
WITH bucket AS (
    SELECT subject, label, sum(n) AS n FROM rollup
    WHERE scope = 'execution' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
      AND kind = 'pool_value'
    GROUP BY subject, label
), ranked AS (
    SELECT subject, label, n, sum(n) OVER (PARTITION BY subject ORDER BY label) AS up_to,
           sum(n) OVER (PARTITION BY subject) AS of_all
    FROM bucket
), middle AS (
    SELECT bucket, 2.0 * lower * (lead(lower) OVER (ORDER BY lower) - 1)
                   / max(1, lower + lead(lower) OVER (ORDER BY lower) - 1) / 1000000.0 AS seconds
    FROM bucket_bound
), place AS (
    SELECT subject, sum(n) AS executions,
           min(label) FILTER (WHERE up_to >= (of_all * 50 + 99) / 100) AS p50,
           min(label) FILTER (WHERE up_to >= (of_all * 95 + 99) / 100) AS p95,
           min(label) FILTER (WHERE up_to >= (of_all * 99 + 99) / 100) AS p99
    FROM ranked GROUP BY subject
)
SELECT nullif(subject, '') AS pool_type, executions,
       (SELECT seconds FROM middle WHERE bucket = p50) AS p50_seconds,
       (SELECT seconds FROM middle WHERE bucket = p95) AS p95_seconds,
       (SELECT seconds FROM middle WHERE bucket = p99) AS p99_seconds
FROM place ORDER BY subject;

-- 3. SUCCESS

-- Success by tier, the last 30 days
SELECT nullif(subject, '') AS model_tier, sum(n) AS executions, sum(completed) AS successes,
       100.0 * sum(completed) / sum(n) AS success_rate
FROM rollup
WHERE scope = 'execution_tier' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'duration'
GROUP BY subject ORDER BY executions DESC, subject;

-- Success by pool, the last 30 days
SELECT nullif(subject, '') AS pool_type, sum(n) AS executions, sum(completed) AS successes,
       100.0 * sum(completed) / sum(n) AS success_rate
FROM rollup
WHERE scope = 'execution_pool' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'duration'
GROUP BY subject ORDER BY executions DESC, subject;

-- Success by repository, the last 30 days
SELECT nullif(subject, '') AS repo, sum(n) AS executions, sum(completed) AS successes,
       100.0 * sum(completed) / sum(n) AS success_rate
FROM rollup
WHERE scope = 'execution_repo' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'duration'
GROUP BY subject ORDER BY executions DESC, subject;

-- The ten repositories with the most executions, the last 30 days
SELECT nullif(subject, '') AS repo, sum(n) AS executions,
       100.0 * sum(completed) / sum(n) AS success_rate
FROM rollup
WHERE scope = 'execution_repo' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'duration'
GROUP BY subject ORDER BY executions DESC, subject LIMIT 10;

-- 4. COST

-- Cost by day, the last 30 days
SELECT period AS day, sum(total) / 1000000000.0 AS total_cost,
       sum(total) / 1000000000.0 / sum(measured) AS avg_cost
FROM rollup
WHERE scope = 'execution_tier' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'cost'
GROUP BY period ORDER BY period;

-- Cost by tier, the last 30 days
SELECT nullif(subject, '') AS model_tier, sum(measured) AS executions,
       sum(total) / 1000000000.0 AS total_cost,
       sum(total) / 1000000000.0 / sum(measured) AS avg_cost,
       max(maximum) / 1000000000.0 AS highest_cost
FROM rollup
WHERE scope = 'execution_tier' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'cost'
GROUP BY subject ORDER BY total_cost DESC, subject;

-- Actual cost against the estimate by tier, the last 30 days: savings where both are known
SELECT nullif(subject, '') AS model_tier,
       sum(total) FILTER (WHERE kind = 'cost') / 1000000000.0 AS actual_cost,
       sum(total) FILTER (WHERE kind = 'estimate') / 1000000000.0 AS cost_estimate,
       sum(total) FILTER (WHERE kind = 'savings') / 1000000000.0 AS savings,
       sum(total) FILTER (WHERE kind = 'savings') / 1000000000.0
           / sum(measured) FILTER (WHERE kind = 'savings') AS avg_savings
FROM rollup
WHERE scope = 'execution_tier' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind IN ('cost', 'estimate', 'savings')
GROUP BY subject ORDER BY actual_cost DESC, subject;

-- 5. QUALITY

-- Distribution of quality scores in tens, the last 30 days
SELECT label * 10 AS from_score, sum(n) AS executions
FROM rollup
WHERE scope = 'execution_tier' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'quality'
GROUP BY label ORDER BY label;

-- Quality by tier, the last 30 days
SELECT nullif(subject, '') AS model_tier, sum(measured) AS scored,
       sum(total) / 1000.0 / sum(measured) AS avg_quality_score,
       min(minimum) / 1000.0 AS lowest, max(maximum) / 1000.0 AS highest
FROM rollup
WHERE scope = 'execution_tier' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'quality'
GROUP BY subject ORDER BY avg_quality_score DESC, subject;

-- Acceptance by users, the last 30 days
SELECT sum(n) AS asked, sum(n) FILTER (WHERE label = 1) AS accepted,
       100.0 * sum(n * label) / sum(n) AS acceptance_rate
FROM rollup
WHERE scope = 'execution' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'accepted';

-- Ratings by users, the last 30 days
SELECT label AS user_rating, sum(n) AS executions
FROM rollup
WHERE scope = 'execution' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'rating'
GROUP BY label ORDER BY label DESC;

-- 6. POOLS

-- Utilisation of pools, the last 7 days: busy seconds, and how many executions ran on average
SELECT nullif(subject, '') AS pool_type, sum(n) AS executions,
       sum(total) / 1000000.0 AS busy_seconds,
       sum(total) / 1000000.0 / (7 * 86400) AS avg_running,
       count(*) AS hours_in_use
FROM rollup
WHERE scope = 'execution_pool' AND period >= strftime('%Y-%m-%dT%H', 'now', '-7 days')
  AND kind = 'duration'
GROUP BY subject ORDER BY executions DESC, subject;

-- 7. ERRORS

-- The ten most frequent errors, the last 30 days
SELECT label AS error_type, sum(n) AS executions
FROM rollup
WHERE scope = 'execution' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'error'
GROUP BY label ORDER BY executions DESC, label LIMIT 10;

-- Error rate by day, the last 30 days
SELECT period AS day, sum(failed) AS failures, 100.0 * sum(failed) / sum(n) AS error_rate
FROM rollup
WHERE scope = 'execution_tier' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'duration'
GROUP BY period ORDER BY period;

-- Errors by tier, the last 30 days
SELECT nullif(subject, '') AS model_tier, label AS error_type, sum(n) AS executions
FROM rollup
WHERE scope = 'execution' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind = 'error'
GROUP BY subject, label ORDER BY subject, executions DESC, label;

-- 8. REPOSITORIES

-- Repositories and the complexity of their tasks, the last 30 days
SELECT nullif(subject, '') AS repo,
       sum(n) FILTER (WHERE kind = 'duration') AS executions,
       sum(total) FILTER (WHERE kind = 'complexity') / 1000.0
           / sum(measured) FILTER (WHERE kind = 'complexity') AS avg_complexity_score,
       max(maximum) FILTER (WHERE kind = 'complexity') / 1000.0 AS highest_complexity_score,
       sum(total) FILTER (WHERE kind = 'quality') / 1000.0
           / sum(measured) FILTER (WHERE kind = 'quality') AS avg_quality_score
FROM rollup
WHERE scope = 'execution_repo' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind IN ('duration', 'complexity', 'quality')
GROUP BY subject ORDER BY executions DESC, subject;

-- 9. TYPES OF TASKS

-- Types of tasks, the last 30 days
SELECT nullif(subject, '') AS task_type,
       sum(n) FILTER (WHERE kind = 'duration') AS executions,
       100.0 * sum(completed) FILTER (WHERE kind = 'duration')
           / sum(n) FILTER (WHERE kind = 'duration') AS success_rate,
       sum(total) FILTER (WHERE kind = 'duration') / 1000000.0
           / nullif(sum(measured) FILTER (WHERE kind = 'duration'), 0) AS avg_duration_seconds,
       sum(total) FILTER (WHERE kind = 'cost') / 1000000000.0 AS total_cost,
       sum(total) FILTER (WHERE kind = 'quality') / 1000.0
           / sum(measured) FILTER (WHERE kind = 'quality') AS avg_quality_score
FROM rollup
WHERE scope = 'execution_task' AND period >= strftime('%Y-%m-%d', 'now', '-30 days')
  AND kind IN ('duration', 'cost', 'quality')
GROUP BY subject ORDER BY executions DESC, subject;

-- 10. RIGHT NOW

-- The last five minutes
SELECT count(*) AS executions, sum(success) AS successes,
       100.0 * sum(success) / nullif(count(*), 0) AS success_rate,
       avg(duration_seconds) AS avg_duration_seconds,
       sum(actual_cost_nano) / 1000000000.0 AS total_cost
FROM executions
WHERE timestamp >= strftime('%Y-%m-%dT%H:%M:%S', 'now', '-5 minutes');

-- The last hour, by minute
SELECT substr(timestamp, 1, 16) || ':00Z' AS minute, count(*) AS executions,
       sum(success) AS successes, avg(duration_seconds) AS avg_duration_seconds
FROM executions
WHERE timestamp >= strftime('%Y-%m-%dT%H:%M:%S', 'now', '-1 hour')
GROUP BY minute ORDER BY minute;

-- The last failures
SELECT task_id, timestamp, repo, model_tier, error_type, error_message
FROM executions
WHERE timestamp >= strftime('%Y-%m-%dT%H:%M:%S', 'now', '-1 day') AND success = 0
ORDER BY timestamp DESC LIMIT 20;
