-- The staged way off a legacy file: how far it is, every step of it, and every difference found.

-- What the control file beside the JSON file says, for writers to check in their transaction.
CREATE TABLE legacy_migration (
    id         TEXT PRIMARY KEY,
    path       TEXT NOT NULL,
    epoch      INTEGER NOT NULL,
    phase      TEXT NOT NULL,
    updated_at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE legacy_step (
    id           INTEGER PRIMARY KEY,
    migration_id TEXT NOT NULL,
    epoch        INTEGER NOT NULL,
    command      TEXT NOT NULL,
    step         TEXT NOT NULL,
    done_at      TEXT NOT NULL,
    detail       TEXT NOT NULL CHECK (json_valid(detail))
) STRICT;

-- A call of a tracker, and the row it became: replayed it adds nothing, and no other call of the
-- same skill, moment and path takes that row for its own.
CREATE TABLE legacy_call (
    id            TEXT PRIMARY KEY,
    invocation_id TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;

-- Rows that were not born of the legacy file and that an export put into it: as which record of it.
CREATE TABLE legacy_exported (
    id            TEXT PRIMARY KEY,
    invocation_id TEXT NOT NULL UNIQUE,
    legacy        TEXT NOT NULL CHECK (json_valid(legacy))
) STRICT, WITHOUT ROWID;

-- A full comparison of a file with the store. `position`: records compared so far; `up_to_seq`: the
-- log's end just before the copy was taken. Ended without a report it was abandoned.
CREATE TABLE legacy_verify (
    id          INTEGER PRIMARY KEY,
    source      TEXT NOT NULL,
    -- NULL: nothing of that file was ever taken in.
    source_id   INTEGER REFERENCES legacy_source (id),
    epoch       INTEGER NOT NULL,
    zone        TEXT NOT NULL,
    sha256      TEXT NOT NULL,
    size        INTEGER NOT NULL,
    copy_path   TEXT NOT NULL,
    up_to_seq   INTEGER NOT NULL,
    started_at  TEXT NOT NULL,
    finished_at TEXT,
    position    INTEGER NOT NULL,
    compared    INTEGER NOT NULL,
    equal       INTEGER NOT NULL,
    explained   INTEGER NOT NULL,
    unexplained INTEGER NOT NULL,
    report      TEXT CHECK (report IS NULL OR json_valid(report))
) STRICT;

-- Every difference, of verifying or of a compared read. Without an explanation it is open.
CREATE TABLE legacy_difference (
    id           INTEGER PRIMARY KEY,
    verify_id    INTEGER REFERENCES legacy_verify (id),
    epoch        INTEGER NOT NULL,
    found_at     TEXT NOT NULL,
    kind         TEXT NOT NULL,
    subject      TEXT NOT NULL,
    in_json      TEXT,
    in_store     TEXT,
    json_us      INTEGER,
    store_us     INTEGER,
    explanation  TEXT,
    explained_at TEXT,
    explained_by TEXT
) STRICT;

CREATE INDEX legacy_difference_by_verify ON legacy_difference (verify_id, kind);
CREATE INDEX legacy_difference_open ON legacy_difference (epoch) WHERE explanation IS NULL;

-- Compared reads, added up.
CREATE TABLE legacy_read (
    epoch        INTEGER NOT NULL,
    method       TEXT NOT NULL,
    outcome      TEXT NOT NULL CHECK (outcome IN ('matched', 'mismatched', 'ignored')),
    reason       TEXT NOT NULL,
    n            INTEGER NOT NULL,
    json_us      INTEGER NOT NULL,
    json_us_max  INTEGER NOT NULL,
    store_us     INTEGER NOT NULL,
    store_us_max INTEGER NOT NULL,
    first_at     TEXT NOT NULL,
    last_at      TEXT NOT NULL,
    PRIMARY KEY (epoch, method, outcome, reason)
) STRICT, WITHOUT ROWID;
