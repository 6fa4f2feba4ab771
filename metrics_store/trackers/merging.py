"""A tracker's own records, and putting them into the file's without loss and without doubling.

A plain legacy tracker rewrites the whole file from its own memory, and so erases what others wrote
since it last read. Hence a tracker of ours remembers every record it made, looks before each save
where they are, and puts back what is missing. Per key and content there are then as many records
as the file has or as this tracker put there, whichever is more. One that began here and was never
put there is in addition to whatever the file holds: two processes may make the same one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from enum import IntEnum

from metrics_store.trackers import numbers
from metrics_store.trackers.document import Document, is_pending, key_of
from metrics_store.trackers.layout import Json

log = logging.getLogger("metrics_store")


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
        elsewhere: whether it began elsewhere, so that the file may have it already.
        position: where the document has it.
    """

    record: dict[str, Json]
    number: int = 0
    end: int = 0
    put: Put = Put.NEVER
    saved: bool = False
    failed: bool = False
    elsewhere: bool = False
    position: int | None = None


def merge(document: Document, owns: Iterable[Own], held: Container[int]) -> list[Own]:
    """Put a tracker's records into a document, and count in its totals those that it did not have.

    Args:
        document: is changed.
        owns: in the order of starts; all those that are pending, unsaved or without a position.
        held: the positions of the tracker's other records.

    Returns:
        Those that are pending here and that somebody else has ended: they are no longer to be
        written.
    """
    owns = list(owns)
    elsewhere = _claim(document, owns, held)
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


def _claim(document: Document, owns: list[Own], held: Container[int]) -> list[Own]:
    """Find the records again that somebody may have erased, or that began elsewhere."""
    lost = [own for own in owns if own.position is None and (own.put or own.elsewhere)]
    if not lost:
        return []
    taken = {own.position for own in owns}

    def claim(own: Own, fits: Callable[[Json], bool]) -> bool:
        for position in document.positions(key_of(own.record)):
            if position in taken or position in held or not fits(document.records[position]):
                continue
            taken.add(position)
            own.position = position
            return True
        return False

    # An equal record that has ended is another's, if this one was only put as pending.
    left = [own for own in lost if own.put < Put.ENDED or not claim(own, own.record.__eq__)]
    left = [own for own in left if not claim(own, is_pending)]
    left = [own for own in left if not (own.elsewhere and claim(own, own.record.__eq__))]
    return [own for own in left if not own.end and claim(own, lambda _: True)]


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
