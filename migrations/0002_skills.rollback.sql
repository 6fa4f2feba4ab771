DROP VIEW skill_day;
DROP VIEW skill_hour;
DROP VIEW session_skill;
DROP TABLE workflow_path_fts;
DROP TABLE workflow_path;
DROP TRIGGER skill_invocation_fold;
DROP TABLE skill_invocation;
DROP TABLE skill_inflight;
DELETE FROM rollup WHERE scope IN ('skill', 'session');
