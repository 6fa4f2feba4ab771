"""The commands: what they print, their JSON and their exit codes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path
from commands import Done
from statuses import HOSTILE, LONG, SHORT

from metrics_store import MetricsStore
from metrics_store.errors import CommandFailed
from metrics_store.render.text import visible
from metrics_store.snapshots.collecting import output_of
from metrics_store.snapshots.results import Snapshot

Call = Callable[..., object]
posix = pytest.mark.skipif(sys.platform == "win32", reason="it needs a shell")


@pytest.fixture
def filled(store: MetricsStore) -> MetricsStore:
    """A store with a day of snapshots, every two hours, still open."""
    for hour in range(0, 24, 2):
        store.record_snapshot(
            {**LONG, "files_indexed": 10 * hour if hour < 16 else 40, "files_total": 200 + hour},
            f"2026-03-10T{hour:02d}:00:00Z",
        )
    return store


def test_reading_commands_show_what_is_there(filled: MetricsStore, call: Call) -> None:
    done = call("list")
    assert done.code == 0
    lines = done.out.splitlines()
    titles = "# recorded (UTC) files indexed chunks vectorized database workers indexing"
    assert " ".join(lines[0].split()) == titles
    assert len(lines) == 1 + 12 + 1 + 3
    assert "2026-03-10 22:00" in lines[12]
    assert "●○●" in lines[12]
    assert lines[14].startswith("files_indexed      ▁▂▃▄▅▆▇█")

    shown = call("show", "2026-03-10T03:20")
    assert shown.out.startswith("#3  2026-03-10 04:00:00 UTC  40m 00s after the moment asked for\n")
    assert "vectorization    –  not reached" in shown.out
    assert "docs       150       40" in shown.out

    ended = call("list", "--last", "3h", "--until", "2026-03-10T09:00")
    assert [line.split()[0] for line in ended.out.splitlines()[1:3]] == ["4", "5"]

    diff = call("diff", "8", "2026-03-10T20:00:00Z")
    line = next(line for line in diff.out.splitlines() if "files_indexed " in line)
    assert line.split() == ["files_indexed", "140", "40", "-100", "dropped"]
    assert diff.out.endswith("2 numbers dropped.\n")
    assert call("diff", "3", "3").out.endswith("No number dropped.\n")

    trend = call("trend", "files_total", "--last", "30000d")
    assert trend.code == 2
    trend = call("trend", "file_count", "--project", "docs", "--last", "9000d", "--per", "day")
    assert trend.out.splitlines()[0].startswith("file_count of docs  ▄")
    assert trend.out.splitlines()[3].split()[:6] == ["2026-03-10", "12", "150", "150", "150", "150"]


def test_reading_commands_have_json_with_stable_keys(filled: MetricsStore, call: Call) -> None:
    listed = json.loads(call("list", "--last", "3", "--json").out)["snapshots"]
    assert [list(one) for one in listed] == [list(Snapshot.__dataclass_fields__)[1:]] * 3
    assert [one["seq"] for one in listed] == [10, 11, 12]
    shown = json.loads(call("show", "--json").out)
    assert list(shown) == ["snapshot", "asked_for", "seconds_away"]
    assert json.loads(shown["snapshot"]["payload_json"])["mood"] == LONG["mood"]
    diff = json.loads(call("diff", "1", "2", "--json").out)
    assert list(diff) == ["before", "after", "seconds", "changes", "projects", "drops"]
    assert list(diff["changes"][0]) == ["field", "before", "after", "change", "dropped"]
    trend = json.loads(call("trend", "db_size_mb", "--last", "9000d", "--json").out)
    assert list(trend) == ["field", "per", "project", "points"]
    assert [point for point in trend["points"] if point["snapshots"]] == [
        {"bucket": "2026-03-10", "snapshots": 12, "minimum": 41.25, "average": 41.25,
         "maximum": 41.25, "last": 41.25}
    ]  # fmt: skip
    assert json.loads(call("quarantine", "--json").out) == {"quarantine": []}
    assert call("export", "--json").out == call("export", "--format", "json").out


def test_what_is_not_there_is_told_with_its_exit_code(store: MetricsStore, call: Call) -> None:
    for arguments, code, said in (
        (("list",), 0, "There is no snapshot yet."),
        (("list", "--last", "24h"), 0, "There is no snapshot of the last 24h."),
        (("list", "--last", "soon"), 2, "error: The query is not usable"),
        (("show",), 2, "error: There is no such snapshot"),
        (("show", "nonsense"), 2, "error: There is no such snapshot: 'nonsense'"),
        (("diff", "1", "2"), 2, "error: There is no such snapshot"),
        (("trend", "files_total"), 0, "No snapshot of that time has files_total."),
        (("trend", "mood"), 2, "error: The query is not usable"),
        (("import", "nowhere"), 3, "error: What is to be imported cannot be read"),
        (("collect",), 2, "error: The call cannot be understood"),
        (("collect", "--sink", "s", "--min-interval", "5m", "--", "x"), 2, "error: The call"),
        (("quarantine",), 0, "Nothing is in quarantine."),
        (("export", str(store.path)), 2, "is the store itself"),
    ):
        done = call(*arguments)
        assert (done.code, done.out) == (code, ""), arguments
        assert said in done.err, arguments


def test_an_export_is_guarded_against_formulas_and_can_be_imported_again(
    store: MetricsStore, call: Call, tmp_path: Path
) -> None:
    for n, name in enumerate(HOSTILE):
        said = {"files_total": n, "idx_file": name, "fw_op": name, "projects": [{"name": name}]}
        store.record_snapshot(said, f"2026-03-10T00:00:{n:02d}Z")
    text = call("export", "--format", "csv").out
    assert text == "".join(f"{visible(line)}\n" for line in text.splitlines())
    assert text.count("\n") == 1 + len(HOSTILE)
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(HOSTILE)
    for row, name in zip(rows, HOSTILE, strict=True):
        guarded = f"'{name}" if name[0] in "=+-@" else visible(name)
        assert row["indexing_current_file"] == row["file_watcher_operation"] == guarded
        assert json.loads(row["projects"])[0]["name"] == name
        assert json.loads(row["payload_json"])["idx_file"] == name
        assert row["vectorization_pid"] == ""
    assert [row["files_total"] for row in rows] == [str(n) for n in range(len(HOSTILE))]

    assert call("export", "a.jsonl", "--format", "jsonl", "--last", "5").code == 0
    assert call("export", "a.jsonl", "--format", "jsonl").code == 2
    done = call("export", "a.jsonl", "--format", "jsonl", "--force")
    assert done.err == f"Exported {len(HOSTILE)} snapshots to a.jsonl.\n"
    other = call("import", "a.jsonl", "--db", tmp_path / "other.db", "--json")
    assert json.loads(other.out)["files"][0]["inserted"] == len(HOSTILE)
    with MetricsStore(tmp_path / "other.db") as copy:
        pairs = zip(copy.snapshots(), store.snapshots(), strict=True)
        assert all(a.id == b.id and a.payload_json == b.payload_json for a, b in pairs)


def test_names_of_others_do_not_reach_the_terminal_as_they_are(
    store: MetricsStore, call: Call, tmp_path: Path
) -> None:
    for name in HOSTILE:
        store.record_snapshot({"idx_file": name, "fw_op": name, "projects": [{"name": name}]})
    (tmp_path / "bad\x1b[31m").write_bytes(b"\x1b]0;title\x07\nbad\n")
    for command in (
        ("list",), ("show", "3"), ("diff", "3", "4"), ("import", tmp_path / "bad\x1b[31m"),
        ("quarantine",), ("trend", "file_count", "--project", "\x1b[31m"), ("show", "\x1b[31m"),
        ("list", "--json"), ("quarantine", "--json"), ("export", "--format", "jsonl"),
        ("collect", "--", "/\x1b[31m"),
    ):  # fmt: skip
        done = call(*command)
        for sign in ("\x1b", "\u202e", "\x07", "\u2028"):
            assert sign not in done.out + done.err, command


def test_an_import_tells_what_became_of_the_lines(call: Call, tmp_path: Path) -> None:
    (tmp_path / "s.jsonl").write_text(f"{SHORT}\nbad\n{SHORT}\n{SHORT[:50]}")
    (tmp_path / "s.jsonl.1.gz").write_bytes(gzip.compress(f"{SHORT}\n".encode()))
    done = call("import", "s.jsonl", "s.jsonl.1.gz", "--zone", "Europe/Berlin")
    assert done.code == 1
    assert [line.split() for line in done.out.splitlines()[:3]] == [
        ["file", "lines", "inserted", "already", "there", "bad", "torn"],
        ["s.jsonl", "4", "2", "0", "1", "1"],
        ["s.jsonl.1.gz", "1", "0", "1", "0", "0"],
    ]
    assert "read in Europe/Berlin." in done.out
    assert "s.jsonl:2: it is not JSON" in done.out
    assert call("import", "s.jsonl", "--zone", "UTC").code == 0
    done = call("quarantine")
    assert (done.code, "bad" in done.out.splitlines()[1]) == (1, True)


@posix
def test_collect_records_what_a_command_prints(call: Call, store: MetricsStore) -> None:
    done = call("collect", "--zone", "UTC", "--json", "--", "echo", SHORT)
    assert (done.code, json.loads(done.out)["recorded"], done.err) == (0, True, "")
    done = call("collect", "--zone", "UTC", "--min-interval", "5m", "--", "echo", SHORT)
    assert (done.code, done.out) == (0, "")
    assert done.err.startswith("Skipped: 2026-02-06T11:00:00.000000Z is 0 s away, as ")
    quiet = call("collect", "--zone", "UTC", "--quiet", "--", "sh", "-c", f"printf '%s' '{SHORT}'")
    assert quiet == (0, "", "")
    assert len(store.snapshots()) == 2
    for command, said in (
        (("false",), "false: exit code 1"),
        (("sh", "-c", "kill -9 $$"), "sh: killed by SIGKILL"),
        (("sh", "-c", f"echo '{SHORT}'; exit 3"), "sh: exit code 3"),
        (("/not/there",), "/not/there: No such file"),
        (("echo", "fine"), "echo printed no status: it is not JSON"),
        (("true",), "true printed no status: it is not JSON"),
        (("echo", SHORT + SHORT), "echo printed no status: it is not JSON"),
        (("echo", '{"error": "down"}'), "echo printed no status: nothing of a status is in it"),
        (("sleep", "30"), "sleep: it was not done after 0.2 s"),
        (("yes",), "yes: it"),
    ):
        done = call(
            "collect",
            "--timeout",
            "0.2" if command[0] in ("sleep", "yes") else "20",
            "--",
            *command,
        )
        assert (done.code, done.out) == (3, ""), command
        assert f"error: A command that was run for its output failed: {said}" in done.err
    assert len(store.snapshots()) == 2


@posix
def test_collect_appends_to_a_sink_and_to_another_if_the_store_is_out_of_reach(
    call: Call, tmp_path: Path
) -> None:
    done = call("collect", "--sink", "s.jsonl", "--daily", "--zone", "UTC", "--", "echo", SHORT)
    assert (done.code, done.out) == (0, "")
    assert not (tmp_path / "m.db").exists()
    (tmp_path / "m.db").mkdir()
    failed = call("collect", "--zone", "UTC", "--", "echo", SHORT)
    assert failed.code == 3
    done = call("collect", "--else-sink", "s.jsonl", "--zone", "UTC", "--", "echo", SHORT)
    assert done.code == 1
    assert done.err.startswith("The store did not take it: ")
    (tmp_path / "m.db").rmdir()
    found = json.loads(call("import", "s.jsonl", "--json").out)
    assert found["files"][0]["inserted"] == 2


@posix
def test_the_time_limit_ends_all_that_the_command_started(tmp_path: Path) -> None:
    script = f"trap '' TERM; (trap '' TERM; echo $BASHPID >{tmp_path}/inner; sleep 60) & sleep 60"
    started = time.monotonic()
    with pytest.raises(CommandFailed):
        output_of(["bash", "-c", script], 1.0)
    assert time.monotonic() - started < 20
    assert is_gone(int((tmp_path / "inner").read_text()))


@posix
def test_an_import_takes_a_pipe(tmp_path: Path, store: MetricsStore) -> None:
    script = f"echo '{SHORT}' | gzip | {sys.executable} -m metrics_store.cli snapshots import"
    done = subprocess.run(
        ["sh", "-c", f"{script} /dev/stdin --zone UTC --json"],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "PYTHONPATH": python_path(), "METRICS_STORE_DB": store.path},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["files"][0]["inserted"] == 1


@posix
def test_what_a_command_leaves_running_does_not_hold_it_up() -> None:
    started = time.monotonic()
    printed = output_of(["sh", "-c", "sleep 5 & echo '{}'"], 30.0)
    assert (printed, time.monotonic() - started < 5) == (b"{}\n", True)


_COLLECT = """
import sys
from metrics_store.snapshots.collecting import output_of
output_of(["sh", "-c", "echo $$ >" + sys.argv[1] + "; exec sleep 60"], 50)
"""


@posix
def test_ended_from_outside_it_ends_the_command_too(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _COLLECT, str(tmp_path / "pid")],
        env={**os.environ, "PYTHONPATH": python_path()},
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 128 + signal.SIGTERM
    assert is_gone(int((tmp_path / "pid").read_text()))


def is_gone(pid: int) -> bool:
    """Whether a process is ended within some time; a zombie is."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.01)
    return False


@posix
def test_the_sink_command_takes_what_is_piped_into_it(tmp_path: Path) -> None:
    def sink(given: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "metrics_store.cli", "snapshots", "sink", "s.jsonl"]
        return subprocess.run(
            [*command, *options], input=given, capture_output=True, text=True, cwd=tmp_path,
            errors="surrogateescape", env={**os.environ, "PYTHONPATH": python_path()}, check=False,
        )  # fmt: skip

    done = sink(f"{json.dumps(LONG, indent=2)}\n{SHORT}\n", "--zone", "UTC", "--no-fsync")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "Appended 2 snapshots to s.jsonl.\n"
    lines = [json.loads(line) for line in (tmp_path / "s.jsonl").read_text().splitlines()]
    assert [line["payload"] for line in lines] == [LONG, json.loads(SHORT)]
    for wrong in ("", "  ", "{", '{"files_total": 1} x', "{\udcff}"):
        assert sink(wrong).returncode == 2
    assert len((tmp_path / "s.jsonl").read_text().splitlines()) == 3


@pytest.mark.parametrize("name", ["half \udb71 a character", "a\0b"])
def test_a_name_that_no_file_can_have_is_refused(
    store: MetricsStore, call: Callable[..., Done], name: str
) -> None:
    store.close()
    for command in (("snapshots", "export"), ("export",)):
        done = call(*command, name)
        assert done.code == 2, done
        assert "bug" not in done.err
