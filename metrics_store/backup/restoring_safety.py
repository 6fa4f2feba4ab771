"""The copy of what is there, taken while nobody can write, and noted beforehand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from metrics_store import manifest, opening, sqlite
from metrics_store.backup import creating, place, restoring_aside
from metrics_store.backup import restoring_live as lives
from metrics_store.backup.candidate import as_one_file
from metrics_store.backup.copying import Progress
from metrics_store.backup.place import Place
from metrics_store.backup.restoring_live import Live
from metrics_store.backup.restoring_place import Intent, forget, note, noted
from metrics_store.backup.restoring_steps import reached
from metrics_store.backup.transfer import transfer
from metrics_store.clock import Clock
from metrics_store.errors import MetricsStoreError, RestoreFailed
from metrics_store.replacing import replace_text
from metrics_store.settings import Settings

REASON = "before restore"


@dataclass(slots=True)
class Safety:
    """A copy that will be taken.

    Args:
        path: where it will be; None if there is nothing to copy.
        needed: what it is of has been replaced, or may have been.
    """

    path: Path | None
    _there: Place
    _live: Live
    _settings: Settings
    _clock: Clock
    _taken: bool = False
    needed: bool = False

    def take(self) -> None:
        """Copy what is there, whole or not; the caller holds the store's write lock.

        Raises:
            RestoreFailed: it cannot be copied.
        """
        if self.path is None:
            return
        temporary = place.temporary_of(self.path)
        try:
            reader = lives.connect(self._live.path, "shared")
            try:
                writer = sqlite.connect(str(temporary))
                try:
                    # Torn by a crash it is thrown away; what it ends as is synced below.
                    writer.execute("PRAGMA synchronous = OFF")
                    transfer(
                        reader,
                        writer,
                        clock=self._clock,
                        patience=self._settings.busy_timeout,
                        where=self._live.path,
                    )
                finally:
                    writer.close()
            finally:
                reader.close()
            as_one_file(temporary)
            self._there.publish(self.path)
        except sqlite.Error as error:
            raise RestoreFailed(
                f"what is there cannot be copied to {self.path}: {error}",
                hint="Look at the disk. To restore without such a copy, stop what uses the store "
                f"and move {self._live.path} aside with its -wal and -shm.",
            ) from error
        except OSError as error:
            raise place.failed(error, self.path) from error
        self._taken = True

    def drop(self) -> None:
        """Remove it, unless it is needed."""
        if self.path is None or self.needed:
            return
        if self._taken:
            self._there.delete(self.path)
        else:
            self._there.discard(self.path)


@contextmanager
def prepared(live: Live, settings: Settings, clock: Clock, at_us: int) -> Iterator[Safety]:
    """A name and room for the copy of what is there.

    Args:
        at_us: the moment of the restore, microseconds since 1970.

    Raises:
        BackupError: it cannot be put where backups are.
    """
    with place.opened(settings.backups, at_us) as there:
        path = None if live.state == "empty" else there.reserve(live.path, at_us)
        safety = Safety(path, there, live, settings, clock)
        try:
            yield safety
        except BaseException:
            with suppress(OSError):  # what stays, the next run removes
                safety.drop()
            raise


@contextmanager
def intended(
    folder: Path, live: Live, safety: Safety, generation: str, at_us: int
) -> Iterator[None]:
    """Note what the block is about to do, for whoever finds it half done.

    Args:
        generation: that the store bears once it is done.
    """
    if safety.path is not None:
        note(folder, Intent(str(safety.path), at_us, generation))
    reached("intended")
    try:
        yield
    except BaseException:
        # Interrupted just after the commit, it is done.
        safety.needed = lives.bears(live.path, generation) is not False
        if not safety.needed:
            forget(folder)
        raise
    safety.needed = True


def end_what_was_cut_short(
    folder: Path, database: str, clock: Clock, progress: Progress | None = None
) -> None:
    """Finish what a restore that was killed had begun, or take back what is left of it."""
    intent = noted(folder)
    if intent is None:
        return
    copy = Path(intent.safety)
    if copy.is_file() and not manifest.path_of(copy).exists():
        if lives.bears(database, intent.generation) is False:
            # It was killed before anything was changed.
            with place.opened(copy.parent, clock.now_us()) as there:
                there.delete(copy)
        else:
            creating.adopt(
                copy,
                source=database,
                reason=REASON,
                made_us=intent.at_us,
                clock=clock,
                progress=progress,
            )
    forget(folder)


def adopted(
    safety: Safety, database: str, at_us: int, clock: Clock, progress: Progress | None
) -> tuple[int | None, str]:
    """Put a manifest beside the copy.

    Returns:
        How many errors the check of it found, and why there is no manifest, if there is none.
    """
    if safety.path is None:
        return None, ""
    try:
        known = creating.adopt(
            safety.path,
            source=database,
            reason=REASON,
            made_us=at_us,
            clock=clock,
            progress=progress,
        )
    except MetricsStoreError as error:
        return None, f"{safety.path} got no manifest: {error}"
    return known.findings, ""


@contextmanager
def log_accepted(live: Live, clock: Clock) -> Iterator[None]:
    """For the block, a store whose write-ahead log is lost counts as what is left of it.

    Raises:
        StoreBusy: a process has it open.
    """
    if not live.log_lost:
        yield
        return
    restoring_aside.require_unused(live.path)
    opening.accept_loss(live.path, clock.now_us())
    try:
        yield
    except BaseException:
        known = {"kind": "missing", "detail": live.log_lost}
        replace_text(opening.marker(live.path), json.dumps(known) + "\n")
        raise
