"""The clock is set back, or a year ahead: nothing is mismeasured, lost or deleted because of it."""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.backup import creating
from metrics_store.backup.keeping import Keep
from metrics_store.clock import Clock, new_id, parse
from metrics_store.errors import StoreBusy
from metrics_store.health import measure

Open = Callable[..., MetricsStore]
BACK, NOW, AHEAD = "2024-02-29T23:59:59Z", "2026-03-10T12:00:00Z", "2027-03-10T12:00:00Z"
#: Clocks that are quite wrong.
ODD = ["1970-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "0001-01-05T00:00:00Z",
       "2038-01-19T03:14:08Z", "9999-12-30T00:00:00Z"]  # fmt: skip


@pytest.mark.parametrize("moment", [BACK, AHEAD])
def test_a_duration_is_measured_by_what_passed(
    store: MetricsStore, clock: SettableClock, moment: str
) -> None:
    clock.set(NOW)
    started = store.track_invocation("deploy")
    clock.advance(2.5)
    clock.set(moment)
    clock.monotonic += 500_000
    started.complete()
    row = store.get_invocation(started.invocation_id)
    assert row is not None
    assert row.duration_seconds == 3.0
    assert row.invoked_at.startswith("2026-03-10T12:00:00")
    assert row.ended_at is not None
    assert parse(row.ended_at) - parse(row.invoked_at) == 3_000_000
    metrics = store.get_skill_metrics("deploy")
    assert metrics is not None
    assert (metrics.min_duration_seconds, metrics.max_duration_seconds) == (3.0, 3.0)


def test_the_log_is_in_the_order_of_its_making_and_ids_are_unique_and_grow(
    store: MetricsStore, clock: SettableClock
) -> None:
    chance = random.Random(4)
    made = []
    for n in range(300):
        match chance.randrange(5):
            case 0:
                clock.set(chance.choice([BACK, NOW, AHEAD]))
            case 1:
                clock.us += chance.randrange(-(10**13), 10**13)
            case _:
                clock.advance(chance.random() / 500)
        if n % 3:
            made.append(store.record_invocation("deploy"))
        else:
            started = store.track_invocation("deploy")
            started.complete()
            made.append(started.invocation_id)
    logged = store.query("SELECT id FROM skill_invocation ORDER BY seq")
    assert [row["id"] for row in logged] == made
    assert made == sorted(set(made))
    # Every page of the listing, each row once.
    listed: list[str] = []
    after = None
    while True:
        page = store.invocations(limit=17, after=after)
        listed += [row.id for row in page.invocations]
        if (after := page.next) is None:
            break
    assert sorted(listed) == made


def test_ids_of_threads_are_unique_while_the_clock_jumps() -> None:
    made: list[list[str]] = [[] for _ in range(4)]

    def make(mine: list[str]) -> None:
        chance = random.Random(len(mine))
        mine.extend(new_id(chance.choice([0, 10**15, 2 * 10**15])) for _ in range(5_000))

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({name for mine in made for name in mine}) == 20_000
    assert all(mine == sorted(mine) for mine in made)


@pytest.mark.parametrize("moment", [BACK, AHEAD, *ODD])
def test_every_report_works_when_the_clock_is_elsewhere(
    store: MetricsStore, clock: SettableClock, moment: str
) -> None:
    for day in range(10):
        clock.set(f"2026-03-{day + 1:02d}T12:00:00Z")
        store.record_invocation("deploy", duration_seconds=day, session_id="s", workflow_path="p")
    store.track_invocation("docs")
    clock.set(moment)
    metrics = store.get_skill_metrics("deploy", exact=True)
    assert metrics is not None
    assert metrics.total_invocations == 10
    for window in ("1 hour", "2 days", "8 weeks", "3 years"):
        points = store.get_skill_timeline("deploy", window)
        assert sum(point.invocations for point in points) in (0, 10)
    assert all(sum(counts) in (0, 10) for counts in store.get_daily_counts(60).values())
    assert len(store.invocations(since="2026-01-01T00:00:00Z").invocations) == 10
    assert len(store.in_flight()) == 1
    assert store.get_sessions()[0].invocation_count == 10
    assert store.get_summary().total_invocations == 10
    report = measure(store.database)
    assert not [finding for finding in report.findings if "bug" in str(finding)]
    # Elsewhere it can record, too.
    store.record_invocation("deploy", duration_seconds=1)
    with store.track_invocation("deploy"):
        clock.advance(1)
    assert store.reap() == ()


def test_nothing_of_a_living_process_is_reaped_because_the_clock_was_set(
    store: MetricsStore, clock: SettableClock
) -> None:
    clock.set(NOW)
    started = store.track_invocation("deploy")
    for moment in (BACK, AHEAD, *ODD, NOW):
        clock.set(moment)
        assert store.reap() == ()
        # A sign of life is one, whatever the clock says.
        started.heartbeat()
        assert store.reap("6 hours") == ()
    clock.set(BACK)
    assert store.reap("1 second") == ()
    started.complete()
    assert store.get_summary().completed_invocations == 1


def test_what_a_dead_process_left_is_reaped_whatever_the_clock_says(
    store: MetricsStore, clock: SettableClock, python: Callable[..., object]
) -> None:
    for moment in (BACK, AHEAD, ODD[0], ODD[-1]):
        python(
            "import os, sys\nfrom metrics_store import MetricsStore\n"
            "MetricsStore(sys.argv[1]).track_invocation('left')\nos._exit(0)",
            store.path,
        )
        clock.set(moment)
        (reaped,) = store.reap()
        assert reaped.reason == "process gone"
    assert store.in_flight() == []
    assert store.get_all_metrics()["left"].total_invocations == 4


class _Jumping(Clock):
    """This machine's clock, but for the wall clock, which jumps at every look."""

    def __init__(self) -> None:
        self._chance = random.Random(1)

    def now_us(self) -> int:
        return parse(self._chance.choice([BACK, NOW, AHEAD]))


def test_waiting_for_the_lock_is_no_longer_and_no_shorter(
    open_store: Open, hold_lock: Callable[[object], Callable[[], None]]
) -> None:
    store = open_store(clock=_Jumping(), busy_timeout=0.3)
    hold_lock(store.path)
    for _ in range(5):
        before = time.monotonic()
        with pytest.raises(StoreBusy):
            store.record_invocation("deploy")
        took = time.monotonic() - before
        assert took >= 0.3
        if took < 0.5:
            return
    pytest.fail(f"it took {took:.2f} s")


def test_a_buffer_writes_in_time_while_the_clock_jumps(open_store: Open) -> None:
    store = open_store(clock=_Jumping())
    store.buffered(max_delay=0.01).record_invocation("deploy")
    limit = time.monotonic() + 30
    while store.get_summary().total_invocations == 0:
        assert time.monotonic() < limit


@pytest.mark.parametrize("moment", [BACK, AHEAD, ODD[0], ODD[-1]])
def test_pruning_backups_deletes_nothing_because_the_clock_was_set(
    open_store: Open, clock: SettableClock, tmp_path: Path, moment: str
) -> None:
    store = open_store()
    directory = tmp_path / "backups"
    keep = Keep(last=2, daily=3, weekly=2)
    for day in (1, 2, 8, 9, 10):
        clock.set(f"2026-03-{day:02d}T12:00:00Z")
        creating.create(store.database, directory)
    # By the right clock, a week later.
    other = Path(shutil.copytree(directory, tmp_path / "other"))
    clock.set("2026-03-17T12:00:00Z")
    expected = _deleted(store, other, keep)
    assert 0 < len(expected) < 5
    # By a wrong clock no more goes than by the right one.
    clock.set(moment)
    assert _deleted(store, directory, keep) <= expected
    # And when it is right again, what is dated after now does not push others out.
    clock.set("2026-03-17T12:00:00Z")
    _deleted(store, directory, keep)
    right = {path.name for path in other.glob("*.db")}
    assert right <= {path.name for path in directory.glob("*.db")}


def _deleted(store: MetricsStore, directory: Path, keep: Keep) -> set[str]:
    """Make one more backup; the names of those that the rules then let go."""
    made = creating.create(store.database, directory, keep=keep)
    assert made.path.exists()
    assert made.pruned is not None
    return {entry.path.name for entry in made.pruned.deleted}


def test_a_clock_that_stands_still_names_every_backup_differently(
    open_store: Open, clock: SettableClock
) -> None:
    store = open_store()
    paths = {creating.create(store.database).path for _ in range(4)}
    assert len(paths) == 4
    assert all(os.path.exists(path) for path in paths)
