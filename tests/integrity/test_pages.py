"""Damage to the bytes of a store: found, located, and what can be read around it said."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import problems
from damaging import (
    KEPT_FOR_EVER,
    LOG,
    content,
    make,
    mended,
    overwrite,
    page_of,
    size_of_pages,
    tamper,
)

from metrics_store import MetricsStore, sqlite
from metrics_store.errors import OpenError, StoreNotFound
from metrics_store.integrity import check_file, pagemap
from metrics_store.integrity.findings import CheckReport
from metrics_store.integrity.pagemap import PageMap, Tree


def trees(path: Path) -> list[Tree]:
    """The tables and indexes of a store."""
    connection = sqlite.connect(str(path), immutable=True)
    try:
        found = connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage > 0")
        return [Tree("the schema", 1), *(Tree(*row) for row in found)]
    finally:
        connection.close()


def pages_of(path: Path, name: str) -> list[int]:
    """The pages of a table or an index, its first page first."""
    owners = pagemap.read(path, trees(path)).owners
    return sorted(page for page, owner in owners.items() if owner == name)


def zero(path: Path, page: int) -> None:
    """Make a page all zeros."""
    size = size_of_pages(path)
    overwrite(path, (page - 1) * size, bytes(size))


def places(report: CheckReport, kind: str) -> list[tuple[str, str]]:
    """Which table and row the findings of a kind name."""
    return [(f.table, f.row) for f in report.findings if f.kind == kind]


def test_every_page_of_a_sound_store_belongs_to_something(sound: Path) -> None:
    found = pagemap.read(sound, trees(sound))
    assert found.faults == []
    assert sorted(found.owners) == list(range(1, found.pages + 1))
    assert {"the schema", LOG, "rollup", "bucket_bound"} <= set(found.owners.values())


def test_free_pages_overflow_and_other_page_sizes_are_understood(tmp_path: Path) -> None:
    for size in (512, 1024, 65536):
        path = tmp_path / f"{size}.sqlite"
        tamper(
            path,
            f"PRAGMA page_size = {size}",
            "PRAGMA auto_vacuum = INCREMENTAL",
            "CREATE TABLE t (a, b UNIQUE)",
            "CREATE TABLE w (k PRIMARY KEY, v) WITHOUT ROWID",
            "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 400) "
            "INSERT INTO t SELECT hex(zeroblob(i * 7)), hex(zeroblob(i % 90)) || i FROM n",
            "INSERT INTO w SELECT b, a FROM t",
            "DELETE FROM t WHERE rowid BETWEEN 50 AND 300",
        )
        found = pagemap.read(path, trees(path))
        assert found.faults == []
        assert sorted(found.owners) == list(range(1, found.pages + 1))
        assert "the free list" in found.owners.values()
        assert "the pointer map" in found.owners.values()


@pytest.mark.parametrize("level", ["quick", "standard", "deep"])
def test_a_zeroed_page_of_the_log_is_named_with_the_rows_on_it(spoilt: Path, level: str) -> None:
    page = pages_of(spoilt, LOG)[4]
    zero(spoilt, page)
    report = check_file(spoilt, level=level)
    assert (LOG, f"page {page}") in places(report, "page_damage")
    [finding] = [f for f in report.findings if f.row == f"page {page}"]
    size = size_of_pages(spoilt)
    assert f"bytes {(page - 1) * size:,} to {page * size - 1:,}" in finding.detail
    assert "are on it" in finding.detail
    if level != "quick":
        [(table, rows)] = places(report, "rows_unreadable")
        assert table == LOG
        first, last = (int(word) for word in rows.split() if word.isdigit())
        assert f"the rows from {first} to {last} are on it" in finding.detail
        assert 1 < first <= last < 300


def test_the_rows_around_several_damaged_pages_are_read(spoilt: Path) -> None:
    pages = pages_of(spoilt, LOG)
    for page in (pages[2], pages[5], pages[-1]):
        zero(spoilt, page)
    report = check_file(spoilt, level="deep")
    ranges = [row for _, row in places(report, "rows_unreadable")]
    assert len(ranges) == 3
    [digests] = [look for look in report.looked_at if look.what == f"digests: {LOG}"]
    lost = sum(
        last - first + 1
        for first, last in (
            (int(words[2]), int(words[-1]) if words[-1].isdigit() else 300)
            for words in (row.split() for row in ranges)
        )
    )
    assert digests.count == 300 - lost
    assert "row_digest" not in report.kinds


def test_a_log_without_its_first_page_is_not_readable_at_all(spoilt: Path) -> None:
    zero(spoilt, page_of(spoilt, LOG))
    report = check_file(spoilt, level="deep")
    assert places(report, "rows_unreadable") == [(LOG, "from the first to the last")]
    assert places(report, "page_damage")[0] == (LOG, f"page {page_of(spoilt, LOG)}")
    assert report.rows is None or report.rows >= 0


@pytest.mark.parametrize(
    "name",
    [
        "rollup",
        "workflow_path",
        "schema_migrations",
        "store_property",
        "bucket_bound",
        f"sqlite_autoindex_{LOG}_1",
        f"{LOG}_by_time",
        "legacy_source",
        "workflow_path_fts_data",
    ],
)
def test_a_zeroed_first_page_of_anything_is_named(spoilt: Path, name: str) -> None:
    zero(spoilt, page_of(spoilt, name))
    report = check_file(spoilt)
    assert not report.ok
    assert name in [f.table for f in report.findings if f.kind == "page_damage"], report.findings


def test_a_torn_page_is_found(spoilt: Path) -> None:
    size = size_of_pages(spoilt)
    page = pages_of(spoilt, LOG)[3]
    overwrite(spoilt, (page - 1) * size + size // 2, bytes(size // 2))
    report = check_file(spoilt)
    assert not report.ok
    assert LOG in {f.table for f in report.findings}


def test_a_page_of_another_table_in_its_place_is_found(spoilt: Path) -> None:
    size = size_of_pages(spoilt)
    page, other = pages_of(spoilt, LOG)[3], pages_of(spoilt, "rollup")[2]
    data = spoilt.read_bytes()[(other - 1) * size : other * size]
    overwrite(spoilt, (page - 1) * size, data)
    assert (LOG, f"page {page}") in places(check_file(spoilt), "page_damage")


@pytest.mark.parametrize("missing", [1, 1000, 4096, 5 * 4096, 60 * 4096])
def test_a_truncated_file_is_found(spoilt: Path, missing: int) -> None:
    size = spoilt.stat().st_size
    with spoilt.open("r+b") as file:
        file.truncate(size - missing)
    report = check_file(spoilt, level="quick")
    assert "page_damage" in report.kinds
    assert any("ends" in f.detail for f in report.findings), report.findings


@pytest.mark.parametrize("left", [0, 1, 15, 50, 100, 511, 4095, 4096, 5000])
def test_the_beginning_of_a_file_is_no_store(spoilt: Path, left: int) -> None:
    with spoilt.open("r+b") as file:
        file.truncate(left)
    assert not check_file(spoilt).ok


def test_noise_is_no_store(tmp_path: Path, damaged: Callable[[Path], None]) -> None:
    path = tmp_path / "noise.db"
    path.write_bytes(random.Random(1).randbytes(40_000))
    assert check_file(path).kinds == ("page_damage",)
    path.write_text("name,duration\nx,1\n" * 500)
    assert check_file(path).kinds == ("page_damage",)


def test_another_programs_database_is_no_store(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    tamper(path, "CREATE TABLE t (x)", "INSERT INTO t VALUES (1)")
    report = check_file(path)
    assert report.kinds == ("not_a_store",)
    assert len(report.looked_at) == 0


def test_a_store_with_another_application_id_is_told_from_a_store(spoilt: Path) -> None:
    tamper(spoilt, "PRAGMA application_id = 7")
    report = check_file(spoilt, level="deep")
    assert report.kinds == ("not_a_store",)
    assert report.rows == 300


def test_a_schema_that_cannot_be_understood_is_found_and_the_log_still_read(spoilt: Path) -> None:
    tamper(
        spoilt,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_schema SET sql = 'CREATE VIEW skill_day AS SELEKT' WHERE name = 'skill_day'",
    )
    report = check_file(spoilt, level="deep")
    assert set(report.kinds) == {"schema_damage", "altered_view"}
    assert report.rows == 300


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreNotFound):
        check_file(tmp_path / "nothing.db")
    with pytest.raises(OpenError):
        check_file(tmp_path)


def test_an_index_that_has_lost_a_row_is_found_and_built_anew(spoilt: Path) -> None:
    # The index is swapped for one of fewer rows: what a lost write leaves behind.
    index = f"{LOG}_by_time"
    sql = f"CREATE INDEX {index} ON {LOG} (invoked_at, skill_name)"
    tamper(
        spoilt,
        f"DROP INDEX {index}",
        f"CREATE INDEX {index} ON {LOG} (invoked_at, skill_name) WHERE seq <> 7",
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_schema SET sql = '{sql}' WHERE name = '{index}'",
        "PRAGMA writable_schema = RESET",
    )
    report = check_file(spoilt)
    assert "index_damage" in report.kinds
    assert {f.table for f in report.findings} >= {index}
    assert mended(spoilt).left == ()
    assert check_file(spoilt, level="deep").findings == ()


def test_where_there_is_no_room_for_a_copy_the_damage_is_found_all_the_same(
    spoilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = pages_of(spoilt, LOG)[4]
    zero(spoilt, page)
    monkeypatch.setattr("metrics_store.integrity.locating._page_map", lambda looking: PageMap())
    report = check_file(spoilt)
    assert LOG in [f.table for f in report.findings if f.kind == "page_damage"]


def test_a_damaged_store_larger_than_a_few_pages_is_located_too(
    tmp_path: Path, damaged: Callable[[Path], None]
) -> None:
    path = tmp_path / "m.db"
    make(path, 9000)
    damaged(path)
    tree = pagemap.read(path, trees(path))
    inner = next(
        page
        for page in pages_of(path, LOG)
        if path.read_bytes()[(page - 1) * 4096] == 5 and page != page_of(path, LOG)
    )
    zero(path, inner)
    report = check_file(path, level="deep")
    assert (LOG, f"page {inner}") in places(report, "page_damage")
    assert tree.pages > 500


@pytest.mark.parametrize(
    "name",
    [
        "rollup",
        "bucket_bound",
        "workflow_path",
        "rollup_deferred",
        f"{LOG}_by_time",
        "workflow_path_fts_data",
        "workflow_path_fts_config",
    ],
)
@pytest.mark.parametrize("which", [0, -1])
def test_what_follows_from_the_log_is_made_anew_though_its_pages_cannot_be_read(
    sound: Path, name: str, which: int
) -> None:
    page = pages_of(sound, name)[which]
    before = content(sound, KEPT_FOR_EVER)
    zero(sound, page)
    report = check_file(sound, level="deep")
    assert (name, f"page {page}") in places(report, "page_damage")
    assert all(f.repairable for f in report.findings if f.kind == "page_damage")
    done = mended(sound)
    assert done.left == (), done
    assert check_file(sound, level="deep").findings == ()
    assert content(sound, KEPT_FOR_EVER) == before
    with MetricsStore(sound, durability="normal") as store:
        store.record_invocation("it goes on", workflow_path="a new one")
    assert problems(sound) == []


def test_a_damaged_pointer_map_is_made_anew(sound: Path) -> None:
    zero(sound, 2)
    assert check_file(sound).kinds == ("pointer_map",)
    assert mended(sound).left == ()
    assert check_file(sound, level="deep").findings == ()


def test_a_damaged_free_list_is_made_anew(sound: Path) -> None:
    tamper(
        sound,
        "CREATE TABLE passing (x)",
        "INSERT INTO passing VALUES (zeroblob(90000))",
        "DROP TABLE passing",
    )
    size = size_of_pages(sound)
    for page in pages_of(sound, "the free list"):
        overwrite(sound, (page - 1) * size, b"\xff" * 16)
    assert not check_file(sound).ok
    assert mended(sound).left == ()
    assert check_file(sound, level="deep").findings == ()


@pytest.mark.parametrize("name", [LOG, f"sqlite_autoindex_{LOG}_1", "schema_migrations"])
def test_what_cannot_be_made_anew_is_left_and_said_and_the_rest_done(
    spoilt: Path, name: str
) -> None:
    page = pages_of(spoilt, name)[-1]
    tamper(spoilt, f"DROP TRIGGER {LOG}_kept")
    zero(spoilt, page)
    before = check_file(spoilt, level="deep")
    assert not any(f.repairable for f in before.findings if f.kind == "page_damage")
    done = mended(spoilt)
    assert "page_damage" in [f.kind for f in done.left]
    if name != "schema_migrations":
        assert f"{LOG}_kept" in [one.table for one in done.done]
    after = check_file(spoilt, level="deep")
    assert "missing_trigger" not in after.kinds or name == "schema_migrations"
    assert places(after, "rows_unreadable") == places(before, "rows_unreadable")
