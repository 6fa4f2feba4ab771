"""A JSON text of any size, read value by value through a window of bounded memory."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import BinaryIO, TypeAlias

from metrics_store.errors import NotLegacyFile, TornFile

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

BLANKS = " \t\n\r"
_skip_blanks = re.compile(r"[ \t\n\r]*").match
_skip_comma = re.compile(r"[ \t\n\r]*,[ \t\n\r]*").match
# The longest piece that a cut can leave at the window's end and that json calls a mistake: a name
# such as -Infinity, or an escaped surrogate pair. A mistake further from the end is a real one.
_CUT_MARGIN = 16


class JsonText:
    """A position in the file, and as much text around it as the value there needs.

    `records` is the caller's count of whole records so far; errors report it.
    """

    def __init__(self, file: BinaryIO, chunk_size: int, start: int) -> None:
        self._file = file
        self._chunk_size = chunk_size
        self._repeated: list[str] = []
        self._decode = json.JSONDecoder(
            object_pairs_hook=self._object, parse_int=_integer
        ).raw_decode
        self.records = 0
        self.rewind((start, 1))

    def mark(self) -> tuple[int, int]:
        """The position, for `rewind`: byte offset in the file, line number."""
        before = self._text[: self._pos]
        return self._offset + _byte_length(before), self._line + before.count("\n")

    def rewind(self, mark: tuple[int, int]) -> None:
        """Go to a position that `mark` gave."""
        self._offset, self._line = mark
        self._file.seek(self._offset)
        # Bytes that are not UTF-8 must survive into the raw text of what could not be taken in.
        self._bytes = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._text, self._pos, self._ended = "", 0, False

    def peek(self) -> str:
        """The next character that is not blank, unread; empty at the end of the file."""
        while True:
            blanks = _skip_blanks(self._text, self._pos)
            assert blanks is not None
            self._pos = blanks.end()
            if self._pos < len(self._text):
                return self._text[self._pos]
            if self._ended:
                return ""
            self._grow()

    def take(self, allowed: str) -> str:
        """Read one of the allowed characters. Raises TornFile if something else is there."""
        found = self.peek()
        if not found or found not in allowed:
            raise self.torn(f"{found!r} where one of {' '.join(allowed)} belongs")
        self._pos += 1
        return found

    def each_key(self) -> Iterator[str]:
        """Walk an object: yield each key; the caller reads its value before asking for the next."""
        self.take("{")
        if self.peek() == "}":
            self._pos += 1
            return
        while True:
            if self.peek() != '"':
                raise self.torn("a key in quotes belongs here")
            key = self.value()[1]
            assert isinstance(key, str)
            self.take(":")
            yield key
            if self.take(",}") == "}":
                return

    def each_element(self) -> Iterator[tuple[str, JsonValue, tuple[str, ...]]]:
        """Walk an array: yield what `value` gives for each element."""
        self.take("[")
        if self.peek() == "]":
            self._pos += 1
            return
        while True:
            self.peek()
            yield from self._elements_in_window()
            yield self.value()
            if self.take(",]") == "]":
                return

    def _elements_in_window(self) -> Iterator[tuple[str, JsonValue, tuple[str, ...]]]:
        """The fast path: what `value` would give, as long as all is well and a comma follows."""
        decode, text, start = self._decode, self._text, self._pos
        repeated = self._repeated
        repeated.clear()
        while True:
            self._pos = start
            try:
                value, end = decode(text, start)
            except (ValueError, RecursionError):
                return
            if (comma := _skip_comma(text, end)) is None:
                return
            yield text[start:end], value, self._take_repeated() if repeated else ()
            start = comma.end()

    def value(self) -> tuple[str, JsonValue, tuple[str, ...]]:
        """Read one value: its exact source, the value, and the keys that its objects repeat.

        Raises TornFile if it is not whole, NotLegacyFile if it is nested deeper than Python parses.
        """
        self.peek()
        while True:
            text, start = self._text, self._pos
            self._repeated.clear()
            try:
                value, end = self._decode(text, start)
            except json.JSONDecodeError as error:
                self._grow_or_raise(error.pos, error.msg)
                continue
            except RecursionError:
                detail = f"a value at line {self.mark()[1]} is nested too deep"
                raise NotLegacyFile(detail, hint="No tracker writes such a file.") from None
            # A number or a name may go on beyond the window: "12" of "123".
            if text[end - 1] in '}]"' or (end < len(text) and text[end] in ",]} \t\n\r"):
                self._pos = end
                return text[start:end], value, self._take_repeated()
            self._grow_or_raise(end, "a comma or a closing bracket belongs here")

    def torn(self, why: str, pos: int | None = None) -> TornFile:
        """The error for a mistake at a place in the window, by default at the position."""
        begins, _ = self.mark()
        if pos is not None:
            self._pos = pos
        if not self._text[self._pos :].strip(BLANKS):
            self._pos, why = len(self._text), "it ends too early"
        offset, line = self.mark()
        return TornFile(
            f"{why}, at line {line:,}, byte {offset:,}, after {self.records:,} whole records",
            line=line,
            offset=offset,
            records=self.records,
            begins=begins,
        )

    def _grow_or_raise(self, pos: int, why: str) -> None:
        """Widen the window if a cut explains the mistake at `pos`, else raise it."""
        unterminated = why.startswith("Unterminated string")
        if self._ended:
            raise self.torn(why, len(self._text) if unterminated else pos)
        if not unterminated and pos < len(self._text) - _CUT_MARGIN:
            raise self.torn(why, pos)
        self._grow()

    def _grow(self) -> None:
        """Read on, as much again as is left, so that a long value takes linear time."""
        rest = self._text[self._pos :]
        self._offset, self._line = self.mark()
        more = ""
        while not more and not self._ended:
            block = self._file.read(max(self._chunk_size, len(rest)))
            self._ended = not block
            more = self._bytes.decode(block, self._ended)
        self._text, self._pos = rest + more, 0

    def _take_repeated(self) -> tuple[str, ...]:
        repeated = tuple(dict.fromkeys(self._repeated))
        self._repeated.clear()
        return repeated

    def _object(self, pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
        made = dict(pairs)
        if len(made) != len(pairs):
            seen: set[str] = set()
            for key, _ in pairs:
                if key in seen:
                    self._repeated.append(key)
                seen.add(key)
        return made


def _integer(digits: str) -> float:
    try:
        return int(digits)
    except ValueError:  # Python refuses to convert over 4,300 digits; one such number is no tear.
        return float(digits)


def _byte_length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))
