"""The calls of services: heartbeats and what follows from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Literal, overload

from metrics_store.connection import Database

if TYPE_CHECKING:
    from metrics_store.rows import Duration, Moment
    from metrics_store.services.beating import Heartbeats
    from metrics_store.services.judging import Default, Span
    from metrics_store.services.reading import Window
    from metrics_store.services.results import (
        Heartbeat,
        Outage,
        ServiceSetting,
        ServicesImported,
        ServiceStatus,
        ServiceTrend,
        Uptime,
    )


class Services:
    """What services say of themselves; each call is a command too."""

    # What they need is imported when it is called: a runner that records never needs it.

    _database: Database

    def heartbeat(
        self,
        service: str,
        status: str,
        current_task: str | None = None,
        at: Moment = None,
        latency: Duration = None,
        *,
        every: Span | None = None,
    ) -> Heartbeat:
        """Record that a service lives, and how it is.

        Args:
            service: its name.
            status: any text, such as ``running`` or ``error``; the service's set of bad ones says
                which mean that it is down.
            current_task: what it works on.
            at: the moment it speaks for, an aware datetime or ISO 8601 text with an offset; by
                default now. A late one never moves the current status back.
            latency: seconds that its last piece of work took, or a timedelta.
            every: seconds until the next heartbeat is expected, or a span such as ``"5 min"``; by
                default the service's interval, 60 s.

        Returns:
            The heartbeat as it was recorded.

        Raises:
            InvalidValue: a value cannot be recorded; ``at`` is more than five minutes in the
                future, or before what retention has deleted.
            WriteError: it was not recorded.
        """
        from metrics_store.services import recording

        now_us = self._database.clock.now_us()
        beat = recording.checked(now_us, service, status, current_task, at, latency, every)
        return recording.record(self._database, [beat])[0]

    def heartbeats(
        self,
        service: str,
        every: Span = 60,
        status: str = "running",
        current_task: str | None = None,
        *,
        last: str = "stopped",
    ) -> Heartbeats:
        """Beat from a thread for as long as a ``with`` block runs.

        It begins with a heartbeat and ends with a last word: ``last``, or ``failed`` if the block
        raised. A store that fails is logged and does not disturb the block.

        Args:
            service: its name.
            every: seconds from one heartbeat to the next, or a span.
            status, current_task: what they say until :meth:`Heartbeats.say` changes it.
            last: the status of the last word.

        Raises:
            InvalidValue, InvalidQuery: a value makes no sense.
        """
        from metrics_store.services.beating import Heartbeats

        return Heartbeats(self._database, service, every, status, current_task, last)

    @overload
    def service_status(self, service: str) -> ServiceStatus | None: ...

    @overload
    def service_status(self, service: None = None) -> list[ServiceStatus]: ...

    def service_status(
        self, service: str | None = None
    ) -> ServiceStatus | list[ServiceStatus] | None:
        """What a service said last, and whether it is up, down or silent now.

        Args:
            service: which; None for all of them, by name.

        Returns:
            None if it never said anything.
        """
        from metrics_store.services import reading

        if service is None:
            return reading.status_of_all(self._database)
        return reading.status_of(self._database, service)

    def service_history(
        self,
        service: str,
        window: Window = "24 hours",
        *,
        until: Moment = None,
        limit: int | None = None,
    ) -> list[Heartbeat]:
        """The heartbeats of a service, newest first, as far as retention has left them.

        Args:
            service: which.
            window: how far back, such as ``"7 days"``, seconds, or a timedelta.
            until: the end of the window, by default now.
            limit: at most so many.

        Raises:
            InvalidQuery, InvalidValue: the window makes no sense.
        """
        from metrics_store.services import reading

        return reading.history(self._database, service, window, until, limit)

    def uptime(
        self, service: str, window: Window = "30 days", *, until: Moment = None
    ) -> Uptime | None:
        """How much of a window a service was up.

        A heartbeat vouches for the time until the next one, at most for its grace; a bad status
        is down; what nothing vouches for is silent. Retention takes nothing from it.

        Args:
            service: which.
            window: how far back; it is clipped to the first heartbeat known.
            until: the end of the window, by default and at the latest now.

        Returns:
            None if nothing was heard of it by the end of the window.

        Raises:
            InvalidQuery, InvalidValue: the window makes no sense.
        """
        from metrics_store.services import uptime

        return uptime.uptime(self._database, service, window, until)

    def uptime_course(
        self, service: str, window: Window = "24 hours", parts: int = 24, *, until: Moment = None
    ) -> list[float | None]:
        """The uptime of each of the equal parts of a window, for sparklines.

        Args:
            service: which.
            window: how far back.
            parts: how many parts, 1 to 1,000.
            until: the end of the window, by default and at the latest now.

        Returns:
            Percent, oldest first; None where nothing was heard of the service yet.

        Raises:
            InvalidQuery, InvalidValue: the window makes no sense.
        """
        from metrics_store.services import uptime

        return uptime.course(self._database, service, window, until, parts)

    def outages(
        self, service: str, window: Window = "30 days", *, until: Moment = None
    ) -> list[Outage]:
        """When a service was not up, oldest first: each time without a break, with its cause.

        Args:
            service: which.
            window: how far back; what began before it, or ends after it, is given whole.
            until: the end of the window, by default now.

        Raises:
            InvalidQuery, InvalidValue: the window makes no sense.
        """
        from metrics_store.services import uptime

        return uptime.outages(self._database, service, window, until)

    def trend(self, service: str, *, days: int = 7, before: int = 28) -> ServiceTrend | None:
        """Whether a service is getting slower.

        The median latency of the recent days against that of the days before; of the intervals
        between heartbeats where none gave a latency. See :mod:`metrics_store.services.trend`.

        Args:
            service: which.
            days: how many UTC days are recent, today being the last.
            before: how many days before them they are compared with.

        Returns:
            None if nothing was ever heard of it.
        """
        from metrics_store.services import trend

        return trend.trend(self._database, service, days, before)

    def service_setting(self, service: str) -> ServiceSetting:
        """How the next heartbeats of a service are judged."""
        from metrics_store.services import judging

        return judging.described(self._database, service)

    def service_settings(self) -> list[ServiceSetting]:
        """The services that are not judged by the defaults alone, by name."""
        from metrics_store.services import judging

        return judging.all_described(self._database)

    def set_service(
        self,
        service: str,
        *,
        every: Span | Default | None = None,
        grace: Span | Default | None = None,
        bad_statuses: Collection[str] | Default | None = None,
    ) -> ServiceSetting:
        """Say how the heartbeats of a service are judged that are recorded from now on.

        Those that are there keep what was in force when they were recorded, so that the uptime of
        a time that is past does not change.

        Args:
            service: which.
            every: how often it is expected, seconds or a span; 60 s by default.
            grace: for how long a heartbeat vouches at most; by default 2.5 intervals.
            bad_statuses: those that mean it is down, whatever their case.
                None leaves each as it is, ``"default"`` takes the setting back.

        Returns:
            What is in force then.

        Raises:
            InvalidQuery, InvalidValue: a value makes no sense.
        """
        from metrics_store.services import judging

        return judging.set_service(self._database, service, every, grace, bad_statuses)

    def import_services(
        self,
        source: str | os.PathLike[str],
        *,
        kind: Literal["sqlite", "csv", "jsonl"] | None = None,
        zone: str | None = None,
        dry_run: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> ServicesImported:
        """Take in heartbeats that are kept elsewhere; taking the same in again adds nothing.

        Args:
            source: an SQLite file with ``system_status_history``, ``system_status`` or both; or a
                CSV or JSONL file with the columns of the history, gzip too.
            kind: what it is; by default told by its first bytes and its name.
            zone: the zone of moments without an offset, such as ``Europe/Berlin``; by default
                this machine's. SQLite's CURRENT_TIMESTAMP writes UTC.
            dry_run: do everything, and keep nothing.
            progress: called with the number of rows read so far.

        Raises:
            SourceError: it cannot be read; what was taken in by then stays.
            WriteError: as above.
        """
        from metrics_store.services import importing

        return importing.take_in(
            self._database, source, kind=kind, zone=zone, dry_run=dry_run, progress=progress
        )
