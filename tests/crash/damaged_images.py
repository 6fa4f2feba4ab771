"""The files of a killed process, and what may happen to them before anybody opens them again.

A log that is missing, cut or flipped, an index of it that is missing, flipped pages: ``check`` has
to name it, and nobody may be served less than there was without being told. What was there is known
by its content: a damage that leaves it as it was (a flip in unused bytes, a log that was folded
already) need not be noticed, any other has to be.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fault_client import swift_folder
from lines import Line

from metrics_store import MetricsStore, Settings, manifest, sqlite
from metrics_store.backup import creating
from metrics_store.errors import MetricsStoreError
from metrics_store.integrity.checking import check_file

WAL_HEADER, FRAME = 32, 24 + 4096


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that happens to files.

    Args:
        name: what it is called.
        do: does it to the files of a store, and tells what it did, for it to be done again.
        kinds: what ``check`` may call it; one of them, if anything is lost by it.
        harmless: nothing is lost by it, so nothing may be found.
        refused: who opens the store is told too. Without its index a log that ends early looks as
            a power cut leaves it; only reading all of it, which ``check`` does, tells more.
    """

    name: str
    do: Callable[[Path, random.Random], str]
    kinds: frozenset[str] = frozenset()
    harmless: bool = False
    refused: bool = True


def _log(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _index(path: Path) -> Path:
    return path.with_name(f"{path.name}-shm")


def _no_log(path: Path, rng: random.Random) -> str:
    _log(path).unlink()
    return "the -wal removed"


def _no_index(path: Path, rng: random.Random) -> str:
    _index(path).unlink()
    return "the -shm removed"


def _no_log_nor_index(path: Path, rng: random.Random) -> str:
    return f"{_no_log(path, rng)}, {_no_index(path, rng)}"


def _cut_log(path: Path, rng: random.Random) -> str:
    size = rng.choice((0, rng.randrange(_log(path).stat().st_size)))
    os.truncate(_log(path), size)
    return f"the -wal cut to {size} bytes"


def _flip(file: Path, first: int, rng: random.Random) -> str:
    content = bytearray(file.read_bytes())
    at, bit = rng.randrange(first, len(content)), rng.randrange(8)
    content[at] ^= 1 << bit
    kept = file.stat()
    file.write_bytes(content)
    os.utime(file, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    return f"bit {bit} of byte {at} of {file.name} flipped"


def _flip_log(path: Path, rng: random.Random) -> str:
    return _flip(_log(path), 0, rng)


def _flip_log_without_index(path: Path, rng: random.Random) -> str:
    return f"{_no_index(path, rng)}, {_flip_log(path, rng)}"


def _flip_page(path: Path, rng: random.Random) -> str:
    return _flip(path, 0, rng)


def _older_log(path: Path, rng: random.Random) -> str:
    shutil.copyfile(path.with_name("older-wal"), _log(path))
    return "the -wal is an older one of the same store"


_LOST = frozenset({"log_missing", "log_truncated", "log_damaged", "lost_records"})
#: What a flipped page may come to.
_ANY = frozenset({"any"})

DAMAGES = (
    Damage("no -wal", _no_log, frozenset({"log_missing"})),
    Damage("no -shm", _no_index, harmless=True),
    # As if it had been closed: only the newest backup can tell that there was more.
    Damage("no -wal, no -shm", _no_log_nor_index, _LOST, refused=False),
    Damage("-wal cut", _cut_log, frozenset({"log_truncated"})),
    Damage("-wal flipped", _flip_log, _LOST),
    Damage("-wal flipped, no -shm", _flip_log_without_index, _LOST, refused=False),
    Damage("older -wal", _older_log, _LOST),
    Damage("page flipped", _flip_page, _ANY, refused=False),
)


# The image -------------------------------------------------------------------------------------


def make_image(folder: Path, rng: random.Random) -> Path:
    """The files of a process that was killed: rows in the database, rows in its log.

    Every other one has a log that began anew, over the frames of an older one. A backup made
    before the kill lies beside it, with all rows that it had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "m.db"
    again = rng.random() < 0.5
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is to be killed
            _work(path, rng, again)
            os.kill(os.getpid(), signal.SIGKILL)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(7)
    status = os.waitpid(child, 0)[1]
    assert os.WIFSIGNALED(status), f"the image was not made: {status}"
    return path


def _work(path: Path, rng: random.Random, again: bool) -> None:
    store = MetricsStore(settings=Settings(path, "normal", checkpoint_mb=1000))
    store.record_invocations(_rows("folded", rng.randrange(50, 200)))
    _checkpoint(path)
    store.record_invocations(_rows("older", 20 if again else 60))
    shutil.copyfile(_log(path), path.with_name("older-wal"))
    if again:  # the log begins anew, over the older frames
        _checkpoint(path)
    for n in range(rng.randrange(1, 20)):
        store.record_invocations(_rows(f"last {n}", rng.choice((1, 1, 30))))
    creating.create(store.database, path.with_name("backups"))
    store.get_summary()


def _rows(name: str, count: int) -> Iterator[dict[str, object]]:
    for n in range(count):
        yield {
            "skill_name": f"skill {n % 7}",
            "invocation_id": f"{name} {n}",
            "duration_seconds": n,
            "workflow_path": f"way {n % 11}",
            "attributes": {"note": name * 20},
        }


def _checkpoint(path: Path) -> None:
    connection = sqlite.connect(str(path))
    with closing(connection):
        busy, frames, folded = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    assert (busy, frames) == (0, folded)


#: What the full-text index is kept in: its meaning counts, not its bytes.
_INDEX = ("workflow_path_fts_data", "workflow_path_fts_idx")

# What came of it ---------------------------------------------------------------------------------


def _index_of_words(connection: sqlite.Connection) -> list[object]:
    """What the full-text index says: each word's places, and what is found by it.

    Its bytes may differ where it says the same: of a place that is written as nothing FTS5 reads
    the place before it.
    """
    connection.execute(
        "CREATE VIRTUAL TABLE temp.word USING fts5vocab(main, workflow_path_fts, instance)"
    )
    places = connection.execute("SELECT term, doc, col, offset FROM temp.word").fetchall()
    found: list[object] = [*places]
    for word in sorted({term for term, *_ in places}):
        by = "SELECT rowid FROM workflow_path_fts WHERE workflow_path_fts MATCH ?"
        found += [(word, rowid) for (rowid,) in connection.execute(by, (f'"{word}"',))]
    return found


def content(path: Path) -> str:
    """Everything that is in a database, as one short text; looked at in a copy of its files.

    Raises:
        sqlite.Error: it cannot be read.
    """
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        for suffix in ("", "-wal", "-shm"):
            if os.path.exists(f"{path}{suffix}"):
                shutil.copy2(f"{path}{suffix}", folder)
        connection = sqlite.connect(str(Path(folder) / path.name))
        digest = hashlib.sha256()
        with closing(connection):
            tables = connection.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name"
            ).fetchall()
            digest.update(repr(tables).encode("utf-8", "backslashreplace"))
            digest.update(repr(_index_of_words(connection)).encode("utf-8", "backslashreplace"))
            for kind, name, *_ in tables:
                if kind == "table" and name not in _INDEX:
                    rows = connection.execute(f'SELECT * FROM "{name}"').fetchall()
                    digest.update(repr(sorted(map(repr, rows))).encode("utf-8", "backslashreplace"))
            for pragma in ("user_version", "application_id"):
                digest.update(repr(connection.execute(f"PRAGMA {pragma}").fetchone()).encode())
    return digest.hexdigest()


def _content_or_none(path: Path) -> str | None:
    try:
        return content(path)
    except (sqlite.Error, UnicodeDecodeError):  # a byte that was flipped may be one of a text
        return None


def tried(image: Path, damage: Damage, seed: str, folder: Path) -> Line:
    """Damage a copy of an image, and see whether it is noticed and named.

    Args:
        image: the store file of :func:`make_image`.
        seed: decides where the damage is done.
        folder: is not there yet; left there if something is wrong.
    """
    shutil.copytree(image.parent, folder)  # with the files' times
    path = folder / image.name
    done = damage.do(path, random.Random(seed))
    before = content(image)
    wrong = list(_wrong(path, damage, before))
    if not wrong:
        shutil.rmtree(folder)
    what = f"{damage.name}, seed {seed}: {done}"
    return Line(what, 1, int(not wrong), wrong=tuple(f"{what} (in {folder}): {w}" for w in wrong))


def _wrong(path: Path, damage: Damage, before: str) -> Iterator[str]:
    bytes_before = _bytes(path)
    manifests = [
        entry.manifest
        for entry in manifest.of_directory(path.with_name("backups"))
        if entry.manifest is not None
    ]
    try:
        report = check_file(path, level="deep", manifests=manifests)
        kinds = {finding.kind for finding in report.findings if finding.severity == "error"}
    except MetricsStoreError as error:
        kinds = {type(error).__name__}
    if _bytes(path) != bytes_before:
        yield "the check changed the files"
    after = _content_or_none(path)
    if damage.harmless and (kinds or after != before):
        yield f"it is harmless, and the check found {sorted(kinds)}"
    if after != before and not kinds:
        yield "something is lost or altered, and the check found nothing"
    if after != before and damage.kinds != _ANY and not kinds & damage.kinds:
        yield f"the check names it {sorted(kinds)}, which is none of {sorted(damage.kinds)}"
    try:
        with MetricsStore(path) as store:
            total = store.get_summary().total_invocations
    except MetricsStoreError:
        return
    except Exception as error:
        yield f"opening raised {type(error).__name__}: {error}"
        return
    if damage.refused and after != before:
        yield f"it was opened and served {total} rows, as if it were whole"


def _bytes(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.parent.glob(f"{path.name}*")}


def campaign(rounds: int, seed: int) -> Iterator[Line]:
    """So many images, each with every damage, some of them several times."""
    with swift_folder("damaged-images") as place:
        for round_ in range(rounds):
            image = make_image(place / f"image {round_}", random.Random(f"{seed} {round_}"))
            for damage in DAMAGES:
                lines = [
                    tried(
                        image, damage, f"{seed} {round_} {n}",
                        place / f"{round_} {damage.name} {n}",
                    )
                    for n in range(1 if damage.name.startswith(("no", "older")) else 5)
                ]  # fmt: skip
                yield Line(
                    f"image {round_}, {damage.name}",
                    len(lines),
                    sum(line.passed for line in lines),
                    wrong=tuple(wrong for line in lines for wrong in line.wrong),
                )
            shutil.rmtree(image.parent)
