-- The steps, calls and differences go with it; the log and its rollups stay.
DROP TABLE legacy_read;
DROP TABLE legacy_difference;
DROP TABLE legacy_verify;
DROP TABLE legacy_exported;
DROP TABLE legacy_call;
DROP TABLE legacy_step;
DROP TABLE legacy_migration;
