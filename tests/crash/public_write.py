"""A public write, as a faulty disk is tried with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

from metrics_store import MetricsStore, Settings, sqlite

DATABASE = "m.db"
#: Recorded, acknowledged and synced before anything fails.
BEFORE = tuple(f"before{n}" for n in range(20))
_MOMENT = "2026-03-10T12:00:00Z"


def records(ids: tuple[str, ...], skills: int) -> list[dict[str, object]]:
    """Records with these ids, the same each time.

    Args:
        skills: how many skills they are of.
    """
    return [
        {
            "skill_name": f"skill {n % skills}",
            "invocation_id": name,
            "invoked_at": _MOMENT,
            "duration_seconds": n,
            "workflow_path": f"way {n % 3}",
            "session_id": "session",
            "follow_up_actions": ["again"],
            "attributes": {"note": "x" * 200},
        }
        for n, name in enumerate(ids)
    ]


def record(store: MetricsStore, id_: str) -> str:
    """Record one that is the same each time."""
    (fields,) = records((id_,), 1)
    return store.record_invocation(**fields)  # type: ignore[arg-type]


def ids_of(path: Path) -> set[str]:
    """The ids in a log."""
    connection = sqlite.connect(str(path))
    with closing(connection):
        rows = [str(id_) for (id_,) in connection.execute("SELECT id FROM skill_invocation")]
    assert len(rows) == len(set(rows))
    return set(rows)


@dataclass(slots=True)
class Place:
    """Where a write is done, and who hears of it.

    Args:
        folder: of the store.
        settings: of the store.
        say: told of each record that the store has acknowledged, by its id, and of anything else
            by words with a space in them.
        opened: the store, for what needs it open.
    """

    folder: Path
    settings: Settings
    say: Callable[[str], None]
    opened: MetricsStore | None = None

    @property
    def store(self) -> MetricsStore:
        """The store, open."""
        if self.opened is None:
            self.opened = MetricsStore(settings=self.settings)
        return self.opened


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a write, for a look at what only it leaves.

    Args:
        folder: of the store.
        ids: of the records that are there.
        said: what was acknowledged.
        failed: the error's name, if one was raised; empty if not, and if the process was killed.
        again: it was done once more since, without a fault.
    """

    folder: Path
    ids: set[str]
    said: set[str]
    failed: str
    again: bool = False


def _nothing(folder: Path) -> None:
    """Nothing more to prepare."""


def _no_more(outcome: Outcome) -> list[str]:
    """Nothing more to look at."""
    return []


@dataclass(frozen=True, slots=True)
class Write:
    """A public write.

    Args:
        run: does it, and says what was acknowledged; doing it again changes nothing.
        prepare: makes what it needs, with a store that has :data:`BEFORE`.
        look: finds what else is wrong, after it was done or failed.
        groups: ids that are there together or not at all; none of them after an error.
        open_before: the store is open, and has been read, before the disk fails.
        has_store: there is a store before.
        write_errors: all that it raises when the disk fails is a WriteError.
        needs_apsw: an exception of ours goes through SQLite on its way. pysqlite3 then goes on with
            it pending, and nothing written in Python, a disk neither, can run meanwhile.
        tries_at_close: what failed is tried again when the store is closed.
        deletes: ids that it deletes from the log, and that are counted still.
        changes: settings other than the usual ones.
    """

    name: str
    run: Callable[[Place], None]
    prepare: Callable[[Path], None] = _nothing
    look: Callable[[Outcome], list[str]] = _no_more
    groups: tuple[frozenset[str], ...] = ()
    open_before: bool = True
    has_store: bool = True
    write_errors: bool = False
    needs_apsw: bool = False
    tries_at_close: bool = False
    deletes: frozenset[str] = frozenset()
    changes: dict[str, float] = field(default_factory=dict)

    def make(self, folder: Path) -> None:
        """Make what is there before."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.has_store:
            with self.place(folder).store as store:
                store.record_invocations(records(BEFORE, 5))
        self.prepare(folder)

    def place(self, folder: Path, say: Callable[[str], None] = lambda _: None) -> Place:
        """Where it is done; nobody waits for long here."""
        settings = Settings(folder / DATABASE, busy_timeout=2.0)
        return Place(folder, replace(settings, **self.changes), say)  # type: ignore[arg-type]
