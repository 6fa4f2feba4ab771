-- Alerts: what they are, what evaluating them remembers, what hooks are owed, and what rules look
-- at. Rates come from the rollups.

-- name: one
-- The alert of an id.
SELECT alert_id, type, severity, title, message, source, metadata, acknowledged, acknowledged_by,
       acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule, subject,
       peak_severity, updated_at
FROM alerts WHERE alert_id = ?;

-- name: of_piece
-- Up to two alerts whose id begins or ends so.
SELECT alert_id, type, severity, title, message, source, metadata, acknowledged, acknowledged_by,
       acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule, subject,
       peak_severity, updated_at
FROM alerts
WHERE substr(alert_id, 1, length(?1)) = ?1 OR substr(alert_id, -length(?1)) = ?1 LIMIT 2;

-- name: lasting
-- Every alert that lasts.
SELECT alert_id, type, severity, title, message, source, metadata, acknowledged, acknowledged_by,
       acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule, subject,
       peak_severity, updated_at
FROM alerts WHERE resolved = 0 ORDER BY created_at;

-- name: listed
-- Alerts of a state, of some severities and of a type, the latest first.
SELECT alert_id, type, severity, title, message, source, metadata, acknowledged, acknowledged_by,
       acknowledged_at, resolved, resolved_by, resolved_at, created_at, rule, subject,
       peak_severity, updated_at
FROM alerts
WHERE resolved IN (ifnull(?1, 0), ifnull(?1, 1)) AND (?2 IS NULL OR acknowledged = ?2)
  AND severity IN (SELECT value FROM json_each(?3)) AND (?4 IS NULL OR type = ?4)
ORDER BY created_at DESC, alert_id DESC LIMIT ?5;

-- name: events
-- What happened to an alert, oldest first.
SELECT seq, id, alert_id, at, event, severity, message, actor, lasted_us, metadata
FROM alert_event WHERE alert_id = ? ORDER BY at, id;

-- name: event
-- One thing that happened.
SELECT seq, id, alert_id, at, event, severity, message, actor, lasted_us, metadata
FROM alert_event WHERE id = ?;

-- name: daily
-- Alerts opened by each source on each of some days.
SELECT subject, period, n FROM rollup
WHERE scope = 'alert' AND period IN (SELECT value FROM json_each(?)) AND kind = 'day'
  AND label = 'opened';

-- name: evaluation
-- How often something was decided, and when rules were last evaluated.
SELECT number, evaluated_at FROM alert_evaluation;

-- name: decided
-- Count a decision.
UPDATE alert_evaluation SET number = number + 1;

-- name: evaluated
-- Note when the rules were evaluated.
UPDATE alert_evaluation SET evaluated_at = ?;

-- name: signals
-- Since when values have been on the other side of a level.
SELECT rule, subject, severity, since_at FROM alert_signal;

-- name: remember_signal
-- Note one.
INSERT INTO alert_signal (rule, subject, severity, since_at) VALUES (?, ?, ?, ?);

-- name: forget_signals
-- Forget those of a rule and a subject.
DELETE FROM alert_signal WHERE rule = ? AND subject = ?;

-- name: begin_hook
-- Let a hook begin at the end of the log, unless it is known.
INSERT INTO alert_hook (hook, after_seq) SELECT ?, ifnull(max(seq), 0) FROM alert_event WHERE true
ON CONFLICT (hook) DO NOTHING;

-- name: events_for_hook
-- What happened since a hook was last looked after.
SELECT seq, id, event, severity FROM alert_event
WHERE seq > (SELECT after_seq FROM alert_hook WHERE hook = ?) ORDER BY seq;

-- name: advance_hook
-- Note how far a hook was looked after.
UPDATE alert_hook SET after_seq = ? WHERE hook = ?;

-- name: owe
-- Note that a hook is to be told of an event.
INSERT INTO alert_owed (hook, event_id, owed_since, tries) VALUES (?, ?, ?, 0)
ON CONFLICT DO NOTHING;

-- name: owed
-- Of how many events each hook is to be told.
SELECT hook, count(*) FROM alert_owed GROUP BY hook;

-- name: first_owed
-- What a hook is told next: what was tried least. A claim that is over, or lasts longer than any
-- does, is none. Of what retention is deleting the alert is gone before its last event.
SELECT event_id, tries FROM alert_owed
WHERE hook = ?1 AND (claimed_until IS NULL OR claimed_until <= ?2 OR claimed_until > ?3)
  AND EXISTS (SELECT 1 FROM alert_event AS e JOIN alerts AS a ON a.alert_id = e.alert_id
              WHERE e.id = event_id)
ORDER BY tries, owed_since, event_id LIMIT 1;

-- name: claim
-- Claim it.
UPDATE alert_owed SET claimed_by = ?, claimed_until = ? WHERE hook = ? AND event_id = ?;

-- name: told
-- The hook was told.
DELETE FROM alert_owed WHERE hook = ? AND event_id = ? AND claimed_by = ?;

-- name: failed
-- The hook could not be told.
UPDATE alert_owed SET tries = tries + 1, tried_at = ?, error = ?, claimed_by = NULL,
    claimed_until = NULL
WHERE hook = ? AND event_id = ? AND claimed_by = ?;

-- name: debts
-- What is owed to each hook: how many, since when, the most tries, and the latest error.
SELECT hook, count(*), min(owed_since), max(tries), max(tried_at), error FROM alert_owed
GROUP BY hook;

-- name: skill_hours
-- Ended, completed and failed runs of each skill on the days of a JSON array, in the hours from
-- one to another; the recursion jumps from skill to skill over what else is kept of a day.
WITH RECURSIVE skill (day, name) AS (
    SELECT day.value,
           (SELECT min(subject) FROM rollup WHERE scope = 'skill' AND period = day.value)
    FROM json_each(?1) AS day
    UNION ALL
    SELECT skill.day,
           (SELECT min(subject) FROM rollup
            WHERE scope = 'skill' AND period = skill.day AND subject > skill.name)
    FROM skill WHERE skill.name IS NOT NULL
)
SELECT skill.name, sum(n), sum(completed), sum(failed)
FROM skill CROSS JOIN rollup
ON scope = 'skill' AND period = skill.day AND subject = skill.name AND kind = 'hour'
WHERE skill.day || 'T' || label BETWEEN ?2 AND ?3
GROUP BY skill.name;

-- name: pages
-- Pages of the database that are in use or free, and their size.
SELECT page_count, page_size FROM pragma_page_count, pragma_page_size;

-- name: execution_hours
-- All executions, and those that succeeded and failed, in the hours from one to another.
SELECT ifnull(sum(n), 0), ifnull(sum(completed), 0), ifnull(sum(failed), 0) FROM rollup
WHERE scope = 'execution_pool' AND period BETWEEN ?1 AND ?2 AND kind = 'duration';

-- name: pool_hours
-- The same for each pool.
SELECT subject, sum(n), sum(completed), sum(failed) FROM rollup
WHERE scope = 'execution_pool' AND period BETWEEN ?1 AND ?2 AND kind = 'duration'
  AND subject <> '' GROUP BY subject;

-- name: recent_executions
-- Executions after one moment and until another, and whether there were some since a third.
SELECT (SELECT count(*) FROM executions INDEXED BY executions_quality_trend
        WHERE timestamp > ?1 AND timestamp <= ?2),
       EXISTS (SELECT 1 FROM executions INDEXED BY executions_quality_trend
               WHERE timestamp > ?3 AND timestamp <= ?1);

-- name: recent_skills
-- The same of runs of skills.
SELECT (SELECT count(*) FROM skill_invocation INDEXED BY skill_invocation_by_time
        WHERE invoked_at > ?1 AND invoked_at <= ?2),
       EXISTS (SELECT 1 FROM skill_invocation INDEXED BY skill_invocation_by_time
               WHERE invoked_at > ?3 AND invoked_at <= ?1);

-- name: services
-- When each service was last heard of, for how long that vouches, whether it said it is down, and
-- what it said.
SELECT service_name, heartbeat_us, grace_us, down, status FROM system_status;

-- name: agents
-- What each agent's latest sample says.
SELECT agent_id, status, recorded_at FROM agent_status;

-- name: source_rows
-- Every alert of somebody else's database.
SELECT * FROM alerts;
