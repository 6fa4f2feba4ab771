"""A legacy file in memory: its values, and its text, of which a save encodes only what changed.

``json.dumps(..., indent=2)`` is pure Python and takes 9 ms for 1,000 records; a record's text is
made once here, by a template where it has the seven members that the legacy tracker writes.
"""

from __future__ import annotations

import json
import os
import time
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from json.encoder import encode_basestring_ascii

from metrics_store.errors import LegacyNotOverwritten
from metrics_store.legacy_format.members import MEMBERS
from metrics_store.trackers import file_state
from metrics_store.trackers.file_state import MISSING, Read, State

Json = object
Record = Mapping[str, Json]

#: Seconds in which a file that is not whole is read again: its tracker may be rewriting it.
PATIENCE = 0.5
_HEAD = '{\n  "invocations": [\n    '
_NEXT = ",\n    "

_quoted = encode_basestring_ascii


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

    def append(self, record: Json) -> int:
        """Add a record at the end; gives its position."""
        self._records.append(record)
        return len(self._records) - 1

    def replace(self, position: int, record: Json) -> None:
        """Put a record in the place of another."""
        self._records[position] = record
        if position < len(self._texts):
            self._texts[position] = _record_text(record)

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
        self._texts += map(_record_text, self._records[len(self._texts) :])
        return self._texts

    def skill_text(self, skill_name: str) -> str:
        """The text of a skill's totals, as it stands in the file."""
        text = self._skill_texts.get(skill_name)
        if text is None:
            text = self._skill_texts[skill_name] = _indented(self._skills[skill_name], 4)
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
        lengths = (len(text) + len(_NEXT) for text in self._texts[: self._verified])
        starts = list(accumulate(lengths, initial=len(_HEAD)))
        kept = bisect_right(starts, _common_length(self.read.data, data)) - 1
        if kept < 1:
            return None
        rest = data[starts[kept] :].decode()
        found = _of_text('{"invocations": [' + rest)
        found._records[:0] = self._records[:kept]
        found._texts = self._texts[:kept]
        found._verified = kept
        return found, kept


def text_of(document: Document) -> str:
    """The file's text: byte for byte what ``json.dumps(document.value(), indent=2)`` gives.

    Raises:
        LegacyNotOverwritten: it is nested too deeply to be written.
    """
    try:
        texts = document.texts()
        records = f"{_HEAD}{_NEXT.join(texts)}\n  ]" if texts else '{\n  "invocations": []'
        totals = _NEXT.join(
            f"{_quoted(name)}: {document.skill_text(name)}" for name in document.skills
        )
        skills = f"{{\n    {totals}\n  }}" if document.skills else "{}"
        rest = "".join(
            f",\n  {_quoted(name)}: {_indented(value, 2)}"
            for name, value in document.value().items()
            if name not in ("invocations", "skills")
        )
    except RecursionError as error:
        raise LegacyNotOverwritten("it is nested too deeply") from error
    return f'{records},\n  "skills": {skills}{rest}\n}}'


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


def _record_text(record: Json) -> str:
    if type(record) is dict and tuple(record) == MEMBERS:
        skill, invoked, path, completed, seconds, actions, error = record.values()
        if (
            type(skill) is str
            and type(invoked) is str
            and (path is None or type(path) is str)
            and (completed is True or completed is False)
            and (seconds is None or (type(seconds) is float and seconds - seconds == 0))
            and type(actions) is list
            and (error is None or type(error) is str)
            and all(type(action) is str for action in actions)
        ):
            within = ",\n        ".join(map(_quoted, actions))
            return (
                f'{{\n      "skill_name": {_quoted(skill)},\n'
                f'      "invoked_at": {_quoted(invoked)},\n'
                f'      "workflow_path": {"null" if path is None else _quoted(path)},\n'
                f'      "completed": {"true" if completed else "false"},\n'
                f'      "duration_seconds": {"null" if seconds is None else repr(seconds)},\n'
                f'      "follow_up_actions": '
                f"{f'[{chr(10)}        {within}{chr(10)}      ]' if actions else '[]'},\n"
                f'      "error_type": {"null" if error is None else _quoted(error)}\n    }}'
            )
    return _indented(record, 4)


def _indented(value: Json, by: int) -> str:
    # No text of JSON holds a bare line feed, so each is a line's end.
    return json.dumps(value, indent=2).replace("\n", "\n" + " " * by)
