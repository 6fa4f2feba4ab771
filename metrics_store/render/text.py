"""User text made safe to show: nothing in it moves a cursor, rings a bell or turns a line round."""

from __future__ import annotations

import json
import re
import unicodedata

#: Not printable to Python, and yet harmless: joiners, which scripts and emoji need.
_JOINERS = "\u200c\u200d"
#: What JSON may hold as it is, but a terminal should not get: DEL and C1 controls, whatever turns
#: or breaks lines unseen, and halves of characters, which cannot be written at all.
_UNSHOWN_IN_JSON = re.compile(
    "[\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    r"""A text with every control, direction and format character as a visible escape.

    A newline becomes ``\n``, ESC ``\x1b``, a right-to-left override ``\u202e``.
    """
    if text.isprintable():
        return text
    return "".join(character if _is_shown(character) else _escape(character) for character in text)


def json_text(value: object, *, indent: int | None = 2, ascii_only: bool = False) -> str:
    """A value as JSON: one document, readable letters, no character that a terminal would obey.

    Args:
        indent: None puts it on one line.
        ascii_only: escape every letter that is not ASCII, for a stream that has not got it.
    """
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent, allow_nan=False)
    # These stand inside strings only, where an escape means the same character.
    return _UNSHOWN_IN_JSON.sub(lambda match: json.dumps(match[0])[1:-1], text)


def _is_shown(character: str) -> bool:
    if character.isprintable() or character in _JOINERS:
        return True
    # A space of another width, and the private letters of some fonts.
    return unicodedata.category(character) in ("Zs", "Co")


def _escape(character: str) -> str:
    match character:
        case "\n":
            return "\\n"
        case "\r":
            return "\\r"
        case "\t":
            return "\\t"
        case _:
            point = ord(character)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"
