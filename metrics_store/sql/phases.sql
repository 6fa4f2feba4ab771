-- The staged way off a legacy file.

-- name: mirrored
-- What the database knows of its migration.
SELECT id, path, epoch, phase, updated_at FROM legacy_migration;

-- name: mirror
-- Note what the control file says, unless the database knows a later word of it.
INSERT INTO legacy_migration (id, path, epoch, phase, updated_at) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE
SET epoch = excluded.epoch, phase = excluded.phase, updated_at = excluded.updated_at
WHERE epoch < excluded.epoch;

-- name: add_step
-- Note a step that was done.
INSERT INTO legacy_step (migration_id, epoch, command, step, done_at, detail)
VALUES (?, ?, ?, ?, ?, ?);

-- name: steps
-- Every step of a migration, oldest first.
SELECT epoch, command, step, done_at, detail FROM legacy_step WHERE migration_id = ? ORDER BY id;

-- name: call
-- The row that a tracker's call became.
SELECT invocation_id FROM legacy_call WHERE id = ?;

-- name: add_call
-- Note which row a tracker's call became.
INSERT INTO legacy_call (id, invocation_id) VALUES (?, ?);

-- name: claimed
-- Which rows, given as a JSON array of ids, are some call's own.
SELECT invocation_id FROM legacy_call
WHERE invocation_id IN (SELECT value FROM json_each(?1))
UNION ALL
SELECT id FROM legacy_exported WHERE id IN (SELECT value FROM json_each(?1));

-- name: is_inflight
-- Tell whether an invocation is in flight.
SELECT 1 FROM skill_inflight WHERE id = ?;

-- name: add_source
-- Note the legacy file of a migration, if it is not known yet.
INSERT INTO legacy_source (path, lineage, zone, shape, added_at)
SELECT ?1, (SELECT ifnull(max(id), 0) + 1 FROM legacy_source), ?2, 'tracker', ?3
WHERE NOT EXISTS (SELECT 1 FROM legacy_source WHERE path = ?1);

-- name: count_read
-- Add a compared read to the sums of its kind.
INSERT INTO legacy_read
    (epoch, method, outcome, reason, n, json_us, json_us_max, store_us, store_us_max, first_at,
     last_at)
VALUES (?1, ?2, ?3, ?4, 1, ?5, ?5, ?6, ?6, ?7, ?7)
ON CONFLICT (epoch, method, outcome, reason) DO UPDATE
SET n = n + 1, json_us = json_us + excluded.json_us,
    json_us_max = max(json_us_max, excluded.json_us_max),
    store_us = store_us + excluded.store_us,
    store_us_max = max(store_us_max, excluded.store_us_max), last_at = excluded.last_at;

-- name: add_read_difference
-- Keep both sides of a compared read that differed; of those ignored for one reason, a hundred.
INSERT INTO legacy_difference
    (epoch, found_at, kind, subject, in_json, in_store, json_us, store_us, explanation,
     explained_at, explained_by)
SELECT ?1, ?2, 'read', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
WHERE ?8 IS NULL OR (SELECT sum(n) FROM legacy_read
                     WHERE epoch = ?1 AND outcome = 'ignored' AND reason = ?8) <= 100;

-- name: reads
-- Compared reads of an epoch, added up.
SELECT method, outcome, reason, n, json_us, json_us_max, store_us, store_us_max, first_at, last_at
FROM legacy_read WHERE epoch = ? ORDER BY method, outcome, reason;

-- name: open_reads
-- How many compared reads since an epoch differ and nobody has explained it.
SELECT count(*) FROM legacy_difference
WHERE explanation IS NULL AND kind = 'read' AND epoch >= ?;

-- name: explained_reads
-- How many compared reads of an epoch differed, with an answer on both sides, and are explained.
SELECT count(*) FROM legacy_difference
WHERE kind = 'read' AND epoch = ? AND explanation IS NOT NULL AND explained_by <> 'rule'
  AND in_json <> 'null' AND in_store <> 'null';

-- name: explain_reads
-- Explain every open difference of compared reads since an epoch.
UPDATE legacy_difference SET explanation = ?, explained_at = ?, explained_by = ?
WHERE explanation IS NULL AND kind = 'read' AND epoch >= ?;

-- name: unexported
-- Rows that no legacy file has counted yet, after one of the log: to be named before an export.
SELECT seq, id, skill_name, invoked_at, workflow_path, legacy
FROM skill_invocation
WHERE seq > ?1 AND seq <= ?2 AND legacy ->> 'source' IS NULL
  AND NOT EXISTS (SELECT 1 FROM legacy_exported WHERE invocation_id = skill_invocation.id)
ORDER BY seq LIMIT ?3;

-- name: unexported_inflight
-- The same of what is in flight, by id.
SELECT id, id, skill_name, invoked_at, workflow_path, legacy
FROM skill_inflight
WHERE id > ?1 AND legacy ->> 'source' IS NULL
  AND NOT EXISTS (SELECT 1 FROM legacy_exported WHERE invocation_id = skill_inflight.id)
ORDER BY id LIMIT ?2;

-- name: add_exported
-- Note as which record an export puts a row into the legacy file.
INSERT INTO legacy_exported (id, invocation_id, legacy) VALUES (?, ?, ?);

-- name: quarantined_texts
-- What was kept as text of a legacy file, in its order.
SELECT raw FROM legacy_quarantine WHERE source_id = ? AND reason <> 'superseded'
ORDER BY position, id;

-- name: source_id
-- The number of a legacy file.
SELECT id FROM legacy_source WHERE path = ?;

-- name: log_counts
-- How many rows the log has, by origin, and how many are in flight.
SELECT origin, count(*) FROM skill_invocation GROUP BY origin
UNION ALL SELECT 'in flight', count(*) FROM skill_inflight;

-- name: log_digests
-- The digest of every row of the log, in order.
SELECT digest FROM skill_invocation ORDER BY seq;

-- name: running_pass
-- The pass over a legacy file that is not finished.
SELECT position, size, started_at, stage FROM legacy_pass
WHERE source_id = ? AND finished_at IS NULL ORDER BY id DESC LIMIT 1;

-- name: open_differences
-- How many differences are open: those of the newest verify, and of reads since an epoch.
SELECT (SELECT count(*) FROM legacy_difference WHERE explanation IS NULL AND verify_id =
          (SELECT max(id) FROM legacy_verify WHERE finished_at IS NOT NULL)),
       (SELECT count(*) FROM legacy_difference
        WHERE explanation IS NULL AND kind = 'read' AND epoch >= ?);
