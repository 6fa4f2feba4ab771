"""Totals of a legacy file that its records do not explain.

The legacy log may have been trimmed while its totals went on, or an invocation ended twice. The
totals are never imported as if they were records: the baseline is what they exceed the records by,
kept apart and added where the classic totals are asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from metrics_store import clock
from metrics_store.legacy.json_file import JsonValue, Totals
from metrics_store.legacy.passes import printable
from metrics_store.legacy.report import BaselineLine
from metrics_store.legacy_format import stored
from metrics_store.legacy_format.record import Understood
from metrics_store.sql import query
from metrics_store.sqlite import Connection

#: Rounding of one record's duration to whole microseconds, and of adding floats up.
_NOISE_US_PER_RECORD = 1


@dataclass(slots=True)
class _Sums:
    """Totals of one skill by the legacy rules."""

    n: int = 0
    completed: int = 0
    us: int = 0
    counts: dict[str, dict[str, int]] = field(
        default_factory=lambda: {"path": {}, "error": {}, "action": {}}
    )
    first: str | None = None
    last: str | None = None

    def count(self, kind: str, label: str, n: int = 1) -> None:
        counts = self.counts[kind]
        counts[label] = counts.get(label, 0) + n


class Recount:
    """Adds records up by the legacy rules, to be set against the file's own totals."""

    def __init__(self) -> None:
        self._sums: dict[str, _Sums] = {}
        #: The skills of the file's records.
        self.skills: set[str] = set()

    def add(self, u: Understood) -> None:
        """A record of the file. One that never ended is in no total."""
        self.skills.add(u.skill_name)
        if not u.pending:
            # The file's totals count what the sibling invented, too.
            us = None if u.seconds is None else round(u.seconds * clock.MICROSECONDS)
            self._add(u.skill_name, u.completed, us, u.workflow_path, u.error_type, u.actions or ())

    def add_stored(self, row: stored.StoredRow) -> None:
        """A row whose record the file once had: its totals count it still."""
        if not stored.is_pending(row):
            us = row["duration_us"]
            self._add(
                str(row["skill_name"]),
                row["outcome"] == "completed",
                None if us is None else int(str(us)),
                row["workflow_path"],
                row["error_type"],
                json.loads(str(row["follow_up_actions"])),
            )

    def add_row(
        self,
        skill: str,
        completed: bool | int,
        us: int | None,
        path: str | None,
        error: str | None,
        actions: str,
    ) -> None:
        """A row of the log, by its columns."""
        labels = [] if actions == "[]" else json.loads(actions)
        self._add(skill, bool(completed), us, path, error, labels)

    def less(self, other: Recount, skill: str, kind: str, label: str) -> tuple[int, int, int]:
        """As :meth:`number`, without what another has."""
        mine, its = self.number(skill, kind, label), other.number(skill, kind, label)
        return mine[0] - its[0], mine[1] - its[1], mine[2] - its[2]

    def number(self, skill: str, kind: str, label: str) -> tuple[int, int, int]:
        """How many, how many completed, and their microseconds (the latter two of a total)."""
        sums = self._sums.get(skill, _Sums())
        if kind == "total":
            return sums.n, sums.completed, sums.us
        return sums.counts[kind].get(label, 0), 0, 0

    def _add(
        self,
        skill: str,
        completed: bool,
        us: int | None,
        path: object,
        error: object,
        actions: Sequence[str],
    ) -> None:
        sums = self._sums.setdefault(skill, _Sums())
        sums.n += 1
        if completed:
            sums.completed += 1
            sums.us += us or 0
        if path:
            sums.count("path", str(path))
        if error:
            sums.count("error", str(error))
        for action in actions:
            sums.count("action", action)

    def difference(self, stated: Mapping[str, _Sums]) -> dict[str, _Sums]:
        """What the file's totals have more than the records, by skill; zeros left out."""
        found: dict[str, _Sums] = {}
        for skill, totals in stated.items():
            records = self._sums.get(skill, _Sums())
            more = _Sums(totals.n - records.n, totals.completed - records.completed)
            us = totals.us - records.us
            more.us = us if abs(us) > _NOISE_US_PER_RECORD * max(1, records.n) else 0
            for kind, counts in totals.counts.items():
                for label in {*counts, *records.counts[kind]}:
                    n = counts.get(label, 0) - records.counts[kind].get(label, 0)
                    if n:
                        more.count(kind, label, n)
            if more.n or more.completed or more.us or any(more.counts.values()):
                more.first, more.last = totals.first, totals.last
                found[skill] = more
        return found


class Stated:
    """The totals that the file states, read leniently: what is no number is an anomaly.

    Args:
        moment_us: reads a moment of the file, in microseconds since 1970.
    """

    def __init__(self, moment_us: Callable[[str], int]) -> None:
        self._moment_us = moment_us
        self.skills: dict[str, _Sums] = {}
        self.anomalies: list[str] = []

    def add(self, totals: Totals) -> None:
        """The totals of one skill."""
        name = totals.skill_name
        value = totals.value
        if not isinstance(value, dict) or printable(name) != name or not name:
            self.anomalies.append(f"totals of {printable(name)!r} cannot be read")
            return
        try:
            sums = _Sums(
                _whole(value.get("total_invocations", 0)),
                _whole(value.get("completed_invocations", 0)),
                _us(value.get("total_duration_seconds")),
            )
            for kind, member in (
                ("path", "workflow_paths"),
                ("error", "common_errors"),
                ("action", "follow_up_actions"),
            ):
                for label, n in _object(value.get(member)).items():
                    sums.count(kind, label, _whole(n))
                    label.encode()
            sums.first = self._moment(value.get("first_invoked"))
            sums.last = self._moment(value.get("last_invoked"))
        except (ValueError, TypeError, OverflowError) as error:
            self.anomalies.append(f"totals of {name!r} cannot be read: {error}"[:200])
            return
        self.skills[name] = sums

    def _moment(self, text: object) -> str | None:
        return clock.text(self._moment_us(text)) if isinstance(text, str) else None


def keep(connection: Connection, source_id: int, stated: Mapping[str, _Sums]) -> None:
    """Keep the totals that a file states, in the place of those it stated before."""
    run, one = connection.execute, query("legacy.set_total")
    run(query("legacy.drop_totals"), (source_id,))
    for skill, sums in stated.items():
        total = (sums.n, sums.completed, sums.us, sums.first, sums.last)
        run(one, (source_id, skill, "total", "", *total))
        for kind, counts in sums.counts.items():
            for label, n in counts.items():
                run(one, (source_id, skill, kind, label, n, 0, 0, None, None))


def compute(
    connection: Connection,
    lineage: int,
    later: Recount,
    since_seq: int | None = None,
    before: str | None = None,
) -> None:
    """Reckon a lineage's baseline anew, in the transaction that is open.

    It is what the newest copy states beyond all rows of the lineage, and never less than nothing.
    Nor is it less than it was, but for rows that came since of moments that the earlier totals
    counted: a tracker that has lost records to another one states smaller totals, and absence is
    not deletion.

    Added up here, row by row: sorted by SQLite a million rows took 150 MB, for its temporary
    tables are in memory.

    Args:
        later: rows of the lineage that came after the copy: its totals do not count them.
        since_seq: rows of the log after this one are new; None if that is not known.
        before: when the copy was written that the present baseline is of, as it says itself.
    """
    run = connection.execute
    was = {
        (skill, kind, label): _Numbers(n, completed, us, first, last)
        for skill, kind, label, n, completed, us, first, last in run(
            query("legacy.baseline_of"), (lineage,)
        )
    }
    run(query("legacy.drop_baseline"), (lineage,))
    stated = run(query("legacy.newest_totals"), (lineage,)).fetchall()
    held, late = Recount(), Recount()
    for row in run(query("legacy.held_by_lineage"), (lineage,)):
        held.add_row(*row)
    known = since_seq is not None and before is not None
    if known:
        for row in run(query("legacy.late_rows"), (lineage, since_seq, before)):
            late.add_row(*row)
    found = {
        (skill, kind, label): _Numbers(n, completed, us, first, last)
        for skill, kind, label, n, completed, us, first, last in stated
    }
    for skill, kind, label in {**found, **(was if known else {})}:
        numbers = _beyond(
            found.get((skill, kind, label)),
            held.less(later, skill, kind, label),
            was.get((skill, kind, label)) if known else None,
            late.number(skill, kind, label),
        )
        if any(numbers[:3]):
            run(query("legacy.set_baseline"), (lineage, skill, kind, label, *numbers))


class _Numbers(NamedTuple):
    n: int
    completed: int
    us: int
    first: str | None
    last: str | None


def _beyond(
    stated: _Numbers | None,
    held: tuple[int, int, int],
    was: _Numbers | None,
    late: tuple[int, int, int],
) -> _Numbers:
    """What the totals state beyond the rows, and what they stated beyond them before."""
    more = [0, 0, 0]
    first = last = None
    for numbers, less in ((stated, held), (was, late)):
        if numbers is None:
            continue
        # Rounding of one row's duration to whole microseconds, and of adding floats up.
        noise = _NOISE_US_PER_RECORD * max(1, less[0])
        us = numbers.us - less[2]
        more = [
            max(more[0], numbers.n - less[0]),
            max(more[1], numbers.completed - less[1]),
            max(more[2], us if us > noise else 0),
        ]
        first, last = first or numbers.first, last or numbers.last
    return _Numbers(more[0], more[1], more[2], first, last)


def lines(connection: Connection, lineage: int) -> tuple[BaselineLine, ...]:
    """The baseline of a lineage, by skill."""
    return tuple(
        BaselineLine(skill, n, completed, us / 1e6)
        for skill, n, completed, us in connection.execute(
            query("legacy.baseline_lines"), (lineage,)
        )
    )


def negatives(difference: Mapping[str, _Sums]) -> list[str]:
    """What the totals have less than the records: the file contradicts itself."""
    found = []
    for skill, more in sorted(difference.items()):
        for name, value in (
            ("total_invocations", more.n),
            ("completed_invocations", more.completed),
        ):
            if value < 0:
                found.append(f"{skill!r}: {name} is {-value} less than its records add up to")
    return found


def _object(value: JsonValue) -> dict[str, JsonValue]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no object"[:100])
    return value


def _us(seconds: object) -> int:
    us = round(float(str(seconds or 0)) * clock.MICROSECONDS)
    if abs(us) > 1 << 53:
        raise ValueError(f"{seconds!r} seconds are too many")
    return us


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise ValueError(f"{value!r} is no whole number")
    if abs(value) > 1 << 53:
        raise ValueError(f"{value!r} is too large")
    return int(value)
