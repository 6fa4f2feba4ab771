-- Calls of the store that took long.

-- name: note
-- Note one.
INSERT INTO slow_call (ended_at, name, duration_us, waited_us, process) VALUES (?, ?, ?, ?, ?);

-- name: forget
-- Keep the newest thousand.
DELETE FROM slow_call WHERE id <= (SELECT max(id) FROM slow_call) - 1000;
