"""Records that the store did not take: one line each in a file beside the legacy file.

A line is appended and on the disk before the caller goes on, and leaves the file only when its
record is in the store. Replaying is idempotent, for every record has its call's id.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

from metrics_store.errors import LegacyNotWritable
from metrics_store.legacy import locks
from metrics_store.legacy.calls import Call
from metrics_store.legacy.control import resolved
from metrics_store.replacing import replace_text


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


def add(json_file: str | os.PathLike[str], spilled: Spilled) -> None:
    """Append a record, durably.

    Raises:
        LegacyNotWritable: it cannot be written.
        LegacyLocked: the file was locked all the time.
    """
    path = spill_path(json_file)
    line = _line(spilled)
    with locks.held(f"{path}.lock"):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                # A line that a full disk cut short must not swallow this one.
                end = os.lseek(handle, 0, os.SEEK_END)
                torn = end and _byte_at(handle, end - 1) != b"\n"
                _write_all(handle, (b"\n" if torn else b"") + line.encode())
                os.fsync(handle)
            finally:
                os.close(handle)
        except OSError as error:
            raise LegacyNotWritable(f"{path}: {error.strerror}") from error


def contents(json_file: str | os.PathLike[str]) -> Contents:
    """What waits now.

    Raises:
        LegacyNotWritable: it is there and cannot be read.
    """
    path = spill_path(json_file)
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
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


def replay(json_file: str | os.PathLike[str], take: Callable[[Spilled], None]) -> int:
    """Give every waiting record to the store; gives how many it took.

    Whatever is not taken stays: what ``take`` refuses by raising, and every damaged line.

    Raises:
        Exception: whatever ``take`` raises; what it took before has left the file.
        LegacyNotWritable, LegacyLocked: the spill file cannot be written.
    """
    path = spill_path(json_file)
    if not os.path.exists(path):
        return 0
    with locks.held(f"{path}.lock"):
        found = contents(json_file)
        done = 0
        try:
            for spilled in found.waiting:
                take(spilled)
                done += 1
        finally:
            if done:
                _keep(path, found.waiting[done:], found.damaged)
    return done


def set_aside(json_file: str | os.PathLike[str], keep: Callable[[str], None]) -> int:
    """Give every damaged line to somebody who keeps it, and take it out of the file."""
    path = spill_path(json_file)
    if not os.path.exists(path):
        return 0
    with locks.held(f"{path}.lock"):
        found = contents(json_file)
        for line in found.damaged:
            keep(line)
        if found.damaged:
            _keep(path, found.waiting, ())
    return len(found.damaged)


def _keep(path: str, waiting: tuple[Spilled, ...], damaged: tuple[str, ...]) -> None:
    lines = [*damaged, *(_line(spilled).rstrip("\n") for spilled in waiting)]
    try:
        if lines:
            text = "".join(f"{line}\n" for line in lines)
            replace_text(path, text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        else:
            with suppress(FileNotFoundError):
                os.unlink(path)
    except OSError as error:
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error


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


def _byte_at(handle: int, offset: int) -> bytes:
    os.lseek(handle, offset, os.SEEK_SET)
    return os.read(handle, 1)


def _write_all(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]
