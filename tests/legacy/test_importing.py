"""Taking files in: the real ones and hostile ones, exact counts, nothing dropped, nothing twice."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from metrics_store import MetricsStore
from metrics_store.errors import (
    LegacyFileError,
    LegacyFileNotFound,
    NotLegacyFile,
    StoreNotWritable,
)
from metrics_store.legacy import importing
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.private_copy import copy_stable
from metrics_store.legacy.report import ImportReport, Progress

FILES = Path(__file__).parent / "files"
#: read, inserted, quarantined, pending, skills, sum of the baseline's totals
COUNTS = {
    "berlin_dst": (600, 600, 0, 2, 12, 0),
    "double_completed": (300, 300, 0, 1, 12, 22),
    "hand_edited": (19, 8, 11, 1, 6, 8),
    "pruned": (400, 400, 0, 2, 12, 2095),
    "session_buddy_export": (800, 800, 0, 0, 12, 0),
    "torn": (3357, 3356, 1, 10, 12, 0),
    "two_writers": (99, 99, 0, 0, 12, 0),
    "typical": (5000, 5000, 0, 19, 12, 0),
}


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A torn file is looked at again without the pauses between."""
    monkeypatch.setattr(importing, "copy_stable", partial(copy_stable, sleep=lambda _: None))


@pytest.fixture
def take(store: MetricsStore, tmp_path: Path) -> Callable[..., ImportReport]:
    """Take in a file of this text, or of these records."""

    def taken(content: str | bytes | list[object], **kwargs: object) -> ImportReport:
        file = tmp_path / "legacy.json"
        if isinstance(content, list):
            content = json.dumps({"invocations": content})
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
        return take_in(store, file, **{"zone": "UTC", **kwargs})  # type: ignore[arg-type]

    return taken


def good(n: int = 0, **members: object) -> dict[str, object]:
    moment = f"2025-02-10T12:{n // 60:02d}:{n % 60:02d}"
    return {"skill_name": "s", "invoked_at": moment, "completed": True, **members}


def dump(store: MetricsStore) -> dict[str, list[object]]:
    """Everything that the database says."""
    with store.database.read() as connection:
        schema = connection.execute("SELECT name, sql FROM sqlite_schema ORDER BY 1").fetchall()
        tables = [name for name, sql in schema if sql and sql.startswith("CREATE TABLE")]
        held = {table: connection.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
        return {"schema": schema, **held}


def left_behind(store: MetricsStore) -> Iterator[str]:
    return (path.name for path in Path(f"{store.path}.legacy").iterdir() if path.name != "lock")


@pytest.mark.parametrize("name", COUNTS)
def test_a_real_file_is_taken_in_whole_and_only_once(name: str, store: MetricsStore) -> None:
    zone = "Europe/Berlin" if name == "berlin_dst" else "UTC"
    read, inserted, quarantined, pending, skills, baseline = COUNTS[name]
    rehearsed = take_in(store, FILES / f"{name}.json", zone=zone, dry_run=True)
    first = take_in(store, FILES / f"{name}.json", zone=zone)
    assert (first.read, first.inserted, first.quarantined) == (read, inserted, quarantined)
    assert (first.matched, first.upgraded, first.pending) == (0, 0, pending)
    assert first.conserved
    assert first.comparison.clean
    assert (first.comparison.compared, first.comparison.equal) == (inserted, inserted)
    assert first.skills == skills
    assert sum(line.total_invocations for line in first.baseline) == baseline
    assert store.get_summary().total_invocations == inserted - pending + baseline
    assert first.fine == (name != "torn")
    assert _numbers(rehearsed) == _numbers(first)
    again = take_in(store, FILES / f"{name}.json")
    assert (again.inserted, again.upgraded, again.matched) == (0, 0, inserted)
    assert (again.read, again.quarantined, again.baseline) == (read, quarantined, first.baseline)
    assert again.comparison == first.comparison
    assert not list(left_behind(store))


def _numbers(report: ImportReport) -> dict[str, object]:
    numbers = report.as_dict()
    return {key: numbers[key] for key in numbers if key not in ("dry_run", "seconds")}


def test_what_is_flagged_and_quarantined_is_named(store: MetricsStore) -> None:
    report = take_in(store, FILES / "hand_edited.json", zone="UTC")
    assert report.quarantine_reasons == {
        "bad_moment": 1,
        "bad_skill_name": 1,
        "bad_completed": 1,
        "bad_duration": 3,
        "not_storable": 1,
        "not_an_object": 4,
    }
    assert report.flags == {"unknown_keys": 1, "same_key": 2}
    assert {entry.position for entry in report.quarantine} == {
        5,
        6,
        7,
        8,
        9,
        11,
        12,
        14,
        15,
        16,
        17,
    }
    buddy = take_in(store, FILES / "session_buddy_export.json", zone="UTC")
    assert (buddy.shape, buddy.flags) == ("session", {"placeholder_duration": 228})


@pytest.mark.parametrize("name", ["typical", "hand_edited", "torn"])
def test_a_rehearsal_changes_nothing(name: str, store: MetricsStore) -> None:
    take_in(store, FILES / "two_writers.json", zone="UTC")
    store.record_invocation("live")
    before = dump(store)
    take_in(store, FILES / f"{name}.json", zone="UTC", dry_run=True)
    assert dump(store) == before
    assert not list(left_behind(store))


def test_a_torn_file_keeps_its_end_and_the_whole_file_matches_later(
    store: MetricsStore, tmp_path: Path
) -> None:
    file = tmp_path / "legacy.json"
    file.write_bytes((FILES / "torn.json").read_bytes())
    torn = take_in(store, file, zone="UTC")
    assert torn.torn is not None
    assert "3,356 whole records" in torn.torn
    raw = store.query("SELECT raw FROM legacy_quarantine")[0]["raw"]
    assert raw
    assert (FILES / "torn.json").read_text().endswith(raw)
    file.write_bytes((FILES / "typical.json").read_bytes())
    whole = take_in(store, file)
    assert (whole.inserted, whole.matched, whole.quarantined) == (5000 - 3356, 3356, 0)
    assert whole.fine
    assert store.get_summary().total_invocations == 4981


def test_a_file_torn_among_its_totals_gives_all_records_and_no_totals(
    store: MetricsStore, tmp_path: Path
) -> None:
    text = (FILES / "pruned.json").read_text()
    file = tmp_path / "legacy.json"
    file.write_text(text[: text.index('"crackerjack-init": {') + 40])
    torn = take_in(store, file, zone="UTC")
    assert (torn.read, torn.inserted, torn.quarantine_reasons) == (401, 400, {"torn": 1})
    assert torn.baseline == ()
    file.write_text(text)
    assert sum(line.total_invocations for line in take_in(store, file).baseline) == 2095


def test_hostile_records_are_kept_as_rows_or_as_their_text(
    take: Callable[..., ImportReport], store: MetricsStore
) -> None:
    durations = ("NaN", "-Infinity", "1e400", "1" * 5000, "-0.0", "1E-400", "123")
    extras = ("NaN", "1e400", "[" * 600 + "]" * 600, "[" * 400 + "]" * 400, "9" * 4000)
    texts = [f'"completed": true, "duration_seconds": {number}' for number in durations]
    texts += [f'"x": {value}' for value in extras]
    texts += [
        '"x\\ud800": 1',
        '"workflow_path": "\\u0000"',
        '"completed": true, "completed": false',
    ]
    texts += ['"error_type": ""', '"workflow_path": ""']
    records = [
        f'{{"skill_name": "s", "invoked_at": "2025-02-10T12:00:{n:02d}", {text}}}'
        for n, text in enumerate(texts)
    ]
    content = f'{{"invocations": [{", ".join(records)}]}}'
    report = take(content)
    assert (report.read, report.conserved, report.comparison.clean) == (len(texts), True, True)
    assert report.quarantine_reasons == {"bad_duration": 4, "not_storable": 4}
    kept = {row["raw"] for row in store.query("SELECT raw FROM legacy_quarantine")}
    assert kept < set(records)
    assert report.flags["duplicate_keys"] == 1
    again = take(content)
    assert (again.inserted, again.matched, again.quarantined) == (0, len(texts) - 8, 8)
    assert store.query("SELECT count(*) AS n FROM legacy_quarantine")[0]["n"] == 8


def test_the_same_unusable_text_is_kept_as_often_as_the_file_has_it(
    take: Callable[..., ImportReport], store: MetricsStore
) -> None:
    assert take([5, 5, 5, None]).quarantined == 4
    assert take([5, 5, 5, None, 5]).quarantined == 5
    assert store.query("SELECT count(*) AS n FROM legacy_quarantine")[0]["n"] == 5


def test_bytes_that_are_not_utf_8_are_kept_as_escapes(
    take: Callable[..., ImportReport], store: MetricsStore
) -> None:
    report = take(b'{"invocations": [{"skill_name": "caf\xe9"}, 1]}')
    assert report.quarantined == 2
    raws = [row["raw"] for row in store.query("SELECT raw FROM legacy_quarantine ORDER BY id")]
    assert raws == ['{"skill_name": "caf\\udce9"}', "1"]


def test_a_later_log_takes_the_place_of_an_earlier_one(take: Callable[..., ImportReport]) -> None:
    first, second = json.dumps([good(1), good(2)]), json.dumps([good(3)])
    report = take(f'{{"invocations": {first}, "skills": {{}}, "invocations": {second}}}')
    assert (report.read, report.inserted) == (3, 1)
    assert report.quarantine_reasons == {"superseded": 2}


def test_any_order_of_the_members_gives_the_same(
    open_store: Callable[..., MetricsStore], tmp_path: Path
) -> None:
    document = json.loads((FILES / "double_completed.json").read_text())
    summaries = set()
    for n, keys in enumerate([list(document), list(reversed(document))]):
        file = tmp_path / f"{n}.json"
        file.write_text(json.dumps({key: document[key] for key in keys}))
        store = open_store(f"{n}.db")
        assert take_in(store, file, zone="UTC").fine
        summaries.add(store.get_summary())
    assert len(summaries) == 1


def test_a_symlink_is_the_file_it_points_to(store: MetricsStore, tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(FILES / "two_writers.json")
    report = take_in(store, tmp_path / "link.json", zone="UTC")
    assert report.source == os.path.realpath(FILES / "two_writers.json")
    assert take_in(store, FILES / "two_writers.json").matched == 99


def test_what_is_no_file_is_refused(store: MetricsStore, tmp_path: Path) -> None:
    with pytest.raises(LegacyFileNotFound):
        take_in(store, tmp_path / "nowhere.json")
    with pytest.raises(LegacyFileError, match="directory"):
        take_in(store, tmp_path)
    assert not list(left_behind(store))


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("how", ["name", "symlink", "link"])
def test_the_store_itself_is_refused_unopened(
    suffix: str, how: str, store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.record_invocation("s")
    file = Path(store.path + suffix)
    if how != "name":
        other = tmp_path / "other.json"
        other.symlink_to(file) if how == "symlink" else other.hardlink_to(file)
        file = other
    monkeypatch.setattr(importing, "copy_stable", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(LegacyFileError, match="the store itself"):
        take_in(store, file)


def test_a_file_whose_name_is_not_utf_8_is_taken_in(store: MetricsStore, tmp_path: Path) -> None:
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.json")
    try:
        Path(name).write_bytes((FILES / "two_writers.json").read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    assert take_in(store, Path(name), zone="UTC").inserted == 99
    assert take_in(store, Path(name)).matched == 99


@pytest.mark.parametrize("content", ["", "[]", '{"x": 1}', "SQLite format 3\0"])
def test_a_file_that_is_no_legacy_file_leaves_no_copy_behind(
    content: str, take: Callable[..., ImportReport], store: MetricsStore
) -> None:
    with pytest.raises(LegacyFileError):
        take(content)
    assert not list(left_behind(store))


def test_what_lies_in_the_workplace_and_is_not_ours_is_left_alone(
    store: MetricsStore, tmp_path: Path
) -> None:
    folder = Path(f"{store.path}.legacy")
    folder.mkdir()
    (folder / "mine.json").write_bytes((FILES / "two_writers.json").read_bytes())
    (folder / "legacy-abc.json").write_text("left by a killed pass")
    take_in(store, FILES / "two_writers.json", zone="UTC")
    assert list(left_behind(store)) == ["mine.json"]
    with pytest.raises(LegacyFileError):
        take_in(store, folder / "mine.json")
    assert (folder / "mine.json").exists()


def test_a_workplace_that_cannot_be_made_is_an_error_of_ours(store: MetricsStore) -> None:
    Path(f"{store.path}.legacy").write_text("a file")
    with pytest.raises(StoreNotWritable):
        take_in(store, FILES / "two_writers.json")


def test_too_deep_a_value_is_an_error_of_ours_that_names_the_line(
    take: Callable[..., ImportReport],
) -> None:
    for depth in (999, 5000, 100_000):
        with pytest.raises(NotLegacyFile, match="line 1"):
            take('{"invocations": [{"x": %s}]}' % ("[" * depth + "]" * depth))


def test_progress_goes_through_the_stages_and_never_back(store: MetricsStore) -> None:
    seen: list[Progress] = []
    take_in(store, FILES / "typical.json", zone="UTC", progress=seen.append)
    stages = list(dict.fromkeys(progress.stage for progress in seen))
    assert stages == ["streaming", "settling", "comparing", "done"]
    for stage in stages:
        done = [progress.done for progress in seen if progress.stage == stage]
        assert all(0 <= n <= progress.total for n, progress in zip(done, seen, strict=False))
    streaming = [progress.records for progress in seen if progress.stage == "streaming"]
    assert streaming == sorted(streaming)
