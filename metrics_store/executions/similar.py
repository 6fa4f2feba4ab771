"""Finding executions whose embeddings are near to a vector: always the exact nearest.

The embeddings of the log are read once by a process, and those that are new at each search. A scan
over all of them only chooses candidates; their cosines are then computed in full.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Protocol

from metrics_store.connection import Database
from metrics_store.errors import InvalidQuery, InvalidValue
from metrics_store.executions import reading
from metrics_store.executions.results import Similar
from metrics_store.executions.vectors import as_blob, cosine, norm, numbers_of
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Embeddings that are read at once.
_FETCHED = 1000
_MOST = 1000

Mark = tuple[int, int | None, int | None, str | None, str | None]


class Scan(Protocol):
    """Embeddings in memory, in the order they were added."""

    def add(self, blobs: Sequence[bytes]) -> None:
        """Take more of them in."""

    def candidates(self, wanted: Sequence[float], k: int, among: Sequence[int] | None) -> list[int]:
        """Places among which the nearest ``k`` surely are.

        Args:
            wanted: the vector.
            k: how many are wanted.
            among: only these places; None for all.
        """


@dataclass(slots=True)
class _Known:
    """What has been read of the log."""

    scan: Scan
    seqs: list[int]
    repos: list[str | None]
    mark: Mark


class Embeddings:
    """The embeddings of one store, kept in memory between searches; safe to use from any thread."""

    def __init__(self, *, with_numpy: bool | None = None) -> None:
        self._lock, self._pid = threading.Lock(), os.getpid()
        self._known: _Known | None = None
        self._with_numpy = find_spec("numpy") is not None if with_numpy is None else with_numpy

    def nearest(
        self, database: Database, vector: object, k: int, repo: str | None
    ) -> list[Similar]:
        """The executions nearest to a vector, the nearest first.

        Raises:
            InvalidQuery: it is no vector, or ``k`` is not 1 to 1,000.
        """
        if type(k) is not int or not 1 <= k <= _MOST:
            raise InvalidQuery(f"k is {k!r:.40}", hint=f"It is 1 to {_MOST:,}.")
        try:
            wanted = numbers_of(as_blob("embedding", vector)).tolist()
        except InvalidValue as error:
            raise InvalidQuery(error.detail, hint=error.hint) from error
        if os.getpid() != self._pid:  # another thread of the parent may have held it
            self._lock, self._pid = threading.Lock(), os.getpid()
        with self._lock, database.read() as connection:
            known = self._refreshed(connection)
            among = (
                None
                if repo is None
                else [place for place, name in enumerate(known.repos) if name == repo]
            )
            places = known.scan.candidates(wanted, k, among) if known.seqs else []
            return _ranked(connection, wanted, [known.seqs[place] for place in places], k)

    def _refreshed(self, connection: Connection) -> _Known:
        """What is known, with what is new; all of it anew if rows have gone."""
        mark = _mark(connection)
        known = self._known
        if known is not None and known.mark == mark:
            return known
        if known is None or not _is_still_there(connection, known.mark, mark):
            known = _Known(self._new_scan(), [], [], (0, None, None, None, None))
        self._known = None  # until it is whole again
        _read(connection, known)
        known.mark = mark
        self._known = known
        return known

    def _new_scan(self) -> Scan:
        if self._with_numpy:
            from metrics_store.executions.scan_numpy import NumpyScan

            return NumpyScan()
        from metrics_store.executions.scan_integers import IntegerScan

        return IntegerScan()


def _mark(connection: Connection) -> Mark:
    n, first, last = connection.execute(query("executions.embeddings_there")).fetchone()
    return n, first, last, _digest(connection, first), _digest(connection, last)


def _digest(connection: Connection, seq: int | None) -> str | None:
    found = connection.execute(query("executions.mark_of"), (seq,)).fetchone()
    return None if found is None else str(found[0])


def _is_still_there(connection: Connection, old: Mark, new: Mark) -> bool:
    """Whether rows were only added: the log never changes, but retention and a restore do."""
    count, first, last, first_digest, last_digest = old
    if count == 0:
        return True
    if first != new[1] or first_digest != new[3] or _digest(connection, last) != last_digest:
        return False
    there = connection.execute(query("executions.embeddings_up_to"), (last,)).fetchone()[0]
    return bool(there == count)


def _read(connection: Connection, known: _Known) -> None:
    last = known.seqs[-1] if known.seqs else -(1 << 62)
    while rows := connection.execute(
        query("executions.embeddings_after"), (last, _FETCHED)
    ).fetchall():
        known.scan.add([blob for _, _, blob in rows])
        known.seqs += [seq for seq, _, _ in rows]
        known.repos += [repo for _, repo, _ in rows]
        last = rows[-1][0]


def _ranked(
    connection: Connection, wanted: Sequence[float], seqs: Sequence[int], k: int
) -> list[Similar]:
    """The nearest of the candidates, by their full cosines."""
    length = norm(wanted)
    found = connection.execute(query("executions.embeddings_of"), (json.dumps(seqs),))
    best = sorted(
        (-cosine(wanted, length, numbers_of(blob).tolist()), seq) for seq, blob in found.fetchall()
    )[:k]
    rows = connection.execute(
        query("executions.of_seqs"), (json.dumps([seq for _, seq in best]),)
    ).fetchall()
    by_seq = {row[0]: row for row in rows}
    return [Similar(-less, reading.logged(by_seq[seq])) for less, seq in best]
