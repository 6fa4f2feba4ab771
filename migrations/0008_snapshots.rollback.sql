DROP TABLE snapshot_quarantine;
DROP TABLE status_snapshots;
DELETE FROM rollup WHERE scope = 'snapshot';
DELETE FROM rollup_retired WHERE scope = 'snapshot';
DELETE FROM retired_id WHERE family = 'snapshot';
DELETE FROM retention_horizon WHERE family = 'snapshot';
