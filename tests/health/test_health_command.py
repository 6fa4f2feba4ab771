"""`health` as cron and scripts use it: exit codes, keys of JSON, lines, refusals, harmful text."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from examining import COMMAND

from metrics_store import MetricsStore, Settings, sqlite
from metrics_store.health.metrics import NAMES, Metrics
from metrics_store.health.report import Finding
from metrics_store.health.rules import RULES

ROOT = Path(__file__).parents[2]
#: Keys that others rely on: one may be added at the end, none may go or be renamed.
KEYS = re.findall(
    r"\w+",
    """
    database_mb wal_mb wal_frames wal_unfolded_frames reclaimable_mb last_checkpoint_at
    checkpoint_age_s durability sqlite_version sqlite_has_wal_reset_fix sqlite_without_fix
    attached_processes readers oldest_reader oldest_reader_s writing_process
    backups backups_damaged last_backup last_backup_at backup_age_hours
    schema_version schema_latest schema_pending schema_ahead
    invocations_total invocations_hour invocations_day invocations_week
    success_rate_percent success_rate_total_percent in_flight in_flight_without_process
    newest_at newest_age_s slow_calls_day slowest_ms slow_calls_by_name
    disk_free_mb disk_total_mb bytes_per_row rows_per_day growth_mb_per_day disk_days_left
    clock_ahead_s
    """,
)
#: A disk of this machine may be small: what is tested is not its room.
ROOMY = "disk_free_mb: {warning: null, critical: null}\n" + "sqlite_without_fix: {warning: null}\n"
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
HARMFUL = "[red]\x1b[31m\x9b\u202e=cmd\x07\n"


@pytest.fixture
def path(new_file: Path, tmp_path: Path) -> Path:
    """A store of the test's own, and a file of thresholds beside it that knows no disk."""
    shutil.copyfile(new_file, tmp_path / "m.db")
    (tmp_path / "t.yaml").write_text(ROOMY)
    return tmp_path / "m.db"


def recorded(path: Path, **outcomes: int) -> None:
    """Record runs of now: ``completed`` of them, and ``failed``."""
    with MetricsStore(path) as store:
        for name, n in outcomes.items():
            store.record_invocations(
                {"skill_name": "a", "completed": name == "completed"} for _ in range(n)
            )


CALM = ("--db", "m.db", "--thresholds", "t.yaml")


def test_a_store_that_is_well_says_so_in_every_way(path: Path, run, call) -> None:
    done = run(*CALM)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("m.db\n OK  nothing to do, ")
    assert (*call("health", *CALM, "--alert"),) == (0, "", "")
    assert (*call("health", *CALM, "--alert", "--json"),) == (0, "", "")
    assert (*call("health", *CALM, "--metric", "in_flight"),) == (0, "0\n", "")
    assert json.loads(call("health", *CALM, "--json").out)["status"] == "OK"


@pytest.mark.parametrize(
    ("failed", "level"), [(0, ""), (4, "WARNING"), (10, "ERROR"), (20, "CRITICAL")]
)
def test_the_exit_code_is_by_the_status_and_by_the_level_asked_for(
    path: Path, call, failed: int, level: str
) -> None:
    (path.parent / "t.yaml").write_text(f"{ROOMY}success_rate_percent: {{critical: 10}}\n")
    recorded(path, completed=20 - failed, failed=failed)
    reached = ["", "WARNING", "ERROR", "CRITICAL"].index(level)
    for option, least in ((), 1), (("warning",), 1), (("error",), 2), (("critical",), 3):
        more = ("--fail-on", *option) if option else ()
        done = call("health", *CALM, *more)
        assert (done.code, done.err) == (int(reached >= least), ""), more
    for way in ("--json", "--alert", "--stats"):
        assert call("health", *CALM, way).code == int(reached >= 1)


def test_an_alert_is_a_line_a_finding(path: Path, run) -> None:
    recorded(path, completed=4, failed=16)
    with MetricsStore(path) as store:
        store.record_invocation("a", invoked_at="2999-01-01T00:00:00Z")
    done = run(*CALM, "--alert")
    first, second = done.out.splitlines()
    assert first.startswith(f"ERROR {path}: Of the last day's runs ")
    assert "`metrics-store --db m.db skills list --sort completion`" in first
    assert second.startswith(f"WARNING {path}: Something in the store is from ")
    assert done.code == 1


def test_the_keys_of_json_are_the_ones_that_others_rely_on(path: Path, run) -> None:
    assert list(NAMES) == KEYS
    recorded(path, failed=20)
    document = json.loads(run(*CALM, "--json").out)
    assert list(document) == ["database", "at", "status", "findings", "metrics"]
    assert list(document["metrics"]) == KEYS
    assert document["database"] == str(path)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", document["at"])
    [finding] = document["findings"]
    assert list(finding) == [field.name for field in fields(Finding)]
    assert list(finding) == ["level", "kind", "metric", "value", "threshold", "detail", "hint"]
    assert (finding["level"], finding["value"], finding["threshold"]) == ("ERROR", 0.0, 70.0)
    more = json.loads(run(*CALM, "--json", "--stats").out)
    assert list(more) == [*document, "thresholds"]
    assert more["thresholds"]["disk_free_mb"]["warning"] is None


def test_a_metric_is_printed_bare(path: Path, call) -> None:
    recorded(path, completed=3)
    metrics = json.loads(call("health", *CALM, "--json").out)["metrics"]
    for name in (*NAMES[::8], "invocations_total", "sqlite_has_wal_reset_fix", "durability"):
        done = call("health", *CALM, "--metric", name)
        assert done.code == 0, done
        value = metrics[name]
        if value is None or isinstance(value, (bool, int, str)):
            bare = {None: "unknown", True: "true", False: "false"}
            shown = bare[value] if value is None or isinstance(value, bool) else str(value)
            assert done.out == f"{shown}\n"
    told = json.loads(call("health", *CALM, "--metric", "in_flight", "--json").out)
    assert told == {"metric": "in_flight", "value": 0, "status": "OK"}


def test_the_exit_code_of_a_metric_is_by_its_own_findings(path: Path, run) -> None:
    recorded(path, failed=20)
    assert run(*CALM, "--metric", "success_rate_percent")[:2] == (1, "0.0\n")
    assert run(*CALM, "--metric", "in_flight")[:2] == (0, "0\n")


def test_slow_calls_by_name_are_lines_with_the_name_last(path: Path, call) -> None:
    with MetricsStore(settings=Settings(database=path, slow_ms=0)) as store:
        store.record_invocation("a")
    done = call("health", *CALM, "--metric", "slow_calls_by_name")
    lines = [line.split(" ", 2) for line in done.out.splitlines()]
    assert ("1", "MetricsStore.record_invocation") in [(line[0], line[2]) for line in lines]
    assert all(float(line[1]) >= 0 for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--metric", "wal"), "there is no metric 'wal'"),
        (("--metric", HARMFUL), "there is no metric"),
        (("--stats", "--alert"), "--stats and --alert do not go together"),
        (("--alert", "--metric", "wal_mb"), "--alert and --metric do not go together"),
        (("--watch", "--alert"), "--watch and --alert do not go together"),
        (("--watch", "--stats"), "--watch and --stats do not go together"),
        (("--interval", "0.1"), "0.2"),
        (("--interval", "nan"), "nan|greater"),
        (("--interval", "inf"), "inf"),
        (("--fail-on", "ok"), "'ok'"),
        (("--thresholds", "missing.yaml"), r"missing\.yaml: No such file"),
        (("--thresholds", "."), "is a directory|Is a directory|not a regular file"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_looked_at(
    path: Path, call, arguments: tuple[str, ...], said: str
) -> None:
    done = call("health", "--db", "missing.db", *arguments)
    assert (done.code, done.out) == (2, "")
    assert re.search(said, done.err)
    assert "hint: " in done.err
    assert not FORBIDDEN.search(done.err)


def test_an_unknown_metric_is_answered_with_the_list(path: Path, run) -> None:
    hint = run(*CALM, "--metric", "wal").err.partition("hint: ")[2]
    assert [name for name in NAMES if name not in hint] == []


def test_text_that_means_harm_is_inert_wherever_it_comes_from(path: Path, call, hold_view) -> None:
    hold_view(path, "\x1b[31m\x07(x)")
    recorded(path, completed=1)
    with MetricsStore(path) as store:
        store.record_invocation(HARMFUL, error_type=HARMFUL)
        store.track_invocation(HARMFUL)
        store.database.write(
            lambda connection: connection.execute(
                "INSERT INTO slow_call (ended_at, name, duration_us, waited_us, process) "
                "VALUES (strftime('%Y-%m-%dT%H:%M:%S.000000Z', 'now'), ?, 9, 0, ?)",
                (HARMFUL, HARMFUL),
            )
        )
    bad = path.parent / "bad\x1b[31m.yaml"
    bad.write_text('"a\\e[31m\\u202e[red]": {warning: 1}\n')
    ways = [(), ("--stats",), ("--alert",), ("--json",), ("--metric", "slow_calls_by_name")]
    for way in [*ways, ("--metric", "oldest_reader"), ("--thresholds", bad)]:
        done = call("health", "--db", path, *way)
        assert not FORBIDDEN.search(done.out + done.err), way
        assert "Traceback" not in done.err


def test_the_defaults_are_shown_and_those_of_a_file_instead(path: Path, run) -> None:
    done = run(*CALM, "--stats")
    lines = {line.split()[0]: line for line in done.out.splitlines() if line.strip()}
    assert [rule.metric for rule in RULES if rule.metric not in lines] == []
    assert re.search(r"> 64 MiB +> 256 MiB$", lines["wal_mb"])
    assert re.search(r"< 30 days +< 7 days +< 2 days$", lines["disk_days_left"])
    assert not re.search("[<>]", lines["disk_free_mb"])


def test_the_store_is_found_as_everywhere_else(path: Path, run) -> None:
    for done in (
        run("--metric", "in_flight", METRICS_STORE_DB="m.db"),
        run("health", "--metric", "in_flight", program=[*COMMAND, "--db", "m.db"]),
    ):
        assert done.out == "0\n"


@pytest.mark.parametrize("arguments", [("--metric", "in_flight"), ("--stats", "--json"), ("-h",)])
def test_the_monitor_script_is_the_same_command(path: Path, run, arguments) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "monitor_database.py")]
    same = run("--db", "m.db", *arguments)
    done = run("--db", "m.db", *arguments, program=script)
    assert (done.code, done.err) == (same.code, same.err)
    if "--json" in arguments:
        assert list(json.loads(done.out)) == list(json.loads(same.out))
    else:
        assert done.out == same.out


def test_the_monitor_script_runs_from_a_checkout_without_an_install(
    path: Path, run, tmp_path: Path
) -> None:
    script = [sys.executable, str(ROOT / "scripts" / "monitor_database.py")]
    done = run("--db", "m.db", "--metric", "in_flight", program=script, PYTHONPATH="")
    assert (done.code, done.out) == (0, "0\n")


def test_the_monitor_script_says_what_it_lacks(path: Path, run, tmp_path: Path) -> None:
    lone = tmp_path / "scripts" / "monitor_database.py"
    lone.parent.mkdir()
    shutil.copyfile(ROOT / "scripts" / "monitor_database.py", lone)
    done = run("--db", "m.db", program=[sys.executable, "-S", str(lone)], PYTHONPATH="")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith("error: No module named")
    assert "hint: " in done.err


def test_health_loads_neither_what_writes_nor_yaml(python, path: Path) -> None:
    done = python(
        "import sys\nfrom metrics_store.cli import main\n"
        "main(['--db', sys.argv[1], 'health', '--metric', 'in_flight'])\n"
        "print([name for name in ('yaml', 'yoyo', 'sqlite_utils', 'rich.console') "
        "if name in sys.modules])",
        path,
    )
    assert done.stdout == "0\n[]\n"


def test_nothing_of_the_value_is_lost_on_the_way_to_json() -> None:
    assert len(fields(Metrics)) == len(NAMES) == len(set(NAMES))


def test_old_sqlite_is_enough(path: Path, look) -> None:
    assert sqlite.version_info >= (3, 38)
    assert look(path).metrics.sqlite_version == sqlite.version
