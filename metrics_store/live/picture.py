"""The whole picture: read from the store once, then kept by what each log has grown by.

A row that is committed later has the higher seq: a log's seq is its INTEGER PRIMARY KEY, which is
one more than the highest there is, and is given within a transaction that holds the store's only
write lock from its beginning to its commit. (Retention spares the last row of each log, so that no
seq is given twice.) So whoever has read up to a seq never misses what comes, and what comes late by
its own moment is found by its seq. Which value is the current one is by its own moment all the
same: each key that a row touches is read by that, so that nothing late moves one back.
"""

from __future__ import annotations

from metrics_store.clock import Clock
from metrics_store.live.agents import Agents
from metrics_store.live.bounds import Bounds
from metrics_store.live.current import Current, Services
from metrics_store.live.sections import Behind, Tops, Update
from metrics_store.live.tasks import Tasks
from metrics_store.sql import query
from metrics_store.sqlite import Connection


class Picture:
    """The keys with what they hold, as one thread reads it.

    Args:
        bounds: how much it holds.
        clock: source of time.
    """

    def __init__(self, bounds: Bounds, clock: Clock) -> None:
        self._services = Services(bounds, clock)
        self._sections = (Agents(bounds), Tasks(bounds), Current(bounds), self._services)
        self._tops: Tops | None = None
        self._generation = ""

    def look(self, connection: Connection) -> tuple[Update, bool]:
        """Read what has changed since the last look; gives whether that was everything anew.

        Args:
            connection: in a reading view.
        """
        row = connection.execute(query("live.generation")).fetchone()
        generation = "" if row is None else str(row[0])
        tops = Tops(*(top or 0 for top in connection.execute(query("live.tops")).fetchone()))
        before, self._tops = self._tops, None  # unless all goes well, everything is read anew
        # After a restore, or where somebody put an older file in its place, logs may be shorter.
        anew = (
            before is None
            or generation != self._generation
            or any(now < then for now, then in zip(tops, before, strict=True))
        )
        if not anew and before is not None:
            try:
                updates = [part.follow(connection, before, tops) for part in self._sections]
            except Behind:
                anew = True
        if anew:
            updates = [part.load(connection) for part in self._sections]
        self._tops, self._generation = tops, generation
        values: dict[str, object] = {}
        gone: set[str] = set()
        for update in updates:
            values |= update.values
            gone |= update.gone
        return Update(values, gone), anew

    def services(self, now_us: int) -> dict[str, object]:
        """What the services come to at a moment, microseconds since 1970."""
        return self._services.at(now_us)
