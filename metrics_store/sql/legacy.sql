-- Taking in legacy files.

-- name: source_of_path
-- What is known of a file.
SELECT id, lineage, zone, shape, last_updated FROM legacy_source WHERE path = ?;

-- name: add_source
-- Note a file; it begins a lineage of its own.
INSERT INTO legacy_source (path, lineage, zone, shape, added_at)
VALUES (?, 0, ?, ?, ?) RETURNING id;

-- name: begin_lineage
-- A source that shares nothing with an earlier one is the first of its lineage.
UPDATE legacy_source SET lineage = id WHERE id = ? AND lineage = 0;

-- name: has_begun
-- Whether anything of a file was ever taken in.
SELECT EXISTS (SELECT 1 FROM legacy_pass WHERE source_id = ? AND position > 0);

-- name: change_zone
-- Another zone for a file of which nothing was taken in.
UPDATE legacy_source SET zone = ? WHERE id = ?;

-- name: join_lineage
-- A file that shares records with another is a copy of the same history.
UPDATE legacy_source SET lineage = ?1 WHERE lineage = ?2;

-- name: drop_baseline
-- Forget what the totals of a lineage added.
DELETE FROM legacy_baseline WHERE lineage = ?;

-- name: update_source
-- Note the file's shape and its own word on when it was written.
UPDATE legacy_source SET shape = ?1, last_updated = max(ifnull(last_updated, ''), ifnull(?2, ''))
WHERE id = ?3;

-- name: lineage_update
-- The newest word of a lineage on when its file was written.
SELECT max(last_updated) FROM legacy_source WHERE lineage = ?;

-- name: unfinished_pass
-- The pass over the same content that was cut short.
SELECT id, position, stage, settled_key, counts FROM legacy_pass
WHERE source_id = ? AND sha256 = ? AND finished_at IS NULL ORDER BY id DESC LIMIT 1;

-- name: begin_pass
-- Begin a pass.
INSERT INTO legacy_pass
    (source_id, sha256, size, copy_path, started_at, position, stage, settled_key, counts)
VALUES (?, ?, ?, ?, ?, 0, 'streaming', '', ?) RETURNING id;

-- name: checkpoint
-- Note how far a pass is, in the transaction of what it wrote.
UPDATE legacy_pass SET position = ?, stage = ?, settled_key = ?, counts = ? WHERE id = ?;

-- name: finish_pass
-- Note what a pass came to.
UPDATE legacy_pass SET stage = 'finished', finished_at = ?, report = ? WHERE id = ?;

-- name: abandon_passes
-- Earlier passes over a content that is no longer there will not be finished.
UPDATE legacy_pass SET stage = 'finished', finished_at = ?
WHERE source_id = ? AND finished_at IS NULL AND id <> ?;

-- name: stored
-- What the store has of ids given as a JSON array, ended or in flight; rows that an export put into
-- the file are found by the id of that record too.
SELECT id, skill_name, invoked_at, workflow_path, session_id, outcome, duration_us, error_type,
       follow_up_actions, attributes, legacy
FROM skill_invocation WHERE id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT id, skill_name, invoked_at, workflow_path, session_id, NULL, NULL, NULL, '[]', attributes,
       legacy
FROM skill_inflight WHERE id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT exported.id, skill_name, invoked_at, workflow_path, session_id, outcome, duration_us,
       error_type, follow_up_actions, attributes, exported.legacy
FROM legacy_exported AS exported JOIN skill_invocation AS row ON row.id = exported.invocation_id
WHERE exported.id IN (SELECT value FROM json_each(?1)) AND exported.id <> row.id
UNION ALL
SELECT exported.id, skill_name, invoked_at, workflow_path, session_id, NULL, NULL, NULL, '[]',
       attributes, exported.legacy
FROM legacy_exported AS exported JOIN skill_inflight AS row ON row.id = exported.invocation_id
WHERE exported.id IN (SELECT value FROM json_each(?1)) AND exported.id <> row.id;

-- name: exported_inflight
-- What is in flight under an id of its own and stands in the file as the record of another.
SELECT row.id, row.invoked_at, row.session_id, row.attributes, row.project_path
FROM legacy_exported AS exported JOIN skill_inflight AS row ON row.id = exported.invocation_id
WHERE exported.id = ? AND exported.id <> row.id;

-- name: exported_ended
-- How an exported record stands in the file now that it has ended.
UPDATE legacy_exported SET legacy = ? WHERE invocation_id = ?;

-- name: quarantine
-- Keep a text that cannot be a row; the same text of the same file only once.
INSERT INTO legacy_quarantine
    (source_id, digest, ordinal, pass_id, position, reason, detail, raw)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source_id, digest, ordinal) DO NOTHING;

-- name: flag
-- Note something about a record that was taken in.
INSERT INTO legacy_flag (invocation_id, flag, detail, pass_id, position) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (invocation_id, flag) DO NOTHING;

-- name: set_baseline
-- What the totals of a lineage add to one number of one skill.
INSERT INTO legacy_baseline
    (lineage, skill_name, kind, label, n, completed, duration_us, first_at, last_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: drop_totals
-- Forget the totals that a file stated.
DELETE FROM legacy_total WHERE source_id = ?;

-- name: set_total
-- One number of one skill, as a file states it.
INSERT INTO legacy_total
    (source_id, skill_name, kind, label, n, completed, duration_us, first_at, last_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: held_by_lineage
-- What each row of a lineage adds to the classic totals.
SELECT skill_name, outcome = 'completed', completed_us, workflow_path, error_type, follow_up_actions
FROM skill_invocation
WHERE legacy ->> 'source' IN (SELECT id FROM legacy_source WHERE lineage = ?1)
UNION ALL
SELECT skill_name, outcome = 'completed', completed_us, workflow_path, error_type, follow_up_actions
FROM legacy_exported AS exported JOIN skill_invocation AS row ON row.id = exported.invocation_id
WHERE exported.legacy ->> 'source' IN (SELECT id FROM legacy_source WHERE lineage = ?1);

-- name: said
-- What people have said of differences in content, as the two sides were.
SELECT kind, in_json, in_store, explanation FROM legacy_difference
WHERE kind IN ('different', 'moment') AND explanation IS NOT NULL
  AND explained_by <> 'metrics-store';

-- name: late_rows
-- What each row that a pass has added after one adds to the totals that an earlier copy stated.
SELECT skill_name, outcome = 'completed', completed_us, workflow_path, error_type, follow_up_actions
FROM skill_invocation NOT INDEXED
WHERE seq > ?2 AND origin = 'legacy' AND legacy ->> 'invoked_at' < ?3
  AND legacy ->> 'source' IN (SELECT id FROM legacy_source WHERE lineage = ?1);

-- name: last_seq
-- The number of the newest row of the log; 0 without any.
SELECT ifnull(max(seq), 0) FROM skill_invocation;

-- name: baseline_of
-- The baseline of a lineage as it is.
SELECT skill_name, kind, label, n, completed, duration_us, first_at, last_at
FROM legacy_baseline WHERE lineage = ?;

-- name: newest_totals
-- The totals that the newest copy of a lineage states.
SELECT skill_name, kind, label, n, completed, duration_us, first_at, last_at
FROM legacy_total WHERE source_id = (
    SELECT id FROM legacy_source WHERE lineage = ?1
      AND EXISTS (SELECT 1 FROM legacy_total WHERE source_id = legacy_source.id)
    ORDER BY ifnull(last_updated, '') DESC, id DESC LIMIT 1
);

-- name: baseline_lines
-- The baseline of a lineage, by skill.
SELECT skill_name, n, completed, duration_us FROM legacy_baseline
WHERE lineage = ? AND kind = 'total' ORDER BY n DESC, skill_name;

-- name: export_log
-- Every row of the log, in the order of starts, straight from the index.
SELECT id, skill_name, invoked_at, workflow_path, session_id, outcome, duration_us, error_type,
       follow_up_actions, attributes, legacy
FROM skill_invocation INDEXED BY skill_invocation_by_time WHERE seq <= ?
ORDER BY invoked_at, skill_name, seq;

-- name: export_log_after
-- The rows of the log since one, in the order of starts.
SELECT id, skill_name, invoked_at, workflow_path, session_id, outcome, duration_us, error_type,
       follow_up_actions, attributes, legacy
FROM skill_invocation NOT INDEXED WHERE seq > ? ORDER BY invoked_at, skill_name, seq;

-- name: export_inflight
-- Everything in flight, in the order of starts.
SELECT id, skill_name, invoked_at, workflow_path, session_id, NULL, NULL, NULL, '[]', attributes,
       legacy
FROM skill_inflight ORDER BY invoked_at, skill_name, id;

-- name: export_totals
-- The classic totals of every skill.
SELECT skill_name, total_invocations, completed_invocations, abandoned_invocations,
       total_duration_seconds, workflow_paths, common_errors, follow_up_actions, first_invoked,
       last_invoked, completion_rate, avg_duration_seconds
FROM skill_metrics ORDER BY skill_name;

-- name: source_zone
-- The zone of the source that was taken in first.
SELECT zone FROM legacy_source ORDER BY id LIMIT 1;

-- name: quarantine_of
-- What of a source is kept apart, by position.
SELECT position, reason, detail, substr(raw, 1, 200) FROM legacy_quarantine
WHERE source_id = ? ORDER BY position, id LIMIT ?;

-- name: flags_of
-- What was noteworthy about the records of a source, by position.
SELECT position, invocation_id, flag, detail FROM legacy_flag
WHERE pass_id IN (SELECT id FROM legacy_pass WHERE source_id = ?)
ORDER BY position, flag LIMIT ?;

-- name: lineages_of
-- The lineages of sources given as a JSON array.
SELECT DISTINCT lineage FROM legacy_source WHERE id IN (SELECT value FROM json_each(?));
