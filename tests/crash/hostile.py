"""Hostile text and values: by chance, fast and by the thousand, and as strategies of Hypothesis."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import PurePosixPath
from random import Random
from typing import Any

from hypothesis import strategies as st

#: Each is meant to do something somewhere: to a terminal, a spreadsheet, a browser, a shell, a
#: query, a path, a format, a parser, or an eye.
PIECES = (
    "[red]", "[/red]", "[/]", "[link=x]y[/link]", "[bold", "\\[", ":smile:",
    "\x1b[31m", "\x1b[2J\x1b[H", "\x1b]0;title\x07", "\x1b]8;;http://x\x1b\\", "\x1bP", "\x1b",
    "\x9b31m", "\x9d0;x\x9c", "\x90", "\x84", "\x85", "\0", "\x07", "\x08\x08", "\x7f", "\x0b\x0c",
    "\r", "\n", "\r\n", "\t", "\u2028", "\u2029",
    "\u202e", "\u202d", "\u2066", "\u2067", "\u2069", "\u200e", "\u200f", "\u061c",
    "\u200b", "\u200d", "\u2060", "\ufeff", "\xad", "\ufff9", "\ufffe", "\U000e0041", "\U0010ffff",
    "\ud800", "\udfff", "\ud83d", "\udc80",
    "=cmd|' /C calc'!A0", "@SUM(1)", "+1+1", "-1+1", "\t=1", "=HYPERLINK(\"x\")",
    "<script>alert(1)</script>", "'\"><img src=x onerror=x>", "&lt;", "]]>", "<!--",
    "' OR 1=1 --", "'; DROP TABLE skill_invocation; --", "\");", "/*", "%", "_", "\\",
    '"', "'", "`id`", "$(id)", "${x}", "; id", "| id", "&& id", "!!",
    "AND", "OR", "NOT", "NEAR(a b, 2)", "a*", "^a", "x:y", '"a', "(", ")", "{a}", "- a", "+", "*",
    "../", "../../x", "..\\", "./", "a/b", "x\\y", "CON", "NUL", "file:x?mode=memory", "?x=1#y",
    "%s", "%n", "%(x)s", "{0}", "{}", "{x.__class__}", "%41", "\\u0041", "\\x1b",
    "null", "None", "NaN", "Infinity", "-0", "1e309", "0x10", "1_0", "true", "[]", "{}", '{"a":1}',
    "--help", "--db", "--", "-", "--json", "-x", "=", "a=b", "a,b", "a;b",
    "é", "e\u0301", "İ", "ß", "ŉ", "ﬁ", "٣", "Ⅳ", "😀", "👩\u200d👩\u200d👧", "漢字", "עברית", "नी",
    "o\u0300\u0301\u0302\u0303" * 8, " ", "  ", "\u3000", "\xa0", "a", "deploy", "x",
    "2026-03-10T12:00:00Z", "7 days", "Europe/Berlin", "UTC", "0001-01-01", "9999-12-31T23:59:59Z",
    "yaml: [", "- &a *a", "!!python/object:os.system x", "key = \"", "[table", "'''",
)  # fmt: skip
#: What no output may contain, whatever was put in: controls, what turns or hides text, halves of
#: characters. A newline ends a line.
UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)


class Colour(StrEnum):
    """A text that is more than text."""

    RED = "red\x1b"


class Texts:
    """Hostile texts by chance.

    Args:
        chance: decides.
        longest: characters of the longest one; now and then.
    """

    def __init__(self, chance: Random, longest: int = 1_000_000) -> None:
        self._chance = chance
        self._longest = longest

    def text(self) -> str:
        """A text."""
        chance = self._chance
        kind = chance.random()
        if kind < 0.55:
            return chance.choice(PIECES)
        if kind < 0.9:
            return "".join(chance.choices(PIECES, k=chance.randrange(2, 6)))
        if kind < 0.97:
            return "".join(chr(chance.choice(_RANGES)(chance)) for _ in range(chance.randrange(12)))
        if kind < 0.998:
            return chance.choice(PIECES) * chance.randrange(1, 300)
        return (chance.choice(PIECES) * self._longest)[: self._longest]

    def value(self, depth: int = 3) -> Any:
        """A value that may be none of those that are asked for."""
        chance = self._chance
        match chance.randrange(14 if depth else 11):
            case 0 | 1 | 2:
                return self.text()
            case 3:
                return chance.choice(NUMBERS)
            case 4:
                return chance.choice(MOMENTS)
            case 5:
                return None
            case 6:
                return chance.choice([True, False])
            case 7:
                return self.text().encode("utf-8", "surrogatepass")
            case 8:
                return chance.choice([Colour.RED, PurePosixPath("a/b\x1b"), object, ...])
            case 9:
                return timedelta(seconds=chance.choice([0, -1, 1.5, 1e9]))
            case 10:
                return {1, 2}
            case 11:
                return [self.value(depth - 1) for _ in range(chance.randrange(4))]
            case 12:
                return tuple(self.text() for _ in range(chance.randrange(4)))
            case _:
                return {self.text(): self.value(depth - 1) for _ in range(chance.randrange(4))}

    def broken(self, data: bytes) -> bytes:
        """What became of a file: bits flipped, a piece cut out, put in, repeated or torn off."""
        chance = self._chance
        content = bytearray(data)
        for _ in range(chance.choice([1, 1, 2, 5])):
            at = chance.randrange(len(content) + 1)
            end = min(len(content), at + chance.choice([1, 4, 100, 4096]))
            match chance.randrange(7):
                case 0 if at < len(content):
                    content[at] ^= 1 << chance.randrange(8)
                case 1:
                    del content[at:end]
                case 2:
                    del content[at:]
                case 3:
                    content[at:end] = chance.randbytes(end - at)
                case 4:
                    content[at:at] = self.text()[:10_000].encode("utf-8", "surrogatepass")
                case 5:
                    content[at:end] = bytes(end - at)
                case _:
                    content[at:at] = content[at:end]
        return bytes(content)


_RANGES = (
    lambda chance: chance.randrange(0x20),
    lambda chance: chance.randrange(0x20, 0x7F),
    lambda chance: chance.randrange(0x80, 0xA0),
    lambda chance: chance.randrange(0xA0, 0x3000),
    lambda chance: chance.randrange(0xD800, 0xE000),
    lambda chance: chance.randrange(0xE000, 0x110000),
)
NUMBERS = (
    0, 1, -1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.0, -0.0, 1.5, 1e308, -1e-320,
    float("nan"), float("inf"), float("-inf"), 3.2e8, 1e9, 1e9 + 1, 5e-7,
)  # fmt: skip
MOMENTS = (
    datetime(2026, 3, 10, tzinfo=UTC),
    datetime(2026, 3, 10),
    datetime.min.replace(tzinfo=UTC),
    datetime.max.replace(tzinfo=timezone(timedelta(hours=-23, minutes=-59))),
    "2026-03-10T12:00:00Z", "2026-03-10T12:00:00", "2026-03-10", "9999-12-31T23:59:59.999999Z",
    "0001-01-01T00:00:00+23:59", "2026-02-30T00:00:00Z", "2026-W10-2", "20260310T120000Z", "now",
)  # fmt: skip

pieces = st.sampled_from(PIECES)
#: Any text there is, and what is meant to do something.
texts = st.one_of(
    pieces,
    st.lists(pieces, min_size=1, max_size=5).map("".join),
    st.text(max_size=50),
    st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn"]), max_size=9),
    st.tuples(pieces, st.integers(1, 1_000_000)).map(lambda both: (both[0] * both[1])[: both[1]]),
)
#: Those that can be stored as a name.
names = texts.filter(lambda text: 0 < len(text) <= 16_384 and _is_text(text))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def unsafe(text: str) -> str:
    """What an output holds that it may not, with a little around it; empty if there is nothing."""
    found = UNSAFE.search(text)
    if found is None:
        return ""
    return ascii(text[max(0, found.start() - 40) : found.end() + 10])
