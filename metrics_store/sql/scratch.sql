-- The scratch database of a pass over a legacy file: made, used and thrown away with the pass, so
-- its tables are here and not among the migrations.

-- name: table_seen
-- How often each key was seen, by the id of its first row, for ids are in the order of time; and
-- whether that first row has found its record.
CREATE TABLE seen (id TEXT PRIMARY KEY, n INTEGER, taken INTEGER) WITHOUT ROWID;

-- name: table_contested
-- Records that only all of their key can settle.
CREATE TABLE contested (
    key TEXT, content TEXT, position INTEGER, n INTEGER, record TEXT, PRIMARY KEY (key, content)
) WITHOUT ROWID;

-- name: table_quarantined
-- How often each refused text was seen.
CREATE TABLE quarantined (digest TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;

-- name: saw
-- Note how often a key was seen.
INSERT INTO seen (id, n, taken) VALUES (?, ?, 1) ON CONFLICT (id) DO UPDATE SET n = excluded.n;

-- name: seen
-- How often the keys of a JSON array of ids were seen, and whether their first row is taken.
SELECT id, n, taken FROM seen WHERE id IN (SELECT value FROM json_each(?));

-- name: leave
-- Note that the first row of a key has not found its record yet.
UPDATE seen SET taken = 0 WHERE id = ?;

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
