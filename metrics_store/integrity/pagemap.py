"""Which page of a database file belongs to what, and which pages make no sense.

SQLite says "malformed" and, by its version, at most where it noticed. (Format:
sqlite.org/fileformat2.html.)
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

_HEADER = 100
#: Kinds of pages of a tree.
_INTERIOR_INDEX, _INTERIOR_TABLE, _LEAF_INDEX, _LEAF_TABLE = 2, 5, 10, 13
_OF_TABLES = (_INTERIOR_TABLE, _LEAF_TABLE)
_INTERIOR = (_INTERIOR_INDEX, _INTERIOR_TABLE)
#: Owners of pages that are no trees.
FREE_LIST, POINTER_MAP = "the free list", "the pointer map"
_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1


class Tree(NamedTuple):
    """A table or an index as it lies in the file.

    Args:
        name: its name.
        root: its first page.
    """

    name: str
    root: int


class Fault(NamedTuple):
    """A page that makes no sense.

    Args:
        page: its number, from 1 on; 0 for the schema, which says where a tree begins.
        owner: the tree it belongs to.
        reason: what is wrong with it.
        after, until: the rows on it, or below it, have numbers between these, the last included;
            None if there is no bound, or if the tree has no row numbers.
    """

    page: int
    owner: str
    reason: str
    after: int | None
    until: int | None


class Nonsense(Exception):
    """A page cannot be what it should be."""


@dataclass(slots=True)
class PageMap:
    """What the pages of a file are.

    Args:
        page_size: in bytes.
        pages: how many the file has.
        owners: of each page that was reached.
        faults: in the order of finding.
    """

    page_size: int = 0
    pages: int = 0
    owners: dict[int, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


class _Visit(NamedTuple):
    page: int
    parent: int
    after: int
    until: int
    is_table: bool | None
    depth: int


def read(path: Path, trees: list[Tree]) -> PageMap:
    """Go through a file that nobody has open.

    Args:
        path: the database, without a log.
        trees: its tables and indexes.
    """
    with path.open("rb") as file:
        return _Reading(file).run(trees)


class _Reading:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        header = file.read(_HEADER)
        (size,) = struct.unpack(">H", header[16:18])
        self._size = 65536 if size == 1 else size
        self._usable = self._size - header[20]
        self._free: tuple[int, int] = struct.unpack(">2I", header[32:40])
        (self._automatic,) = struct.unpack(">I", header[52:56])
        self.map = PageMap(self._size, file.seek(0, 2) // self._size if self._size else 0)

    def run(self, trees: list[Tree]) -> PageMap:
        if self._size < 512 or self._usable < 480:
            return self.map
        self._mark_pointer_maps()
        self._free_pages()
        for tree in trees:
            self._tree(tree)
        return self.map

    def _mark_pointer_maps(self) -> None:
        if self._automatic:
            for page in range(2, self.map.pages + 1, self._usable // 5 + 1):
                self.map.owners[page] = POINTER_MAP

    def _free_pages(self) -> None:
        page, owner = self._free[0], FREE_LIST
        try:
            while page:
                data = self._take(page, owner)
                following, count = struct.unpack(">2I", data[:8])
                if count > self._usable // 4 - 2:
                    raise Nonsense(f"it names {count:,} free pages")
                for (leaf,) in struct.iter_unpack(">I", data[8 : 8 + 4 * count]):
                    self._own(leaf, owner)
                page = following
        except Nonsense as nonsense:
            self.map.faults.append(Fault(page, owner, str(nonsense), None, None))

    def _tree(self, tree: Tree) -> None:
        waiting = [_Visit(tree.root, 0, _LOWEST, _HIGHEST, None, 0)]
        while waiting:
            visit = waiting.pop()
            at = visit.parent  # what leads to a page that it cannot be is the fault
            try:
                data = self._take(visit.page, tree.name)
                at = visit.page
                waiting += self._page(tree.name, visit, data)
            except Nonsense as nonsense:
                after = visit.after if visit.after != _LOWEST else None
                until = visit.until if visit.until != _HIGHEST else None
                self.map.faults.append(Fault(at, tree.name, str(nonsense), after, until))

    def _page(self, owner: str, visit: _Visit, data: bytes) -> list[_Visit]:
        """Look at a page of a tree, and give those below it."""
        start = _HEADER if visit.page == 1 else 0
        kind, _, count, _, _ = struct.unpack(">B3HB", data[start : start + 8])
        if kind not in (*_OF_TABLES, _INTERIOR_INDEX, _LEAF_INDEX):
            raise Nonsense(f"it is no page of a table or an index (kind {kind})")
        is_table = kind in _OF_TABLES
        if visit.is_table is not None and visit.is_table != is_table:
            raise Nonsense(f"its kind is {kind}, and that of another sort of tree")
        interior = kind in _INTERIOR
        first = start + (12 if interior else 8)
        if first + 2 * count > self._usable or visit.depth > 20:
            raise Nonsense(f"it says that it has {count:,} cells")
        below, after, depth = [], visit.after, visit.depth + 1
        for (at,) in struct.iter_unpack(">H", data[first : first + 2 * count]):
            if not first + 2 * count <= at <= self._usable - 4:
                raise Nonsense("a cell of it lies outside of it")
            child, number = self._cell(owner, data, at, kind)
            if interior:
                until = number if is_table else visit.until
                below.append(_Visit(child, visit.page, after, until, is_table, depth))
                after = number if is_table else after
        if interior:
            (child,) = struct.unpack(">I", data[start + 8 : start + 12])
            below.append(_Visit(child, visit.page, after, visit.until, is_table, depth))
        return below

    def _cell(self, owner: str, data: bytes, at: int, kind: int) -> tuple[int, int]:
        """A cell's page below and row number, as far as it has them; its overflow is taken."""
        child = 0
        if kind in _INTERIOR:
            (child,) = struct.unpack(">I", data[at : at + 4])
            at += 4
        if kind == _INTERIOR_TABLE:
            return child, _varint(data, at)[0]
        payload, at = _varint(data, at)
        number = 0
        if kind == _LEAF_TABLE:
            number, at = _varint(data, at)
        most = self._usable - 35 if kind == _LEAF_TABLE else (self._usable - 12) * 64 // 255 - 23
        local = payload
        if payload > most:
            least = (self._usable - 12) * 32 // 255 - 23
            local = least + (payload - least) % (self._usable - 4)
            local = local if local <= most else least
        end = at + local + (4 if payload > most else 0)
        if payload < 0 or end > self._usable:
            raise Nonsense("a cell of it does not end within it")
        if payload > most:
            (page,) = struct.unpack(">I", data[end - 4 : end])
            for _ in range(-(-(payload - local) // (self._usable - 4))):
                (page,) = struct.unpack(">I", self._take(page, owner)[:4])
        return child, number

    def _take(self, page: int, owner: str) -> bytes:
        self._own(page, owner)
        self._file.seek((page - 1) * self._size)
        return self._file.read(self._size)

    def _own(self, page: int, owner: str) -> None:
        if not 1 <= page <= self.map.pages:
            raise Nonsense(f"it leads to page {page:,}, and the file has {self.map.pages:,}")
        if page in self.map.owners:
            raise Nonsense(f"it leads to page {page:,}, which {self.map.owners[page]} has")
        self.map.owners[page] = owner


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of one to nine bytes, and where it ends."""
    value = 0
    for n in range(9):
        if at >= len(data):
            raise Nonsense("a cell of it lies outside of it")
        byte = data[at]
        at += 1
        if n == 8:
            value = value << 8 | byte
            break
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            break
    return value - (1 << 64) if value >= 1 << 63 else value, at
