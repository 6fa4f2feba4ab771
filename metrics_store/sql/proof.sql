-- What the proof of a migration is written from.

-- name: passes
-- Every pass over every legacy file, oldest first.
SELECT pass.id, path, sha256, size, started_at, finished_at, report
FROM legacy_pass AS pass JOIN legacy_source AS source ON source.id = pass.source_id
ORDER BY pass.id;

-- name: quarantined
-- How many texts are kept apart, by file and reason.
SELECT path, reason, count(*)
FROM legacy_quarantine JOIN legacy_source AS source ON source.id = source_id
GROUP BY path, reason ORDER BY path, reason;

-- name: baseline
-- The totals that no record explains, by skill.
SELECT skill_name, sum(n), sum(completed), sum(duration_us) / 1000000.0
FROM legacy_baseline WHERE kind = 'total' GROUP BY skill_name ORDER BY skill_name;

-- name: exported
-- How many rows that were born in the store an export gave to the legacy file.
SELECT count(*) FROM legacy_exported;

-- name: verifies
-- Every verify, oldest first.
SELECT id, source, epoch, sha256, size, started_at, finished_at, compared, equal, explained,
       unexplained, report IS NOT NULL
FROM legacy_verify ORDER BY id;

-- name: reads
-- Compared reads of every epoch.
SELECT epoch, method, outcome, reason, n, json_us, json_us_max, store_us, store_us_max, first_at,
       last_at
FROM legacy_read ORDER BY epoch, method, outcome, reason;

-- name: differences
-- Every difference that was ever found, the open ones first, and of these the standing ones.
SELECT id, verify_id, epoch, found_at, kind, subject, in_json, in_store, json_us, store_us,
       explanation, explained_at, explained_by,
       verify_id < (SELECT max(id) FROM legacy_verify WHERE report IS NOT NULL) IS TRUE AS older
FROM legacy_difference ORDER BY explanation IS NOT NULL, older, id;
