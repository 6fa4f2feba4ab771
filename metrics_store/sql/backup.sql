-- Backups: what a copy holds, and where others were put.

-- name: has_table
-- Tell whether there is a table of a name.
SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?;

-- name: log_mark
-- How many rows a log has, and which is its last one.
SELECT (SELECT count(*) FROM {table}), seq, id, digest FROM {table} ORDER BY seq DESC LIMIT 1;

-- name: in_flight
-- How many invocations are in flight.
SELECT count(*) FROM skill_inflight;

-- name: property
-- One property of the store.
SELECT value FROM store_property WHERE name = ?;

-- name: set_property
-- Note a property of the store.
INSERT INTO store_property (name, value) VALUES (?, ?)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;
