"""What the tests of reading legacy files share."""

from __future__ import annotations

from pathlib import Path

from metrics_store.errors import LegacyFileError
from metrics_store.legacy.json_file import Member, Record, Totals, read

FILES = Path(__file__).parent / "files"
Event = Record | Totals | Member


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read_all(path: Path, chunk_size: int = 1 << 18) -> tuple[list[Event], LegacyFileError | None]:
    """What is read, and the error that ended it."""
    events: list[Event] = []
    try:
        events.extend(read(path, chunk_size=chunk_size))
    except LegacyFileError as error:
        # `extend` keeps what came before the error.
        return events, error
    return events, None
