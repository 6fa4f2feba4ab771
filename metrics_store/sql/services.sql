-- Services: heartbeats, what each service said last, when it was up.

-- name: setting
-- How one service is judged, where it is not by the defaults.
SELECT every_us, grace_us, bad_statuses FROM service_setting WHERE service_name = ?;

-- name: settings
-- Every service that is not judged by the defaults alone.
SELECT service_name, every_us, grace_us, bad_statuses FROM service_setting ORDER BY service_name;

-- name: set
-- Say how a service is judged from now on.
INSERT INTO service_setting (service_name, every_us, grace_us, bad_statuses, updated_at)
VALUES (?, ?, ?, ?, ?)
ON CONFLICT (service_name) DO UPDATE SET
    every_us = excluded.every_us, grace_us = excluded.grace_us,
    bad_statuses = excluded.bad_statuses, updated_at = excluded.updated_at;

-- name: unset
-- Judge a service by the defaults again.
DELETE FROM service_setting WHERE service_name = ?;

-- name: next_ordinal
-- The number of the next heartbeat of a service at one moment.
SELECT ifnull(max(ordinal) + 1, 0) FROM system_status_history
WHERE service_name = ? AND heartbeat_us = ?;

-- name: is_there
-- Tell whether a heartbeat is in the log.
SELECT 1 FROM system_status_history
WHERE service_name = ? AND heartbeat_us = ? AND ordinal = ? AND digest = ?;

-- name: at_moments
-- The heartbeats at some moments, given as a JSON array of [service, microseconds].
SELECT service_name, heartbeat_us, ordinal, status, current_task, latency_us,
       ifnull(created_us, heartbeat_us)
FROM json_each(?) AS wanted CROSS JOIN system_status_history
ON service_name = wanted.value ->> 0 AND heartbeat_us = wanted.value ->> 1;

-- name: current
-- What one service said last.
SELECT service_name, status, current_task, heartbeat_us, created_us, down, grace_us, latency_us
FROM system_status WHERE service_name = ?;

-- name: current_of_all
-- What every service said last.
SELECT service_name, status, current_task, heartbeat_us, created_us, down, grace_us, latency_us
FROM system_status ORDER BY service_name;

-- name: newest_until
-- What a service said last up to a moment.
SELECT service_name, status, current_task, heartbeat_us, created_us, down, grace_us, latency_us
FROM system_status_history WHERE service_name = ? AND heartbeat_us <= ?
ORDER BY heartbeat_us DESC, down DESC, grace_us DESC, status DESC, current_task IS NOT NULL DESC,
         current_task DESC, ifnull(latency_us, -1) DESC, ifnull(created_us, heartbeat_us) DESC
LIMIT 1;

-- name: history
-- The heartbeats of a service from one moment to another, newest first.
SELECT service_name, heartbeat_us, ordinal, status, current_task, down, grace_us, latency_us,
       created_us
FROM system_status_history WHERE service_name = ? AND heartbeat_us BETWEEN ? AND ?
ORDER BY heartbeat_us DESC, ordinal DESC LIMIT ?;

-- name: first_span
-- When a service was first heard of.
SELECT min(first_us) FROM service_span WHERE service_name = ?;

-- name: span_at
-- The span that had begun by a moment, the latest of a kind if it is given: 0 up, 1 down.
SELECT first_us FROM service_span
WHERE service_name = ?1 AND first_us <= ?2 AND (?3 IS NULL OR down = ?3)
ORDER BY first_us DESC LIMIT 1;

-- name: spans
-- The spans of a service that began from one moment to before another, in order.
SELECT first_us, last_us, until_us, down, status FROM service_span
WHERE service_name = ? AND first_us >= ? AND first_us < ? ORDER BY first_us;

-- name: day_latencies
-- The latency buckets of a service on days given as a JSON array.
SELECT period, label, n
FROM json_each(?) AS day CROSS JOIN rollup
ON scope = 'service' AND period = day.value AND subject = ? AND kind = 'value'
ORDER BY period, label;

-- name: day_numbers
-- Heartbeats of a service on days given as a JSON array: how many, how many bad, their latencies.
SELECT period, n, failed, measured, total, minimum, maximum
FROM json_each(?) AS day CROSS JOIN rollup
ON scope = 'service' AND period = day.value AND subject = ? AND kind = 'day' AND label = ''
ORDER BY period;

-- name: intervals
-- From each heartbeat of a service to the next, from one moment to another: the second one's
-- moment, and the microseconds between them.
SELECT heartbeat_us, heartbeat_us - before_us FROM (
    SELECT heartbeat_us, lag(heartbeat_us) OVER (ORDER BY heartbeat_us) AS before_us,
           lag(grace_us) OVER (ORDER BY heartbeat_us) AS grace_before_us
    FROM system_status_history WHERE service_name = ? AND heartbeat_us BETWEEN ? AND ?
) WHERE heartbeat_us - before_us BETWEEN 1 AND grace_before_us;

-- name: total
-- Everything that was ever heard of a service: heartbeats, bad ones, the first and the last moment.
SELECT n, failed, first_at, last_at FROM rollup
WHERE scope = 'service' AND period = '' AND subject = ? AND kind = 'total' AND label = '';

-- Importing: first the tables of somebody else's file, then a scratch database that is thrown away
-- with the import, so that its table is here and not among the migrations.

-- name: source_columns
-- The columns of a table.
SELECT name FROM pragma_table_info(?);

-- name: source_rows
-- Every row of a table of somebody else's file.
SELECT {columns} FROM "{table}";

-- name: table_read
-- The heartbeats of a file, to be put in order.
CREATE TABLE taken (
    service TEXT, us INTEGER, status TEXT, task TEXT, latency_us INTEGER, created_us INTEGER,
    is_current INTEGER
);

-- name: take
-- Keep a heartbeat until all are known.
INSERT INTO taken (service, us, status, task, latency_us, created_us, is_current)
VALUES (?, ?, ?, ?, ?, ?, ?);

-- name: taken
-- The heartbeats of a file, those of one moment together.
SELECT service, us, status, task, latency_us, created_us, is_current FROM taken
ORDER BY service, us, status, task, is_current, created_us, latency_us;
