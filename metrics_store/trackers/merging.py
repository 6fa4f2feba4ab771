"""A tracker's own records, and putting them into the file's without loss and without doubling.

A plain legacy tracker rewrites the whole file from its own memory, and so erases what others wrote
since it last read. Hence a tracker of ours remembers every record it made, looks before each save
where they are, and puts back what is missing. Per key and content there are then as many records
as the file has or as this tracker wrote, whichever is more; one that was never in the file is
nobody else's, whatever the file holds already.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from metrics_store.trackers import numbers
from metrics_store.trackers.document import Document, Json

log = logging.getLogger("metrics_store")

Key = tuple[Json, Json, Json]


class Put(IntEnum):
    """How a record was put into the file."""

    NEVER = 0
    PENDING = 1
    ENDED = 2


@dataclass(slots=True, eq=False)
class Own:
    """A record that this tracker made.

    Args:
        record: the seven members; another object once it has ended.
        number: counts the starts.
        end: counts the ends; 0 while it is pending.
        put: how it was in a text that was, or may have been, put into the file.
        saved: whether the file had it, ended, when it was last written.
        failed: whether saving it failed, as its caller was told.
        position: where the document has it.
    """

    record: dict[str, Json]
    number: int = 0
    end: int = 0
    put: Put = Put.NEVER
    saved: bool = False
    failed: bool = False
    position: int | None = None


def merge(document: Document, kept: int, owns: Iterable[Own]) -> list[Own]:
    """Put a tracker's records into a document, and count in its totals those that it did not have.

    Args:
        document: is changed.
        kept: how many of its first records were there when this tracker last wrote: whatever of
            them is its own has its position.
        owns: in the order of starts; all those that are pending, unsaved or without a position.

    Returns:
        Those that are pending here and that somebody else has ended: they are no longer to be
        written.
    """
    owns = list(owns)
    elsewhere = _claim(document, kept, [own for own in owns if own.put and own.position is None])
    counted = []
    for own in owns:
        if own in elsewhere:
            continue
        if own.position is None:
            own.position = document.append(own.record)
        else:
            there = document.records[own.position]
            if not own.end or not isinstance(there, dict) or not is_pending(there):
                continue
            document.replace(own.position, {**there, **own.record})
        if own.end:
            counted.append(own)
    for own in sorted(counted, key=lambda own: own.end):
        count(document, own.record)
    return elsewhere


def _claim(document: Document, kept: int, owns: list[Own]) -> list[Own]:
    """Find the records again that somebody may have erased."""
    if not owns:
        return []
    free: dict[Key, list[int]] = {key_of(own.record): [] for own in owns}
    for position in range(kept, len(document.records)):
        record = document.records[position]
        if isinstance(record, dict) and (same := free.get(key_of(record))) is not None:
            same.append(position)
    for as_ended in (True, False):
        for own in owns:
            # An equal record that has ended is another's, if this one was only put as pending.
            if own.position is None and not (as_ended and own.put < Put.ENDED):
                same = free[key_of(own.record)]
                for position in same:
                    there = document.records[position]
                    if there == own.record if as_ended else is_pending(there):
                        own.position = position
                        same.remove(position)
                        break
    return [
        own for own in owns if own.position is None and not own.end and free[key_of(own.record)]
    ]


def count(document: Document, record: dict[str, Json]) -> None:
    """Count an ended record in the totals of its skill. Totals that are odd stay as they are."""
    name = str(record["skill_name"])
    before = document.skills.get(name)
    try:
        known = numbers.of_totals(name, before) if name in document.skills else None
    except ValueError as error:
        log.warning("an invocation is in the records, and not in the totals: %s", error)
        return
    totals = numbers.add(known, record).to_dict()
    document.set_totals(name, {**before, **totals} if isinstance(before, dict) else totals)


def key_of(record: dict[str, Json]) -> Key:
    """What tells records apart as far as the legacy format can."""
    skill, moment, path = map(record.get, ("skill_name", "invoked_at", "workflow_path"))
    # A list or an object is the key of nothing of ours.
    return tuple(x if x is None or isinstance(x, str) else "" for x in (skill, moment, path))  # type: ignore[return-value]


def is_pending(record: Json) -> bool:
    """Whether a record of the file says nothing of an end."""
    return (
        isinstance(record, dict)
        and record.get("completed") is False
        and record.get("duration_seconds") is None
        and not record.get("follow_up_actions")
        and record.get("error_type") is None
    )
