-- Comparing a legacy file with the store, and the differences found.

-- name: sources
-- The legacy files of the history that one belongs to. (One of which no pass has ended has none.)
SELECT id FROM legacy_source
WHERE id = ?1 OR lineage = (SELECT lineage FROM legacy_source WHERE id = ?1 AND lineage <> 0);

-- name: inflight_rows
-- What is in flight of the files in a JSON array: ids, in their order, after one; it has no seq.
SELECT id, NULL FROM skill_inflight
WHERE legacy ->> 'source' IN (SELECT value FROM json_each(?1)) AND id > ?2 ORDER BY id LIMIT ?3;

-- name: exported_rows
-- Rows that an export put into the files in a JSON array: as which ids, and their seq.
SELECT exported.id, seq
FROM legacy_exported AS exported
LEFT JOIN skill_invocation AS row ON row.id = exported.invocation_id
WHERE exported.legacy ->> 'source' IN (SELECT value FROM json_each(?1)) AND exported.id > ?2
ORDER BY exported.id LIMIT ?3;

-- name: log_rows
-- Rows of the files in a JSON array: their ids and seqs, in order, after one.
SELECT id, seq FROM skill_invocation
WHERE legacy ->> 'source' IN (SELECT value FROM json_each(?1)) AND seq > ?2 ORDER BY seq LIMIT ?3;

-- name: seq
-- The seq of a row, known by its own id or by that of the record it was exported as.
SELECT seq FROM skill_invocation
WHERE id = ?1 OR id = (SELECT invocation_id FROM legacy_exported WHERE id = ?1);

-- name: last_seq
-- The end of the log.
SELECT ifnull(max(seq), 0) FROM skill_invocation;

-- name: quarantined
-- Why texts given as a JSON array of [digest, ordinal] are kept apart for a file, and the texts.
SELECT digest, ordinal, reason, raw FROM legacy_quarantine
WHERE source_id = (SELECT id FROM legacy_source WHERE path = ?1) AND (digest, ordinal) IN (
    SELECT value ->> 0, value ->> 1 FROM json_each(?2)
);

-- name: begin
-- Begin a verify.
INSERT INTO legacy_verify
    (source, source_id, epoch, zone, sha256, size, copy_path, up_to_seq, started_at, position,
     compared, equal, explained, unexplained)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0) RETURNING id;

-- name: unfinished
-- Verifies that were cut short.
SELECT id, source, source_id, epoch, zone, sha256, size, copy_path, up_to_seq, started_at
FROM legacy_verify WHERE finished_at IS NULL ORDER BY id;

-- name: checkpoint
-- Note how far a verify is.
UPDATE legacy_verify SET position = ?, compared = ?, equal = ? WHERE id = ?;

-- name: abandon
-- A verify that nobody will go on with.
UPDATE legacy_verify SET finished_at = ? WHERE id = ? AND finished_at IS NULL;

-- name: finish
-- Note what a verify came to.
UPDATE legacy_verify
SET finished_at = ?, position = ?, compared = ?, equal = ?, explained = ?, unexplained = ?,
    report = ?
WHERE id = ?;

-- name: last
-- The newest verify that ran to its end.
SELECT report FROM legacy_verify WHERE report IS NOT NULL ORDER BY id DESC LIMIT 1;

-- name: up_to_seq
-- The end of the log when a verify's copy was taken.
SELECT up_to_seq FROM legacy_verify WHERE id = ?;

-- name: words_of
-- What people said of the differences of the verify of a file that ran to its end before another.
SELECT kind, subject, in_json, in_store, explanation, explained_at, explained_by
FROM legacy_difference
WHERE explained_by <> ?3 AND verify_id = (
    SELECT max(id) FROM legacy_verify WHERE source = ?1 AND id < ?2 AND report IS NOT NULL
)
ORDER BY id;

-- name: said_of
-- What people said of the differences of a verify.
SELECT kind, subject, in_json, in_store FROM legacy_difference
WHERE verify_id = ? AND explained_by <> ?;

-- name: add_difference
-- Keep a difference.
INSERT INTO legacy_difference
    (verify_id, epoch, found_at, kind, subject, in_json, in_store, explanation, explained_at,
     explained_by)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: count_differences
-- How many differences a verify has kept.
SELECT count(*) FROM legacy_difference WHERE verify_id = ?;

-- name: forget_differences
-- Forget some differences of a verify that nobody will go on with.
DELETE FROM legacy_difference WHERE id IN (
    SELECT id FROM legacy_difference WHERE verify_id = ? LIMIT ?
);

-- name: kinds
-- The differences of a verify by kind: how many are open, how many explained.
SELECT kind, sum(explanation IS NULL), sum(explanation IS NOT NULL)
FROM legacy_difference WHERE verify_id = ? GROUP BY kind ORDER BY kind;

-- name: read_kinds
-- The differences of compared reads: how many are open, how many explained.
SELECT kind, sum(explanation IS NULL), sum(explanation IS NOT NULL)
FROM legacy_difference WHERE verify_id IS NULL GROUP BY kind ORDER BY kind;

-- name: newest
-- The newest verify that ran to its end.
SELECT max(id) FROM legacy_verify WHERE report IS NOT NULL;

-- name: differences
-- Differences of a verify, and of compared reads if they are asked for, after one.
SELECT id, verify_id, epoch, found_at, kind, subject, in_json, in_store, json_us, store_us,
       explanation, explained_at, explained_by
FROM legacy_difference
WHERE id > ?1 AND (verify_id = ?2 OR (?3 AND verify_id IS NULL))
  AND (?4 IS NULL OR kind = ?4) AND (NOT ?5 OR explanation IS NULL)
ORDER BY id LIMIT ?6;

-- name: difference
-- One difference.
SELECT id, verify_id, epoch, found_at, kind, subject, in_json, in_store, json_us, store_us,
       explanation, explained_at, explained_by
FROM legacy_difference WHERE id = ?;

-- name: explain
-- Note why a difference is no fault, unless that is known.
UPDATE legacy_difference SET explanation = ?, explained_at = ?, explained_by = ?
WHERE id = ? AND explanation IS NULL;
