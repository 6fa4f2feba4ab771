-- Writing to the log of any family: {table} and {columns} are of its declaration.

-- name: append
-- Write rows to a log; one that is there already is passed over.
INSERT INTO {table} ({columns}, digest) VALUES {rows} ON CONFLICT DO NOTHING;

-- name: digest_of
-- The digest of a row by its id.
SELECT digest FROM {table} WHERE {key} = ?;

-- name: last
-- The last row of a log.
SELECT ifnull(max(seq), 0) FROM {table};

-- name: defer
-- Let the rows that follow be counted all at once.
INSERT INTO rollup_deferred (family, after_seq) VALUES (?, ?);

-- name: fold
-- Let the rows that follow be counted one by one again.
DELETE FROM rollup_deferred WHERE family = ?;

-- name: has_retired
-- Tell whether retention remembers ids of a family.
SELECT 1 FROM retired_id WHERE family = ? LIMIT 1;

-- name: retired
-- Which of some ids retention has deleted.
SELECT id FROM retired_id WHERE family = ? AND id IN (SELECT value FROM json_each(?));

-- name: horizon
-- The moment before which retention has deleted a family's rows.
SELECT before_at FROM retention_horizon WHERE family = ?;
