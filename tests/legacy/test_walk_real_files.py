"""The real files walk the whole way and back; the legacy rules load what comes out, all of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from leaving import FILES, Migration, refused, unforced, unmet
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store.errors import GateNotMet
from metrics_store.legacy import control, verifying
from metrics_store.legacy.control import Gates
from metrics_store.legacy_format.loading import refusal_of_record
from metrics_store.legacy_format.members import MEMBERS
from metrics_store.phases import rolling_back

GATES = Gates(shadow_reads=5, soak=0)
DEFAULTS = {"workflow_path": None, "completed": False, "duration_seconds": None,
            "follow_up_actions": [], "error_type": None}  # fmt: skip


def canonical(record: dict[str, object]) -> str:
    """What the legacy tracker makes of a record."""
    values = [{**DEFAULTS, **record}.get(member) for member in MEMBERS]
    # 2 and 2.0 are one number, written in two ways.
    return json.dumps([float(v) if type(v) is int else v for v in values])


def walk(migration: Migration) -> None:
    """Go from ``legacy`` to ``database`` meeting every gate, with a call in each phase."""
    tracker = migration.tracker()
    while migration.phase != "database":
        migration.call(tracker, f"in {migration.phase}", follow_up_actions=["next"])
        match migration.phase:
            case "dual_write":
                assert migration.backfill().fine
            case "shadow":
                for _ in range(3):
                    tracker.get_all_metrics()
                    tracker.get_summary()
            case "dual_read":
                tracker.get_all_metrics()
                rolling_back.rehearse(migration.operator)
        if "mismatches" in unmet(migration) or migration.phase == "dual_read":
            verify = verifying.verify(migration.store, migration.json_file, zone=migration.zone)
            assert verify.clean
        unforced(migration)
    migration.call(tracker, "in database")


def numbers(legacy: LegacyTracker) -> dict[str, tuple[int, int, int]]:
    return {
        name: (m.total_invocations, m.completed_invocations, m.abandoned_invocations)
        for name, m in legacy.get_all_metrics().items()
    }


@pytest.mark.parametrize(
    ("name", "zone", "total"),
    [
        ("typical", "UTC", 4981),
        ("berlin_dst", "Europe/Berlin", 598),
        ("pruned", "UTC", 2493),
        ("double_completed", "UTC", 321),
        ("two_writers", "UTC", 99),
    ],
)
def test_a_file_of_the_tracker_walks_the_whole_way_and_back(
    tmp_path: Path, clock: SettableClock, name: str, zone: str, total: int
) -> None:
    source = FILES / f"{name}.json"
    clock.set("2026-11-20T12:00:00Z")
    migration = Migration(tmp_path, clock, source=source, zone=zone, gates=GATES)
    original = LegacyTracker(source)
    before = Counter(map(canonical, json.loads(source.read_text())["invocations"]))
    walk(migration)
    done = migration.rollback()
    assert done.records == sum(before.values()) + 5
    legacy = LegacyTracker(migration.json_file)
    assert len(legacy._invocations) == done.records
    after = Counter(map(canonical, migration.records()))
    assert before - after == Counter()
    assert sum((after - before).values()) == 5
    expected = numbers(original) | {"s": (5, 5, 0)}
    assert numbers(legacy) == expected
    assert sum(n for n, _, _ in expected.values()) == total + 5
    assert migration.store_total() == total + 5
    if name == "typical":
        return  # the largest by far; what is left takes no other way with it
    assert migration.backfill().first.inserted == 0
    before = migration.in_store()
    migration.to("complete")
    migration.rollback()
    assert migration.in_store() == before
    assert migration.json_total() == migration.store_total()


def test_the_siblings_file_walks_the_whole_way_and_back(
    tmp_path: Path, clock: SettableClock
) -> None:
    """It has no totals, and members that the legacy tracker would drop its history over."""
    source = FILES / "session_buddy_export.json"
    clock.set("2026-11-20T12:00:00Z")
    migration = Migration(tmp_path, clock, source=source, gates=GATES)
    before = Counter(map(canonical, json.loads(source.read_text())["invocations"]))
    walk(migration)
    sessions = migration.store.query(
        "SELECT count(*) AS n FROM skill_invocation WHERE session_id IS NOT NULL"
    )
    migration.rollback()
    assert all(refusal_of_record(record) == "" for record in migration.records())
    legacy = LegacyTracker(migration.json_file)
    after = Counter(map(canonical, migration.records()))
    assert before - after == Counter()
    assert len(legacy._invocations) == sum(before.values()) + 5
    assert migration.backfill().fine
    assert sessions == migration.store.query(
        "SELECT count(*) AS n FROM skill_invocation WHERE session_id IS NOT NULL"
    )
    assert migration.store_total() == sum(m[0] for m in numbers(legacy).values())


def test_a_file_edited_by_hand_walks_the_whole_way_and_back(
    tmp_path: Path, clock: SettableClock
) -> None:
    """Wrong types, NaN, half characters, unknown members: nothing is dropped."""
    source = FILES / "hand_edited.json"
    clock.set("2026-11-20T12:00:00Z")
    migration = Migration(tmp_path, clock, source=source, gates=GATES)
    records = json.loads(source.read_text())["invocations"]
    loadable = Counter(canonical(r) for r in records if not refusal_of_record(r))
    assert 0 < sum(loadable.values()) < len(records)
    walk(migration)
    migration.rollback()
    assert all(refusal_of_record(record) == "" for record in migration.records())
    after = Counter(map(canonical, migration.records()))
    assert loadable - after == Counter()
    assert len(LegacyTracker(migration.json_file)._invocations) == sum(after.values())
    kept = migration.store.query("SELECT count(*) AS n FROM legacy_quarantine")[0]["n"]
    for _ in range(2):
        assert migration.backfill().fine
        migration.to("database").rollback()
    assert migration.store.query("SELECT count(*) AS n FROM legacy_quarantine")[0]["n"] == kept
    assert Counter(map(canonical, migration.records())) == after


def test_a_torn_file_does_not_even_set_out(tmp_path: Path, clock: SettableClock) -> None:
    source = FILES / "torn.json"
    error = refused(lambda: Migration(tmp_path, clock, source=source))
    assert isinstance(error, GateNotMet)
    assert "not whole" in error.detail
    assert (tmp_path / "skill_metrics.json").read_bytes() == source.read_bytes()
    assert control.read(tmp_path / "skill_metrics.json") is None
