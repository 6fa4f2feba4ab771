"""The gates: what each asks for, when it is met, what it says if not, and what a force leaves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from leaving import EMPTY, Interrupted, Migration, asked, refused, stopped_by, unforced, unmet
from settable_clock import SettableClock

from metrics_store.errors import GateNotMet, InvalidValue, MigrationExists
from metrics_store.legacy import control, spill
from metrics_store.legacy.control import Gates
from metrics_store.phases import (
    beginning,
    reconciling,
)

STRICT = Gates(shadow_reads=3, max_verify_age=3600, soak=7200)


@pytest.fixture
def strict(tmp_path: Path, clock: SettableClock) -> Migration:
    return Migration(tmp_path, clock, gates=STRICT)


def spilled(
    migration: Migration, name: str, hold_lock: Callable[[Path], Callable[[], None]]
) -> None:
    let_go = hold_lock(migration.db)
    migration.call(migration.tracker(), name)
    let_go()


def test_start_asks_the_doctor(tmp_path: Path, clock: SettableClock) -> None:
    file = tmp_path / "m.json"
    file.write_text(EMPTY[:30])
    operator = Interrupted(file, tmp_path / "m.db", now=clock)
    start = lambda: beginning.start(operator, zone="UTC", wanted=STRICT, execute=True)  # noqa: E731
    error = refused(start)
    assert isinstance(error, GateNotMet)
    assert "not whole" in error.detail
    assert control.read(file) is None
    file.write_text(EMPTY)
    error = refused(
        lambda: beginning.start(operator, zone="Mars/Base", wanted=STRICT, execute=True)
    )
    assert "Mars/Base" in error.detail
    there, _ = start()
    assert there is not None
    assert isinstance(refused(start), MigrationExists)


@pytest.mark.parametrize(
    "wrong",
    [Gates(shadow_reads=-1), Gates(max_verify_age=0), Gates(soak=-1), Gates(sample_rate=1.5),
     Gates(sample_rate=-0.1), Gates(sample_rate=float("nan")), Gates(sample_rate=0.0)],
)  # fmt: skip
def test_gates_of_impossible_sizes_are_refused(wrong: Gates) -> None:
    with pytest.raises(InvalidValue):
        beginning.check_gates(wrong)


def test_out_of_legacy_the_doctor_is_asked_once_more(strict: Migration) -> None:
    strict.json_file.write_text(EMPTY[:40])
    assert "not whole" in stopped_by(strict, "file")
    strict.json_file.write_text(EMPTY)
    assert unmet(strict) == set()
    unforced(strict)
    assert strict.phase == "dual_write"


def test_out_of_dual_write_a_backfill_of_this_phase_is_asked_for(strict: Migration) -> None:
    strict.to("dual_write")
    assert "none since this phase began" in stopped_by(strict, "backfill")
    strict.backfill()
    assert unmet(strict) == set()
    assert "a second pass inserted 0" in asked(strict)["backfill"].detail
    strict.back()
    strict.to("dual_write")
    stopped_by(strict, "backfill")
    strict.backfill()
    unforced(strict)
    assert strict.phase == "shadow"


def test_a_backfill_that_is_not_clean_does_not_do(strict: Migration) -> None:
    strict.to("dual_write")
    strict.call(strict.tracker(), "p")
    record = {**strict.records()[0], "error_type": "somebody edited this"}
    document = json.loads(strict.json_file.read_text()) | {"invocations": [record]}
    strict.json_file.write_text(json.dumps(document, indent=2))
    assert not strict.backfill().fine
    assert "found differences" in stopped_by(strict, "backfill")


def test_the_spill_is_replayed_before_the_gate_is_looked_at(
    migration: Migration, hold_lock: Callable[[Path], Callable[[], None]]
) -> None:
    migration.to("dual_write")
    migration.backfill()
    spilled(migration, "p", hold_lock)
    assert unmet(migration) == {"spill"}
    assert "1 record waits" in asked(migration)["spill"].detail
    unforced(migration)
    assert migration.phase == "shadow"
    assert migration.in_store() == {"p": 1}


@pytest.mark.parametrize("phase", ["dual_write", "shadow", "dual_read", "database"])
def test_a_line_of_the_spill_that_cannot_be_read_stands_in_the_way(
    migration: Migration, phase: str
) -> None:
    migration.to(phase)
    Path(spill.spill_path(migration.json_file)).write_text("torn\n")
    before = {name for name in unmet(migration) if name != "spill"}
    assert "1 line of it cannot be read" in stopped_by(migration, "spill", *before)
    reconciling.reconcile(migration.operator, "db", execute=True)
    assert unmet(migration) == before
    (kept,) = migration.operator.folder("backups").glob("damaged-spill-*")
    assert kept.read_text() == "torn\n"


def test_out_of_shadow_reads_that_agree_are_asked_for(strict: Migration) -> None:
    strict.to("shadow")
    tracker = strict.tracker()
    assert "0 of 3 compared reads" in stopped_by(strict, "shadow reads")
    strict.call(tracker, "p")
    tracker.get_all_metrics()
    tracker.get_summary()
    assert "2 of 3" in stopped_by(strict, "shadow reads")
    tracker.get_skill_metrics("s")
    unforced(strict)
    assert strict.phase == "dual_read"


def test_out_of_shadow_a_difference_stands_in_the_way_until_it_is_explained(
    strict: Migration,
) -> None:
    strict.to("shadow")
    tracker = strict.tracker()
    for _ in range(3):
        tracker.get_summary()
    strict.store.track_invocation("only in the store").complete()
    tracker.get_summary()
    assert "1 difference of" in stopped_by(strict, "mismatches")
    found = asked(strict)["mismatches"]
    assert "verify" in found.todo


def test_a_difference_whose_cause_is_gone_is_explained_at_the_next_advance(
    strict: Migration,
) -> None:
    strict.to("shadow")
    tracker = strict.tracker()
    whole = strict.json_file.read_text()
    strict.call(tracker, "p")
    now = strict.json_file.read_text()
    strict.json_file.write_text(whole)  # a legacy tracker has rewritten it from its own memory
    strict.tracker().get_summary()
    strict.json_file.write_text(now)
    for _ in range(3):
        strict.tracker().get_summary()
    unforced(strict)
    assert strict.phase == "dual_read"
    (kept,) = strict.store.query("SELECT explanation FROM legacy_difference")
    assert "resolved" in str(kept["explanation"])


def test_reads_that_could_not_be_compared_do_not_count(
    strict: Migration, hold_lock: Callable[[Path], Callable[[], None]]
) -> None:
    strict.to("shadow")
    spilled(strict, "p", hold_lock)
    tracker = strict.tracker()
    for _ in range(5):
        tracker.get_summary()
    reconciling.reconcile(strict.operator, "db", execute=True)
    assert "shadow reads" in unmet(strict)
