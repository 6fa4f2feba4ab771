"""Any file against any store: a verify finds what a comparison of multisets by hand finds."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import long_history
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.legacy import comparing
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.likeness import BARE, EQUAL, UNLIKE, likeness
from metrics_store.legacy.verifying import verify
from metrics_store.legacy_format import record, stored
from metrics_store.legacy_format.moments import ZoneReader
from metrics_store.legacy_format.record import Understood

posix = pytest.mark.skipif(not hasattr(os, "fork"), reason="it is about POSIX processes")

RECORDS = st.builds(
    lambda key, says, beyond: {
        "skill_name": f"s{key}",
        "invoked_at": f"2025-02-1{key}T00:00:00",
        "workflow_path": None,
        "completed": False,
        "duration_seconds": None,
        "follow_up_actions": [],
        "error_type": None,
        **says,
        **beyond,
    },
    st.integers(0, 2),
    st.sampled_from(
        [
            {},
            {"follow_up_actions": None},
            {"completed": True, "duration_seconds": 1.0},
            {"completed": True, "duration_seconds": 0.1234567},
            {"duration_seconds": 1.0, "error_type": "E"},
        ]
    ),
    st.sampled_from([{}, {}, {}, {"session_id": "x"}, {"session_id": "y", "z": 1}]),
)
FILE = st.lists(RECORDS, max_size=12)


def understood(value: object) -> Understood:
    sessions = isinstance(value, dict) and "session_id" in value
    return record.understand(value, ZoneReader("UTC"), sessions, 0)


def by_hand(records: list[Understood], rows: list[Mapping[str, object]]) -> Counter[str]:
    """What differs between the records and the rows of one key."""
    found: Counter[str] = Counter()
    left, free = list(records), list(rows)
    for alike in (
        lambda u, row: record.content_of(row) == u.content,
        lambda u, row: u.is_bare and record.content_of(row, bare=True) == u.content,
    ):
        for u in list(left):
            match = next((row for row in free if alike(u, row)), None)
            if match is not None:
                left.remove(u)
                free.remove(match)
                found["equal"] += 1
    pending = sum(u.pending for u in left)
    ended = sum(row["outcome"] is not None for row in free)
    found["store_ahead"] = min(pending, ended)
    paired = min(len(left), len(free))
    found["different"] = paired - found["store_ahead"]
    found["only_in_file"] = len(left) - paired
    found["only_in_store"] = len(free) - paired
    return found


def matched_at_most(records: list[Understood], rows: list[Mapping[str, object]]) -> int:
    """The most records that can have a row of their own that says the same (Kuhn, 1955)."""
    taken: dict[int, int] = {}

    def place(i: int, seen: set[int]) -> bool:
        for j, row in enumerate(rows):
            if j not in seen and stored.says(row, records[i]):
                seen.add(j)
                if j not in taken or place(taken[j], seen):
                    taken[j] = i
                    return True
        return False

    return sum(place(i, set()) for i in range(len(records)))


@given(earlier=st.lists(FILE, min_size=1, max_size=2), now=FILE, batch=st.integers(1, 9))
@settings(max_examples=80)
def test_a_verify_finds_what_a_comparison_by_hand_finds(
    earlier: list[list[dict[str, object]]],
    now: list[dict[str, object]],
    batch: int,
    new_file: Path,
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "f.json"
        (Path(folder) / "m.db").write_bytes(new_file.read_bytes())
        with MetricsStore(
            Path(folder) / "m.db", durability="normal", clock=SettableClock()
        ) as store:
            for records in earlier:
                path.write_text(json.dumps({"invocations": records}))
                take_in(store, path, zone="UTC")
            path.write_text(json.dumps({"invocations": now}))
            report = verify(store, path, batch=batch)
            with store.database.read() as connection:
                rows = list(stored.every(connection))
    expected: Counter[str] = Counter()
    everything = [understood(value) for value in now]
    for key in range(3):
        records = [u for u in everything if u.skill_name == f"s{key}"]
        of_key = [row for row in rows if row["skill_name"] == f"s{key}"]
        found = by_hand(records, of_key)
        assert found["equal"] == matched_at_most(records, of_key)
        expected += found
    told = Counter({"equal": report.equal}) + Counter(report.explained)
    told += Counter(report.unexplained)
    assert told == expected
    assert report.compared == len(now)
    assert not {"different", "only_in_file"} & report.explained.keys()
    assert not {"store_ahead", "only_in_store"} & report.unexplained.keys()


COLUMNS = {
    "skill_name": st.sampled_from(["s0", "s1"]),
    "workflow_path": st.sampled_from([None, "", "p"]),
    "session_id": st.sampled_from([None, "", "x", "y"]),
    "outcome": st.sampled_from([None, "completed", "failed", "abandoned"]),
    "duration_us": st.sampled_from([None, 0, 1_000_000, 123_457]),
    "error_type": st.sampled_from([None, "", "E"]),
    "follow_up_actions": st.sampled_from(["[]", '["a"]', "[ ]"]),
    "attributes": st.sampled_from([None, "{}", '{"z":1}', '{"reaped":1}', "[1]"]),
    "legacy": st.sampled_from(
        [
            None,
            "{}",
            '{"source":1,"invoked_at":"2025-02-10T00:00:00"}',
            '{"source":1,"invoked_at":"2025-02-10T00:00:00","beyond":true}',
            '{"source":1,"duration_seconds":1.0,"invoked_at":"2025-02-10T00:00:00"}',
            '{"source":1,"x":",","invoked_at":"2025-02-10T00:00:00"}',
            '{"invoked_at":"2025-02-10T00:00:00"}',
        ]
    ),
}


@given(value=RECORDS, changed=st.fixed_dictionaries({}, optional=COLUMNS))
@example(
    {
        "skill_name": "s0",
        "invoked_at": "2025-02-10T00:00:00",
        "workflow_path": None,
        "completed": False,
        "duration_seconds": None,
        "follow_up_actions": [],
        "error_type": None,
    },
    {
        "attributes": "{}",
        "legacy": '{"source":1,"invoked_at":"2025-02-10T00:00:00","beyond":true}',
    },
)
@settings(max_examples=400)
def test_likeness_is_what_the_records_that_rows_give_back_say(
    value: dict[str, object], changed: dict[str, object]
) -> None:
    u = understood(value)
    row: dict[str, object] = {
        "skill_name": u.skill_name,
        "workflow_path": u.workflow_path,
        "session_id": u.session_id,
        "outcome": None if u.pending else "completed" if u.completed else "failed",
        "duration_us": u.duration_us,
        "error_type": u.error_type,
        "follow_up_actions": u.actions_text,
        "attributes": u.attributes,
        "legacy": u.legacy(1),
        **changed,
    }
    try:
        full, bare = record.content_of(row), record.content_of(row, bare=True)
    except (ValueError, KeyError, TypeError, AttributeError):
        assert likeness(row, u) == UNLIKE
        return
    expected = EQUAL if full == u.content else BARE if u.is_bare and bare == u.content else UNLIKE
    assert likeness(row, u) == expected
    assert (expected != UNLIKE) == stored.says(row, u)
    if not changed:
        assert expected == EQUAL


_PEAK = """
import json, sys
from pathlib import Path
from metrics_store import MetricsStore
from metrics_store.legacy.importing import take_in
from metrics_store.legacy.verifying import verify
path, store = Path(sys.argv[1]), MetricsStore(sys.argv[2], durability="normal")
if sys.argv[3] == "take":
    take_in(store, path, zone="UTC")
else:
    report = verify(store, path, zone="UTC")
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps([report.compared, report.equal, report.clean, peak]))
"""


@posix
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it asks Linux")
@pytest.mark.parametrize(
    ("n", "distinct", "most"),
    # Of the first, ten thousand records more take one MB more: 60 is far above, and tells early.
    [(40_000, 40_000, 60), (20_000, 1, 110), (4_000, 2_000, 60)],
)
def test_memory_is_bounded(
    n: int,
    distinct: int,
    most: int,
    store: MetricsStore,
    tmp_path: Path,
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    long_history.write(tmp_path / "f.json", n, distinct)
    arguments = (tmp_path / "f.json", store.path)
    python(_PEAK, *arguments, "take")
    compared, equal, clean, peak = json.loads(python(_PEAK, *arguments, "verify").stdout)
    assert (compared, equal, clean) == (n, n, True)
    assert peak < most


@posix
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it asks Linux")
def test_memory_is_bounded_if_everything_differs(
    store: MetricsStore,
    tmp_path: Path,
    python: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    long_history.write(tmp_path / "f.json", 20_000, 20_000)
    arguments = (tmp_path / "f.json", store.path)
    compared, equal, clean, peak = json.loads(python(_PEAK, *arguments, "verify").stdout)
    assert (compared, equal, clean) == (20_000, 0, False)
    assert store.query("SELECT count(*) AS n FROM legacy_difference")[0]["n"] == 20_000
    assert peak < 90


def test_pages_of_any_size_find_the_same(
    store: MetricsStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.json"
    call = {"skill_name": "s", "completed": True, "duration_seconds": 1.0}
    every = [{**call, "invoked_at": f"2025-02-10T00:00:{n:02d}"} for n in range(40)]
    path.write_text(json.dumps({"invocations": every}))
    take_in(store, path, zone="UTC")
    path.write_text(json.dumps({"invocations": every[::3]}))
    for size in (1, 2, 7, 40, 5000):
        monkeypatch.setattr(comparing, "_ROWS", size)
        assert verify(store, path).explained == {"only_in_store": 26}
