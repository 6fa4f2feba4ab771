"""The calls of retention."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from metrics_store.connection import Database

if TYPE_CHECKING:
    from metrics_store.retention.results import Applied, Plan


class Retention:
    """What is kept for how long; each call is a command too."""

    _database: Database

    def retention_plan(self, keep: Mapping[str, str] | None = None) -> Plan:
        """Tell what retention would delete now; nothing is changed.

        Args:
            keep: spans by family, such as ``{"execution": "180 days", "service": "forever"}``;
                they win over the setting ``retention`` and over the families' own.

        Raises:
            InvalidSetting: a name or a span makes no sense.
        """
        from metrics_store.retention import planning, policy

        database = self._database
        chosen = policy.chosen(database.settings.retention, keep)
        return planning.plan(database, chosen, database.clock.now_us())

    def retain(
        self,
        keep: Mapping[str, str] | None = None,
        *,
        seconds: float | None = None,
        trust_clock: bool = False,
        progress: Callable[[str, int], None] | None = None,
    ) -> Applied:
        """Delete what is past its time, and give the space back; the numbers it added to stay.

        It goes in small batches: a writer waits for one of them at most, some 20 ms.

        Args:
            keep: as for :meth:`retention_plan`.
            seconds: stop after as long; the rest is for the next time.
            trust_clock: go on although the clock is a week ahead of all that was recorded.
            progress: called with a family's name and the rows of it deleted so far.

        Raises:
            InvalidSetting: a name or a span makes no sense.
            RetentionRefused: the clock is not to be believed; nothing was deleted.
            StoreBusy, StoreNotWritable, DiskFull: what was done stays done.
        """
        from metrics_store.retention import applying, planning, policy

        database = self._database
        database.require_writable()
        chosen = policy.chosen(database.settings.retention, keep)
        now_us = database.clock.now_us()
        if not trust_clock:
            planning.require_plausible(database, chosen, now_us)
        return applying.apply(database, chosen, now_us, seconds=seconds, progress=progress)
