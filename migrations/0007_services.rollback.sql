DROP VIEW service_span_around;
DROP TABLE service_span;
DROP TABLE system_status;
DROP TABLE system_status_history;
DROP TABLE service_setting;
DELETE FROM rollup WHERE scope = 'service';
DELETE FROM rollup_retired WHERE scope = 'service';
DELETE FROM retired_id WHERE family = 'service';
DELETE FROM retention_horizon WHERE family = 'service';
