-- Writing skills. Nullable text comes as 0 for NULL and a nullable number as '' for NULL: binding
-- None costs 1.6 us each, for the binding looks for an adapter first.

-- name: start_invocation
-- Put an invocation in flight, if the schema is the one this process knows.
INSERT INTO skill_inflight
    (id, skill_name, invoked_at, workflow_path, session_id, project_path, origin, attributes,
     legacy, process)
SELECT ?, ?, ?, nullif(?, 0), nullif(?, 0), nullif(?, 0), ?, nullif(?, 0), nullif(?, 0),
       nullif(?, 0)
WHERE (SELECT max(version) FROM schema_migrations) = ?;

-- name: record_one
-- Write a row to the log, if the schema is the one this process knows.
INSERT INTO skill_invocation
    (id, skill_name, invoked_at, ended_at, workflow_path, session_id, project_path, outcome,
     duration_us, error_type, follow_up_actions, origin, attributes, legacy, schema_version, digest)
SELECT ?, ?, ?, nullif(?, 0), nullif(?, 0), nullif(?, 0), nullif(?, 0), ?, nullif(?, ''),
       nullif(?, 0), ?, ?, nullif(?, 0), nullif(?, 0), ?, ?
WHERE (SELECT max(version) FROM schema_migrations) = ?;

-- name: record_batch
-- Write a row of a batch to the log; a row whose id is there already is passed over.
INSERT INTO skill_invocation
    (id, skill_name, invoked_at, ended_at, workflow_path, session_id, project_path, outcome,
     duration_us, error_type, follow_up_actions, origin, attributes, legacy, schema_version, digest)
VALUES (?, ?, ?, nullif(?, 0), nullif(?, 0), nullif(?, 0), nullif(?, 0), ?, nullif(?, ''),
        nullif(?, 0), ?, ?, nullif(?, 0), nullif(?, 0), ?, ?)
ON CONFLICT (id) DO NOTHING;

-- name: defer_rollups
-- Let the rows that follow be counted all at once.
INSERT INTO rollup_deferred (family, after_seq)
SELECT 'skill', ifnull(max(seq), 0) FROM skill_invocation;

-- name: fold_rollups
-- Count all rows since the rollups were deferred.
DELETE FROM rollup_deferred WHERE family = 'skill';

-- name: heartbeat
-- Note a sign of life of an invocation in flight, if the schema is the one this process knows.
UPDATE skill_inflight SET heartbeat_at = ?
WHERE id = ? AND (SELECT max(version) FROM schema_migrations) = ?;

-- name: is_ended
-- Tell whether the log has an invocation.
SELECT 1 FROM skill_invocation WHERE id = ?;

-- name: inflight
-- Everything in flight, oldest first.
SELECT id, skill_name, invoked_at, workflow_path, session_id, project_path, origin, attributes,
       legacy, process, heartbeat_at
FROM skill_inflight ORDER BY invoked_at, id;

-- name: digest_of
-- The digest of a row of the log.
SELECT digest FROM skill_invocation WHERE id = ?;
