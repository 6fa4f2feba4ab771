-- Snapshots; {value} and the like are of their declaration.

-- name: neighbours
-- The last snapshot up to a moment, and the first after it.
SELECT * FROM (SELECT id, recorded_at FROM status_snapshots
               WHERE recorded_at <= ?1 ORDER BY recorded_at DESC, seq DESC LIMIT 1)
UNION ALL
SELECT * FROM (SELECT id, recorded_at FROM status_snapshots
               WHERE recorded_at > ?1 ORDER BY recorded_at, seq LIMIT 1);

-- name: page
-- A page of snapshots, oldest first, from one moment and number on up to a moment.
SELECT {columns} FROM status_snapshots
WHERE (recorded_at, seq) >= (?, ?) AND recorded_at <= ? ORDER BY recorded_at, seq LIMIT ?;

-- name: start_of_newest
-- Where the newest so many snapshots of a span begin.
SELECT recorded_at, seq FROM status_snapshots
WHERE recorded_at >= ? AND recorded_at <= ? ORDER BY recorded_at DESC, seq DESC LIMIT 1 OFFSET ?;

-- name: by_id
-- A snapshot by its id.
SELECT {columns} FROM status_snapshots WHERE id = ?;

-- name: by_seq
-- A snapshot by its number.
SELECT {columns} FROM status_snapshots WHERE seq = ?;

-- name: until
-- The last snapshot up to a moment.
SELECT {columns} FROM status_snapshots
WHERE recorded_at <= ? ORDER BY recorded_at DESC, seq DESC LIMIT 1;

-- name: since
-- The first snapshot from a moment on.
SELECT {columns} FROM status_snapshots
WHERE recorded_at >= ? ORDER BY recorded_at, seq LIMIT 1;

-- name: days
-- Days of one number, from the rollups.
SELECT period, measured, total, minimum, maximum FROM rollup
WHERE scope = 'snapshot' AND period IN (SELECT value FROM json_each(?))
  AND subject = ? AND kind = ? AND label = '';

-- name: hours
-- Hours of one number, from the log.
SELECT substr(row.recorded_at, 1, 13), count({measure}), sum({measure}), min({measure}),
       max({measure})
FROM status_snapshots AS row
WHERE row.recorded_at >= ? AND row.recorded_at < ? AND {measure} IS NOT NULL GROUP BY 1;

-- name: project_hours
-- Hours of one number of a project, from the log.
SELECT substr(row.recorded_at, 1, 13), count({measure}), sum({measure}), min({measure}),
       max({measure})
FROM status_snapshots AS row, json_each(row.projects) AS item
WHERE row.recorded_at >= ? AND row.recorded_at < ? AND {name} = ? AND {measure} IS NOT NULL
GROUP BY 1;

-- name: last_of_each
-- The last value of one number in each bucket.
SELECT bucket.value, (
    SELECT {value} FROM status_snapshots AS row
    WHERE row.recorded_at >= bucket.value AND row.recorded_at < bucket.value || '~'
      AND {value} IS NOT NULL
    ORDER BY row.recorded_at DESC, row.seq DESC LIMIT 1
) FROM json_each(?) AS bucket;

-- name: last_of_each_project
-- The last value of one number of a project in each bucket.
SELECT bucket.value, (
    SELECT {measure} FROM status_snapshots AS row, json_each(row.projects) AS item
    WHERE row.recorded_at >= bucket.value AND row.recorded_at < bucket.value || '~'
      AND {name} = ? AND {measure} IS NOT NULL
    ORDER BY row.recorded_at DESC, row.seq DESC LIMIT 1
) FROM json_each(?) AS bucket;

-- name: known_projects
-- The projects of all snapshots.
SELECT DISTINCT subject FROM rollup
WHERE scope = 'snapshot' AND period = '' AND subject <> '' ORDER BY subject;

-- name: of_ids
-- What is stored of some ids.
SELECT id, recorded_at, payload_json FROM status_snapshots
WHERE id IN (SELECT value FROM json_each(?));

-- name: quarantine
-- Keep a line that could not be a snapshot; one that is there already is passed over.
INSERT INTO snapshot_quarantine (id, file, line, reason, raw, length, quarantined_at)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: quarantined
-- Lines in quarantine, in the order they came.
SELECT id, file, line, reason, raw, length, quarantined_at FROM snapshot_quarantine
ORDER BY quarantined_at, file, line, id LIMIT ?;

-- name: quarantined_count
-- How many lines are in quarantine.
SELECT count(*) FROM snapshot_quarantine;
