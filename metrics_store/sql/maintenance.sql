-- What a store is.

-- name: properties
-- What it is called.
SELECT name, value FROM store_property;

-- name: tables
-- What tables it has.
SELECT name FROM sqlite_schema WHERE type = 'table';

-- name: log_size
-- How many rows a log has, and its last one; log_table stands for its table.
SELECT count(*), ifnull(max(seq), 0) FROM log_table;

-- name: in_flight
-- How many invocations are in flight.
SELECT count(*) FROM skill_inflight;
