"""Each finding: its limits to the letter, and each of them brought about for real."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import pytest
from examining import GIB, disk
from settable_clock import SettableClock

from metrics_store import MetricsStore, manifest, sqlite
from metrics_store.backup import creating
from metrics_store.clock import parse, stamp, text
from metrics_store.health.judging import judge
from metrics_store.health.metrics import NAMES, Metrics
from metrics_store.health.report import HealthReport, worst
from metrics_store.health.rules import BY_METRIC, LEVELS, RULES
from metrics_store.health.thresholds import DEFAULTS
from metrics_store.health.thresholds import parse as thresholds
from metrics_store.manifest import Manifest

#: The defaults, as they are promised: metric, then what passes warning, error, critical.
PROMISED = {
    "database_mb": (500, None, None),
    "wal_mb": (64, 256, None),
    "oldest_reader_s": (60, 600, None),
    "backups": (1, None, None),
    "backups_damaged": (0, None, None),
    "backup_age_hours": (36, 168, None),
    "success_rate_percent": (85, 70, None),
    "slow_calls_day": (10, None, None),
    "disk_free_mb": (1024, None, 100),
    "disk_days_left": (30, 7, 2),
    "in_flight_without_process": (0, None, None),
    "schema_pending": (0, None, None),
    "schema_ahead": (None, 0, None),
    "sqlite_without_fix": (0, None, None),
    "clock_ahead_s": (60, None, None),
}
#: What makes a rule look at its metric at all.
ENOUGH = Metrics(invocations_total=5000, invocations_day=50)


def judged(**values: object) -> list[tuple[str, str]]:
    findings = judge(replace(ENOUGH, **values), (), DEFAULTS)  # type: ignore[arg-type]
    return [(finding.level, finding.metric) for finding in findings]


def test_the_defaults_are_those_that_were_promised() -> None:
    limits = {
        rule.metric: (rule.limits.warning, rule.limits.error, rule.limits.critical)
        for rule in RULES
        if rule.limits.warning is not None or rule.limits.error is not None
    }
    assert limits == PROMISED


@pytest.mark.parametrize("metric", PROMISED)
def test_a_limit_itself_is_fine_and_just_past_it_is_not(metric: str) -> None:
    past = 1 if BY_METRIC[metric].bad == "above" else -1
    reached = []
    for level, limit in zip(LEVELS, PROMISED[metric], strict=True):
        if limit is None:
            continue
        assert judged(**{metric: limit}) == [(before, metric) for before in reached[-1:]]
        assert judged(**{metric: limit + past * 0.001}) == [(level, metric)]
        reached.append(level)
    assert judged(**{metric: None}) == []


def test_every_rule_is_about_a_metric_and_every_metric_has_a_rule() -> None:
    unnumbered = {"slow_calls_by_name"}
    assert set(BY_METRIC) == set(NAMES) - unnumbered
    assert len(RULES) == len(BY_METRIC)
    documented = Metrics.__doc__ or ""
    assert [name for name in NAMES if f"        {name}: " not in documented] == []
    kinds = {field.name: str(field.type) for field in fields(Metrics)}
    for rule in RULES:
        if rule.bad is not None:
            assert kinds[rule.metric] in ("int | None", "float | None"), rule.metric
            assert rule.kind


def test_a_success_rate_of_few_runs_is_no_finding() -> None:
    assert judged(success_rate_percent=0.0, invocations_day=19) == []
    assert judged(success_rate_percent=0.0, invocations_day=20) == [
        ("ERROR", "success_rate_percent")
    ]


def test_a_small_store_needs_no_backup() -> None:
    assert judged(backups=0, invocations_total=1000) == []
    assert judged(backups=0, invocations_total=1001) == [("WARNING", "backups")]


def test_the_worst_finding_comes_first_and_is_the_status() -> None:
    metrics = replace(ENOUGH, wal_mb=300.0, disk_free_mb=50.0, slow_calls_day=11)
    findings = judge(metrics, (), DEFAULTS)
    assert [finding.level for finding in findings] == ["CRITICAL", "ERROR", "WARNING"]
    assert worst(findings) == "CRITICAL"
    for finding in findings:
        assert finding.detail.endswith(".")
        assert finding.hint
        assert finding.threshold is not None
    report = HealthReport("m.db", "", worst(findings[1:]), findings[1:], metrics)
    assert [report.reaches(level) for level in LEVELS] == [True, True, False]


def test_what_has_no_default_gets_a_limit_from_a_file() -> None:
    given = thresholds("newest_age_s: {warning: 60}\ninvocations_hour: {error: 5}")
    metrics = Metrics(newest_age_s=61.0, invocations_hour=4)
    assert [(f.level, f.metric) for f in judge(metrics, (), given)] == [
        ("ERROR", "invocations_hour"),
        ("WARNING", "newest_age_s"),
    ]
    assert judge(Metrics(newest_age_s=60.0, invocations_hour=5), (), given) == ()


# For real --------------------------------------------------------------------------------------


def test_a_log_that_a_reader_keeps_from_being_folded_back_is_found_with_the_reader(
    open_store: Callable[..., MetricsStore], look, hold_view
) -> None:
    store = open_store()
    pid = hold_view(store.path)
    store.record_invocations({"skill_name": "a", "workflow_path": f"{n}"} for n in range(9000))
    report = look(store, thresholds=thresholds("wal_mb: {warning: 1, error: 2}"))
    [finding] = [f for f in report.findings if f.kind == "wal"]
    assert finding.level == "ERROR"
    assert finding.value == report.metrics.wal_mb
    if report.metrics.readers is not None:
        assert f"(pid {pid})" in finding.hint


def test_a_day_of_failures_is_found(store: MetricsStore, look) -> None:
    store.record_invocations({"skill_name": "a", "completed": n < 16} for n in range(20))
    [finding] = look(store).findings
    assert (finding.level, finding.kind, finding.value) == ("WARNING", "success", 80.0)
    store.record_invocations({"skill_name": "a", "completed": False} for _ in range(5))
    assert look(store).status == "ERROR"


@pytest.mark.parametrize(
    ("free", "level"),
    [(GIB, "OK"), (GIB - 9999, "WARNING"), (100 << 20, "WARNING"), (99 << 20, "CRITICAL")],
)
def test_a_crowded_disk_is_found(store: MetricsStore, look, free: int, level: str) -> None:
    assert look(store, room=disk(free)).status == level


@pytest.mark.parametrize(
    ("days", "level"), [(31, "OK"), (29, "WARNING"), (6.9, "ERROR"), (1.9, "CRITICAL")]
)
def test_a_disk_that_will_soon_be_full_is_found(
    store: MetricsStore, look, days: float, level: str
) -> None:
    store.record_invocations({"skill_name": "a"} for _ in range(50))
    growth = look(store).metrics.growth_mb_per_day
    limits = thresholds("disk_free_mb: {warning: null, critical: null}")
    free = round(growth * days * 1024 * 1024)
    report = look(store, room=disk(free), thresholds=limits)
    assert report.status == level
    assert report.metrics.disk_days_left == pytest.approx(days, rel=0.01)


def backed_up(store: MetricsStore, made_at: str, **more: object) -> Path:
    """A backup of a store, as health sees it: a file and its manifest."""
    folder = Path(f"{store.path}.backups")
    folder.mkdir(exist_ok=True)
    path = folder / f"m-{stamp(parse(made_at))}.db"
    connection = sqlite.connect(store.path, read_only=True)
    copy = sqlite.connect(str(path))
    connection.backup(copy)
    copy.close()
    store_id = manifest.property_of(connection, "store_id") or ""
    connection.close()
    known = Manifest(
        path.name, "0" * 64, path.stat().st_size, made_at, store.path, store_id, "g", "manual",
        5, "3", "0", (), 0, 0,
    )  # fmt: skip
    manifest.write(replace(known, **more), path)  # type: ignore[arg-type]
    return path


def test_a_backup_is_found_and_grows_old(store: MetricsStore, look, clock: SettableClock) -> None:
    store.record_invocations({"skill_name": "a"} for _ in range(1001))
    [finding] = look(store).findings
    assert (finding.kind, finding.metric) == ("backup", "backups")
    backed_up(store, "2026-03-01T00:00:00.000000Z")
    path = backed_up(store, text(clock.us))
    report = look(store)
    m = report.metrics
    assert (m.backups, m.backup_age_hours, m.last_backup) == (2, 0.0, str(path))
    assert report.status == "OK"
    for hours, status in ((36, "OK"), (0.01, "WARNING"), (131.9, "WARNING"), (0.2, "ERROR")):
        clock.advance(hours * 3600)
        limits = thresholds("newest_age_s: {warning: null}")
        assert look(store, thresholds=limits).status == status


def test_a_backup_of_another_store_or_a_damaged_one_is_none(
    store: MetricsStore, look, clock: SettableClock
) -> None:
    now = text(clock.us)
    backed_up(store, now, store_id="of another")
    assert (look(store).metrics.backups, look(store).metrics.backups_damaged) == (0, 0)
    backed_up(store, now, findings=1, reason="before repair")
    assert (look(store).metrics.backups, look(store).metrics.backups_damaged) == (0, 0)
    backed_up(store, now, size=1)
    report = look(store)
    assert (report.metrics.backups, report.metrics.backups_damaged) == (0, 1)
    assert [(f.level, f.kind) for f in report.findings] == [("WARNING", "backup")]


def test_a_backup_from_the_future_is_a_finding_of_the_clock(
    store: MetricsStore, look, clock: SettableClock
) -> None:
    backed_up(store, text(clock.us + 3600 * 10**6))
    report = look(store)
    assert report.metrics.backup_age_hours == -1.0
    assert [(f.kind, f.value) for f in report.findings] == [("clock", 3600.0)]


def test_an_sqlite_with_the_bug_is_found(store: MetricsStore, look, monkeypatch) -> None:
    monkeypatch.setattr(sqlite, "has_wal_reset_fix", False)
    [finding] = look(store).findings
    assert (finding.level, finding.kind) == ("WARNING", "sqlite")
    monkeypatch.setattr(sqlite, "has_wal_reset_fix", True)
    assert look(store).status == "OK"


def test_a_backup_that_the_store_itself_has_made_is_found_wherever_it_was_put(
    store: MetricsStore, look, clock: SettableClock, tmp_path: Path
) -> None:
    store.record_invocations({"skill_name": "a"} for _ in range(1001))
    made = creating.create(store.database, tmp_path / "elsewhere")
    clock.advance(7200)
    report = look(store)
    m = report.metrics
    assert (m.backups, m.last_backup, m.backup_age_hours) == (1, str(made.path), 2.0)
    assert report.status == "OK"
    with made.path.open("ab") as file:
        file.write(b"more than there was")
    m = look(store).metrics
    assert (m.backups, m.backups_damaged, m.last_backup) == (0, 1, None)
