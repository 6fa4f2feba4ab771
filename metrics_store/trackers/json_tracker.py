"""The legacy tracker's safe replacement: the same calls, the same file, byte for byte.

Beside what the legacy tracker does, a save is locked across processes, merged with what others
wrote, and atomic; and a file that cannot be parsed is never overwritten.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import tzinfo
from pathlib import Path
from typing import Literal

from metrics_store import asked, location
from metrics_store import clock as clocks
from metrics_store.clock import Clock
from metrics_store.errors import (
    AlreadyEnded,
    ExportFailed,
    InvalidValue,
    LegacyNotWritable,
    MetricsStoreError,
)
from metrics_store.legacy import locks
from metrics_store.replacing import replace_text
from metrics_store.rows import Duration, duration_us
from metrics_store.timeline import zone_named
from metrics_store.trackers import given, numbers
from metrics_store.trackers.document import text_of
from metrics_store.trackers.layout import Json
from metrics_store.trackers.ledger import Ledger
from metrics_store.trackers.merging import Own, Put
from metrics_store.trackers.numbers import SkillNumbers

log = logging.getLogger("metrics_store")


class JsonInvocation:
    """An invocation of a :class:`JsonMetricsTracker`: call it once, to end it.

    Attributes:
        skill_name, workflow_path: as they were given.
        invoked_at: the moment as the file has it.
    """

    def __init__(self, tracker: JsonMetricsTracker, own: Own, started_us: int) -> None:
        self._tracker = tracker
        self._own = own
        self._started_us = started_us
        self.skill_name = str(own.record["skill_name"])
        self.invoked_at = str(own.record["invoked_at"])
        path = own.record["workflow_path"]
        self.workflow_path = None if path is None else str(path)

    @property
    def record(self) -> dict[str, Json] | None:
        """The seven members of the legacy record once it has ended and the file has it."""
        return dict(self._own.record) if self._own.saved else None

    def __call__(
        self,
        *,
        completed: bool = True,
        follow_up_actions: Sequence[str] | None = None,
        error_type: str | None = None,
        duration_seconds: Duration = None,
    ) -> None:
        """End the invocation, and save it.

        Args:
            completed: False if it failed.
            follow_up_actions: what was done next, in order.
            error_type: what it failed of.
            duration_seconds: how long it took; by default measured from its start.

        Raises:
            AlreadyEnded: it was ended before; the first ending stands. (If saving that failed,
                it is tried again.) With ``on_error="log"`` this is a warning.
            InvalidValue: a value cannot be recorded; it is still in flight.
            LegacyFileError: it was not saved, as :meth:`JsonMetricsTracker.flush`.
        """
        members = given.ending(completed, follow_up_actions, error_type)
        us = duration_us(duration_seconds)
        self._tracker._end(self._own, self._started_us, members, us)

    def forget(self) -> None:
        """Let go of it without an ending: it is recorded elsewhere."""
        self._tracker._ledger.forget(self._own)


class JsonMetricsTracker:
    """Tracks invocations in a legacy file; safe to use from any thread and any process.

    Making one reads nothing and cannot fail for what the file holds.

    Args:
        metrics_file: by default ``.session-buddy/skill_metrics.json``. Symlinks are resolved once.
        on_error: ``"log"`` logs what keeps a record from being saved; ``"raise"`` raises it. The
            record is kept in memory in any case, and goes along with the next save.
        clock: source of time; tests give their own.
        zone: of the naive moments in the file, an IANA name; by default this machine's.
        patience: seconds that a save may wait for other processes.

    Attributes:
        metrics_file: the file, symlinks resolved.
    """

    def __init__(
        self,
        metrics_file: str | os.PathLike[str] | None = None,
        *,
        on_error: Literal["log", "raise"] = "raise",
        clock: Clock | None = None,
        zone: str | tzinfo | None = None,
        patience: float = locks.PATIENCE,
    ) -> None:
        if on_error not in ("log", "raise"):
            raise InvalidValue(f"on_error is {on_error!r}", hint='It is "log" or "raise".')
        default = Path(".session-buddy", "skill_metrics.json")
        self.metrics_file = Path(os.path.realpath(location.named(metrics_file or default)))
        self._clock = clock or Clock()
        self._place = zone_named(zone) if isinstance(zone, str) else zone
        self._raises = on_error == "raise"
        self._ledger = Ledger(str(self.metrics_file), patience, self._now)
        with suppress(LegacyNotWritable):
            # Nobody is to fail for importing a runner; the first save says what is wrong.
            self._ledger.make_directory()

    # Writing

    def track_invocation(self, skill_name: str, workflow_path: str | None = None) -> JsonInvocation:
        """Start an invocation. Nothing is written before something ends.

        Returns:
            The completer, to be called with keyword arguments once.

        Raises:
            InvalidValue: a name is no text, or empty.
        """
        return self._begun(skill_name, workflow_path, None)

    def begin(
        self, skill_name: str, workflow_path: str | None, raw_invoked_at: str
    ) -> JsonInvocation:
        """Start an invocation whose moment is given as the file is to have it.

        Raises:
            InvalidValue: as :meth:`track_invocation`, or it is no moment.
        """
        return self._begun(skill_name, workflow_path, given.moment(raw_invoked_at))

    def finish(self, record: Mapping[str, Json], *, may_be_there: bool = False) -> None:
        """Write the record of an invocation that was started elsewhere.

        If the file has the same one pending, that one has ended; else it is added. After a failure
        the same call tries again.

        Args:
            record: the seven members of the legacy format, ended.
            may_be_there: somebody has tried to write it before, and whether it was written is not
                known: if the file has the very same record, nothing is added.

        Raises:
            InvalidValue: it is no such record.
            LegacyFileError: it was not saved, as :meth:`flush`.
        """
        members = given.checked(record)
        own = self._ledger.failed(members)
        if own is None:
            pending = {**members, **given.PENDING}
            own = self._ledger.start(lambda: pending, elsewhere=may_be_there, put=Put.PENDING)
            self._ledger.end(own, members)
        self._save(own)

    def disown(self, record: Mapping[str, Json]) -> None:
        """Forget a record of :meth:`finish` that could not be saved: its caller keeps it elsewhere,
        and it does not go along with the next save."""
        self._ledger.disown(given.checked(record))

    def flush(self) -> None:
        """Save what could not be saved before.

        Raises:
            LegacyLocked: another process held the file until the time limit.
            LegacyNotWritable: the disk or the directory does not allow it.
            LegacyNotOverwritten: the file cannot be parsed; it is left as it is.
        """
        self._save(None)

    def _begun(self, skill_name: str, path: str | None, raw: str | None) -> JsonInvocation:
        skill_name, path = given.name(skill_name), given.optional_text("workflow_path", path)
        own = self._ledger.start(
            lambda: {
                "skill_name": skill_name,
                "invoked_at": self._now() if raw is None else raw,
                "workflow_path": path,
                **given.PENDING,
            }
        )
        return JsonInvocation(self, own, self._clock.monotonic_us())

    def _end(self, own: Own, started_us: int, members: dict[str, Json], us: int | None) -> None:
        if us is None:
            us = max(0, self._clock.monotonic_us() - started_us)
        members["duration_seconds"] = us / clocks.MICROSECONDS
        if self._ledger.end(own, members):
            self._save(own)
        elif own.failed:
            self._ledger.keep(own)
            self._save(own)
        elif self._raises:
            raise AlreadyEnded(_named(own))
        else:
            log.warning("%s. %s", AlreadyEnded(_named(own)), AlreadyEnded.default_hint)

    def _save(self, own: Own | None) -> None:
        try:
            self._ledger.save(own)
        except BaseException as error:
            if own is not None:
                self._ledger.note(own, failed=True)  # also by Ctrl-C: its caller may try again
            if self._raises or not isinstance(error, MetricsStoreError):
                raise
            log.error("a record waits in memory: %s. %s", error, error.hint)
        else:
            if own is not None:
                self._ledger.note(own, failed=False)

    def _now(self) -> str:
        """This moment as the legacy tracker writes it."""
        moment = clocks.to_datetime(self._clock.now_us()).astimezone(self._place)
        return moment.replace(tzinfo=None).isoformat()

    # Reading: LegacyNotOverwritten is raised if the file cannot be read or parsed.

    def get_skill_metrics(self, skill_name: str) -> SkillNumbers | None:
        """The numbers of one skill; None if it has ended no invocation.

        Raises:
            InvalidQuery: the name is no text.
        """
        asked.text("skill_name", skill_name)
        return self._ledger.numbers_of_skill(skill_name)

    def get_all_metrics(self) -> dict[str, SkillNumbers]:
        """The numbers of every skill, by name."""
        return self._ledger.numbers_of_all()

    def get_summary(self) -> dict[str, object]:
        """The numbers of all skills together; see :func:`numbers.summary_of`."""
        return numbers.summary_of(self.get_all_metrics())

    def generate_report(self) -> str:
        """The classic report as text."""
        return numbers.report_of(self.get_all_metrics())

    def export_metrics(self, output_file: str | os.PathLike[str]) -> None:
        """Write the records and totals to another file, in the legacy format.

        Raises:
            InvalidValue: it is the tracker's own file.
            ExportFailed: it cannot be written.
        """
        target = os.path.realpath(output_file)
        if target == str(self.metrics_file):
            raise InvalidValue(f"{target} is the tracker's own file", hint="Name another one.")
        text = text_of(self._ledger.whole())
        try:
            replace_text(target, text)
        except OSError as error:
            raise ExportFailed(f"{target}: {error.strerror}") from error


def _named(own: Own) -> str:
    return f"{own.record['skill_name']!r} of {own.record['invoked_at']}"
