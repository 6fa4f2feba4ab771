DROP VIEW skill_metrics_summary;
DROP VIEW skill_metrics;
DROP TABLE legacy_baseline;
DROP TABLE legacy_total;
DROP TABLE legacy_flag;
DROP TABLE legacy_quarantine;
DROP TABLE legacy_pass;
DROP TABLE legacy_source;
