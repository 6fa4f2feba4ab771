-- Retention: what deleted log rows added to the rollups, which stay.

-- The same shape as rollup: a rollup is what stands here and what the log comes to, together.
CREATE TABLE rollup_retired (
    scope     TEXT NOT NULL,
    period    TEXT NOT NULL,
    subject   TEXT NOT NULL,
    kind      TEXT NOT NULL,
    label     ANY NOT NULL,
    n         INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    measured  INTEGER NOT NULL,
    total     INTEGER NOT NULL,
    minimum   INTEGER,
    maximum   INTEGER,
    first_at  TEXT,
    last_at   TEXT,
    PRIMARY KEY (scope, period, subject, kind, label)
) STRICT, WITHOUT ROWID;

-- Ids of deleted rows that an import could bring back.
CREATE TABLE retired_id (
    family TEXT NOT NULL,
    id     TEXT NOT NULL,
    PRIMARY KEY (family, id)
) STRICT, WITHOUT ROWID;

-- How far retention has gone in each log: rows of before that moment are deleted, but for those
-- that are to stay; up_to_seq is the last row that was.
CREATE TABLE retention_horizon (
    family     TEXT PRIMARY KEY,
    before_at  TEXT NOT NULL,
    up_to_seq  INTEGER NOT NULL,
    rows       INTEGER NOT NULL,
    applied_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;
