DROP TABLE bucket_bound;
DROP TABLE retention_permit;
DROP TABLE rollup_deferred;
DROP TABLE rollup;
DROP TABLE store_property;
DROP TABLE schema_migrations;
