"""Every read of the store. Results are frozen; nothing found is None or empty, never an error,
and a store that cannot be read is an error, never empty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from metrics_store import asked, clock, listing, rows, sqlite, timeline, totals
from metrics_store.connection import Database
from metrics_store.errors import InvalidQuery
from metrics_store.results import (
    InFlight,
    LoggedInvocation,
    Page,
    Session,
    SessionSkill,
    SkillMetrics,
    Summary,
    TimelinePoint,
    WorkflowPath,
)
from metrics_store.rows import Moment
from metrics_store.sql import query
from metrics_store.sqlite import Value
from metrics_store.timeline import Bucket

_OUTCOMES = ("completed", "failed", "abandoned")

#: None of SQLite's, and SQLITE_ERROR, _READONLY, _TOOBIG, _MISMATCH, _RANGE, _AUTH.
_CALLERS_FAULT = (0, 1, 8, 18, 20, 25, 23)


class Reports:
    """The readers of a store.

    Every reader raises ``ReadError`` or ``CorruptStore`` if the store cannot be read.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def path(self) -> str:
        """The database file, with symlinks resolved."""
        return self._database.path

    @property
    def database(self) -> Database:
        """The connections, for the parts of this package that stand on the store."""
        return self._database

    def get_skill_metrics(self, skill_name: str, *, exact: bool = False) -> SkillMetrics | None:
        """The numbers of one skill.

        Args:
            skill_name: which.
            exact: take the percentiles from the log's own rows, as far as retention left them;
                it sorts them all.

        Returns:
            None if nothing was ever recorded of it.
        """
        with self._database.read() as connection:
            found = totals.of_skill(connection, skill_name)
            if found is None or not exact:
                return found
            return replace(found, **totals.exact_percentiles(connection, skill_name))  # type: ignore[arg-type]

    def get_all_metrics(self) -> dict[str, SkillMetrics]:
        """The numbers of every skill that has ended an invocation, by its name."""
        with self._database.read() as connection:
            return totals.of_all(connection)

    def get_summary(self) -> Summary:
        """The numbers of all skills together."""
        with self._database.read() as connection:
            return totals.summary(connection)

    def get_skill_timeline(
        self,
        skill_name: str,
        time_window: str | float | timedelta = "7 days",
        bucket: Bucket | None = None,
        zone: str | None = None,
        now: Moment = None,
    ) -> list[TimelinePoint]:
        """How one skill went over time, oldest first, with buckets of zero where nothing happened.

        Args:
            skill_name: which.
            time_window: how far back from now, such as ``"30 days"``, or seconds. The bucket it
                begins in is there whole.
            bucket: ``hour``, ``day``, ``week`` (from Monday) or ``month``; by default hours up to
                two days, else days.
            zone: the zone whose days are meant, such as ``Europe/Berlin``; UTC by default.
            now: the end, by default the present.

        Raises:
            InvalidQuery: the name is no text, or the window, bucket or zone is not usable.
        """
        now_us = self._now_us(now)
        with self._database.read() as connection:
            return timeline.of_skill(connection, skill_name, now_us, time_window, bucket, zone)

    def get_daily_counts(self, days: int = 14, now: Moment = None) -> dict[str, list[int]]:
        """Invocations of every skill per UTC day, oldest first, for sparklines.

        Args:
            days: how many, the last one being today.
            now: the end, by default the present.
        """
        now_us = self._now_us(now)
        with self._database.read() as connection:
            return timeline.daily_counts(connection, now_us, days)

    def _now_us(self, now: Moment) -> int:
        if now is None:
            return self._database.clock.now_us()
        # Buckets end after the present, and must end before the calendar does.
        margin = 63 * 86_400 * clock.MICROSECONDS
        us = rows.moment_us("now", now)
        return max(clock.MIN_US + margin, min(us, clock.MAX_US - margin))

    def get_session_skills(self, session_id: str) -> list[SessionSkill]:
        """What one session did, the most used skill first."""
        with self._database.read() as connection:
            return listing.session_skills(connection, session_id)

    def get_sessions(self, limit: int = 50) -> list[Session]:
        """The latest sessions."""
        with self._database.read() as connection:
            return listing.sessions(connection, limit)

    def search_workflow_paths(
        self, text: str, *, fts: bool = False, limit: int = 100
    ) -> list[WorkflowPath]:
        """Workflow paths that have all the words of a text, the most used first.

        Args:
            text: any text at all; the last letters of a word may be missing.
            fts: read the text as an FTS5 query (``AND``, ``OR``, ``NEAR``, ``"a phrase"``).
            limit: most results.

        Raises:
            InvalidQuery: the text is not an FTS5 query.
        """
        with self._database.read() as connection:
            return listing.search(connection, text, fts, limit)

    def invocations(
        self,
        *,
        skill_name: str | None = None,
        session_id: str | None = None,
        workflow_path: str | None = None,
        project_path: str | None = None,
        outcome: str | None = None,
        error_type: str | None = None,
        origin: str | None = None,
        since: Moment = None,
        until: Moment = None,
        limit: int = 50,
        after: str | None = None,
    ) -> Page:
        """A page of the log, newest first.

        Args:
            since, until: only what was invoked within, both ends included.
            limit: rows of a page.
            after: what ``next`` of the page before said. Rows that are added meanwhile move
                nothing: no row is given twice, none is left out.

        Raises:
            InvalidQuery, InvalidValue: an argument is not usable.
        """
        if outcome is not None:
            asked.word("outcome", outcome, _OUTCOMES)
        filters = {
            "skill_name": skill_name,
            "session_id": session_id,
            "workflow_path": workflow_path,
            "project_path": project_path,
            "outcome": outcome,
            "error_type": error_type,
            "origin": origin,
        }
        span = listing.span(since, until)
        with self._database.read() as connection:
            return listing.page(connection, filters, span, limit, after)

    def get_invocation(self, invocation_id: str) -> LoggedInvocation | None:
        """A row of the log; None if there is none of that id."""
        with self._database.read() as connection:
            wanted = (asked.text("invocation_id", invocation_id),)
            row = connection.execute(query("reports.one_invocation"), wanted).fetchone()
            return None if row is None else listing.logged_invocation(row)

    def in_flight(self, skill_name: str | None = None, limit: int = 1000) -> list[InFlight]:
        """What has started and not ended, the latest first."""
        with self._database.read() as connection:
            return listing.in_flight(connection, skill_name, limit)

    def query(
        self, sql: str, params: Sequence[Value] | Mapping[str, Value] = ()
    ) -> list[dict[str, Value]]:
        """Run one reading SQL statement, for the process that has the store open.

        Use this instead of a connection of your own: a second copy of the SQLite library in one
        process drops the first one's locks, and commits are lost without an error.

        Args:
            sql: a SELECT; anything that would write is refused.
            params: its parameters.

        Returns:
            The rows, each a dict by column.

        Raises:
            InvalidQuery: it is not a statement that reads.
        """
        with self._database.read(guarded=True) as connection:
            sqlite.allow_reading_only(connection)
            try:
                cursor = connection.execute(sql, params)
                names = [column[0] for column in cursor.description or ()]
                if len(set(names)) < len(names):
                    raise InvalidQuery("two columns of one name", hint="Name them apart with AS.")
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            except (sqlite.Error, sqlite.Warning_, ValueError, OverflowError) as error:
                if sqlite.code(error) in _CALLERS_FAULT:
                    raise InvalidQuery(str(error), hint="One SELECT at a time.") from error
                raise
            finally:
                connection.set_authorizer(None)
