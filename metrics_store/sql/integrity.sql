-- Checking a store, on a connection that cannot write; and mending what follows from the logs.

-- name: objects
-- Tables, indexes, triggers and views, but not the statistics that SQLite keeps.
SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_schema
WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' OR name LIKE 'sqlite\_autoindex\_%' ESCAPE '\'
ORDER BY rowid;

-- name: columns
-- The columns of a table, and whether they are hidden or generated.
SELECT name, hidden FROM pragma_table_xinfo(?) ORDER BY cid;

-- name: bounds
-- The lower bounds of the buckets.
SELECT lower, bucket FROM bucket_bound ORDER BY lower;

-- name: ledger
-- The ledger of migrations.
SELECT version, applied_at, description, checksum FROM schema_migrations ORDER BY version;

-- name: rollup_deferred
-- What is still to be counted; empty outside a transaction.
SELECT family, after_seq FROM rollup_deferred;

-- name: retention_permit
-- What may be deleted from the logs; empty outside a transaction.
SELECT family, up_to_seq FROM retention_permit;

-- name: in_flight
-- What is in flight, and the process that began it.
SELECT id, process, invoked_at FROM {table} ORDER BY id;

-- name: in_flight_and_ended
-- What is in flight and has ended too.
SELECT id FROM {table} INTERSECT SELECT id FROM {log};

-- name: count
-- How many rows a table has.
SELECT count(*) FROM {table};

-- name: log_rows
-- Rows of a log from one on, in their order: seq, content, digest. (With ">" SQLite would look for
-- the row before, which may lie on a damaged page.)
SELECT seq, {columns}, digest FROM {table} WHERE seq >= ? ORDER BY seq LIMIT ?;

-- name: ends
-- The first and the last row of a log.
SELECT min(seq), max(seq) FROM {table};

-- name: rollups
-- The rollups of a scope, sorted.
SELECT {columns} FROM rollup WHERE scope = ? ORDER BY period, subject, kind, label;

-- name: of_log
-- What a stretch of the log comes to, NULL as an empty text: binding None costs 1.6 us each.
SELECT scope, period, subject, kind, label, n, completed, failed, measured, total,
       ifnull(minimum, ''), ifnull(maximum, ''), ifnull(first_at, ''), ifnull(last_at, '')
FROM (SELECT '' AS scope, '' AS period, '' AS subject, '' AS kind, '' AS label, 0 AS n,
             0 AS completed, 0 AS failed, 0 AS measured, 0 AS total, 0 AS minimum, 0 AS maximum,
             '' AS first_at, '' AS last_at WHERE false
      UNION ALL {recomputed});

-- name: is_used
-- Tell whether a log has rows, or numbers are kept of it.
SELECT EXISTS (SELECT 1 FROM {table})
    OR EXISTS (SELECT 1 FROM rollup WHERE scope IN (SELECT value FROM json_each(?1)))
    OR EXISTS (SELECT 1 FROM {retired} WHERE scope IN (SELECT value FROM json_each(?1)));

-- name: retired
-- What deleted rows added to the rollups of a scope, as "of_log" gives it.
SELECT scope, period, subject, kind, label, n, completed, failed, measured, total,
       ifnull(minimum, ''), ifnull(maximum, ''), ifnull(first_at, ''), ifnull(last_at, '')
FROM rollup_retired WHERE scope = ?;

-- name: retired_up_to
-- The last row of a family's log that retention has deleted.
SELECT up_to_seq FROM retention_horizon WHERE family = ?;

-- name: only_in_one
-- Rows of one SELECT that another has not.
SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other}) ORDER BY 1 LIMIT {limit};

-- name: add_up
-- Add what a stretch of the log comes to; texts are given as bytes, and x'' stands for NULL.
INSERT INTO rollup ({columns})
VALUES (CAST(?1 AS TEXT), CAST(?2 AS TEXT), CAST(?3 AS TEXT), CAST(?4 AS TEXT),
        CASE typeof(?5) WHEN 'blob' THEN CAST(?5 AS TEXT) ELSE ?5 END,
        ?6, ?7, ?8, ?9, ?10, nullif(?11, x''), nullif(?12, x''),
        CAST(nullif(?13, x'') AS TEXT), CAST(nullif(?14, x'') AS TEXT))
ON CONFLICT (scope, period, subject, kind, label) DO UPDATE SET
    n = n + excluded.n,
    completed = completed + excluded.completed, failed = failed + excluded.failed,
    measured = measured + excluded.measured, total = total + excluded.total,
    minimum = ifnull(min(minimum, excluded.minimum), ifnull(minimum, excluded.minimum)),
    maximum = ifnull(max(maximum, excluded.maximum), ifnull(maximum, excluded.maximum)),
    first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);

-- name: fill_paths
-- The distinct paths of the log, from its rollups.
INSERT INTO workflow_path (workflow_path, skill_name)
SELECT label, subject FROM rollup
WHERE scope = 'skill' AND period = '' AND kind = 'path' ORDER BY label, subject;

-- name: paths
-- The distinct paths, sorted.
SELECT workflow_path, skill_name FROM workflow_path ORDER BY workflow_path, skill_name;

-- name: empty
-- Take everything out of a table.
DELETE FROM {table};

-- name: whole_table
-- Everything in a table.
SELECT {columns} FROM {table};

-- name: fill
-- Put a row into a table.
INSERT INTO {table} ({columns}) VALUES ({marks});

-- name: check_search
-- Let FTS5 compare an index with its content too; without the rank an emptied index passes.
INSERT INTO {table} ({table}, rank) VALUES ('integrity-check', 1);

-- name: rebuild_search
-- Make a full-text index anew from its content.
INSERT INTO {table} ({table}) VALUES ('rebuild');

-- name: words
-- The words of a full-text index with their places, as long as the connection lasts.
CREATE VIRTUAL TABLE temp.word USING fts5vocab(main, {table}, instance);

-- name: keep_places
-- What a full-text index says now.
CREATE TABLE {kept} AS SELECT term, doc, col, offset FROM temp.word;

-- name: kept_words
-- The words of it.
SELECT DISTINCT term FROM {kept} ORDER BY term;

-- name: keep_found
-- And what it finds by a word: it is looked up in another way than it is gone through.
INSERT INTO {kept} SELECT ?1, rowid, '', -1 FROM {table} WHERE {table} MATCH ?2;

-- name: first_difference
-- A word of which one of two says other things.
SELECT term FROM (SELECT * FROM {one} EXCEPT SELECT * FROM {other}) ORDER BY term LIMIT 1;

-- name: first_after
-- The first row of a log after another one.
SELECT min(seq) FROM {table} WHERE seq > ?;

-- name: id_and_digest
-- What a row of a log is known by.
SELECT id, digest FROM {table} WHERE seq = ?;

-- name: count_objects
-- How many objects the schema has.
SELECT count(*) FROM sqlite_schema;

-- name: has_ledger
-- Tell whether there is a ledger of migrations.
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_migrations';

-- name: tables
-- Tables that have pages.
SELECT name FROM sqlite_schema
WHERE type = 'table' AND typeof(rootpage) = 'integer' AND rootpage > 0 ORDER BY rowid;

-- name: trees
-- Tables and indexes, and where each begins.
SELECT name, rootpage FROM sqlite_schema
WHERE typeof(rootpage) = 'integer' AND rootpage > 0 ORDER BY rowid;

-- name: drop_table
-- Drop a table that holds nothing but what follows from the logs.
DROP TABLE {name};

-- name: drop_table_if_there
-- Drop a table of a virtual table that is gone.
DROP TABLE IF EXISTS {name};

-- name: drop_view
-- Drop a view.
DROP VIEW {name};

-- name: drop_trigger
-- Drop a trigger.
DROP TRIGGER {name};

-- name: drop_index
-- Drop an index.
DROP INDEX {name};

-- name: forget
-- Take a table, with its indexes and triggers, or an index out of the schema; its pages stay.
DELETE FROM sqlite_schema WHERE name = ?1 OR (tbl_name = ?1 AND type <> 'view');

-- name: forget_virtual
-- Take a virtual table out of the schema; its tables stay.
DELETE FROM sqlite_schema WHERE name = ? AND rootpage = 0;

-- name: add_bound
-- Put in the lower bound of a bucket.
INSERT INTO bucket_bound (lower, bucket) VALUES (?, ?);

-- name: add_properties
-- Give the store an id and a generation, unless it has them.
INSERT INTO store_property (name, value) VALUES
    ('store_id', lower(hex(randomblob(16)))),
    ('generation', lower(hex(randomblob(16))))
ON CONFLICT (name) DO NOTHING;

-- name: reindex
-- Build an index anew from its table.
REINDEX {name};

-- name: land
-- Take out of flight what has ended.
DELETE FROM {table} WHERE id IN (SELECT id FROM {log});

-- name: drop_scope
-- Take out the rollups of a scope.
DELETE FROM rollup WHERE scope = ?;

-- name: strangers
-- Rollups of scopes that are not in a JSON array, by scope.
SELECT scope, count(*) FROM rollup
WHERE scope NOT IN (SELECT value FROM json_each(?)) GROUP BY scope;

-- name: drop_strangers
-- Take out the rollups of scopes that are not in a JSON array.
DELETE FROM rollup WHERE scope NOT IN (SELECT value FROM json_each(?));

-- name: add_path
-- Put in a path that can be searched for; texts are given as bytes.
INSERT INTO workflow_path (workflow_path, skill_name) VALUES (CAST(? AS TEXT), CAST(? AS TEXT));

-- name: rebuild_search
-- Build a full-text index anew from what it is of.
INSERT INTO {table} ({table}) VALUES ('rebuild');

-- name: begin_generation
-- Let the store begin another generation.
UPDATE store_property SET value = lower(hex(randomblob(16))) WHERE name = 'generation';

-- name: tables_of_indexes
-- The table of each index.
SELECT name, tbl_name FROM sqlite_schema WHERE type = 'index';
