-- The scratch database of a pass over a legacy file: made, used and thrown away with the pass, so
-- its tables are here and not among the migrations.

-- name: table_seen
-- How often each key was seen, by moment, for files are mostly in the order of time.
CREATE TABLE seen (at TEXT, key TEXT, n INTEGER, taken INTEGER, PRIMARY KEY (at, key))
WITHOUT ROWID;

-- name: table_contested
-- Records that only all of their key can settle.
CREATE TABLE contested (
    key TEXT, content TEXT, position INTEGER, n INTEGER, record TEXT, PRIMARY KEY (key, content)
) WITHOUT ROWID;

-- name: table_quarantined
-- How often each refused text was seen.
CREATE TABLE quarantined (digest TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;

-- name: saw
-- Count a record of a key.
INSERT INTO seen (at, key, n, taken) VALUES (?, ?, 1, 0)
ON CONFLICT (at, key) DO UPDATE SET n = n + 1 RETURNING n;

-- name: seen
-- How often a key was seen, and whether its first row has found its record.
SELECT n, taken FROM seen WHERE at = ? AND key = ?;

-- name: take
-- Note that the first row of a key has found its record.
UPDATE seen SET taken = 1 WHERE at = ? AND key = ?;

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

-- name: forget_contested
-- Empty the waiting room.
DELETE FROM contested;

-- name: quarantined
-- Count a refused text.
INSERT INTO quarantined (digest, n) VALUES (?, 1)
ON CONFLICT (digest) DO UPDATE SET n = n + 1 RETURNING n;
