-- What was taken in from legacy JSON files: where from, how far, what could not be a row, what was
-- noteworthy, and the totals that no record explains.

CREATE TABLE legacy_source (
    id       INTEGER PRIMARY KEY,
    path     TEXT NOT NULL UNIQUE,
    -- Sources that share records are copies of one history: they bear the first one's id.
    lineage  INTEGER NOT NULL,
    zone     TEXT NOT NULL,
    shape    TEXT NOT NULL,
    added_at TEXT NOT NULL,
    -- The file's own word, of the newest copy taken in: an older copy's totals say nothing new.
    last_updated TEXT
) STRICT;

CREATE TABLE legacy_pass (
    id          INTEGER PRIMARY KEY,
    source_id   INTEGER NOT NULL REFERENCES legacy_source (id),
    sha256      TEXT NOT NULL,
    size        INTEGER NOT NULL,
    copy_path   TEXT NOT NULL,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    -- Records up to here are in the store; written in the same transaction as they are.
    position    INTEGER NOT NULL,
    stage       TEXT NOT NULL CHECK (stage IN ('streaming', 'settling', 'finished')),
    settled_key TEXT NOT NULL,
    counts      TEXT NOT NULL CHECK (json_valid(counts)),
    report      TEXT CHECK (report IS NULL OR json_valid(report))
) STRICT;

CREATE INDEX legacy_pass_by_source ON legacy_pass (source_id, id);

CREATE TABLE legacy_quarantine (
    id        INTEGER PRIMARY KEY,
    source_id INTEGER NOT NULL REFERENCES legacy_source (id),
    -- The text's hash, and the how-manieth of its like in the file: a second pass adds nothing.
    digest    TEXT NOT NULL,
    ordinal   INTEGER NOT NULL,
    pass_id   INTEGER NOT NULL REFERENCES legacy_pass (id),
    position  INTEGER NOT NULL,
    reason    TEXT NOT NULL,
    detail    TEXT NOT NULL,
    raw       TEXT NOT NULL,
    UNIQUE (source_id, digest, ordinal)
) STRICT;

CREATE TABLE legacy_flag (
    invocation_id TEXT NOT NULL,
    flag          TEXT NOT NULL,
    detail        TEXT NOT NULL,
    pass_id       INTEGER NOT NULL REFERENCES legacy_pass (id),
    position      INTEGER NOT NULL,
    PRIMARY KEY (invocation_id, flag)
) STRICT, WITHOUT ROWID;

-- What a file states itself, of its newest copy: the baseline is reckoned anew from it when rows
-- come from another copy.
CREATE TABLE legacy_total (
    source_id   INTEGER NOT NULL REFERENCES legacy_source (id),
    skill_name  TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('total', 'path', 'error', 'action')),
    label       TEXT NOT NULL,
    n           INTEGER NOT NULL,
    completed   INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    first_at    TEXT,
    last_at     TEXT,
    PRIMARY KEY (source_id, skill_name, kind, label)
) STRICT, WITHOUT ROWID;

-- JSON totals minus what the records of the same history add up to.
CREATE TABLE legacy_baseline (
    lineage     INTEGER NOT NULL REFERENCES legacy_source (id),
    skill_name  TEXT NOT NULL,
    kind        TEXT NOT NULL CHECK (kind IN ('total', 'path', 'error', 'action')),
    label       TEXT NOT NULL,
    n           INTEGER NOT NULL,
    completed   INTEGER NOT NULL,
    duration_us INTEGER NOT NULL,
    first_at    TEXT,
    last_at     TEXT,
    PRIMARY KEY (lineage, skill_name, kind, label)
) STRICT, WITHOUT ROWID;

-- The classic tables as views: the log's numbers and the baseline together.
CREATE VIEW skill_metrics AS
WITH number AS (
    SELECT subject AS skill_name, kind, label, n, completed, total, first_at, last_at
    FROM rollup
    WHERE scope = 'skill' AND period = '' AND kind IN ('total', 'path', 'error', 'action')
    UNION ALL
    SELECT skill_name, kind, label, n, completed, duration_us, first_at, last_at
    FROM legacy_baseline
),
counted AS (
    SELECT skill_name, kind, label, sum(n) AS n FROM number
    WHERE kind <> 'total' AND label <> '' GROUP BY skill_name, kind, label HAVING sum(n) <> 0
),
skill AS (
    SELECT skill_name, sum(n) AS total_invocations, sum(completed) AS completed_invocations,
           sum(total) / 1000000.0 AS total_duration_seconds,
           min(first_at) AS first_invoked, max(last_at) AS last_invoked
    FROM number WHERE kind = 'total' GROUP BY skill_name
)
SELECT skill_name, total_invocations, completed_invocations,
       total_invocations - completed_invocations AS abandoned_invocations,
       total_duration_seconds,
       (SELECT json_group_object(label, n) FROM counted
        WHERE counted.skill_name = skill.skill_name AND kind = 'path') AS workflow_paths,
       (SELECT json_group_object(label, n) FROM counted
        WHERE counted.skill_name = skill.skill_name AND kind = 'error') AS common_errors,
       (SELECT json_group_object(label, n) FROM counted
        WHERE counted.skill_name = skill.skill_name AND kind = 'action') AS follow_up_actions,
       first_invoked, last_invoked,
       CASE WHEN total_invocations > 0
            THEN 100.0 * completed_invocations / total_invocations ELSE 0.0 END AS completion_rate,
       CASE WHEN completed_invocations > 0
            THEN total_duration_seconds / completed_invocations ELSE 0.0
       END AS avg_duration_seconds
FROM skill;

CREATE VIEW skill_metrics_summary AS
SELECT count(*) AS total_skills,
       ifnull(sum(total_invocations), 0) AS total_invocations,
       CASE WHEN sum(total_invocations) > 0
            THEN 100.0 * sum(completed_invocations) / sum(total_invocations) ELSE 0.0
       END AS overall_completion_rate,
       (SELECT skill_name FROM skill_metrics ORDER BY total_invocations DESC, skill_name LIMIT 1)
           AS most_used_skill,
       ifnull(max(total_invocations), 0) AS most_used_count,
       CASE WHEN sum(completed_invocations) > 0
            THEN sum(total_duration_seconds) / sum(completed_invocations) ELSE 0.0
       END AS avg_duration_seconds
FROM skill_metrics;
