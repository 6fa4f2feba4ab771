-- Restoring: what changes, and what the restored store is told of it.

-- name: has_table
-- Tell whether a database, one of those attached, has a table of a name.
SELECT 1 FROM {schema}.sqlite_schema WHERE type = 'table' AND name = ?;

-- name: attach
-- Read another database beside the one that is open.
ATTACH DATABASE ? AS there;

-- name: in_flight
-- How many invocations have not ended.
SELECT count(*) FROM skill_inflight;

-- name: staged
-- How far the ways off legacy files are.
SELECT path, phase, epoch FROM legacy_migration ORDER BY path, id;

-- name: rows
-- How many rows a log has.
SELECT count(*) FROM {schema}.{table};

-- name: rows_of_one
-- Rows that one database has and the other has not, with the same content, and their span.
SELECT count(*), min({moment}), max({moment}) FROM {one}.{table} AS row
WHERE NOT EXISTS (
    SELECT 1 FROM {other}.{table} AS same WHERE same.id = row.id AND same.digest = row.digest
);

-- name: set_property
-- Note a property of the store.
INSERT INTO store_property (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: names
-- The names of everything in a database.
SELECT name FROM sqlite_schema;
