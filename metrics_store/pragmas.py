"""What a connection is told when it is opened; each pragma with its reason."""

from __future__ import annotations

from metrics_store import sqlite
from metrics_store.errors import ForeignDatabase, OpenError
from metrics_store.settings import Settings
from metrics_store.sqlite import Connection

#: "MSTR": the file says whose it is, also to the ``file`` command.
APPLICATION_ID = 0x4D535452

_KIB_PER_MIB = 1024
#: A log that once grew gives its space back, down to this, when it begins anew.
_LOG_BYTES = 16 * _KIB_PER_MIB * 1024


def for_writing(connection: Connection, settings: Settings, where: str) -> None:
    """Make a connection fit for writing, and refuse a file that is not ours before changing it."""
    # Never wait inside SQLite: our own short jittered waits are fairer (see Database).
    connection.execute("PRAGMA busy_timeout = 0")
    recognise(connection, where)
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        # In a file that has no page yet: what retention frees can be given back piece by piece.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        # Readers go on while one writes, and a commit is one append.
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise OpenError(
                f"{where}: journal mode is {mode}, not WAL",
                hint="The file system lacks shared memory: put the store on a local disk.",
            )
    # FULL: in a simulated power cut NORMAL lost 1,702 of 2,341 acknowledged commits, FULL none.
    connection.execute(f"PRAGMA synchronous = {settings.durability.upper()}")
    # Checkpoints are ours, under the write lock: see checkpoints.py.
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
    # INSERT OR REPLACE must meet the trigger that forbids deleting from a log.
    connection.execute("PRAGMA recursive_triggers = ON")
    _for_all(connection, settings)


def for_reading(connection: Connection, settings: Settings) -> None:
    """Make a connection fit for reading only."""
    connection.execute("PRAGMA busy_timeout = 0")
    _for_all(connection, settings)
    # Sorting a report in memory needs no temporary file on a full disk. (A writer may use one: the
    # baseline of a million legacy records took 150 MB in memory.)
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA query_only = ON")


def for_checkpoints(connection: Connection) -> None:
    """Make a connection fit for checkpoints only."""
    connection.execute("PRAGMA busy_timeout = 0")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")


def recognise(connection: Connection, where: str) -> None:
    """Refuse a database that is not empty and not ours.

    Raises:
        ForeignDatabase: it belongs to another program.
    """
    application_id = connection.execute("PRAGMA application_id").fetchone()[0]
    if application_id == APPLICATION_ID:
        return
    objects = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if application_id or objects:
        raise ForeignDatabase(where)


def _for_all(connection: Connection, settings: Settings) -> None:
    connection.execute("PRAGMA foreign_keys = ON")
    # Functions and virtual tables in a schema that somebody else edited are not run.
    if sqlite.json_works_untrusted():
        connection.execute("PRAGMA trusted_schema = OFF")
    # A damaged page is an error when it is read, not a wrong answer.
    connection.execute("PRAGMA cell_size_check = ON")
    # Memory mapping turned a passing WAL fault into corruption elsewhere.
    connection.execute("PRAGMA mmap_size = 0")
    # Negative means KiB.
    connection.execute(f"PRAGMA cache_size = {-round(settings.cache_mb * _KIB_PER_MIB)}")
