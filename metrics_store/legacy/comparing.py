"""The full comparison: every record of the file against every row of its history in the store.

Contents, not counts: a record and a row are equal if the row gives back the very record. It reads
the file and the stored columns, and trusts neither a pass's counts nor the rows' digests.

A record that is the first of its key and that the first row of that key gives back is done with.
Any other waits: only all records of a key and all rows of it together tell what differs. The last
step looks at every row of the history for those that no record took.

========================  ==========================================================================
``only_in_file``          the store has no row for it
``different``             it and its row say different things
``moment``                its row says the same text, and has it stand for another moment
``store_ahead``           explained: the file holds it as unfinished, the store saw its end
``only_in_store``         explained: the file lost it, or was copied before it was there
========================  ==========================================================================
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from metrics_store import clock
from metrics_store.legacy import pairing
from metrics_store.legacy.json_file import Record
from metrics_store.legacy.likeness import (
    BARE,
    UNLIKE,
    content,
    likeness,
    same_moment,
)
from metrics_store.legacy.report import Comparison, Mismatch
from metrics_store.legacy.scratch import Found, Scratch
from metrics_store.legacy_format import stored
from metrics_store.legacy_format.record import Refused, Understood
from metrics_store.legacy_format.stored import StoredRow
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore

_BATCH = 2000
#: Keys that are settled, and rows that are looked at, in one view of the store.
_KEYS = 200
_ROWS = 5000
_EXAMPLES = 20

_LOST = "the file no longer has it; absence is not deletion"
_LATER = "it was recorded after the copy was taken"
_ENDED = "it ended after the file was written"
_ENDED_LATER = "it ended after the copy was taken"


class Comparing:
    """Compares one file with a store.

    Args:
        store: where its records are.
        source_id: a file of the history they belong to; 0 if none of it was ever taken in.
        scratch: what it remembers.
        understand: reads a record; called for every record, in order.
        each: called with every record that is understood, for the totals.
        only_stored: called with every row whose record the file no longer has.
        tick: called after every batch; nothing is half done then.
        found: called with every difference; by default they are counted.
        up_to_seq: the end of the log when the file was copied; None if nothing was since.
        later: called instead of ``only_stored`` with a row that came after that.
    """

    def __init__(
        self,
        store: MetricsStore,
        source_id: int,
        scratch: Scratch,
        understand: Callable[[Record], Understood],
        each: Callable[[Understood], None] = lambda _: None,
        only_stored: Callable[[StoredRow], None] = lambda _: None,
        tick: Callable[[], None] = lambda: None,
        *,
        found: Callable[[Found], None] | None = None,
        up_to_seq: int | None = None,
        later: Callable[[StoredRow], None] = lambda _: None,
    ) -> None:
        self._store = store
        self._source_id = source_id
        self._scratch = scratch
        self._understand = understand
        self._each = each
        self._only_stored = only_stored
        self._tick = tick
        self._counted = _Counted()
        self._tell = self._counted.add if found is None else found
        self._up_to_seq = up_to_seq
        self._later = later
        self._explained: dict[tuple[str, str, str], str] | None = None
        #: Records compared, and those whose like is in the store; a resumed one sets them.
        self.compared = 0
        self.equal = 0

    def _found(self, found: Found) -> None:
        """Tell a difference. A verify minds what people have said of it itself."""
        is_import = self._tell == self._counted.add
        if (
            is_import
            and found.explanation is None
            and found.in_json is not None
            and found.in_store is not None
        ):
            said = self._said().get((found.kind, found.in_json, found.in_store))
            found = found._replace(explanation=said)
        self._tell(found)

    def _said(self) -> dict[tuple[str, str, str], str]:
        if self._explained is None:
            with self._store.database.read() as connection:
                rows = connection.execute(query("legacy.said")).fetchall()
            self._explained = {(kind, ours, theirs): said for kind, ours, theirs, said in rows}
        return self._explained

    def run(self, records: Iterator[Record]) -> Comparison:
        """Compare everything at once."""
        self._scratch.forget()
        while batch := list(islice(records, _BATCH)):
            understood = []
            for element in batch:
                try:
                    understood.append((element.position, self._understand(element)))
                except Refused:
                    continue
            self.batch(understood)
            self._tick()
        self.settle()
        self.rest()
        return self._counted.comparison(self.compared, self.equal)

    def batch(self, understood: Sequence[tuple[int, Understood]]) -> None:
        """Compare the next records, each with its position; what is not plainly equal waits."""
        ids = [u.id(1) for _, u in understood]
        again = self._scratch.meet(ids, self.compared)
        self.compared += len(understood)
        with self._store.database.read() as connection:
            found = stored.by_id(connection, ids)
        kept, left = [], []
        for i, (position, u) in enumerate(understood):
            self._each(u)
            row = found.get(ids[i])
            alike = UNLIKE
            if row is not None and i not in again and same_moment(row, u):
                alike = likeness(row, u)
            if alike == BARE:
                # The row may be that of a later record which says just what it knows.
                kept.append((ids[i], u))
            if alike != UNLIKE:
                self.equal += 1
                continue
            if i not in again:
                left.append(ids[i])
            self._scratch.contest(position, u)
        self._scratch.keep(kept)
        self._scratch.take((row_id, False) for row_id in left)

    def settle(self, *, last: bool = True) -> int:
        """Settle the records that wait, key by key.

        Args:
            last: if not, a key of which something is unexplained is left to wait.

        Returns:
            How many keys wait still.
        """
        left, after = 0, ""
        while groups := self._scratch.waiting(after, _KEYS):
            after = groups[-1][0]
            with self._store.database.read() as connection:
                left += self._settle(connection, groups, last)
            self._tick()
        return left

    def rest(self) -> None:
        """Find the rows of this history that no record took."""
        with self._store.database.read() as connection:
            sources = json.dumps(
                [row[0] for row in connection.execute(query("verify.sources"), (self._source_id,))]
            )
        # In flight first: what ends meanwhile is met twice then, and not missed.
        for part, after in (("inflight", ""), ("exported", ""), ("log", 0)):
            sql = query(f"verify.{part}_rows")
            while True:
                with self._store.database.read() as connection:
                    page = connection.execute(sql, (sources, after, _ROWS)).fetchall()
                    self._lost(connection, dict(page))
                self._tick()
                if len(page) < _ROWS:
                    break
                after = page[-1][1] if part == "log" else page[-1][0]

    # A key

    def _settle(
        self, connection: Connection, groups: list[tuple[str, list[Understood]]], last: bool
    ) -> int:
        """Settle some keys; gives of how many nothing was decided."""
        firsts = [records[0].id(1) for _, records in groups]
        kept, untaken = self._scratch.kept(firsts), set(self._scratch.untaken(firsts))
        stored_rows = pairing.rows_of_keys(connection, [records for _, records in groups])
        settled: list[str] = []
        took: dict[str, bool] = {}
        for (key, records), first_id, rows in zip(groups, firsts, stored_rows, strict=True):
            first = kept.get(first_id)
            if first is not None:
                # It was taken for equal when it was met; now all of its key are known.
                records.insert(0, first)
            elif first_id not in untaken:
                rows = [row for row in rows if row["id"] != first_id]
            equal, differences, row_ids = self._paired(connection, records, rows)
            if not last and any(found.explanation is None for found in differences):
                continue
            self.equal += equal - (first is not None)
            took |= {first_id: False} if first is not None else {}
            took |= dict.fromkeys(row_ids, True)
            settled.append(key)
            for found in differences:
                self._found(found)
        self._scratch.take(took.items())
        self._scratch.settled(settled)
        return len(groups) - len(settled)

    def _paired(
        self, connection: Connection, records: list[Understood], rows: list[StoredRow]
    ) -> tuple[int, list[Found], list[str]]:
        """How many are equal, what differs, and the ids of the rows that found a record."""
        pairs, others = pairing.paired(records, rows)
        differences = [_other_moment(u, row) for u, row in pairs if not same_moment(row, u)]
        equal = len(pairs) - len(differences)
        took = [str(row["id"]) for _, row in pairs]
        for u, row in others:
            differences.append(self._differing(connection, u, row))
            if row is not None:
                took.append(str(row["id"]))
        return equal, differences, took

    def _differing(self, connection: Connection, u: Understood, row: StoredRow | None) -> Found:
        if row is None:
            return Found("only_in_file", None, u.skill_name, u.content, None)
        in_store = content(row, bare=u.is_bare)
        if u.pending and not stored.is_pending(row):
            ended = _ENDED_LATER if self._is_later(connection, row) else _ENDED
            return Found("store_ahead", ended, u.skill_name, u.content, in_store)
        return Found("different", None, u.skill_name, u.content, in_store)

    def _is_later(self, connection: Connection, row: StoredRow) -> bool:
        if self._up_to_seq is None:
            return False
        found = connection.execute(query("verify.seq"), (row["id"],)).fetchone()
        return found is not None and found[0] > self._up_to_seq

    # Rows that no record took

    def _lost(self, connection: Connection, seqs: dict[str, int | None]) -> None:
        untaken = self._scratch.untaken(list(seqs))
        rows = stored.by_id(connection, untaken)
        for row_id in untaken:
            if row_id not in rows:
                continue  # it was exported once, and its row is gone
            row, seq = rows[row_id], seqs[row_id]
            later = seq is not None and self._up_to_seq is not None and seq > self._up_to_seq
            (self._later if later else self._only_stored)(row)
            self._found(
                Found(
                    "only_in_store",
                    _LATER if later else _LOST,
                    str(row["skill_name"]),
                    None,
                    content(row),
                )
            )
        self._scratch.take((row_id, True) for row_id in untaken)


class _Counted:
    """The differences of an import: how many of each kind, and some of them."""

    def __init__(self) -> None:
        self._explained: Counter[str] = Counter()
        self._unexplained: Counter[str] = Counter()
        # By whether they are explained: thousands of explained ones must not hide the others.
        self._examples: dict[bool, list[Mismatch]] = {False: [], True: []}

    def add(self, found: Found) -> None:
        explained = found.explanation is not None
        (self._explained if explained else self._unexplained)[found.kind] += 1
        if len(self._examples[explained]) < _EXAMPLES:
            self._examples[explained].append(
                Mismatch(
                    found.kind,
                    explained,
                    found.explanation or "",
                    found.subject,
                    found.in_json,
                    found.in_store,
                )
            )

    def comparison(self, compared: int, equal: int) -> Comparison:
        examples = (*self._examples[False], *self._examples[True])[:_EXAMPLES]
        return Comparison(compared, equal, dict(self._explained), dict(self._unexplained), examples)


def _other_moment(u: Understood, row: StoredRow) -> Found:
    """The same text on both sides; the two moments are put after it."""
    in_json, in_store = (
        f"{text[:-1]},{json.dumps(moment)}]"
        for text, moment in (
            (u.content, clock.text(u.invoked_us)),
            (content(row, bare=u.is_bare), row["invoked_at"]),
        )
    )
    return Found("moment", None, u.skill_name, in_json, in_store)
