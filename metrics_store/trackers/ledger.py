"""The records of one tracker, and the file that they belong in.

Two locks: one for what is in memory, held for microseconds; one for saving, held while the file is
locked, read, merged and written. A start needs the first only, and a save takes along every record
that ended while it waited. Around a fork both are held, so that a child finds all at rest.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakSet

from metrics_store.errors import LegacyNotOverwritten, LegacyNotWritable
from metrics_store.legacy import locks
from metrics_store.replacing import replace_text
from metrics_store.trackers import file_state, numbers
from metrics_store.trackers.document import Document, reload, text_of
from metrics_store.trackers.file_state import Read
from metrics_store.trackers.layout import Json
from metrics_store.trackers.merging import Own, Put, count, merge
from metrics_store.trackers.numbers import SkillNumbers


@dataclass(frozen=True, slots=True)
class _Seen:
    """The totals of the file when it was last read or written, and the file then."""

    read: Read
    skills: Mapping[str, Json]


class Ledger:
    """Keeps the records of one tracker in memory and in the file.

    Args:
        path: the file, symlinks resolved.
        patience: seconds that a save may wait for other processes.
        now: gives ``last_updated``.
    """

    def __init__(self, path: str, patience: float, now: Callable[[], str]) -> None:
        self.path = path
        self._patience = patience
        self._now = now
        self._lock_file = locks.data_lock(path)
        self._begin_anew()
        with _forking:
            _alive.add(self)

    def _begin_anew(self) -> None:
        self._saving = threading.Lock()
        self._memory = threading.Lock()
        self._starts = self._ends = 0
        self._open: dict[int, Own] = {}  # by number: pending, unsaved, or to be looked for
        self._failed: list[Own] = []  # few: those whose callers were told
        self._settled: list[Own] = []  # ended, and the document has them
        self._document: Document | None = None
        self._held: set[int] = set()  # the positions of the settled
        self._seen: _Seen | None = None

    # In memory

    def start(
        self,
        record: Callable[[], dict[str, Json]],
        *,
        elsewhere: bool = False,
        put: Put = Put.NEVER,
    ) -> Own:
        """Add a record, still pending.

        Args:
            record: makes it; called under the lock, so that records are in the order of moments.
            elsewhere: whether it began elsewhere, so that the file may have it already.
            put: how the file may have it of this tracker's own doing.
        """
        with self._memory:
            return self._added(Own(record(), elsewhere=elsewhere, put=put))

    def end(self, own: Own, members: Mapping[str, Json]) -> bool:
        """Note how a record ended, if it had not; says whether it had not."""
        with self._memory:
            if own.end:
                return False
            self._keep(own)
            self._ends += 1
            own.record = {**own.record, **members}
            own.end = self._ends
            return True

    def keep(self, own: Own) -> None:
        """See that a record goes along with the next save, also one of before a fork."""
        with self._memory:
            if not own.saved:
                self._keep(own)

    def _keep(self, own: Own) -> None:
        if self._open.get(own.number) is not own:
            # The parent may have put it into the file.
            own.elsewhere, own.position = True, None
            self._added(own)

    def forget(self, own: Own) -> None:
        """Write a pending record no more."""
        with self._memory:
            if self._open.get(own.number) is own and not own.end:
                del self._open[own.number]
                own.end = -1

    def failed(self, record: dict[str, Json]) -> Own | None:
        """A record that says the same, and that could not be saved, as its caller was told."""
        with self._memory:
            # Another record's save may have taken it along since.
            return next((own for own in self._failed if own.record == record), None)

    def note(self, own: Own, *, failed: bool) -> None:
        """Note whether saving a record failed, as its caller was told."""
        with self._memory:
            own.failed = failed
            if failed and own not in self._failed:
                self._failed.append(own)
            elif not failed and own in self._failed:
                self._failed.remove(own)

    def disown(self, record: dict[str, Json]) -> None:
        """Write a record no more that could not be saved: somebody else keeps it."""
        own = self.failed(record)
        with self._memory:
            if own is not None and not own.saved and self._open.get(own.number) is own:
                del self._open[own.number]
                self._failed.remove(own)

    def _added(self, own: Own) -> Own:
        self._starts += 1
        own.number = self._starts
        self._open[own.number] = own
        return own

    # In the file

    def make_directory(self) -> None:
        """Make the file's directory.

        Raises:
            LegacyNotWritable: it cannot be made.
        """
        try:
            os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        except OSError as error:
            raise LegacyNotWritable(f"{os.path.dirname(self.path)}: {error.strerror}") from error

    def save(self, wanted: Own | None = None) -> None:
        """Write every record of this tracker that the file does not have.

        Args:
            wanted: nothing is done if it is in the file already. By default any that is not.

        Raises:
            LegacyLocked: another process held the file until the time limit.
            LegacyNotWritable: the disk or the directory does not allow it.
            LegacyNotOverwritten: the file cannot be parsed; it is left as it is.
        """
        with self._saving:
            if wanted.saved if wanted is not None else not self.unsaved():
                return  # another thread's save took it along
            self.make_directory()
            with locks.held(self._lock_file, patience=self._patience):
                self._write(self._refresh())

    def unsaved(self) -> list[Own]:
        """The records that have ended and that the file does not have, in the order of ends."""
        with self._memory:
            return self._unsaved()

    def _unsaved(self) -> list[Own]:
        ended = (own for own in self._open.values() if own.end and not own.saved)
        return sorted(ended, key=lambda own: own.end)

    def _refresh(self) -> Document:
        """The document of the file as it is now; the lock for saving is held."""
        known = self._document
        if known is None or not _is_unchanged(self.path, known.read):
            found, kept = reload(self.path, known)
            with self._memory:
                self._use(found, kept)
            return found
        return known

    def _write(self, document: Document) -> None:
        try:
            with self._memory:
                batch = sorted(self._open.values(), key=lambda own: own.number)
                for own in merge(document, batch, self._held):
                    batch.remove(own)
                    del self._open[own.number]
                ended = [own for own in batch if own.end]
                for own in batch:
                    own.put = Put.ENDED if own.end else Put.PENDING
            document.last_updated = self._now()
            text = text_of(document)
            replace_text(self.path, text)
            document.was_written(text, file_state.look(self.path))
        except BaseException as error:
            with self._memory:
                # What the file has now, the next look tells.
                self._use(None, 0)
            if isinstance(error, OSError):
                raise LegacyNotWritable(f"{self.path}: {error.strerror}") from error
            raise
        with self._memory:
            for own in ended:
                own.saved = True
                del self._open[own.number]
            self._settled += ended
            self._held.update(own.position for own in ended if own.position is not None)
            self._use(document, len(document.records))

    def _use(self, document: Document | None, kept: int) -> None:
        """Take a document for the file's; of the one before, so many first records are in it."""
        if document is not self._document:
            lost = [own for own in self._settled if _is_past(own, kept)]
            if lost:
                self._settled = [own for own in self._settled if not _is_past(own, kept)]
                self._held = {n for n in self._held if n < kept}
                self._open |= {own.number: own for own in lost}
            for own in self._open.values():
                if _is_past(own, kept):
                    own.position = None
        self._document = document
        if document is not None:
            self._seen = _Seen(document.read, dict(document.skills))

    # Reading

    def numbers_of_all(self) -> dict[str, SkillNumbers]:
        """The numbers of every skill: the file's totals, and what is not saved yet.

        Raises:
            LegacyNotOverwritten: the file cannot be read or parsed.
        """
        skills, unsaved = self._look()
        found = {name: self._numbers(name, skills[name]) for name in skills}
        for own in unsaved:
            name = str(own.record["skill_name"])
            found[name] = numbers.add(found.get(name), own.record)
        return found

    def numbers_of_skill(self, skill_name: str) -> SkillNumbers | None:
        """The numbers of one skill, None if it has none; as :meth:`numbers_of_all`."""
        skills, unsaved = self._look()
        found = self._numbers(skill_name, skills[skill_name]) if skill_name in skills else None
        for own in unsaved:
            if own.record["skill_name"] == skill_name:
                found = numbers.add(found, own.record)
        return found

    def whole(self) -> Document:
        """A document of its own with all that the file has, and what is not saved yet.

        Raises:
            LegacyNotOverwritten: as :meth:`numbers_of_all`.
        """
        with self._saving:
            known = self._refresh()
            found = Document(known.records, known.skills, known.last_updated, known.others)
            for own in self.unsaved():
                found.append(own.record)
                count(found, own.record)
            return found

    def _look(self) -> tuple[Mapping[str, Json], list[Own]]:
        """The file's totals as they are now, and the records that are not in them yet."""
        seen = self._seen
        is_due = seen is None or not _is_unchanged(self.path, seen.read)
        # While another thread saves, which may have to wait, the totals before it will do.
        if is_due and self._saving.acquire(blocking=seen is None):
            try:
                self._refresh()
            finally:
                self._saving.release()
        with self._memory:
            assert self._seen is not None
            return self._seen.skills, self._unsaved()

    def _numbers(self, skill_name: str, totals: Json) -> SkillNumbers:
        try:
            return numbers.of_totals(skill_name, totals)
        except ValueError as error:
            raise LegacyNotOverwritten(
                f"{self.path}: {error}", hint="Mend the totals of this skill in the file."
            ) from error

    # Around a fork

    def before_fork(self) -> None:
        """Wait until nobody is at work on it."""
        self._saving.acquire()
        self._memory.acquire()

    def after_fork(self) -> None:
        """Go on."""
        self._memory.release()
        self._saving.release()

    #: In the child: what the parent recorded is the parent's to write.
    after_fork_in_child = _begin_anew


def _is_unchanged(path: str, read: Read) -> bool:
    return read.settled and file_state.look(path) == read.state


def _is_past(own: Own, kept: int) -> bool:
    return own.position is not None and own.position >= kept


_alive: WeakSet[Ledger] = WeakSet()
_forking = threading.Lock()
_held: list[Ledger] = []


def _before() -> None:
    _forking.acquire()
    for ledger in list(_alive):
        ledger.before_fork()
        _held.append(ledger)


def _after(in_child: bool) -> None:
    for ledger in _held:
        if in_child:
            ledger.after_fork_in_child()
        else:
            ledger.after_fork()
    _held.clear()
    _forking.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(in_child=False),
        after_in_child=lambda: _after(in_child=True),
    )
