"""What SQLite says of the pages and the indexes."""

from __future__ import annotations

import re

from metrics_store import sqlite
from metrics_store.integrity import locating
from metrics_store.integrity.faults import ERROR, FAULTS, is_damage
from metrics_store.integrity.locating import Said
from metrics_store.integrity.looking import KEEP, Looking
from metrics_store.sql import query

#: What SQLite 3.40 to 3.53 says, and what each is about: its pragma.c and btree.c.
_OF_INDEX = re.compile(
    r"(?:row (?P<row>-?\d+) (?:missing from|values differ from) index"
    r"|rowid not at end-of-record for row (?P<end>-?\d+) of index"
    r"|wrong # of entries in index|non-unique entry in index) (?P<index>.+)",
    re.DOTALL,
)
_OF_TABLE = re.compile(
    r"(?:NULL value in|CHECK constraint failed in|\w+ value in|non-\w+ value in) (?P<table>\w+)"
)
_OF_SEARCH = re.compile(r"(?:malformed|unable to validate the) inverted index for FTS\d table")
_TREE = re.compile(r"\b[Tt]ree (\d+)\b")
_PAGE = re.compile(r"\b[Pp]age (\d+)\b")
_UNUSED = re.compile(r"Page (\d+):? (?:is )?never used")
_POINTER = re.compile(r"(?:Failed to read ptrmap|Bad ptr map entry) key=(\d+)")


def unopenable(looking: Looking, error: Exception) -> None:
    """Say that SQLite does not open the database as it is."""
    words = str(error)
    if words.startswith("malformed database schema"):
        looking.error(
            "schema_damage", f"a part of the schema cannot be understood: {words}", action=KEEP
        )
        return
    looking.error("page_damage", f"SQLite cannot open it: {words}", action=KEEP)


def check(looking: Looking) -> None:
    """Let SQLite check its pages and its indexes, and say where damage lies."""
    pragma = "quick_check" if looking.level == "quick" else "integrity_check"
    said = Said()
    with looking.part(f"pages, by {pragma}", "pages") as part:
        part.count = int(looking.connection.execute("PRAGMA page_count").fetchone()[0])
        if _ask(looking, said, pragma):
            for (table,) in looking.connection.execute(query("integrity.tables")).fetchall():
                quoted = '"' + str(table).replace('"', '""').replace("\0", "") + '"'
                if _ask(looking, said, f"{pragma}({quoted})"):
                    said.broken.append(str(table))
                    _ask(looking, said, f"quick_check({quoted})")
        if said.anything:
            locating.locate(looking, said)


def _ask(looking: Looking, said: Said, pragma: str) -> bool:
    """Run a check of SQLite's; True if it broke off."""
    try:
        for (words,) in looking.connection.execute(f"PRAGMA {pragma}"):
            if words != "ok":
                _understand(said, str(words))
    except FAULTS as error:
        # Or a virtual table that is not whole, and so cannot be opened.
        if not is_damage(error) and sqlite.code(error) != ERROR:
            raise
        return True
    return False


def _understand(said: Said, words: str) -> None:
    if match := _OF_INDEX.match(words):
        row = match["row"] or match["end"]
        said.indexes.append((match["index"], f"rowid {row}" if row else "", words))
    elif _OF_SEARCH.match(words):
        return  # looked at on its own; on a connection that only reads SQLite cannot tell
    elif match := _OF_TABLE.match(words):
        said.tables.append((match["table"], words))
    else:
        for line in words.removeprefix("*** in database main ***").strip().splitlines():
            _understand_line(said, line)


def _understand_line(said: Said, line: str) -> None:
    if match := _POINTER.search(line):
        said.pointers.append(int(match[1]))
    elif match := _UNUSED.match(line):
        said.unused.append(int(match[1]))
    elif match := _PAGE.search(line):
        page = int(match[1])
        said.pages.setdefault(page, {})[line] = None
        if tree := _TREE.search(line):
            said.trees[page] = int(tree[1])
    else:
        said.other.append(line)
