"""Every kind of damage that SQL can do is found, called by its name, and put right if it can be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from damages import DAMAGES
from damaging import (
    KEPT_FOR_EVER,
    LOG,
    Damage,
    content,
    folder_state,
    make,
    mended,
    rewrite_log,
    tamper,
)

from metrics_store.integrity import check_file
from metrics_store.integrity.expected import newest
from metrics_store.integrity.findings import MOST, CheckReport

every_damage = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)


def named(report: CheckReport, kind: str) -> list[tuple[str, str]]:
    """Which table and row the findings of a kind name."""
    return [(f.table, f.row) for f in report.findings if f.kind == kind]


@pytest.mark.parametrize("level", ["quick", "standard", "deep"])
def test_a_sound_store_gives_no_findings(sound: Path, level: str) -> None:
    report = check_file(sound, level=level)
    assert report.findings == ()
    assert report.ok
    assert (report.rows, report.schema_version, report.level) == (300, newest(), level)
    assert all(look.found == 0 and look.seconds >= 0 for look in report.looked_at)
    assert len(report.looked_at) == {"quick": 5, "standard": 11, "deep": 12}[level]


@every_damage
def test_damage_is_found_and_named(damage: Damage, spoilt: Path) -> None:
    tamper(spoilt, *damage.sql)
    report = check_file(spoilt)
    found = [f for f in report.findings if f.kind == damage.kind and f.table == damage.table]
    assert found, report.findings
    assert damage.row in [f.row for f in found] or not damage.row
    assert {f.severity for f in found} == {damage.severity}
    assert report.ok == (damage.severity == "warning")
    assert all(f.detail and f.action for f in report.findings)
    assert set(report.kinds) <= {damage.kind, *damage.also}


@every_damage
def test_a_repair_puts_right_what_it_can_and_leaves_the_log_alone(
    damage: Damage, spoilt: Path, sound: Path
) -> None:
    tamper(spoilt, *damage.sql)
    kept = [table for table in KEPT_FOR_EVER if table != damage.table or damage.kind != "missing"]
    before = content(spoilt, kept)
    done = mended(spoilt)
    assert content(spoilt, kept) == before
    after = check_file(spoilt, level="deep")
    if damage.is_mended:
        assert after.findings == ()
        assert done.done
        assert done.left == ()
    else:
        assert [(f.kind, f.table) for f in after.findings] == [(damage.kind, damage.table)]
        assert damage.kind in [f.kind for f in done.left]


def test_a_repair_of_a_sound_store_changes_nothing(sound: Path, tmp_path: Path) -> None:
    before = folder_state(tmp_path)
    assert mended(sound).done == ()
    assert folder_state(tmp_path) == before


@pytest.mark.parametrize(
    "change",
    [
        "duration_us = duration_us + 1",
        "skill_name = skill_name || 'x'",
        "error_type = ''",
        "attributes = '{}'",
        "invoked_at = '2026-03-01T00:30:00.000001Z'",
        "outcome = 'abandoned'",
        "digest = lower(digest) || ' '",
    ],
)
def test_a_changed_row_of_the_log_is_found_by_its_digest(spoilt: Path, change: str) -> None:
    rewrite_log(spoilt, f"UPDATE {LOG} SET {change} WHERE seq = 9")
    report = check_file(spoilt, level="deep")
    [(table, row)] = named(report, "row_digest")
    assert table == LOG
    assert row.startswith("seq 9, id ")


def test_a_row_that_was_given_another_number_is_found(spoilt: Path) -> None:
    # The digest is not of the number; the rollups do not tell; the backups' marks may.
    rewrite_log(spoilt, f"DELETE FROM {LOG} WHERE seq = 300")
    report = check_file(spoilt, level="deep")
    assert "rollup_differs" in report.kinds


def test_the_rollups_of_a_damaged_log_are_left_as_the_trace_that_they_are(spoilt: Path) -> None:
    rewrite_log(spoilt, f"UPDATE {LOG} SET skill_name = 'forged' WHERE seq = 9")
    tamper(spoilt, f"DROP TRIGGER {LOG}_kept")
    before = content(spoilt, [*KEPT_FOR_EVER, "rollup", "workflow_path"])
    done = mended(spoilt)
    assert content(spoilt, before) == before
    assert [one.table for one in done.done] == [f"{LOG}_kept"]
    assert {f.kind for f in done.left} >= {"row_digest", "rollup_differs", "rollup_missing"}
    assert all("damaged" in f.action for f in done.left if f.kind.startswith("rollup"))


def test_of_many_findings_of_a_kind_a_hundred_are_named_and_the_rest_counted(
    tmp_path: Path, damaged: Callable[[Path], None]
) -> None:
    path = tmp_path / "m.db"
    make(path, 400)
    damaged(path)
    rewrite_log(path, f"UPDATE {LOG} SET origin = 'x' WHERE seq <= 250")
    report = check_file(path, level="deep")
    assert len(named(report, "row_digest")) == MOST
    assert report.further == {"row_digest": 150}
    document = report.as_dict()
    assert document["further"] == {"row_digest": 150}
    assert document["ok"] is False


def test_everything_wrong_at_once_is_repaired_at_once(spoilt: Path) -> None:
    for damage in DAMAGES:
        # Two that would get into each other's way: the same name, or a table that is gone.
        if damage.is_mended and "dropped" not in damage.name and "altered" not in damage.name:
            tamper(spoilt, *damage.sql)
    tamper(spoilt, f"DROP INDEX {LOG}_by_time", "DROP VIEW skill_metrics")
    before = content(spoilt, KEPT_FOR_EVER)
    assert len(check_file(spoilt, level="deep").errors) > 10
    assert mended(spoilt).left == ()
    assert check_file(spoilt, level="deep").findings == ()
    assert content(spoilt, KEPT_FOR_EVER) == before
