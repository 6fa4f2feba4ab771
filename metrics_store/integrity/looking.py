"""What every part of a check is handed, and how a part is run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from metrics_store import sqlite
from metrics_store.integrity.expected import Expected
from metrics_store.integrity.faults import FAULTS
from metrics_store.integrity.findings import Finding, Findings, Level, Look, Severity
from metrics_store.sqlite import Connection

#: Called with what is looked at, how far it is, and how far it goes; 0 if that is not known.
Progress = Callable[[str, int, int], None]

RESTORE = "Restore the newest backup: metrics-store backup list, metrics-store restore FILE."
REPAIR = "metrics-store check --repair"
KEEP = "Keep a copy of the file with its -wal, then restore the newest backup."
_CORRUPT, _NOT_A_DATABASE, _FULL, _INTERRUPT, _IO = 11, 26, 13, 9, 10


@dataclass(slots=True)
class Looking:
    """A check under way.

    Args:
        connection: in one read transaction.
        path: of the database.
        level: how thorough it is.
        now_us: microseconds since 1970.
        tell: called with how far it is.
        expected: what the migrations make; None if the schema's version is not known.
        rows: of all logs together.
        broken: tables and indexes that cannot be read whole.
        mendable: all of them can be made anew.
    """

    connection: Connection
    path: str
    level: Level
    now_us: int
    tell: Progress
    found: Findings = field(default_factory=Findings)
    expected: Expected | None = None
    rows: int | None = None
    looked_at: list[Look] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    mendable: bool = False

    def error(
        self,
        kind: str,
        detail: str,
        *,
        table: str = "",
        row: object = "",
        action: str = RESTORE,
        repairable: bool = False,
    ) -> None:
        """Note an error."""
        self._add("error", kind, table, row, detail, action, repairable)

    def warning(
        self,
        kind: str,
        detail: str,
        *,
        table: str = "",
        row: object = "",
        action: str = "",
        repairable: bool = False,
    ) -> None:
        """Note what is no error yet."""
        self._add("warning", kind, table, row, detail, action, repairable)

    def derived(self, kind: str, detail: str, *, table: str = "", row: object = "") -> None:
        """Note an error in what a repair makes anew."""
        self._add("error", kind, table, row, detail, f"Make it anew: {REPAIR}.", True)

    def _add(
        self,
        severity: Severity,
        kind: str,
        table: str,
        row: object,
        detail: str,
        action: str,
        repairable: bool,
    ) -> None:
        self.found.add(Finding(severity, kind, table, str(row), detail, action, repairable))

    @contextmanager
    def part(self, what: str, unit: str = "", *, of_use: bool = False) -> Iterator[Counted]:
        """Look at one thing; where it cannot be read, that is a finding, and the check goes on.

        Args:
            what: it is, for the report.
            unit: of what is counted.
            of_use: say so only if there is something: most stores use some families only.

        Raises:
            Error: of SQLite, if it says nothing about the database.
        """
        self.tell(what, 0, 0)
        counted, before, began = Counted(), len(self.found), time.perf_counter()
        try:
            yield counted
        except FAULTS as error:
            self.not_examined(what, error)
        finally:
            seconds = time.perf_counter() - began
            found = len(self.found) - before
            if counted.count or found or not of_use:
                self.looked_at.append(Look(what, counted.count, unit, seconds, found))

    def not_examined(self, what: str, error: Exception, *, table: str = "") -> None:
        """Note that something could not be looked at, and why.

        Raises:
            KeyboardInterrupt: somebody wanted it to end.
            Error: it says nothing about the database.
        """
        match sqlite.code(error):
            case 9:  # interrupted
                raise KeyboardInterrupt from error
            case 3 | 5 | 6 | 7 | 8 | 14 | 15:  # no permission, locked, out of memory, cannot open
                raise error
            case 1 if self.found.count("missing_table", "altered_table", "missing_view"):
                return  # "no such table": of one that is known to be missing nothing can be told
            case 10 | 13:
                action = (
                    "See whether there is room for temporary files (TMPDIR names the folder), "
                    "and whether the disk is sound. Then check again."
                )
            case _ if self.mendable and self.broken:
                self.derived("not_examined", f"{what}: {error}", table=table)
                return
            case _:
                action = KEEP
        words = str(error) or "it asks for more memory than there is"
        self.error("not_examined", f"{what}: {words}", table=table, action=action)


@dataclass(slots=True)
class Counted:
    """How many things a part has looked at."""

    count: int = 0
