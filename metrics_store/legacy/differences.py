"""The stored differences between a legacy file and the store, for people to look at and explain.

What stands is what the newest verify found, and what compared reads found; an older verify's are
history, and are asked for by its number.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from metrics_store.errors import InvalidValue, LegacyFileError, UsageError
from metrics_store.legacy import resolving, verifying
from metrics_store.legacy.passes import now_text, printable
from metrics_store.legacy.workplace import source_of, verify_place
from metrics_store.legacy_format.record import MEMBERS
from metrics_store.results import Result
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore

#: What a record's canonical text holds, in its order; the last is there if moments differ.
_OF_RECORD = (*MEMBERS, "session_id", "", "moment")
_PAGE = 10_000


class DifferingMember(NamedTuple):
    """A member that differs: each side's value as JSON text, None where it is missing."""

    name: str
    in_json: str | None
    in_store: str | None


@dataclass(frozen=True, slots=True)
class Difference(Result):
    """A difference; it is open as long as nothing explains it.

    Args:
        verify_id: the verify that found it; None if a compared read did.
        epoch: of the migration.
        kind: as in :mod:`metrics_store.legacy.comparing`; ``quarantined`` or ``read`` besides.
        subject: the skill, or the method that was called and the skill.
        in_json, in_store: what each side says as JSON text, None where it has nothing.
        json_us, store_us: how long each side took for a read, microseconds.
        explained_by: a person, or ``metrics-store``.
    """

    id: int
    verify_id: int | None
    epoch: int
    found_at: str
    kind: str
    subject: str
    in_json: str | None
    in_store: str | None
    json_us: int | None
    store_us: int | None
    explanation: str | None
    explained_at: str | None
    explained_by: str | None

    @property
    def is_open(self) -> bool:
        """Whether nothing explains it."""
        return self.explanation is None

    @property
    def members(self) -> tuple[DifferingMember, ...]:
        """The members that differ, in the order of the file's side."""
        ours, theirs = (
            dict(_members(text, is_record=self.kind != "read"))
            for text in (self.in_json, self.in_store)
        )
        names = dict.fromkeys((*ours, *theirs))
        pairs = ((name, ours.get(name), theirs.get(name)) for name in names)
        return tuple(DifferingMember(*pair) for pair in pairs if pair[1] != pair[2])


@dataclass(frozen=True, slots=True)
class KindCount(Result):
    """How many differences of a kind are open, and how many are explained."""

    kind: str
    open: int
    explained: int


def listed(
    store: MetricsStore,
    *,
    open_only: bool = False,
    kind: str | None = None,
    verify_id: int | None = None,
    limit: int = 100,
    after: int = 0,
) -> tuple[Difference, ...]:
    """Differences in the order of their ids.

    Args:
        open_only: only those that nothing explains.
        kind: only those of a kind.
        verify_id: those of a verify alone; by default of the newest one, and of compared reads.
        limit: how many at most.
        after: only those with a greater id.
    """
    with store.database.read() as connection:
        reads = verify_id is None
        of = _newest(connection) if reads else verify_id
        values = (after, of, reads, kind, open_only, limit)
        rows = connection.execute(query("verify.differences"), values).fetchall()
    return tuple(Difference(*row) for row in rows)


def one(store: MetricsStore, difference_id: int) -> Difference:
    """A difference by its id.

    Raises:
        UsageError: there is none.
    """
    with store.database.read() as connection:
        return _one(connection, difference_id)


def counts(store: MetricsStore, *, verify_id: int | None = None) -> tuple[KindCount, ...]:
    """How many differences there are, by kind.

    Args:
        verify_id: those of a verify alone; by default of the newest one, and of compared reads.
    """
    with store.database.read() as connection:
        run = connection.execute
        of = _newest(connection) if verify_id is None else verify_id
        rows = run(query("verify.kinds"), (of,)).fetchall()
        if verify_id is None:
            rows += run(query("verify.read_kinds")).fetchall()
    return tuple(KindCount(*row) for row in rows)


def explain(store: MetricsStore, difference_id: int, reason: str, by: str) -> Difference:
    """Note a person's word on why a difference is no fault.

    The same difference, found again by later verifies, is explained by it too.

    Raises:
        InvalidValue: the reason is empty, or nobody gives it.
        UsageError: there is no such difference, or it is explained already.
    """
    reason, by = printable(reason).strip(), printable(by).strip()
    if not reason:
        raise InvalidValue("the reason is empty", hint="Say why it is no fault.")
    if not by or by == verifying.OURS:
        raise InvalidValue(f"nobody is named {by!r}", hint="Say who gives the reason.")

    def work(connection: Connection) -> Difference:
        known = _one(connection, difference_id)
        if not known.is_open:
            raise UsageError(
                f"difference {difference_id} is explained already, by {known.explained_by} at "
                f"{known.explained_at}: {known.explanation}"
            )
        values = (reason, now_text(store), by, difference_id)
        connection.execute(query("verify.explain"), values)
        return _one(connection, difference_id)

    return store.database.write(work)


def explain_again(
    store: MetricsStore, json_file: Path, *, zone: str | None = None
) -> tuple[Difference, ...]:
    """Look every open difference of the newest verify up again, in the present file and the store.

    One that has resolved itself is marked so, if both sides bear it out: what neither has any more
    stays open.

    Args:
        json_file: the file that the verify compared.
        zone: of its naive moments; by default the verify's.

    Returns:
        Those that were resolved.

    Raises:
        LegacyFileError: it is another file, or it cannot be read.
    """
    source, report = source_of(store.path, json_file), verifying.last(store)
    if report is None:
        return ()
    if printable(str(source)) != report.source:
        raise LegacyFileError(
            f"the newest verify was of {report.source}, not of {source}",
            hint="Name that file, or verify this one: metrics-store legacy verify.",
        )
    resolved: list[int] = []
    with verify_place(store.path) as directory:
        for page in _open_of(store, report.verify_id):
            look = resolving.Look(store, source, report.verify_id, zone or report.zone, directory)
            for difference in page:
                look.at(difference.id, difference.kind, difference.in_json, difference.in_store)
            found = [(why, difference_id) for difference_id, why in look.resolved()]
            _note(store, found)
            resolved += [difference_id for _, difference_id in found]
    return tuple(one(store, difference_id) for difference_id in resolved)


def _open_of(store: MetricsStore, verify_id: int) -> Iterator[tuple[Difference, ...]]:
    after = 0
    while page := listed(store, open_only=True, verify_id=verify_id, limit=_PAGE, after=after):
        yield page
        after = page[-1].id


def _note(store: MetricsStore, found: list[tuple[str, int]]) -> None:
    now = now_text(store)

    def work(connection: Connection) -> None:
        connection.executemany(
            query("verify.explain"),
            [(f"resolved: {why}", now, verifying.OURS, n) for why, n in found],
        )

    store.database.write(work, rows=len(found))


def _newest(connection: Connection) -> int | None:
    newest: int | None = connection.execute(query("verify.newest")).fetchone()[0]
    return newest


def _one(connection: Connection, difference_id: int) -> Difference:
    row = connection.execute(query("verify.difference"), (difference_id,)).fetchone()
    if row is None:
        raise UsageError(
            f"there is no difference {difference_id}", hint="See: metrics-store legacy diff list."
        )
    return Difference(*row)


def _members(text: str | None, *, is_record: bool) -> Iterator[tuple[str, str]]:
    """The members of one side and their values, as JSON text."""
    if text is None:
        return
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        yield "text", text  # it was kept apart, perhaps because of this
        return
    if is_record and isinstance(value, list) and len(value) in (9, 10):
        extra = value[8] if isinstance(value[8], dict) else {}
        value = {**dict(zip(_OF_RECORD, value, strict=False)), **extra}
        del value[""]
    yield from _flat("", value)


def _flat(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _flat(f"{name}/{key}" if name else str(key), item)
    else:
        yield name or "value", json.dumps(value, ensure_ascii=False)
