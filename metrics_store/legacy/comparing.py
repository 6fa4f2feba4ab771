"""The full comparison: every record of the file against every row of its history in the store.

Contents, not counts: a record and a row are equal if the row gives back the very record. It reads
the file again and the stored columns, and trusts neither the pass's counts nor the rows' digests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from metrics_store import clock
from metrics_store.legacy.json_file import Record
from metrics_store.legacy.report import Comparison, Mismatch
from metrics_store.legacy.scratch import Scratch
from metrics_store.legacy_format import record, stored
from metrics_store.legacy_format.moments import REPEATED
from metrics_store.legacy_format.record import Refused, Understood
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore

_BATCH = 2000
_EXAMPLES = 20


class Comparing:
    """Compares one file with a store.

    Args:
        store: where its records are.
        lineage: the history they belong to.
        scratch: how often the pass saw each key.
        understand: reads a record; called for every record, in order.
        each: called with every record that is in the store, for the totals.
        only_stored: called with every row whose record the file no longer has.
    """

    def __init__(
        self,
        store: MetricsStore,
        lineage: int,
        scratch: Scratch,
        understand: Callable[[Record], Understood],
        each: Callable[[Understood], None],
        only_stored: Callable[[stored.StoredRow], None],
        tick: Callable[[], None],
    ) -> None:
        self._store = store
        self._lineage = lineage
        self._scratch = scratch
        self._understand = understand
        self._each = each
        self._only_stored = only_stored
        self._tick = tick
        self._compared = 0
        self._equal = 0
        self._accounted = 0
        self._explained: Counter[str] = Counter()
        self._unexplained: Counter[str] = Counter()
        # By whether they are explained: thousands of explained ones must not hide the others.
        self._examples: dict[bool, list[Mismatch]] = {False: [], True: []}

    def run(self, records: Iterator[Record]) -> Comparison:
        """Compare everything."""
        self._scratch.forget_contested()
        while batch := list(islice(records, _BATCH)):
            self._batch(batch)
            self._tick()
        with self._store.database.read() as connection:
            for key in self._scratch.contested_keys(""):
                self._several(connection, key)
            self._rest(connection)
        examples = (*self._examples[False], *self._examples[True])[:_EXAMPLES]
        return Comparison(
            self._compared,
            self._equal,
            dict(self._explained),
            dict(self._unexplained),
            examples,
        )

    def _batch(self, records: Sequence[Record]) -> None:
        understood: list[tuple[int, Understood]] = []
        for element in records:
            try:
                understood.append((element.position, self._understand(element)))
            except Refused:
                continue
        self._compared += len(understood)
        ids = [u.id(1) for _, u in understood]
        seen = self._scratch.seen(ids)
        with self._store.database.read() as connection:
            found = stored.by_id(connection, ids)
        for (position, u), row_id in zip(understood, ids, strict=True):
            self._each(u)
            row = found.get(row_id)
            if seen[row_id][0] > 1:
                self._scratch.contest(position, u)
            elif row is None:
                self._differ("only_in_file", False, "", u, None)
            elif stored.says(row, u):
                self._accounted += stored.is_taken_in(row)
                self._one(u, row)
            else:
                # Its like may be another row of the key, one that had a twin in the file once.
                self._scratch.saw([row_id])
                self._scratch.contest(position, u)

    def _one(self, u: Understood, row: stored.StoredRow) -> None:
        if not stored.says(row, u):
            if u.pending and not stored.is_pending(row):
                self._differ("store_ahead", True, "it ended after the file was written", u, row)
            else:
                self._differ("different", False, "", u, row)
        elif row["invoked_at"] != clock.text(u.invoked_us) and not _is_repeated(u):
            self._differ("moment", False, "the same text stands for another moment", u, row)
        else:
            self._equal += 1

    def _several(self, connection: Connection, key: str) -> None:
        """A key with several records: pair equal ones, then the rest in order."""
        records = [u for _, n, u in self._scratch.contested(key) for _ in range(n)]
        rows = stored.of_key(connection, records[0])
        self._accounted += sum(map(stored.is_taken_in, rows))
        pairs, unpaired, free = stored.pair(records, rows)
        for i, j in pairs:
            self._one(records[i], rows[j])
        left, rest = [records[i] for i in unpaired], [rows[j] for j in free]
        for u in left:
            if rest:
                self._one(u, rest.pop(0))
            else:
                self._differ("only_in_file", False, "", u, None)
        for row in rest:
            self._lost(row)

    def _rest(self, connection: Connection) -> None:
        """Rows of this history that no record of the file accounts for."""
        if stored.count_lineage(connection, self._lineage) == self._accounted:
            return
        rows = stored.of_lineage(connection, self._lineage)
        while batch := list(islice(rows, _BATCH)):
            firsts = [stored.first_id(row) for row in batch]
            seen = self._scratch.seen(firsts)
            for row, first in zip(batch, firsts, strict=True):
                # Of a key that was seen several times, all rows were looked at.
                times = seen[first][0] if first in seen else 0
                if times == 0 or (times == 1 and row["id"] != first):
                    self._lost(row)

    def _lost(self, row: stored.StoredRow) -> None:
        self._only_stored(row)
        self._differ(
            "only_in_store", True, "the file no longer has it; absence is not deletion", None, row
        )

    def _differ(
        self,
        kind: str,
        explained: bool,
        explanation: str,
        u: Understood | None,
        row: stored.StoredRow | None,
    ) -> None:
        (self._explained if explained else self._unexplained)[kind] += 1
        if len(self._examples[explained]) >= _EXAMPLES:
            return
        name = u.skill_name if u is not None else str(row["skill_name"]) if row else ""
        in_store = record.content_of(row) if row is not None and row["legacy"] else None
        self._examples[explained].append(
            Mismatch(kind, explained, explanation, name, None if u is None else u.content, in_store)
        )


def _is_repeated(u: Understood) -> bool:
    return any(flag == REPEATED for flag, _ in u.flags)
