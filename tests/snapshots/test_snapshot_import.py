"""Taking JSON lines in: each once, however often, wherever they lie, and nothing is lost."""

from __future__ import annotations

import gzip
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statuses import HOSTILE, SHORT

from metrics_store import MetricsStore, sqlite
from metrics_store.errors import InvalidQuery, SourceError
from metrics_store.snapshots import lines as lines_module
from metrics_store.snapshots.results import Imported
from metrics_store.snapshots.sink import SnapshotSink

Open = Callable[..., MetricsStore]


def counts(found: Imported) -> dict[str, int]:
    """What became of the lines; they have to add up, file by file."""
    names = ("inserted", "already_there", "retired", "bad", "torn")
    for file in found.files:
        assert file.lines == sum(getattr(file, name) for name in names)
    return {name: n for name in (*names, "new_bad") if (n := found.total(name))}


def test_the_very_line_of_the_users_comes_in_once_with_all_that_it_says(
    store: MetricsStore, tmp_path: Path
) -> None:
    (tmp_path / "status.jsonl").write_text(f"{SHORT}\n")
    first = store.import_snapshots(tmp_path / "status.jsonl", zone="Europe/Berlin")
    assert (counts(first), first.zone) == ({"inserted": 1}, "Europe/Berlin")
    assert counts(store.import_snapshots(tmp_path / "status.jsonl", zone="UTC")) == {
        "already_there": 1
    }
    [s] = store.snapshots()
    assert (s.recorded_at, s.payload_json) == ("2026-02-06T10:00:00.000000Z", SHORT)
    assert (s.files_total, s.indexing_current_file) == (12822, "vast_srv/test_ftp_commands.py")
    assert s.origin == "import"


def test_identical_lines_keep_their_number_in_whatever_files_they_come_again(
    store: MetricsStore, tmp_path: Path
) -> None:
    other = SHORT.replace("11:00", "12:00")
    text = f"{SHORT}\n{other}\n{SHORT}\n{SHORT}\n".encode()
    (tmp_path / "a.jsonl").write_bytes(text)
    (tmp_path / "b.jsonl.1.gz").write_bytes(gzip.compress(text[: len(text) // 2]))
    (tmp_path / "c.jsonl").write_bytes(text.replace(b"\n", b"\r\n\r\n"))
    assert counts(store.import_snapshots(tmp_path / "a.jsonl", zone="UTC")) == {"inserted": 4}
    again = store.import_snapshots(*sorted(tmp_path.glob("*.jsonl*")), zone="UTC")
    assert counts(again) == {"already_there": 10}
    assert Counter(s.recorded_at[11:13] for s in store.snapshots()) == {"11": 3, "12": 1}
    (tmp_path / "a.jsonl").write_bytes(text + f"{SHORT}\n".encode())
    assert counts(store.import_snapshots(tmp_path / "a.jsonl", zone="UTC")) == {
        "inserted": 1, "already_there": 4,
    }  # fmt: skip


def test_a_torn_last_line_is_left_for_the_next_time(store: MetricsStore, tmp_path: Path) -> None:
    file = tmp_path / "s.jsonl"
    for cut in (1, 40, len(SHORT) - 1):
        file.write_text(SHORT[:cut])
        assert counts(store.import_snapshots(file, zone="UTC")) == {"torn": 1}
    file.write_text(SHORT)  # whole, though its end of line is not there yet
    assert counts(store.import_snapshots(file, zone="UTC")) == {"inserted": 1}
    file.write_text(f"{SHORT}\n{SHORT[:50]}")
    assert counts(store.import_snapshots(file, zone="UTC")) == {"already_there": 1, "torn": 1}
    assert store.snapshot_quarantine() == ()


def test_a_compressed_file_that_is_cut_off_gives_its_whole_lines(
    store: MetricsStore, tmp_path: Path
) -> None:
    text = "".join(json.dumps({"ts": n, "files_total": n * 7919}) + "\n" for n in range(3000))
    packed = gzip.compress(text.encode())
    (tmp_path / "s.gz").write_bytes(packed[: len(packed) // 2])
    found = counts(store.import_snapshots(tmp_path / "s.gz"))
    assert found["torn"] == 1
    assert 1000 < found["inserted"] < 2000
    (tmp_path / "s.gz").write_bytes(packed)
    assert counts(store.import_snapshots(tmp_path / "s.gz")) == {
        "inserted": 3000 - found["inserted"], "already_there": found["inserted"],
    }  # fmt: skip


def test_a_damaged_compressed_file_is_told_and_what_is_before_the_damage_comes_in(
    store: MetricsStore, tmp_path: Path
) -> None:
    text = "".join(json.dumps({"ts": n, "files_total": n * 7919}) + "\n" for n in range(3000))
    packed = bytearray(gzip.compress(text.encode()))
    packed[-6] ^= 255  # its checksum
    (tmp_path / "s.gz").write_bytes(packed)
    found = store.import_snapshots(tmp_path / "s.gz")
    assert counts(found) == {"inserted": 3000, "bad": 1, "new_bad": 1}
    assert "damaged from here on" in found.bad_lines[0].reason
    assert counts(store.import_snapshots(tmp_path / "s.gz"))["bad"] == 1
    assert len(store.snapshot_quarantine()) == 1


BAD = (
    b"garbage", b"[1]", b"17", b'"text"', b"null", b'{"ts":"2026-02-06T11:00:00Z"}',
    b'{"files_total":1}', b'{"ts":"noon","files_total":1}', b'{"ts":1,"files_total":-1}',
    b'{"ts":1,"files_total":NaN}', b"\xff\xfe{}", b"\x00\x00\x00", b'{"ts":1,"files_total":"x"}',
    b'{"id":"a","recorded_at":"2026-02-06T11:00:00Z","payload":{"mood":1}}',
)  # fmt: skip


def test_bad_lines_are_counted_named_and_kept(store: MetricsStore, tmp_path: Path) -> None:
    file = tmp_path / "s.jsonl"
    good = [json.dumps({"ts": n, "files_total": n}).encode() for n in range(len(BAD))]
    file.write_bytes(b"".join(b"%s\n%s\n\n" % pair for pair in zip(BAD, good, strict=True)))
    found = store.import_snapshots(file)
    assert counts(found) == {"inserted": len(BAD), "bad": len(BAD), "new_bad": len(BAD)}
    assert [line.line for line in found.bad_lines] == [1 + 3 * n for n in range(len(BAD))]
    assert all(line.reason and line.new for line in found.bad_lines)
    again = store.import_snapshots(file)
    assert counts(again) == {"already_there": len(BAD), "bad": len(BAD)}
    assert not any(line.new for line in again.bad_lines)
    kept = store.query("SELECT raw, line, length, file FROM snapshot_quarantine ORDER BY line")
    assert [row["raw"] for row in kept] == list(BAD)
    assert {row["file"] for row in kept} == {str(file)}
    shown = store.snapshot_quarantine()
    assert [line.line for line in shown] == [row["line"] for row in kept]
    assert shown[BAD.index(b"\xff\xfe{}")].text == "\\xff\\xfe{}"


def test_a_line_without_an_end_does_not_fill_the_memory(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines_module, "MAX_LINE", 100_000)
    good = json.dumps({"ts": 1, "files_total": 1})
    (tmp_path / "s").write_text(good + "\n" + "x" * 1_000_000 + "\n" + good + "\n")
    found = store.import_snapshots(tmp_path / "s")
    assert counts(found) == {"inserted": 2, "bad": 1, "new_bad": 1}
    [line] = store.snapshot_quarantine()
    assert (line.length, line.text) == (1_000_001, "x" * lines_module.KEPT)


def test_an_id_that_another_snapshot_has_is_no_reason_to_drop_a_line(
    store: MetricsStore, tmp_path: Path
) -> None:
    sunk = '{"id":"a","recorded_at":"2026-02-06T11:00:00.000000Z","payload":{"files_total":%d}}\n'
    (tmp_path / "s.jsonl").write_text(sunk % 1 + sunk % 2 + sunk % 1)
    for new in (1, 0):
        found = store.import_snapshots(tmp_path / "s.jsonl")
        assert found.total("bad") == 1
        assert (found.total("inserted"), found.total("new_bad")) == (new, new)
    [line] = store.snapshot_quarantine()
    assert (line.reason, line.text + "\n") == ("another snapshot has this id", sunk % 2)
    assert [s.files_total for s in store.snapshots()] == [1]


def test_what_only_looks_like_a_sink_s_line_is_a_status_of_its_own(
    store: MetricsStore, tmp_path: Path
) -> None:
    line = '{"id":"a","recorded_at":5,"payload":{"files_total":1},"files_total":2,"x":3}'
    (tmp_path / "s.jsonl").write_text(f"{line}\n")
    store.import_snapshots(tmp_path / "s.jsonl")
    [s] = store.snapshots()
    assert (s.files_total, s.payload_json, s.id != "a") == (2, line, True)


def test_a_sink_comes_in_across_its_rotations_and_an_export_into_another_store(
    open_store: Open, tmp_path: Path
) -> None:
    store, other = open_store("one.db"), open_store("other.db")
    sink = SnapshotSink(tmp_path / "s.jsonl", max_mb=0.001, fsync=False)
    for n, name in enumerate(HOSTILE * 2):
        sink.append({"files_total": n % 3, "idx_file": name}, "2026-02-06T11:00:00Z")
        if n in (3, 17):
            store.import_snapshots(*sink.files())
    store.import_snapshots(*sink.files())
    assert len(sink.files()) > 3
    assert [s.files_total for s in store.snapshots()] == [n % 3 for n in range(2 * len(HOSTILE))]
    lines = "".join(json.dumps(s.as_dict()) + "\n" for s in store.snapshots())
    (tmp_path / "export.jsonl").write_text(lines)
    for inserted in (2 * len(HOSTILE), 0):
        found = other.import_snapshots(tmp_path / "export.jsonl", *sink.files())
        assert found.total("inserted") == inserted
    kept = (
        "SELECT id, recorded_at, projects, payload_json, digest FROM status_snapshots ORDER BY id"
    )
    assert other.query(kept) == store.query(kept)


def test_names_of_files_are_data_and_a_wrong_one_is_told_before_anything_is_done(
    store: MetricsStore, tmp_path: Path
) -> None:
    (tmp_path / "good").write_text(f"{SHORT}\n")
    for wrong in (tmp_path / "not there", tmp_path):
        with pytest.raises(SourceError) as caught:
            store.import_snapshots(tmp_path / "good", wrong, zone="UTC")
        assert str(wrong) in str(caught.value)
    with pytest.raises(InvalidQuery):
        store.import_snapshots(tmp_path / "good", zone="Mars/Olympus")
    assert store.snapshots() == ()
    odd = os.path.join(os.fsencode(tmp_path), b"caf\xe9\n\x1b[31m.jsonl")
    with open(odd, "wb") as file:
        file.write(b"bad\n")
    found = store.import_snapshots(os.fsdecode(odd))
    assert found.files[0].file.endswith("caf\\udce9\n\x1b[31m.jsonl")


def test_an_hour_that_comes_twice_is_read_in_the_order_of_the_file(
    store: MetricsStore, tmp_path: Path
) -> None:
    times = ("02:10", "02:50", "02:20", "03:10")
    (tmp_path / "s").write_text(
        "".join(f'{{"ts":"2025-10-26T{t}:00","files_total":1}}\n' for t in times)
    )
    store.import_snapshots(tmp_path / "s", zone="Europe/Berlin")
    assert [s.recorded_at[11:16] for s in store.snapshots()] == ["00:10", "00:50", "01:20", "02:10"]


def test_what_retention_deleted_does_not_come_back_and_its_days_stay(
    store: MetricsStore, tmp_path: Path
) -> None:
    (tmp_path / "s").write_text(
        "".join(
            json.dumps({"ts": f"2026-0{month}-{day:02d}T10:00:00Z", "files_total": day}) + "\n"
            for month in (1, 3)
            for day in (1, 2, 2, 9)
        )
    )
    store.import_snapshots(tmp_path / "s")
    before = store.snapshot_trend("files_total", window="100 days")
    assert store.retention_plan().rows == 0  # for ever by default
    store.retain({"snapshot": "30 days"})
    assert len(store.snapshots()) == 4
    assert counts(store.import_snapshots(tmp_path / "s")) == {"already_there": 4, "retired": 4}
    after = store.snapshot_trend("files_total", window="100 days")
    assert [(p.bucket, p.snapshots, p.average) for p in after.points] == [
        (p.bucket, p.snapshots, p.average) for p in before.points
    ]
    # The last one of a day is of the log.
    assert [p.last for p in after.points if p.snapshots] == [None] * 3 + [1, 2, 9]


_line = st.one_of(
    st.builds(
        lambda n, t: json.dumps({"ts": t, "files_total": n}).encode(),
        st.integers(0, 3), st.integers(0, 2),
    ),
    st.sampled_from([b"bad", b"", b"  ", b"\xff", b'{"ts":1}']),
    st.binary(max_size=6).filter(lambda raw: b"\n" not in raw and not raw.startswith(b"\x1f\x8b")),
)  # fmt: skip
_file = st.tuples(st.lists(_line, max_size=8), st.booleans(), st.booleans())


@pytest.fixture
def emptied(open_store: Open) -> MetricsStore:
    """One store for all examples, emptied before each: opening one takes longer than an example."""
    return open_store("all.db")


def _empty(connection: sqlite.Connection) -> None:
    connection.execute("INSERT INTO retention_permit VALUES ('snapshot', 1 << 60)")
    for table in ("status_snapshots", "rollup", "retention_permit", "snapshot_quarantine"):
        connection.execute(f"DELETE FROM {table}")


@settings(max_examples=40)
@given(st.lists(_file, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_any_files_in_any_order_come_to_the_most_that_one_of_them_has_of_each_line(
    emptied: MetricsStore, tmp_path: Path, files: list[tuple[list[bytes], bool, bool]],
    shuffled: object,
) -> None:  # fmt: skip
    emptied.database.write(_empty)
    paths, due = [], Counter[bytes]()
    for n, (lines, ended, packed) in enumerate(files):
        content = b"\n".join(lines) + (b"\n" if ended else b"")
        paths.append(tmp_path / f"{n}")
        paths[-1].write_bytes(gzip.compress(content) if packed else content)
        due |= Counter(raw.strip() for raw in content.split(b"\n") if _is_status(raw))
    for again in (False, True):
        shuffled.shuffle(paths)  # type: ignore[attr-defined]
        found = emptied.import_snapshots(*paths)
        counts(found)
        assert found.total("inserted") == (0 if again else due.total())
        assert found.total("new_bad") == 0 or not again
    stored = Counter(s.payload_json.encode() for s in emptied.snapshots())
    assert stored == due


def _is_status(raw: bytes) -> bool:
    try:
        said = json.loads(raw)
    except ValueError:
        return False
    return isinstance(said, dict) and "files_total" in said


@given(st.data())
def test_compressed_or_not_cut_off_anywhere_the_lines_before_it_come_in(
    tmp_path: Path, data: st.DataObject
) -> None:
    contents = data.draw(st.lists(st.binary(max_size=40).map(_without_ends), max_size=30))
    text = b"".join(line + b"\n" for line in contents)
    kind = data.draw(st.integers(0, 3))
    middle = data.draw(st.integers(0, len(text)))
    zeros = b"\0" * data.draw(st.integers(0, 3))
    packed = {
        0: text,
        1: gzip.compress(text),
        2: gzip.compress(text[:middle]) + gzip.compress(text[middle:]) + zeros,
        3: gzip.compress(text[:middle]) + zeros + gzip.compress(text[middle:], 0),
    }[kind]
    cut = data.draw(st.integers(0, len(packed)))
    (tmp_path / "f").write_bytes(packed[:cut])
    with lines_module.open_source(str(tmp_path / "f")) as source:
        found = list(lines_module.lines(source, "f"))
    whole = [line.raw for line in found if line.whole and not line.trouble]
    due = [line.strip() for line in contents]
    if kind == 0 or cut > 1:  # of one byte nobody can tell that it is compressed
        assert whole == due[: len(whole)]
    assert sum(not line.whole for line in found) <= 1
    if cut == len(packed):
        assert whole == due
    elif kind == 1 and cut > 1:
        assert not found[-1].whole


def _without_ends(raw: bytes) -> bytes:
    return b"{" + raw.replace(b"\n", b"").replace(b"\r", b"")
