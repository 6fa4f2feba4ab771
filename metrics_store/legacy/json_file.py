"""Reading a legacy JSON file of any size: every record, with its source text, in bounded memory.

`json.load` takes 1,300 MB for a file of 200 MB; this takes 3 MB, or what its largest record needs.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from metrics_store.errors import InvalidValue, LegacyFileError, LegacyFileNotFound, NotLegacyFile
from metrics_store.legacy.json_text import JsonText, JsonValue

__all__ = ["JsonValue", "Member", "Record", "Totals", "read"]


@dataclass(frozen=True, slots=True)
class Record:
    """One element of the "invocations" array, of whatever type it is.

    `position` counts from 0 over the file in reading order; `raw` is the exact source text;
    `duplicate_keys` occur twice in one of its objects (the value has the last); `superseded` says
    that the legacy loader does not see it, because the file has a later "invocations".
    """

    position: int
    raw: str
    value: JsonValue
    duplicate_keys: tuple[str, ...]
    superseded: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """One member of the "skills" object; `superseded` if a later one takes its place."""

    skill_name: str
    raw: str
    value: JsonValue
    superseded: bool


@dataclass(frozen=True, slots=True)
class Member:
    """Any other member of the file: `last_updated`, or a known key with a value of another type."""

    key: str
    raw: str
    value: JsonValue


def read(path: Path, *, chunk_size: int = 1 << 18) -> Iterator[Record | Totals | Member]:
    """Read a legacy file from begin to end, as far as it is whole.

    Numbers, NaN and lone surrogates are as Python's json takes them (an integer of more digits than
    Python converts becomes a float); bytes that are not UTF-8 come as lone surrogates, as
    `surrogateescape` has it. Read a private copy: a file that changes meanwhile gives nonsense.

    `chunk_size` is in bytes. Raises LegacyFileNotFound, NotLegacyFile, LegacyFileError if it cannot
    be opened, and TornFile after everything that was whole.
    """
    if chunk_size < 1:
        raise InvalidValue(f"chunk_size is {chunk_size}, and must be at least 1")
    with _open(path) as file:
        text = JsonText(file, chunk_size, _start_of_text(file))
        if (first := text.peek()) != "{":
            what = f"it begins with {first!r}, not with a brace" if first else "it has only blanks"
            raise NotLegacyFile(what, hint=_HINT)
        begin = text.mark()
        may_repeat = _known_keys_may_repeat(file, chunk_size)
        text.rewind(begin)
        last = _last_members(text) if may_repeat else {}
        text.rewind(begin)
        yield from _members(text, last)


_HINT = 'A legacy file is a JSON object with "invocations", "skills" or both: look at the path.'

_OTHER_FORMATS = (
    (b"\x1f\x8b", "a gzip archive", "Unpack it first: gunzip -k FILE."),
    (b"PK\x03\x04", "a zip archive", "Unpack it first: unzip FILE."),
    (b"SQLite format 3\0", "an SQLite database", "Name the tracker's JSON file, not a database."),
    (b"\xff\xfe\0\0", "UTF-32 text", "Convert it first: iconv -f UTF-32 -t UTF-8."),
    (b"\0\0\xfe\xff", "UTF-32 text", "Convert it first: iconv -f UTF-32 -t UTF-8."),
    (b"\xff\xfe", "UTF-16 text", "Convert it first: iconv -f UTF-16 -t UTF-8."),
    (b"\xfe\xff", "UTF-16 text", "Convert it first: iconv -f UTF-16 -t UTF-8."),
    (b"{\0\0\0", "UTF-32 text", "Convert it first: iconv -f UTF-32LE -t UTF-8."),
    (b"\0\0\0{", "UTF-32 text", "Convert it first: iconv -f UTF-32BE -t UTF-8."),
    (b"{\0", "UTF-16 text", "Convert it first: iconv -f UTF-16LE -t UTF-8."),
    (b"\0{", "UTF-16 text", "Convert it first: iconv -f UTF-16BE -t UTF-8."),
    (b"\0", "zero bytes, as a crash leaves them", "Take the newest backup of the file."),
)


def _open(path: Path) -> BinaryIO:
    try:
        return open(path, "rb", buffering=0)
    except FileNotFoundError:
        raise LegacyFileNotFound(str(path)) from None
    except OSError as error:
        raise LegacyFileError(f"{path}: {error.strerror}") from error


def _start_of_text(file: BinaryIO) -> int:
    """The offset of the first character, once the file is known to be UTF-8 text of some kind."""
    head = file.read(16)
    if not head:
        raise NotLegacyFile("it is empty", hint=_HINT)
    for prefix, name, hint in _OTHER_FORMATS:
        if head.startswith(prefix):
            raise NotLegacyFile(f"it looks like {name}", hint=hint)
    return 3 if head.startswith(b"\xef\xbb\xbf") else 0


def _known_keys_may_repeat(file: BinaryIO, chunk_size: int) -> bool:
    """Whether a cheap look at the bytes leaves it possible that a known key comes twice.

    Every letter of the known keys would be escaped as backslash u006x or u007x.
    """
    file.seek(0)
    counts = {b'"invocations"': 0, b'"skills"': 0}
    tail = b""
    while block := file.read(chunk_size):
        window = tail + block
        if b"\\u00" in window and (b"\\u006" in window or b"\\u007" in window):
            return True
        for key in counts:
            counts[key] += window.count(key, max(0, len(tail) - len(key) + 1))
            if counts[key] > 1:
                return True
        tail = window[-16:]
    return False


def _last_members(text: JsonText) -> dict[str, int]:
    """The index of each top-level key's last occurrence, found by walking the whole file."""
    last: dict[str, int] = {}
    try:
        for index, key in enumerate(text.each_key()):
            last[key] = index
            _skip(text)
    except LegacyFileError:
        pass  # The reading proper meets it again, after what is whole.
    return last


def _skip(text: JsonText) -> None:
    """Read over a value in the memory that its largest element needs."""
    opener = text.peek()
    if opener == "[":
        for _ in text.each_element():
            pass
    elif opener == "{":
        for _ in text.each_key():
            text.value()
    else:
        text.value()


def _members(text: JsonText, last: dict[str, int]) -> Iterator[Record | Totals | Member]:
    known = False
    for index, key in enumerate(text.each_key()):
        known = known or key in ("invocations", "skills")
        superseded = last.get(key, index) != index
        opener = text.peek()
        if key == "invocations" and opener == "[":
            for raw, value, duplicate_keys in text.each_element():
                position = text.records
                text.records += 1
                yield Record(position, raw, value, duplicate_keys, superseded)
        elif key == "skills" and opener == "{":
            yield from _totals(text, superseded)
        else:
            raw, value, _ = text.value()
            yield Member(key, raw, value)
    if not known:
        raise NotLegacyFile('it has neither "invocations" nor "skills"', hint=_HINT)
    if text.peek():
        raise text.torn("more text after the closing brace")


def _totals(text: JsonText, superseded: bool) -> Iterator[Totals]:
    """Two walks, since which member of a name is the last is known only at the end."""
    begin = text.mark()
    last: dict[str, int] = {}
    try:
        for index, name in enumerate(text.each_key()):
            text.value()
            last[name] = index
    except LegacyFileError:
        pass  # The second walk meets it again, after what is whole.
    text.rewind(begin)
    for index, name in enumerate(text.each_key()):
        raw, value, _ = text.value()
        yield Totals(name, raw, value, superseded or last.get(name, index) != index)
