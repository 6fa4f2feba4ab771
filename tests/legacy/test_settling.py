"""Which record is which row: histories of files, imported one after the other, against a model."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.legacy import taking
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.report import ImportReport
from metrics_store.legacy_format import record, stored

#: A record: which key, and what it says; 0 never ended.
Said = tuple[int, int]
NUMBER = count()

files = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=7)
batches = st.sampled_from([1, 2, 3, 2000])


def legacy(said: Said) -> dict[str, object]:
    key, what = said
    return {
        "skill_name": f"s{key}",
        "invoked_at": "2025-02-10T12:00:00",
        "workflow_path": None,
        "completed": what > 0,
        "duration_seconds": float(what) if what else None,
        "follow_up_actions": [],
        "error_type": None,
    }


def held(store: MetricsStore) -> Counter[Said]:
    """What the rows say, in flight or not."""
    with store.database.read() as connection:
        contents = [json.loads(record.content_of(row)) for row in stored.every(connection)]
    return Counter((int(content[0][1:]), int(content[4] or 0)) for content in contents)


def take(store: MetricsStore, folder: Path, said: list[Said], name: str = "f") -> ImportReport:
    file = folder / f"{name}.json"
    file.write_text(json.dumps({"invocations": list(map(legacy, said))}))
    return take_in(store, file, zone="UTC")


class Model:
    """DESIGN's identity rule by brute force: per key the larger side, equal ones paired first."""

    def __init__(self) -> None:
        self.rows: Counter[Said] = Counter()

    def take(self, said: list[Said]) -> Counter[str]:
        """Take a file in; gives the counts to be expected."""
        counts: Counter[str] = Counter(read=len(said))
        for key in {key for key, _ in said}:
            left = []
            free = Counter({what: n for (k, what), n in self.rows.items() if k == key})
            for what in [what for k, what in said if k == key]:
                if free[what]:
                    free[what] -= 1
                    counts["matched"] += 1
                else:
                    left.append(what)
            # What never ended first: an ended row may be its end, and an end unlike it is new.
            waiting = sorted(left, key=lambda what: what > 0)
            for what in [what for what in waiting if what]:
                if free[0]:
                    free[0] -= 1
                    waiting.remove(what)
                    counts["upgraded"] += 1
                    self.rows[key, 0] -= 1
                    self.rows[key, what] += 1
            both = min(len(waiting), free.total())
            counts["matched"] += both
            counts["inserted"] += len(waiting) - both
            for what in waiting[both:]:
                self.rows[key, what] += 1
        return counts

    def compare(self, said: list[Said]) -> dict[str, int]:
        """What the comparison is to find."""
        found = Counter(equal=(Counter(said) & self.rows).total())
        over = self.rows - Counter(said)
        for key, what in (Counter(said) - self.rows).elements():
            over[next(left for left in +over if left[0] == key)] -= 1
            found["different" if what else "store_ahead"] += 1
        found["only_in_store"] = over.total()
        return +found


def check(report: ImportReport, expected: Counter[str], compared: dict[str, int]) -> None:
    assert report.conserved
    for name in ("read", "inserted", "matched", "upgraded", "quarantined"):
        assert (name, getattr(report, name)) == (name, expected[name])
    comparison = report.comparison
    found = {"equal": comparison.equal, **comparison.explained, **comparison.unexplained}
    assert {kind: n for kind, n in found.items() if n} == compared
    assert set(comparison.unexplained) <= {"different"}


@given(history=st.lists(files, min_size=1, max_size=4), batch=batches)
@example(history=[[(0, 1), (0, 2)], [(0, 2)], [(0, 1)]], batch=2000)
@example(history=[[(0, 0), (0, 1)], [(0, 2), (0, 1), (0, 3)]], batch=1)
@example(history=[[(0, 0)], [(0, 0), (0, 1)], [(0, 1), (0, 2)]], batch=1)
@example(history=[[(0, 0), (0, 2)], [(0, 0), (0, 1), (0, 0)]], batch=1)
@example(history=[[(2, 1), (2, 2)], [(2, 1), (2, 3), (2, 1)]], batch=1)
@example(history=[[(0, 0), (0, 1)], [(0, 3), (0, 2), (0, 3)]], batch=1)
@example(history=[[(0, 1), (0, 3)], [(0, 3), (0, 2), (0, 3)]], batch=1)
def test_a_history_of_files_gives_the_rows_of_the_model(
    history: list[list[Said]],
    batch: int,
    open_store: Callable[..., MetricsStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(taking, "BATCH", batch)
    model = Model()
    with open_store(f"{next(NUMBER)}.db") as store:
        for said in history:
            most = {
                key: max(n, sum(k == key for k, _ in said))
                for key in range(3)
                for n in [sum(c for (k, _), c in model.rows.items() if k == key)]
            }
            before = +model.rows
            expected = model.take(said)
            report, rows = take(store, tmp_path, said), held(store)
            # Which of a key's records are new rows, and which are unlike one that is there, is open
            # where several fit; how many are is not, and nothing but records becomes a row.
            gone, new = before - rows, rows - before
            assert gone.total() == expected["upgraded"]
            assert all(what == 0 for _, what in gone)
            assert new.total() == expected["inserted"] + expected["upgraded"]
            assert new <= Counter(said)
            model.rows = rows
            check(report, expected, model.compare(said))
            assert {k: sum(n for (key, _), n in rows.items() if key == k) for k in most} == most
            ended = sum(n for (_, what), n in rows.items() if what)
            assert store.get_summary().total_invocations == ended


calls = st.lists(
    st.tuples(st.integers(0, 2), st.integers(1, 3), st.booleans()), min_size=1, max_size=8
)


@given(made=calls, random=st.randoms(use_true_random=False), batch=batches)
def test_what_a_tracker_ends_and_an_editor_reorders_is_never_new(
    made: list[tuple[int, int, bool]],
    random: object,
    batch: int,
    open_store: Callable[..., MetricsStore],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each copy: more calls than the last, some of them ended since, in any order."""
    monkeypatch.setattr(taking, "BATCH", batch)
    inserted = 0
    with open_store(f"{next(NUMBER)}.db") as store:
        for upto in range(1, len(made) + 1):
            said = [(key, 0 if late and n == upto - 1 else what)
                    for n, (key, what, late) in enumerate(made[:upto])]  # fmt: skip
            random.shuffle(said)  # type: ignore[attr-defined]
            report = take(store, tmp_path, said)
            assert report.comparison.clean
            assert not report.comparison.explained
            inserted += report.inserted
            assert held(store) == Counter(said)
        assert inserted == len(made)


@pytest.mark.parametrize("batch", [1, 2, 3, 2000])
def test_a_record_many_times_over_is_as_many_rows(
    batch: int, store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "BATCH", batch)
    said: list[Said] = [(0, 1)] * 30 + [(1, 2)] * 5
    first = take(store, tmp_path, said)
    assert (first.inserted, first.flags) == (35, {"same_key": 33})
    again = take(store, tmp_path, said[::-1])
    assert (again.inserted, again.matched, again.comparison.equal) == (0, 35, 35)
    more = take(store, tmp_path, [*said, (0, 1)])
    assert (more.inserted, more.matched) == (1, 35)
    assert held(store) == Counter({(0, 1): 31, (1, 2): 5})


def test_an_end_takes_the_row_in_flight_and_its_id(store: MetricsStore, tmp_path: Path) -> None:
    take(store, tmp_path, [(0, 0)])
    (before,) = store.query("SELECT id FROM skill_inflight")
    assert take(store, tmp_path, [(0, 2)]).upgraded == 1
    (after,) = store.query("SELECT id FROM skill_invocation")
    assert (after, store.query("SELECT id FROM skill_inflight")) == (before, [])
    older = take(store, tmp_path, [(0, 0)])
    assert (older.matched, older.comparison.explained) == (1, {"store_ahead": 1})


def test_a_row_that_was_reaped_is_still_the_pending_record(
    store: MetricsStore, tmp_path: Path
) -> None:
    take(store, tmp_path, [(0, 0), (1, 1)])
    assert len(store.reap(1, include_legacy=True)) == 1
    again = take(store, tmp_path, [(0, 0), (1, 1)])
    assert (again.inserted, again.matched, again.comparison.clean) == (0, 2, True)


def test_the_same_records_under_another_path_are_the_same_rows(
    store: MetricsStore, tmp_path: Path
) -> None:
    take(store, tmp_path, [(0, 1), (0, 2), (1, 0)])
    copy = take(store, tmp_path, [(1, 0), (0, 2), (0, 1), (0, 3)], name="copy")
    assert (copy.inserted, copy.matched) == (1, 3)
    assert store.query("SELECT count(DISTINCT lineage) AS n FROM legacy_source")[0]["n"] == 1


def test_attributes_are_content_and_the_order_of_members_is_not(
    store: MetricsStore, tmp_path: Path
) -> None:
    file = tmp_path / "f.json"
    one = {**legacy((0, 1)), "model": "a", "tags": [1, 2]}
    file.write_text(json.dumps({"invocations": [one]}))
    take_in(store, file, zone="UTC")
    turned = dict(reversed(one.items()))
    file.write_text(json.dumps({"invocations": [turned]}))
    assert take_in(store, file).comparison.equal == 1
    file.write_text(json.dumps({"invocations": [{**one, "model": "b"}]}))
    edited = take_in(store, file)
    assert (edited.inserted, edited.matched) == (0, 1)
    assert edited.comparison.unexplained == {"different": 1}
    assert not edited.fine
