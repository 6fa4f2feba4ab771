"""Bits flipped in a store's file, one at a time: what a deep check makes of each.

A flip is found, or the file cannot be opened any more, or whatever is read back is what it was: it
hit bytes that nothing uses. In the log nothing else may happen. Of tables that have neither digests
nor anything to be compared with, some flips change what is read, and nobody can tell.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from lines import Line

from metrics_store import MetricsStore, sqlite
from metrics_store.integrity import check_file, pagemap
from metrics_store.integrity.pagemap import Tree
from metrics_store.sqlite import Connection

Outcome = Literal["found", "not opened", "harmless", "cannot be told", "MISSED"]
Content = dict[str, list[tuple[object, ...]]]

LOG = "skill_invocation"
#: What these hold is said once, and nowhere else.
_SAID_ONCE = {"skill_inflight", "slow_call", "store_property", "schema_migrations"}
#: Flips that a line of the campaign tells of.
_PER_LINE = 50


class Flip(NamedTuple):
    """One bit of a file.

    Args:
        byte: its offset.
        bit: from 0 on.
    """

    byte: int
    bit: int


class Image:
    """A closed store's file, to be damaged again and again.

    Args:
        folder: where it and its damaged copy lie.
        rows: of its log.
    """

    def __init__(self, folder: Path, rows: int = 250) -> None:
        self._clean, self.damaged = folder / "clean.sqlite", folder / "damaged.sqlite"
        _make(self._clean, rows)
        self._bytes = self._clean.read_bytes()
        self._content = _content(self._clean)
        pages = pagemap.read(self._clean, _trees(self._clean))
        self._owners, self._page = pages.owners, pages.page_size

    def owner(self, flip: Flip) -> str:
        """What the page belongs to on which a bit lies."""
        return self._owners.get(flip.byte // self._page + 1, "nothing")

    def of_log(self, rng: random.Random) -> Flip:
        """A bit of a page of the log."""
        pages = sorted(page for page, owner in self._owners.items() if owner == LOG)
        return Flip(
            (rng.choice(pages) - 1) * self._page + rng.randrange(self._page), rng.randrange(8)
        )

    def elsewhere(self, rng: random.Random) -> Flip:
        """A bit of any other page, of the header as often as of all the others together."""
        while True:
            flip = Flip(rng.randrange(len(self._bytes)), rng.randrange(8))
            if rng.random() < 0.1:
                flip = Flip(rng.randrange(100), flip.bit)
            if self.owner(flip) != LOG:
                return flip

    def tried(self, flip: Flip) -> tuple[Outcome, tuple[str, ...]]:
        """Flip a bit, check the file, and tell what came of it and what was found."""
        data = bytearray(self._bytes)
        data[flip.byte] ^= 1 << flip.bit
        self.damaged.write_bytes(data)
        report = check_file(self.damaged, level="deep")
        if not report.ok:
            return ("not opened" if report.schema_version is None else "found"), report.kinds
        try:
            content = _content(self.damaged)
        except sqlite.Error as error:
            return "MISSED", (f"it cannot be read: {error}",)
        changed = {name for name in self._content if self._content[name] != content.get(name)}
        if not changed and content.keys() == self._content.keys():
            return "harmless", ()
        silent = all(name in _SAID_ONCE or name.startswith("legacy_") for name in changed)
        return ("cannot be told" if silent else "MISSED"), tuple(sorted(changed))


def campaign(rounds: int, seed: int) -> Iterator[Line]:
    """Flip so many bits of the log, and half as many elsewhere; a line for every fifty."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="flips-") as folder:
        image = Image(Path(folder))
        for where, count in (("the log", rounds), ("the rest of the file", rounds // 2)):
            for start in range(0, count, _PER_LINE):
                flips = [
                    image.of_log(rng) if where == "the log" else image.elsewhere(rng)
                    for _ in range(min(_PER_LINE, count - start))
                ]
                yield line(image, where, flips)


def line(image: Image, where: str, flips: list[Flip]) -> Line:
    """Try some flips, and tell what came of them."""
    outcomes: Counter[Outcome] = Counter()
    wrong = []
    for flip in flips:
        outcome, told = image.tried(flip)
        outcomes[outcome] += 1
        if outcome == "MISSED" or (outcome == "cannot be told" and where == "the log"):
            wrong.append(f"{flip} on a page of {image.owner(flip)}: {outcome}: {told}")
    told = ", ".join(f"{n} {outcome}" for outcome, n in sorted(outcomes.items()))
    passed = len(flips) - len(wrong)
    return Line(f"bits of {where}: {told}", len(flips), passed, wrong=tuple(wrong))


def _make(path: Path, rows: int) -> None:
    store = MetricsStore(path, durability="normal")
    store.record_invocations(
        {
            "skill_name": f"skill-{n % 5}",
            "completed": n % 6 != 1,
            "duration_seconds": n / 8 if n % 4 else None,
            "error_type": "TimeoutError" if n % 6 == 1 else None,
            "workflow_path": (None, "quick", "naïve/«ways»")[n % 3],
            "session_id": f"session-{n % 7}",
            "project_path": f"/home/someone/{n % 3}",
            "follow_up_actions": ["run tests", f"step {n % 3}"][: n % 3],
            # Some rows are longer than a page.
            "attributes": {"note": "x" * (6000 if n % 40 == 0 else n % 90)},
        }
        for n in range(rows)
    )
    store.track_invocation("in flight")
    store.close()
    connection = sqlite.connect(str(path))
    try:
        # Pages that are free.
        connection.execute("CREATE TABLE passing (x)")
        connection.execute("INSERT INTO passing VALUES (zeroblob(30000))")
        connection.execute("DROP TABLE passing")
    finally:
        connection.close()


def _trees(path: Path) -> list[Tree]:
    connection = sqlite.connect(str(path), immutable=True)
    try:
        found = connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0")
        return [Tree("the schema", 1), *(Tree(*row) for row in found)]
    finally:
        connection.close()


def _content(path: Path) -> Content:
    """Whatever can be read of a store: every row of every table, the schema, who it says it is."""
    connection: Connection = sqlite.connect(str(path), immutable=True)
    connection.text_factory = bytes
    try:
        names = connection.execute(
            "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name"
        ).fetchall()
        content: Content = {
            name.decode(errors="replace"): connection.execute(
                f'SELECT * FROM "{name.decode(errors="replace")}"'
            ).fetchall()
            for (name,) in names
        }
        content["the schema"] = connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"
        ).fetchall()
        for pragma in ("application_id", "user_version", "encoding"):
            content[pragma] = connection.execute(f"PRAGMA {pragma}").fetchall()
        return content
    finally:
        connection.close()
