"""A verify's beginning, and what is left of one that was cut short: its row, its copy, its scratch.

Both lie in the folder ``<database>.verify`` until it has ended. One is kept at a time; beginning
another abandons it, and takes back what it had stored.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from metrics_store.errors import CorruptStore, ForeignDatabase, LegacyFileError, ZoneMismatch
from metrics_store.legacy import scratch as scratches
from metrics_store.legacy.passes import now_text, printable
from metrics_store.legacy.private_copy import PrivateCopy, copy_stable
from metrics_store.legacy.scratch import Found, Scratch
from metrics_store.legacy.workplace import empty
from metrics_store.legacy_format.moments import ZoneReader, local_zone
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore

_AT_ONCE = 5000
_ANEW = "Begin anew: metrics-store legacy verify."

#: An explanation, when it was given and by whom.
Word = tuple[str | None, str | None, str | None]


@dataclass(frozen=True, slots=True)
class Begun:
    """A verify that was begun, as the store has it.

    Args:
        source_id: the file, if anything of it was ever taken in.
        copy: the copy that is compared.
        up_to_seq: the end of the log just before it was taken.
        is_new: whether nothing of it is done.
    """

    verify_id: int
    source: str
    source_id: int | None
    epoch: int
    zone: str
    sha256: str
    size: int
    copy: Path
    up_to_seq: int
    started_at: str
    is_new: bool


def begin(
    store: MetricsStore,
    source: Path,
    directory: Path,
    zone: str | None,
    epoch: int,
    given: PrivateCopy | None,
) -> Begun:
    """Copy a file and note the verify; an earlier one that was cut short is abandoned.

    Args:
        given: a copy of it that there is already.

    Raises:
        LegacyFileError: the file cannot be copied; an earlier one can still be resumed.
        InvalidQuery: there is no such zone.
    """
    path = printable(str(source))
    with store.database.read() as connection:
        known = connection.execute(query("legacy.source_of_path"), (path,)).fetchone()
        # Before the copy is taken: then a row up to here whose record the copy lacks was lost.
        up_to_seq = connection.execute(query("verify.last_seq")).fetchone()[0]
    source_id, its_zone = (known[0], known[2]) if known is not None else (None, None)
    zone = ZoneReader(zone or its_zone or local_zone()).zone
    copy = copy_stable(source, directory) if given is None else _own(given, directory)
    abandon(store, directory, but=copy.path)
    started = now_text(store)
    values = (
        path, source_id, epoch, zone, copy.sha256, copy.size, printable(str(copy.path)), up_to_seq,
        started,
    )  # fmt: skip

    def work(connection: Connection) -> int:
        return int(connection.execute(query("verify.begin"), values).fetchone()[0])

    return Begun(
        verify_id=store.database.write(work),
        source=path,
        source_id=source_id,
        epoch=epoch,
        zone=zone,
        sha256=copy.sha256,
        size=copy.size,
        copy=copy.path,
        up_to_seq=up_to_seq,
        started_at=started,
        is_new=True,
    )


def _own(given: PrivateCopy, directory: Path) -> PrivateCopy:
    path = directory / "legacy-given.json"
    path.unlink(missing_ok=True)
    shutil.copyfile(given.path, path)
    path.chmod(0o600)
    return replace(given, path=path)


def found(store: MetricsStore, source: Path, directory: Path, wanted_zone: str | None) -> Begun:
    """The verify of a file that was cut short.

    Raises:
        LegacyFileError: there is none, or its copy is gone or was changed (it is abandoned then).
        ZoneMismatch: it was begun with another zone.
    """
    with store.database.read() as connection:
        rows = connection.execute(query("verify.unfinished")).fetchall()
        path = printable(str(source))
        row = next((row for row in reversed(rows) if row[1] == path), None)
        if row is None:
            raise LegacyFileError(f"no verify of {source} was cut short", hint=_ANEW)
        verify_id, _, source_id, epoch, zone, sha256, size, copy_path, up_to_seq, started = row
    if wanted_zone is not None and wanted_zone != zone:
        raise ZoneMismatch(
            f"the verify of {source} was begun as {zone}, not {wanted_zone}",
            hint="Leave the zone out, or begin anew without --resume.",
        )
    copy = directory / Path(copy_path).name
    if not _is_whole(copy, size, sha256):
        abandon(store, directory)
        raise LegacyFileError(
            f"the copy that the verify of {source} had taken is gone or was changed", hint=_ANEW
        )
    return Begun(
        verify_id, path, source_id, epoch, zone, sha256, size, copy, up_to_seq, started,
        is_new=False,
    )  # fmt: skip


def abandon(store: MetricsStore, directory: Path, *, but: Path | None = None) -> None:
    """End what was cut short: take back what it had stored, and empty the folder.

    Args:
        but: a copy that stays.
    """
    with store.database.read() as connection:
        rows = connection.execute(query("verify.unfinished")).fetchall()
    for verify_id, *_ in rows:
        _forget(store, verify_id)
        store.database.write_one(query("verify.abandon"), (now_text(store), verify_id))
    empty(directory, but=but)


@contextmanager
def scratch_of(store: MetricsStore, begun: Begun, directory: Path) -> Iterator[Scratch]:
    """The scratch file of a verify; without a sound one it goes on from the file's beginning."""
    if begun.is_new:
        _remove_scratch(directory)
    try:
        scratch = Scratch(directory, lasting=True)
    except (CorruptStore, ForeignDatabase):
        _remove_scratch(directory)
        scratch = Scratch(directory, lasting=True)
    with scratch.in_use():
        if not begun.is_new and scratch.state() is None:
            _forget(store, begun.verify_id)
        yield scratch


def _remove_scratch(directory: Path) -> None:
    for left in directory.glob(f"{scratches.NAME}*"):
        left.unlink()


def _forget(store: MetricsStore, verify_id: int) -> None:
    sql = query("verify.forget_differences")
    while store.database.write_one(sql, (verify_id, _AT_ONCE)):
        pass


def _is_whole(copy: Path, size: int, sha256: str) -> bool:
    try:
        with open(copy, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return file.tell() == size and digest == sha256
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LegacyFileError(f"{copy}: {error.strerror}") from error


class Words:
    """What people said of the differences that the verify before had found.

    The same difference, found again, is explained still; found more often than before, it is not.
    """

    def __init__(self, said: dict[tuple[str | None, ...], list[Word]]) -> None:
        self._said = said

    def take(self, found: Found) -> Word | None:
        """A word on such a difference, once."""
        said = self._said.get((found.kind, found.subject, found.in_json, found.in_store))
        return said.pop(0) if said else None


def words(store: MetricsStore, begun: Begun, ours: str) -> Words:
    """The words that a verify may still take.

    Args:
        ours: who gives the explanations that are no person's word.
    """
    said: dict[tuple[str | None, ...], list[Word]] = defaultdict(list)
    with store.database.read() as connection:
        run = connection.execute
        for row in run(query("verify.words_of"), (begun.source, begun.verify_id, ours)):
            said[row[:4]].append(row[4:])
        for row in run(query("verify.said_of"), (begun.verify_id, ours)).fetchall():
            if said[row]:
                said[row].pop(0)
    return Words(said)
