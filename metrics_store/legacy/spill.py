"""Records that the store did not take: one line each in a file beside the legacy file.

A line is appended and on the disk before the caller goes on, and leaves the file only when its
record is in the store. Replaying is idempotent, for every record has its call's id.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass

from metrics_store import appending
from metrics_store.errors import LegacyNotWritable
from metrics_store.legacy import locks
from metrics_store.legacy.calls import Call
from metrics_store.legacy.control import resolved
from metrics_store.replacing import replace_text, sync_directory

#: What a replay has put aside, and lines that cannot be read.
_REPLAYING, _DAMAGED = ".replaying", ".damaged"


@dataclass(frozen=True, slots=True)
class Spilled:
    """A record that waits.

    Args:
        call: what was recorded.
        in_json: whether the JSON file has it.
        reason: why the store did not take it.
        at: when, UTC text.
    """

    call: Call
    in_json: bool
    reason: str
    at: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What waits in a spill file.

    Args:
        waiting: records, in their order.
        damaged: lines that cannot be read; they are kept.
    """

    waiting: tuple[Spilled, ...]
    damaged: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.waiting) + len(self.damaged)


def spill_path(json_file: str | os.PathLike[str]) -> str:
    """Where the spill file of a legacy file lies."""
    return f"{resolved(json_file)}.spill.jsonl"


def add(
    json_file: str | os.PathLike[str], spilled: Spilled, *, patience: float = locks.PATIENCE
) -> None:
    """Append a record, durably.

    Args:
        patience: seconds to wait for others who append; a replay is not waited for.

    Raises:
        LegacyNotWritable: it cannot be written.
        LegacyLocked: the file was locked all the time.
    """
    path = spill_path(json_file)
    line = _line(spilled)
    with locks.held(f"{path}.lock", patience=patience):
        _append(path, line.encode())


def contents(json_file: str | os.PathLike[str]) -> Contents:
    """What waits now, also of a replay that was cut short.

    Raises:
        LegacyNotWritable: it is there and cannot be read.
    """
    path = spill_path(json_file)
    waiting: list[Spilled] = []
    damaged: list[str] = []
    for part in (f"{path}{_DAMAGED}", f"{path}{_REPLAYING}", path):
        found = _read(part)
        waiting += found.waiting
        damaged += found.damaged
    return Contents(tuple(waiting), tuple(damaged))


def replay(json_file: str | os.PathLike[str], take: Callable[[Spilled], None]) -> int:
    """Give every waiting record to the store; gives how many it took.

    The lines are put aside first, so that nobody who appends waits meanwhile, and those that
    cannot be read go into a file of their own. What ``take`` refuses by raising stays. One replay
    at a time: the caller sees to that.

    Raises:
        Exception: whatever ``take`` raises; what it took before has left the file.
        LegacyNotWritable, LegacyLocked: the spill file cannot be written.
    """
    path = spill_path(json_file)
    done = 0
    while _put_aside(path):
        waiting, n = _readable(path), 0
        try:
            for spilled in waiting:
                take(spilled)
                n += 1
        finally:
            _keep(f"{path}{_REPLAYING}", waiting[n:])
            done += n
    return done


def set_aside(json_file: str | os.PathLike[str], keep: Callable[[str], None]) -> int:
    """Give every line that cannot be read to somebody who keeps it, and count it no more.

    Bytes that are not UTF-8 come as lone surrogates, as ``surrogateescape`` has it.
    """
    path = spill_path(json_file)
    if _put_aside(path):
        _readable(path)
    damaged = _read(f"{path}{_DAMAGED}").damaged
    for line in damaged:
        keep(line)
    with suppress(FileNotFoundError):
        os.unlink(f"{path}{_DAMAGED}")
    return len(damaged)


def _put_aside(path: str) -> bool:
    """Put what waits aside, unless a replay that was cut short left something there; says whether
    there is anything."""
    aside = f"{path}{_REPLAYING}"
    try:
        if os.path.exists(aside):
            return True
        with locks.held(f"{path}.lock"):
            os.rename(path, aside)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error
    sync_directory(os.path.dirname(path))
    return True


def _readable(path: str) -> tuple[Spilled, ...]:
    """What was put aside and can be read; the rest goes into a file of its own."""
    found = _read(f"{path}{_REPLAYING}")
    if found.damaged:
        lines = "".join(f"{line}\n" for line in found.damaged)
        _append(f"{path}{_DAMAGED}", lines.encode("utf-8", "surrogateescape"))
        _keep(f"{path}{_REPLAYING}", found.waiting)
    return found.waiting


def _read(path: str) -> Contents:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            lines = file.read().split("\n")
    except FileNotFoundError:
        return Contents((), ())
    except OSError as error:
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error
    waiting, damaged = [], []
    for line in filter(None, lines):
        try:
            waiting.append(_parsed(line))
        except (ValueError, TypeError, KeyError):
            damaged.append(line)
    return Contents(tuple(waiting), tuple(damaged))


def _keep(path: str, waiting: Sequence[Spilled]) -> None:
    try:
        if waiting:
            replace_text(path, "".join(map(_line, waiting)))
        else:
            with suppress(FileNotFoundError):
                os.unlink(path)
    except OSError as error:
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error


def _append(path: str, lines: bytes) -> None:
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            is_first = appending.append(handle, lines, sync=True)
        finally:
            os.close(handle)
    except OSError as error:
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error
    if is_first:
        sync_directory(os.path.dirname(path))


def _line(spilled: Spilled) -> str:
    text = json.dumps(asdict(spilled), separators=(",", ":"))
    return f"{_sum(text)} {text}\n"


def _parsed(line: str) -> Spilled:
    sum_, _, text = line.partition(" ")
    if _sum(text) != sum_:
        raise ValueError("its checksum is another")
    values = json.loads(text)
    return Spilled(**{**values, "call": Call.of_values(values["call"])})


def _sum(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=4).hexdigest()
