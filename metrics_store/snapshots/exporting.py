"""Snapshots in formats of other programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields

from metrics_store.snapshots.results import Snapshot

#: What a spreadsheet takes for the beginning of a formula.
_FORMULA = ("=", "+", "-", "@")
#: Of JSON, these stand between two words only.
_BREAKS = str.maketrans("\r\n\t", "   ")


def csv_lines(snapshots: Iterable[Snapshot], safe: Callable[[str], str]) -> Iterator[str]:
    """Comma-separated values, a line for each snapshot under a head; what is None is empty.

    A text that a spreadsheet would take for a formula gets an apostrophe before it.

    Args:
        safe: gives a text with every control character in it as an escape.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([field.name for field in fields(Snapshot)])
    for snapshot in snapshots:
        said = {**snapshot.as_dict(), "payload_json": _in_a_line(snapshot.payload_json, safe)}
        if snapshot.projects is not None:
            said["projects"] = _in_a_line(json.dumps(said["projects"], ensure_ascii=False), safe)
        json_names = ("projects", "payload_json")
        writer.writerow(
            value if name in json_names else _cell(value, safe) for name, value in said.items()
        )
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(value: object, safe: Callable[[str], str]) -> object:
    if not isinstance(value, str):
        return value  # None is an empty field
    text = safe(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _in_a_line(text: str, safe: Callable[[str], str]) -> str:
    """The same JSON, with escapes for what is no letter."""
    text = text.translate(_BREAKS)
    if safe(text) == text:
        return text
    return "".join(c if safe(c) == c else json.dumps(c)[1:-1] for c in text)
