"""A legacy file in memory: its values, and its text, of which a save encodes only what changed."""

from __future__ import annotations

import json
import os
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

from metrics_store.errors import LegacyNotOverwritten
from metrics_store.trackers import file_state
from metrics_store.trackers.file_state import MISSING, Read, State
from metrics_store.trackers.layout import HEAD, LINE, NEXT, Json, quoted, record_text, value_text

Record = Mapping[str, Json]
#: Skill, moment and workflow path.
Key = tuple[str | None, str | None, str | None]

#: Seconds in which a file that is not whole is read again: its tracker may be rewriting it.
PATIENCE = 0.5


class Document:
    """The values of a legacy file. Records and totals are replaced, never changed in place.

    Attributes:
        last_updated: the member of that name; None if the file has none.
        others: any further members of the file.
        read: the file as it was read, or as it was written.
    """

    def __init__(
        self,
        records: Sequence[Json] = (),
        skills: Mapping[str, Json] | None = None,
        last_updated: Json = None,
        others: Mapping[str, Json] | None = None,
    ) -> None:
        self._records = list(records)
        self._texts: list[str] = []  # of the first records, as many as were encoded
        self._positions: dict[Key, list[int]] = {}  # of the first records, as many as are in it
        self._indexed = 0
        self._skills = dict(skills or {})
        self._skill_texts: dict[str, str] = {}
        self.last_updated = last_updated
        self.others = dict(others or {})
        self.read = MISSING
        #: Of so many first records the text is known to stand in what was read.
        self._verified = 0

    @property
    def records(self) -> Sequence[Json]:
        """What ``invocations`` holds, whatever it is."""
        return self._records

    @property
    def skills(self) -> Mapping[str, Json]:
        """The totals by skill."""
        return self._skills

    def positions(self, key: Key) -> Sequence[int]:
        """Where it has the records of a key."""
        for position in range(self._indexed, len(self._records)):
            record = self._records[position]
            if isinstance(record, dict):
                self._positions.setdefault(key_of(record), []).append(position)
        self._indexed = len(self._records)
        return self._positions.get(key, ())

    def append(self, record: Json) -> int:
        """Add a record at the end; gives its position."""
        self._records.append(record)
        return len(self._records) - 1

    def replace(self, position: int, record: Json) -> None:
        """Put a record in the place of another of its key."""
        self._records[position] = record
        if position < len(self._texts):
            self._texts[position] = record_text(record)

    def set_totals(self, skill_name: str, totals: Json) -> None:
        """Put the totals of a skill."""
        self._skills[skill_name] = totals
        self._skill_texts.pop(skill_name, None)

    def value(self) -> dict[str, Json]:
        """All of it, as ``json.dumps`` takes it."""
        updated = {} if self.last_updated is None else {"last_updated": self.last_updated}
        return {"invocations": self._records, "skills": self._skills, **updated, **self.others}

    def texts(self) -> list[str]:
        """The text of every record, as it stands in the file."""
        self._texts += map(record_text, self._records[len(self._texts) :])
        return self._texts

    def skill_text(self, skill_name: str) -> str:
        """The text of a skill's totals, as it stands in the file."""
        text = self._skill_texts.get(skill_name)
        if text is None:
            text = self._skill_texts[skill_name] = value_text(self._skills[skill_name], LINE + "  ")
        return text

    def was_written(self, text: str, state: State | None) -> None:
        """Note that the file has this document's text now."""
        self.read = Read(state, text.encode(), settled=False, whole=True)
        self._verified = max(0, len(self._records) - 1)  # the last has no comma behind it

    def begun_with(self, data: bytes) -> tuple[Document, int] | None:
        """The document that other bytes stand for, if they begin as this one's text does.

        Returns:
            It, and how many of its first records are those of this one; None if that is none.
        """
        if not self._verified or self.read.data is None:
            return None
        ends = [0, *accumulate(map(len, self._texts[: self._verified]))]

        def start(position: int) -> int:
            return len(HEAD) + ends[position] + len(NEXT) * position

        common = _common_length(self.read.data, data)
        kept = bisect_right(range(len(ends)), common, key=start) - 1
        if kept < 1:
            return None
        rest = data[start(kept) :].decode()
        found = _of_text('{"invocations": [' + rest)
        found._records[:0] = self._records[:kept]
        found._texts = self._texts[:kept]
        found._verified = kept
        for record in self._records[kept : self._indexed]:
            if isinstance(record, dict):
                self._positions[key_of(record)].pop()
        found._positions, self._positions = self._positions, {}
        found._indexed, self._indexed = min(kept, self._indexed), 0
        return found, kept


def key_of(record: Record) -> Key:
    """What tells records apart as far as the legacy format can."""
    skill, moment = record.get("skill_name"), record.get("invoked_at")
    path = record.get("workflow_path")
    # A list or an object is in the key of nothing of ours, and cannot be looked up.
    return (
        skill if isinstance(skill, str) else None,
        moment if isinstance(moment, str) else None,
        path if isinstance(path, str) else None,
    )


def is_pending(record: Json) -> bool:
    """Whether a record of the file says nothing of an end."""
    return (
        isinstance(record, dict)
        and record.get("completed") is False
        and record.get("duration_seconds") is None
        and not record.get("follow_up_actions")
        and record.get("error_type") is None
    )


def text_of(document: Document) -> str:
    """The file's text: byte for byte what ``json.dumps(document.value(), indent=2)`` gives.

    Raises:
        LegacyNotOverwritten: it is nested too deeply to be written.
    """
    try:
        totals = NEXT.join(
            f"{quoted(name)}: {document.skill_text(name)}" for name in document.skills
        )
        skills = f"{{\n    {totals}\n  }}" if document.skills else "{}"
        rest = "".join(
            f",\n  {quoted(name)}: {value_text(value, LINE)}"
            for name, value in document.value().items()
            if name not in ("invocations", "skills")
        )
        rest = f',\n  "skills": {skills}{rest}\n}}'
        texts = document.texts()
        if not texts:
            return f'{{\n  "invocations": []{rest}'
        # Joined once and never added to: at 10,000 records each copy takes a millisecond.
        parts = texts.copy()
        parts[0] = HEAD + parts[0]
        parts[-1] += f"\n  ]{rest}"
        return NEXT.join(parts)
    except RecursionError as error:
        raise LegacyNotOverwritten("it is nested too deeply") from error


def load(path: str | os.PathLike[str], *, patience: float = PATIENCE) -> Document:
    """Read a legacy file; one that is missing is an empty document.

    Args:
        patience: seconds in which a file that is not whole, and was written just now, is read
            again.

    Raises:
        LegacyNotOverwritten: it is not what a tracker writes.
    """
    return reload(path, None, patience=patience)[0]


def reload(
    path: str | os.PathLike[str], known: Document | None, *, patience: float = PATIENCE
) -> tuple[Document, int]:
    """Read a legacy file again.

    Args:
        known: what it was; the same object is given back if its bytes are the same still.
        patience: as :func:`load`.

    Returns:
        The document, and how many of its first records are those of ``known``.

    Raises:
        LegacyNotOverwritten: as :func:`load`.
    """
    name = os.fspath(path)
    deadline = time.monotonic() + patience
    pause = 0.002
    while True:
        was = file_state.read(name)
        try:
            if not was.whole:
                raise ValueError("it is being written all the while")
            found, kept = _understood(was.data, known)
        except (ValueError, RecursionError) as error:
            if time.monotonic() >= deadline or was.settled:
                raise LegacyNotOverwritten(f"{name}: {error}"[:500]) from error
            time.sleep(pause)
            pause = min(2 * pause, 0.05)
            continue
        found.read = was
        return found, kept


def _understood(data: bytes | None, known: Document | None) -> tuple[Document, int]:
    if data is None:
        return Document(), 0
    if known is not None:
        if known.read.data == data:
            return known, len(known.records)
        try:
            begun = known.begun_with(data)
        except ValueError:
            begun = None  # read as a whole it says where it is torn
        if begun is not None:
            return begun
    return _of_text(data.decode("utf-8-sig")), 0


def _of_text(text: str) -> Document:
    if not text.strip():
        raise ValueError("it is empty")
    value = json.loads(text, object_pairs_hook=_without_repeats)
    if not isinstance(value, dict):
        raise ValueError("it is not an object")  # noqa: TRY004
    known = "invocations" in value or "skills" in value
    records, skills = value.pop("invocations", []), value.pop("skills", {})
    if value and not known:
        raise ValueError('it has neither "invocations" nor "skills"')
    if not isinstance(records, list) or not isinstance(skills, dict):
        odd = "skills" if isinstance(records, list) else "invocations"
        raise ValueError(f'its "{odd}" is not what a tracker writes')  # noqa: TRY004
    return Document(records, skills, value.pop("last_updated", None), value)


def _without_repeats(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        # Written again, all but the last of them would be gone.
        raise ValueError("an object in it has two members of one name")
    return found


def _common_length(one: bytes, other: bytes) -> int:
    """How many bytes two texts begin with in common."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
