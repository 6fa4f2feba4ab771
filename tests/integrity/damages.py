"""Every damage that SQL can do to a store, and what a check has to call it."""

from __future__ import annotations

from damaging import LOG, Damage

_SCHEMA_ON, _SCHEMA_OFF = "PRAGMA writable_schema = ON", "PRAGMA writable_schema = RESET"

DAMAGES = (
    # The schema's objects.
    Damage("a trigger dropped", (f"DROP TRIGGER {LOG}_kept",), "missing_trigger", f"{LOG}_kept"),
    Damage(
        "a trigger altered",
        (
            f"DROP TRIGGER {LOG}_landed",
            f"CREATE TRIGGER {LOG}_landed AFTER INSERT ON {LOG} BEGIN SELECT 1; END",
        ),
        "altered_trigger",
        f"{LOG}_landed",
    ),
    Damage(
        "a trigger moved to another table",
        (
            f"DROP TRIGGER {LOG}_landed",
            f"CREATE TRIGGER {LOG}_landed AFTER INSERT ON slow_call BEGIN SELECT 1; END",
        ),
        "altered_trigger",
        f"{LOG}_landed",
    ),
    Damage(
        "a trigger too many",
        (f"CREATE TRIGGER mine AFTER INSERT ON {LOG} BEGIN SELECT 1; END",),
        "extra_trigger",
        "mine",
    ),
    Damage("a view dropped", ("DROP VIEW skill_day",), "missing_view", "skill_day"),
    Damage(
        "a view altered",
        ("DROP VIEW skill_day", "CREATE VIEW skill_day AS SELECT 1 AS day"),
        "altered_view",
        "skill_day",
    ),
    Damage("a view too many", ("CREATE VIEW mine AS SELECT 1",), "extra_view", "mine"),
    Damage(
        "an index dropped",
        (f"DROP INDEX {LOG}_by_time",),
        "missing_index",
        f"{LOG}_by_time",
    ),
    Damage(
        "an index altered",
        (f"DROP INDEX {LOG}_by_time", f"CREATE INDEX {LOG}_by_time ON {LOG} (skill_name)"),
        "altered_index",
        f"{LOG}_by_time",
    ),
    Damage(
        "an index too many",
        (f"CREATE INDEX mine ON {LOG} (session_id)",),
        "extra_index",
        "mine",
        is_mended=False,
        severity="warning",
    ),
    Damage(
        "a table too many",
        ("CREATE TABLE mine (x)",),
        "extra_table",
        "mine",
        is_mended=False,
        severity="warning",
    ),
    Damage(
        "a table of the user's data dropped",
        ("DROP TABLE legacy_read",),
        "missing_table",
        "legacy_read",
        is_mended=False,
    ),
    Damage(
        "a table altered by writable_schema",
        (
            _SCHEMA_ON,
            (
                f"UPDATE sqlite_schema SET sql = replace(sql, ' CHECK (skill_name <> '''')', '') "
                f"WHERE name = '{LOG}'"
            ),
            _SCHEMA_OFF,
        ),
        "altered_table",
        LOG,
        is_mended=False,
    ),
    Damage(
        "a table that others follow from dropped",
        ("DROP TABLE rollup",),
        "missing_table",
        "rollup",
    ),
    Damage(
        "a table that others follow from altered",
        ("ALTER TABLE rollup ADD COLUMN mine TEXT",),
        "altered_table",
        "rollup",
    ),
    Damage(
        "the table of what is deferred dropped",
        ("DROP TABLE rollup_deferred",),
        "missing_table",
        "rollup_deferred",
        also=frozenset({"missing_trigger"}),
    ),
    Damage(
        "the search index dropped",
        ("DROP TABLE workflow_path_fts",),
        "missing_table",
        "workflow_path_fts",
    ),
    Damage(
        "a table of the search index dropped",
        ("DROP TABLE workflow_path_fts_docsize",),
        "missing_table",
        "workflow_path_fts_docsize",
    ),
    Damage(
        "the search index's configuration dropped",
        ("DROP TABLE workflow_path_fts_config",),
        "missing_table",
        "workflow_path_fts_config",
    ),
    # The ledger and who the file says that it is.
    Damage(
        "user_version bumped",
        ("PRAGMA user_version = 999",),
        "ledger_drift",
        "schema_migrations",
    ),
    Damage(
        "user_version set back",
        ("PRAGMA user_version = 2",),
        "ledger_drift",
        "schema_migrations",
    ),
    Damage(
        "a checksum in the ledger edited",
        ("UPDATE schema_migrations SET checksum = 'x' WHERE version = 2",),
        "ledger_drift",
        "schema_migrations",
        row="2",
        is_mended=False,
    ),
    Damage(
        "a migration in the ledger renamed",
        ("UPDATE schema_migrations SET description = 'x' WHERE version = 2",),
        "ledger_drift",
        "schema_migrations",
        row="2",
        is_mended=False,
    ),
    Damage(
        "a line of the ledger deleted",
        ("DELETE FROM schema_migrations WHERE version = 2",),
        "ledger_drift",
        "schema_migrations",
        row="2",
        is_mended=False,
    ),
    Damage(
        "the store's id deleted",
        ("DELETE FROM store_property WHERE name = 'store_id'",),
        "store_property",
        "store_property",
        row="name store_id",
        severity="warning",
    ),
    # What follows from the log.
    Damage(
        "a rollup changed",
        ("UPDATE rollup SET total = total + 1 WHERE kind = 'total' AND subject = 'skill-1'",),
        "rollup_differs",
        "rollup",
        row="scope skill, subject skill-1, kind total",
    ),
    Damage(
        "a rollup deleted",
        ("DELETE FROM rollup WHERE kind = 'path' AND subject = 'skill-1'",),
        "rollup_missing",
        "rollup",
        row="scope skill, subject skill-1, kind path, label quick",
    ),
    Damage(
        "a rollup made up",
        (
            (
                "INSERT INTO rollup VALUES "
                "('skill', '', 'nobody', 'total', '', 1, 1, 0, 0, 0, NULL, NULL, NULL, NULL)"
            ),
        ),
        "rollup_extra",
        "rollup",
        row="scope skill, subject nobody, kind total",
    ),
    Damage(
        "a rollup of a scope that no family has",
        (
            (
                "INSERT INTO rollup VALUES "
                "('nobody', '', 'x', 'total', '', 1, 1, 0, 0, 0, NULL, NULL, NULL, NULL)"
            ),
        ),
        "rollup_extra",
        "rollup",
        row="scope nobody",
    ),
    Damage(
        "a bound of the buckets moved",
        ("UPDATE bucket_bound SET lower = lower + 1 WHERE bucket = 700",),
        "bucket_bound",
        "bucket_bound",
    ),
    Damage(
        "the search index emptied",
        ("INSERT INTO workflow_path_fts (workflow_path_fts) VALUES ('delete-all')",),
        "search_index",
        "workflow_path_fts",
    ),
    Damage(
        "a path that can be searched for deleted",
        ("DELETE FROM workflow_path WHERE workflow_path = 'quick'",),
        "search_paths",
        "workflow_path",
        row="quick of skill-1",
        also=frozenset({"search_index"}),
    ),
    Damage(
        "a path that can be searched for made up",
        ("INSERT INTO workflow_path (workflow_path, skill_name) VALUES ('made', 'up')",),
        "search_paths",
        "workflow_path",
        row="made of up",
        also=frozenset({"search_index"}),
    ),
    # What lasts no longer than a transaction.
    Damage(
        "a batch that was not counted",
        ("INSERT INTO rollup_deferred VALUES ('skill', 290)",),
        "left_over",
        "rollup_deferred",
        row="family skill",
    ),
    Damage(
        "a permit that was not taken back",
        ("INSERT INTO retention_permit VALUES ('skill', 290)",),
        "left_over",
        "retention_permit",
        row="family skill",
    ),
    Damage(
        "an invocation that has ended and is in flight",
        (
            (
                "INSERT INTO skill_inflight (id, skill_name, invoked_at, origin) "
                f"SELECT id, skill_name, invoked_at, origin FROM {LOG} WHERE seq = 7"
            ),
        ),
        "in_flight_and_ended",
        "skill_inflight",
    ),
    # What nothing can be made of again.
    Damage(
        "a row that refers to nothing",
        (
            (
                "INSERT INTO legacy_pass (id, source_id, sha256, size, copy_path, started_at, "
                "position, stage, settled_key, counts) "
                "VALUES (41, 99, '', 0, '', '', 0, 'finished', '', '{}')"
            ),
        ),
        "foreign_key",
        "legacy_pass",
        row="rowid 41",
        is_mended=False,
    ),
)
