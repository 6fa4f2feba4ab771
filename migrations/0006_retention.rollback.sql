DROP TABLE retention_horizon;
DROP TABLE retired_id;
DROP TABLE rollup_retired;
