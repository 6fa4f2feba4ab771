-- The ledger of migrations, and the rollups that every family shares.

CREATE TABLE schema_migrations (
    version     INTEGER PRIMARY KEY,
    applied_at  TEXT NOT NULL,
    description TEXT NOT NULL,
    checksum    TEXT NOT NULL
) STRICT;

CREATE TABLE store_property (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Every derived number of every family. Clustered so that what one log row changes lies close
-- together: a commit writes whole pages. A lifetime has the period ''.
CREATE TABLE rollup (
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

-- A batch puts its family here before its rows and takes it out after them, in one transaction;
-- taking it out counts all rows after after_seq at once.
CREATE TABLE rollup_deferred (
    family    TEXT PRIMARY KEY,
    after_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Rows of a log may be deleted while their family stands here, up to and including that row.
CREATE TABLE retention_permit (
    family     TEXT PRIMARY KEY,
    up_to_seq  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Lower bounds of the duration buckets in microseconds: each at most 2 % above the one before
-- (gamma = 1.02, DDSketch, Masson et al. 2019), in whole numbers, so that no logarithm is needed.
CREATE TABLE bucket_bound (
    lower  INTEGER PRIMARY KEY,
    bucket INTEGER NOT NULL
) STRICT;

INSERT INTO bucket_bound (lower, bucket)
WITH RECURSIVE bound (lower, bucket) AS (
    VALUES (0, 0)
    UNION ALL
    SELECT max(lower + 1, lower * 51 / 50), bucket + 1 FROM bound WHERE lower < 1000000000000000
)
SELECT lower, bucket FROM bound;
