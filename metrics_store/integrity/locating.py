"""Where damage lies: which page, what it belongs to, which rows are on it, and what can be done."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from metrics_store import sqlite
from metrics_store.integrity import objects, pagemap
from metrics_store.integrity.expected import is_derived
from metrics_store.integrity.faults import FAULTS
from metrics_store.integrity.looking import KEEP, REPAIR, Looking
from metrics_store.integrity.pagemap import FREE_LIST, POINTER_MAP, Fault, PageMap, Tree
from metrics_store.sql import query

#: Words of SQLite's that are quoted for one page.
_MOST_WORDS = 3


@dataclass(slots=True)
class Said:
    """What SQLite said of the pages.

    Args:
        pages: by page, its words, each once.
        other: its words that name no page.
        trees: by page, the first page of the tree that it said the page belongs to.
        pointers: pages whose entry in the pointer map is wrong.
        unused: pages that belong to nothing.
        broken: tables that it cannot read.
        indexes: index, row and its words.
        tables: table and its words, of what is in the table.
    """

    pages: dict[int, dict[str, None]] = field(default_factory=dict)
    other: list[str] = field(default_factory=list)
    trees: dict[int, int] = field(default_factory=dict)
    pointers: list[int] = field(default_factory=list)
    unused: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    indexes: list[tuple[str, str, str]] = field(default_factory=list)
    tables: list[tuple[str, str]] = field(default_factory=list)

    @property
    def anything(self) -> bool:
        """Whether it said anything at all."""
        some = (self.pages, self.other, self.pointers, self.unused, self.broken)
        return any(some) or bool(self.indexes or self.tables)

    @property
    def damage(self) -> bool:
        """Whether it said anything of pages."""
        return bool(self.pages or self.other or self.pointers or self.unused or self.broken)


def locate(looking: Looking, said: Said) -> None:
    """Make findings of what SQLite said, each with its place."""
    pages = _page_map(looking) if said.damage else PageMap()
    faults = {fault.page: fault for fault in pages.faults}
    roots = {tree.root: tree.name for tree in _trees(looking)}
    owners = {
        page: _owner(faults.get(page), pages.owners.get(page), roots.get(said.trees.get(page, 0)))
        for page in sorted(faults.keys() | said.pages.keys())
    }
    # Tables that SQLite cannot read whole, and neither a page of theirs nor of an index is known.
    tables = _tables_of_indexes(looking)
    placed = {name for owner in owners.values() for name in (owner, tables.get(owner))}
    vague = [table for table in said.broken if table not in placed]
    found = {*owners.values(), *vague}
    mendable = looking.mendable = all(_is_replaceable(looking, owner) for owner in found)
    looking.broken |= found - {""}
    for page, owner in owners.items():
        fault = faults.get(page)
        words = [fault.reason] if fault else []
        words += _quoted(said.pages.get(page, {}))
        place = _place(page, pages.page_size, owner)
        detail = f"{place}: {'; '.join(words)}{_rows(fault) if fault else ''}"
        _damage(looking, detail, owner, f"page {page}" if page else "", mendable=mendable)
    for table in vague:
        _damage(looking, "SQLite cannot read it whole", table, "", mendable=mendable)
    _of_no_tree(looking, said, mendable=mendable)
    _of_content(looking, said, tables)


def _owner(fault: Fault | None, known: str | None, said: str | None) -> str:
    return (fault.owner if fault else None) or known or said or ""


def _is_replaceable(looking: Looking, owner: str) -> bool:
    """Whether what a page belongs to can be made anew without reading it."""
    due = looking.expected
    if due is None or not owner:
        return False
    return owner in (FREE_LIST, POINTER_MAP) or objects.is_replaceable(due, owner)


def _damage(looking: Looking, detail: str, owner: str, row: str, *, mendable: bool) -> None:
    action = KEEP
    if mendable:
        action = f"Nothing of the log is in it. Make it anew, the file written anew: {REPAIR}."
    elif owner and _is_replaceable(looking, owner):
        action = f"Nothing of the log is in it. {KEEP}"
    table = "" if owner in (FREE_LIST, POINTER_MAP, "the schema") else owner
    looking.error("page_damage", detail, table=table, row=row, action=action, repairable=mendable)


def _of_no_tree(looking: Looking, said: Said, *, mendable: bool) -> None:
    if said.unused:
        detail = (
            f"{len(said.unused):,} pages or more, the first of them page {said.unused[0]}, "
            "belong to nothing any more"
        )
        _damage(looking, detail, FREE_LIST, "", mendable=mendable)
    if said.pointers:
        looking.error(
            "pointer_map",
            f"the entries of {len(said.pointers):,} pages or more are wrong, "
            f"the first of page {said.pointers[0]}",
            action="Reading does not need it, but the store must not be written. "
            + (f"Write the file anew: {REPAIR}." if mendable else KEEP),
            repairable=mendable,
        )
    for line in said.other:
        _damage(looking, f"SQLite says: {line}", FREE_LIST, "", mendable=mendable)


def _of_content(looking: Looking, said: Said, tables: dict[str, str]) -> None:
    for index, row, words in said.indexes:
        if tables.get(index) in looking.broken:
            detail = f"{words}; and its table is damaged"
            looking.error("index_damage", detail, table=index, row=row, action=KEEP)
        else:
            looking.derived("index_damage", words, table=index, row=row)
    for table, words in said.tables:
        if is_derived(table):
            looking.derived("table_content", words, table=table)
        else:
            looking.error("table_content", words, table=table)


def _quoted(lines: dict[str, None]) -> Iterator[str]:
    for n, line in enumerate(lines):
        if n == _MOST_WORDS:
            yield f"and {len(lines) - n:,} things more"
            return
        yield f"SQLite says: {line}"


def _place(page: int, size: int, owner: str) -> str:
    where = f"bytes {(page - 1) * size:,} to {page * size - 1:,}, " if page and size else ""
    return f"{where}of {owner}" if owner else f"{where}of nothing that is known"


def _rows(fault: Fault) -> str:
    if fault.after is not None and fault.until is not None:
        return f"; the rows from {fault.after + 1} to {fault.until} are on it"
    if fault.after is not None:
        return f"; the rows from {fault.after + 1} on are on it"
    return f"; the rows up to {fault.until} are on it" if fault.until is not None else ""


def _tables_of_indexes(looking: Looking) -> dict[str, str]:
    return dict(looking.connection.execute(query("integrity.tables_of_indexes")).fetchall())


def _trees(looking: Looking) -> list[Tree]:
    rows = looking.connection.execute(query("integrity.trees")).fetchall()
    return [Tree("the schema", 1), *(Tree(str(name), root) for name, root in rows)]


def _page_map(looking: Looking) -> PageMap:
    """What each page is; of a copy, for the file is in use and part of it in its log."""
    connection = looking.connection
    size = connection.execute("PRAGMA page_count").fetchone()[0]
    size *= connection.execute("PRAGMA page_size").fetchone()[0]
    with tempfile.TemporaryDirectory(prefix="metrics-store-check-") as folder:
        if shutil.disk_usage(folder).free < size + (1 << 20):
            return PageMap()
        path = Path(folder) / "copy.db"
        try:
            copy = sqlite.connect(str(path))
            try:
                copy.execute("PRAGMA synchronous = OFF")
                connection.backup(copy)
            finally:
                copy.close()
        except FAULTS:
            return PageMap()
        return pagemap.read(path, _trees(looking))
