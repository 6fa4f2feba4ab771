-- Retention: {table}, {moment}, {stays} and the like are of the family's declaration.

-- name: due
-- Rows of a log that are past their time, from one on.
SELECT row.seq FROM {table} AS row
WHERE row.seq > ?1 AND row.seq < (SELECT max(seq) FROM {table}) AND {moment} < ?2 AND NOT ({stays})
ORDER BY row.seq LIMIT ?3;

-- name: due_of_all
-- How many rows a log has, and how many of them are past their time.
SELECT count(*), count(CASE WHEN row.seq < (SELECT max(seq) FROM {table}) AND {moment} < ?2
                            AND NOT ({stays}) THEN 1 END), min({moment})
FROM {table} AS row;

-- name: permit
-- Let rows of a log be deleted.
INSERT INTO retention_permit (family, up_to_seq) VALUES (?, ?);

-- name: forbid
-- Let none be deleted any more.
DELETE FROM retention_permit WHERE family = ?;

-- name: remember
-- Keep the ids of rows that are about to be deleted.
INSERT INTO retired_id (family, id)
SELECT '{family}', row.id FROM {table} AS row WHERE {rows} ON CONFLICT DO NOTHING;

-- name: delete
-- Delete rows from a log.
DELETE FROM {table} AS row WHERE {rows};

-- name: note
-- Note how far retention has gone in a log.
INSERT INTO retention_horizon (family, before_at, up_to_seq, rows, applied_at)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (family) DO UPDATE SET
    before_at = max(before_at, excluded.before_at), up_to_seq = max(up_to_seq, excluded.up_to_seq),
    rows = rows + excluded.rows, applied_at = excluded.applied_at;

-- name: aged_of_all
-- How many rollups of some kinds are past their time; those of periods of which rows of the log
-- stay are not.
WITH left_over (moment) AS (
    SELECT {moment} FROM {table} AS row
    WHERE {moment} < ?2 AND (row.seq = (SELECT max(seq) FROM {table}) OR {stays}))
SELECT count(*) FROM rollup
WHERE scope = ?1 AND period > '' AND period < ?2 AND kind IN (SELECT value FROM json_each(?3))
  AND period NOT IN (SELECT substr(moment, 1, 10) FROM left_over
                     UNION SELECT substr(moment, 1, 13) FROM left_over);

-- name: aged
-- Some rollups that are past their time, and of whose period the log has no row any more.
SELECT scope, period, subject, kind, label FROM rollup
WHERE scope = ?1 AND period > '' AND period < ?2 AND kind IN (SELECT value FROM json_each(?3))
  AND period NOT IN (
    SELECT substr({moment}, 1, 10) FROM {table} AS row WHERE {moment} < ?2
    UNION SELECT substr({moment}, 1, 13) FROM {table} AS row WHERE {moment} < ?2)
LIMIT ?4;

-- name: forget
-- Delete one rollup.
DELETE FROM rollup
WHERE scope = ? AND period = ? AND subject = ? AND kind = ? AND label = ?;

-- name: forget_retired
-- Delete what deleted rows added to one rollup.
DELETE FROM rollup_retired
WHERE scope = ? AND period = ? AND subject = ? AND kind = ? AND label = ?;

-- name: newest
-- The newest moment of a log.
SELECT max({moment}) FROM {table} AS row;

-- name: horizons
-- How far retention has gone in each log, and what it deleted so far.
SELECT family, before_at, rows, applied_at FROM retention_horizon;

-- name: can_be_rolled_back
-- Tell whether there is a way back to a JSON file, for which every row is needed.
SELECT 1 FROM legacy_migration LIMIT 1;
