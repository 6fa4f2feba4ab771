"""What a disk may have after a power cut, told from what was written to it and what was synced.

What is assumed of the disk, which is what ext4 gives in its usual mode and a little less:

- what a sync of a file came back from is there, its size too;
- of what was written since, each sector of 512 bytes is there or not, whatever became of the others
  and of the order, and so is a truncation; a sector is old or new, never a mixture;
- what was written across a gap may be there without the gap's content, which is then zeros;
- names (a file made or deleted) last in the order of their making, up to any one of them; a sync
  of a new file makes its own name last, and with it all names before, for ext4 commits them in one
  journal; a sync of an old file does nothing for names;
- a sync that failed has dropped what was written since the last one: the kernel takes those pages
  for clean, reads give them still, and no later sync writes them (Rebello et al., USENIX ATC 2020);
- shared memory is gone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from recorded_work import Event

#: The files of a store that its power cuts are about.
NAMES = ("m.db", "m.db-wal", "m.db-journal")
_SECTOR = 512
_PAGE = 4096
Image = dict[str, bytes]


@dataclass(slots=True, eq=False)
class _File:
    """A file: what the disk has of it, and what was written since, oldest first."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes | None]] = field(default_factory=list)


@dataclass(slots=True)
class Disk:
    """What a disk has, and what it may have."""

    #: Files by name, as the programs see them, and as the disk has them for certain.
    seen: dict[str, _File] = field(default_factory=dict)
    lasting: dict[str, _File] = field(default_factory=dict)
    #: Names made (with their file) and deleted (None) that may be lost yet.
    names: list[tuple[str, _File | None]] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> Disk:
        """A disk that has a store's files as they lie in a folder, all of them synced."""
        files = {
            file.name: _File(bytearray(file.read_bytes()))
            for file in folder.iterdir()
            if file.name in NAMES
        }
        return cls(dict(files), dict(files))

    def do(self, event: Event) -> None:
        """Let something happen to it."""
        name = event.name
        match event.kind:
            case "open" if event.offset or name not in self.seen:
                self._make(name)
            case "write":
                self.seen[name].since.append((event.offset, event.data))
            case "truncate":
                self.seen[name].since.append((event.offset, None))
            case "delete" if name in self.seen:
                del self.seen[name]
                self.names.append((name, None))
                if event.offset:
                    self._keep_names()
            case "sync":
                file = self.seen[name]
                _apply(file.synced, file.since)
                file.since.clear()
                if (name, file) in self.names:
                    self._keep_names()
            case "sync failed":
                self.seen[name].since.clear()

    def _make(self, name: str) -> None:
        self.seen[name] = _File()
        self.names.append((name, self.seen[name]))

    def _keep_names(self) -> None:
        self.lasting = dict(self.seen)
        self.names.clear()

    # What there may be after a power cut

    def least(self) -> Image:
        """Nothing but what is certain."""
        return {name: bytes(file.synced) for name, file in self.lasting.items()}

    def most(self) -> Image:
        """Everything, as if there had been no cut."""
        return {name: _content(file, file.since) for name, file in self.seen.items()}

    def some(self, rng: random.Random) -> Image:
        """Any of what there may be."""
        files = dict(self.lasting)
        for name, file in self.names[: rng.randrange(len(self.names) + 1)]:
            if file is None:
                files.pop(name, None)
            else:
                files[name] = file
        return {name: _content(file, _some(file.since, rng)) for name, file in files.items()}

    def without_one(self, rng: random.Random) -> Image:
        """Everything but a single write."""
        image = self.most()
        written = [(name, file) for name, file in self.seen.items() if file.since]
        if written:
            name, file = rng.choice(written)
            left_out = rng.randrange(len(file.since))
            image[name] = _content(file, file.since[:left_out] + file.since[left_out + 1 :])
        return image


def _apply(content: bytearray, writes: list[tuple[int, bytes | None]]) -> None:
    for offset, data in writes:
        if data is None:
            del content[offset:]
            continue
        if len(content) < offset:
            content.extend(bytes(offset - len(content)))
        content[offset : offset + len(data)] = data


def _content(file: _File, writes: list[tuple[int, bytes | None]]) -> bytes:
    content = bytearray(file.synced)
    _apply(content, writes)
    return bytes(content)


def _some(
    writes: list[tuple[int, bytes | None]], rng: random.Random
) -> list[tuple[int, bytes | None]]:
    """A part of what was written, in the manner of one of several disks."""
    match rng.randrange(6):
        case 0:  # in order, up to a moment
            return writes[: rng.randrange(len(writes) + 1)]
        case 1:  # only one of them
            return [rng.choice(writes)] if writes else []
        case 2:  # whole writes
            return [write for write in writes if rng.random() < 0.5]
        case 3:  # sectors
            return [part for part in _cut(writes, _SECTOR) if rng.random() < 0.5]
        case 4:  # pages, nearly all
            return [part for part in _cut(writes, _PAGE) if rng.random() < 0.9]
        case _:  # sectors, in any order
            parts = [part for part in _cut(writes, _SECTOR) if rng.random() < 0.7]
            rng.shuffle(parts)
            return parts


def _cut(writes: list[tuple[int, bytes | None]], size: int) -> Iterator[tuple[int, bytes | None]]:
    """The writes in pieces that end where a sector does."""
    for offset, data in writes:
        if data is None:
            yield offset, None
            continue
        at = 0
        while at < len(data):
            end = min(len(data), at + size - (offset + at) % size)
            yield offset + at, data[at:end]
            at = end
