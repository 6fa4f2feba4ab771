"""Taking in what users have today: a SQLite file with the five tables, or lines of JSON.

Idempotent: a record's id is made of its content, and of how many like it came before it in the
same file. A row that is a record of ours already, with an id, keeps it.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from itertools import islice
from pathlib import Path

from metrics_store import clock, logs, timeline
from metrics_store.agents.forms import FORMS, Form, NotARecord, form_of
from metrics_store.agents.recording import TABLES
from metrics_store.agents.sources import Raw, records
from metrics_store.connection import Database
from metrics_store.errors import InvalidValue, UsageError
from metrics_store.families import Family
from metrics_store.logs import Content
from metrics_store.results import Result
from metrics_store.sqlite import Connection

#: Records of one transaction, and problems that are told.
_BATCH = 2000
_TOLD = 20


@dataclass(frozen=True, slots=True)
class TableImported(Result):
    """What taking records of one table in came to: ``read`` is the sum of the others.

    Args:
        inserted: new ones.
        already_there: those that were taken in before.
        retired: those of before what retention has deleted: they may have been counted.
        invalid: those that cannot be recorded.
    """

    read: int = 0
    inserted: int = 0
    already_there: int = 0
    retired: int = 0
    invalid: int = 0


@dataclass(frozen=True, slots=True)
class AgentsImported(Result):
    """What taking a file in came to.

    Args:
        source: the file.
        tables: by table; what is of none is under ``""``.
        problems: the first of what could not be recorded, and why.
        ignored: columns that no table has.
    """

    source: str
    tables: Mapping[str, TableImported]
    problems: tuple[str, ...]
    ignored: tuple[str, ...]

    def total(self, name: str) -> int:
        """The sum of a number over all tables."""
        return sum(int(str(table[name])) for table in self.tables.values())


@dataclass(slots=True)
class _Pass:
    """One pass over a file."""

    database: Database
    zone: tzinfo
    table: str | None
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    likes: Counter[bytes] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    ignored: dict[str, None] = field(default_factory=dict)

    def take(self, some: Iterable[Raw]) -> None:
        """Take some records in, in one transaction."""
        batch: dict[str, list[Content]] = {}
        for raw in some:
            made = self._content(raw)
            if made is not None:
                batch.setdefault(made[0], []).append(made[1])
        if batch:
            counted = self.database.write(
                lambda connection: _write(connection, batch), rows=sum(map(len, batch.values()))
            )
            self.counts.update(counted)

    def _content(self, raw: Raw) -> tuple[str, Content] | None:
        name = ""
        try:
            if isinstance(raw.said, str):
                raise NotARecord(raw.said)
            form, said = form_of(raw.said, raw.table or self.table)
            name = form.table
            content, unknown = form.content(said, self._us)
        except (NotARecord, InvalidValue) as error:
            self.counts[name, "read"] += 1
            self.counts[name, "invalid"] += 1
            if len(self.problems) < _TOLD:
                self.problems.append(f"{raw.place}: {error.detail}")
            return None
        self.counts[name, "read"] += 1
        self.ignored.update(dict.fromkeys(f"{name}.{column}" for column in unknown))
        return name, content if content[0] else (self._id(form, content), *content[1:])

    def _us(self, moment: object) -> int:
        return moment_us(moment, self.zone)

    def _id(self, form: Form, content: Content) -> str:
        like = hashlib.blake2b(ascii((form.table, *content[1:])).encode(), digest_size=16).digest()
        self.likes[like] += 1
        return hashlib.blake2b(like + str(self.likes[like]).encode(), digest_size=16).hexdigest()


def take_in(
    database: Database, source: Path, *, table: str | None = None, zone: str | None = None
) -> AgentsImported:
    """Take in a file.

    Args:
        source: a SQLite file with tables of these names, or lines of JSON, also compressed by
            gzip; ``-`` is standard input.
        table: what the lines are of, where they do not tell.
        zone: the zone of moments without one, such as ``Europe/Berlin``; UTC by default.

    Raises:
        SourceError: it cannot be read.
        InvalidQuery: there is no such zone.
        WriteError: it was not taken in to its end; what was, stays, and is passed over next time.
    """
    if table is not None and table not in FORMS:
        raise UsageError(f"no table {table!r}", hint=f"There are {', '.join(FORMS)}.")
    going = _Pass(database, timeline.zone_named(zone), table)
    read = records(source)
    while some := list(islice(read, _BATCH)):
        going.take(some)
    names = ("read", "inserted", "already_there", "retired", "invalid")
    tables = {
        name: TableImported(*(going.counts[name, what] for what in names))
        for name in ("", *FORMS)
        if going.counts[name, "read"]
    }
    return AgentsImported(str(source), tables, tuple(going.problems), tuple(going.ignored))


def _write(
    connection: Connection, batch: Mapping[str, list[Content]]
) -> dict[tuple[str, str], int]:
    counted: dict[tuple[str, str], int] = {}
    for name, contents in batch.items():
        family = TABLES[name]
        wanted = list(_wanted(connection, family, contents))
        inserted = logs.append(connection, family, wanted)
        counted[name, "inserted"] = inserted
        counted[name, "already_there"] = len(wanted) - inserted
        counted[name, "retired"] = len(contents) - len(wanted)
    return counted


def _wanted(connection: Connection, family: Family, contents: list[Content]) -> Iterator[Content]:
    """Those that retention has not deleted."""
    if family.keep.remember:
        gone = logs.retired(connection, family, [str(content[0]) for content in contents])
        yield from (content for content in contents if content[0] not in gone)
        return
    horizon = logs.horizon(connection, family)
    at = family.columns.index("recorded_at")
    yield from (content for content in contents if str(content[at]) >= horizon)


def moment_us(moment: object, zone: tzinfo) -> int:
    """Microseconds since 1970 of what users write: ISO 8601, SQLite's own, or seconds since 1970.

    Args:
        moment: without a zone it is meant in ``zone``; of a number the size tells whether it is
            seconds, thousandths or millionths of them.

    Raises:
        InvalidValue: it is none.
    """
    if isinstance(moment, (int, float)) and not isinstance(moment, bool):
        for largest, unit in ((1e11, 1e6), (1e14, 1e3), (1e17, 1.0)):
            if 0 <= moment < largest:
                return round(moment * unit)
    elif isinstance(moment, str):
        try:
            parsed = datetime.fromisoformat(moment.strip())
            us = clock.of_datetime(parsed if parsed.tzinfo else parsed.replace(tzinfo=zone))
        except (ValueError, OverflowError) as error:
            raise InvalidValue(f"{moment!r:.80} is no moment") from error
        if clock.MIN_US <= us <= clock.MAX_US:
            return us
    raise InvalidValue(f"{moment!r:.80} is no moment")
