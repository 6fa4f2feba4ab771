-- The scratch database of a pass over a legacy file: made, used and thrown away with the pass, so
-- its tables are here and not among the migrations.

-- name: table_seen
-- How often each key was seen, by the id of its first row, for ids are in the order of time; and
-- whether that first row has found its record.
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, n INTEGER, taken INTEGER) WITHOUT ROWID;

-- name: table_met
-- What a comparison has met, by the id of a row: for the first of a key the number of its first
-- record, and whether the row has found a record.
CREATE TABLE IF NOT EXISTS met (id TEXT PRIMARY KEY, number INTEGER, taken INTEGER) WITHOUT ROWID;

-- name: table_kept
-- First records of a key that match its first row but for what that row knows beyond them.
CREATE TABLE IF NOT EXISTS kept (id TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID;

-- name: table_contested
-- Records that only all of their key can settle.
CREATE TABLE IF NOT EXISTS contested (
    key TEXT, content TEXT, position INTEGER, n INTEGER, record TEXT, PRIMARY KEY (key, content)
) WITHOUT ROWID;

-- name: table_quarantined
-- How often each refused text was seen.
CREATE TABLE IF NOT EXISTS quarantined (digest TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;

-- name: table_refused
-- Texts that cannot be a row, to be looked for in the store.
CREATE TABLE IF NOT EXISTS refused (
    number INTEGER PRIMARY KEY, digest TEXT, ordinal INTEGER, subject TEXT, raw TEXT
);

-- name: table_found
-- The differences that were found, numbered from 1 on.
CREATE TABLE IF NOT EXISTS found (
    number INTEGER PRIMARY KEY, kind TEXT, explanation TEXT, subject TEXT, in_json TEXT,
    in_store TEXT
);

-- name: table_state
-- How far the pass is.
CREATE TABLE IF NOT EXISTS state (only INTEGER PRIMARY KEY, state TEXT);

-- name: saw
-- Note how often a key was seen.
INSERT INTO seen (id, n, taken) VALUES (?, ?, 1) ON CONFLICT (id) DO UPDATE SET n = excluded.n;

-- name: seen
-- How often the keys of a JSON array of ids were seen, and whether their first row is taken.
SELECT id, n, taken FROM seen WHERE id IN (SELECT value FROM json_each(?));

-- name: leave
-- Note that the first row of a key has not found its record yet.
UPDATE seen SET taken = 0 WHERE id = ?;

-- name: forget_seen
-- Forget which keys were seen.
DELETE FROM seen;

-- name: meet
-- Number the records of a JSON array of first ids; a key keeps the number of its first.
INSERT INTO met (id, number, taken) SELECT value, ?2 + key, 1 FROM json_each(?1) WHERE true
ON CONFLICT (id) DO NOTHING;

-- name: numbers
-- The numbers of the first records of a JSON array of first ids.
SELECT id, number FROM met WHERE id IN (SELECT value FROM json_each(?));

-- name: take
-- Note whether a row has found a record.
INSERT INTO met (id, number, taken) VALUES (?1, -1, ?2)
ON CONFLICT (id) DO UPDATE SET taken = excluded.taken;

-- name: untaken
-- Those of a JSON array of row ids that have found no record.
SELECT value FROM json_each(?1)
WHERE NOT EXISTS (SELECT 1 FROM met WHERE id = value AND taken = 1);

-- name: keep
-- Keep the first record of a key.
INSERT OR REPLACE INTO kept (id, record) VALUES (?, ?);

-- name: kept
-- The first records that were kept of a JSON array of first ids.
SELECT id, record FROM kept WHERE id IN (SELECT value FROM json_each(?));

-- name: contest
-- Keep a record until all of its key are known.
INSERT INTO contested (key, content, position, n, record) VALUES (?, ?, ?, 1, ?)
ON CONFLICT (key, content) DO UPDATE SET n = n + 1;

-- name: next_contested
-- The next key with records that wait.
SELECT min(key) FROM contested WHERE key > ?;

-- name: contested
-- The distinct records of a key that wait.
SELECT position, n, record FROM contested WHERE key = ? ORDER BY position;

-- name: waiting
-- The records that wait, by key, after one that is settled.
SELECT key, position, n, record FROM contested WHERE key > ? ORDER BY key;

-- name: settled
-- Let the records of a key wait no longer.
DELETE FROM contested WHERE key = ?;

-- name: forget_contested
-- Empty the waiting room.
DELETE FROM contested;

-- name: quarantined
-- Count a refused text.
INSERT INTO quarantined (digest, n) VALUES (?, 1)
ON CONFLICT (digest) DO UPDATE SET n = n + 1 RETURNING n;

-- name: refuse
-- Keep a text that cannot be a row.
INSERT INTO refused (digest, ordinal, subject, raw) VALUES (?, ?, ?, ?);

-- name: refused
-- The next texts that cannot be a row.
SELECT number, digest, ordinal, subject, raw FROM refused
WHERE number > ? ORDER BY number LIMIT ?;

-- name: accept
-- Forget a refused text that was dealt with.
DELETE FROM refused WHERE number = ?;

-- name: add_found
-- Keep a difference.
INSERT INTO found (kind, explanation, subject, in_json, in_store) VALUES (?, ?, ?, ?, ?);

-- name: found
-- The next differences.
SELECT kind, explanation, subject, in_json, in_store FROM found
WHERE number > ? ORDER BY number LIMIT ?;

-- name: set_state
-- Note how far the pass is.
INSERT OR REPLACE INTO state (only, state) VALUES (1, ?);

-- name: state
-- How far the pass is.
SELECT state FROM state;
