"""`check`: what it prints, in a terminal and in a pipe, how it ends, and what it repairs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from checking import problems, python_path
from commands import Done
from damaging import KEPT_FOR_EVER, LOG, content, folder_state, rewrite_log, tamper

from metrics_store import MetricsStore
from metrics_store.integrity import check_file
from metrics_store.render.check import show_check
from metrics_store.render.screen import Screen

FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
HARMFUL = "[red]x[/red] \x1b[31mred\x1b]0;t\x07 \x9b31m \u202eround \"quoted\" 'it' line\nbreak"


class Terminal(StringIO):
    """A terminal of a hundred columns."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("options", [(), ("--quick",), ("--deep",)])
def test_a_sound_store_ends_with_0_and_is_left_as_it_was(
    sound: Path, call: Callable[..., Done], options: tuple[str, ...]
) -> None:
    before = folder_state(sound.parent)
    done = call("check", "--db", sound, *options)
    assert done.code == 0
    assert done.err == ""
    assert "Sound: nothing was found" in done.out
    assert "300 rows" in done.out
    assert folder_state(sound.parent) == before


def test_errors_end_with_1_and_say_what_to_type(spoilt: Path, call: Callable[..., Done]) -> None:
    tamper(spoilt, f"DROP TRIGGER {LOG}_kept")
    done = call("check", "--db", spoilt)
    assert done.code == 1
    assert f"{LOG}_kept" in done.out
    assert f"check --repair --db {spoilt}" in done.out
    assert "1 error in" in done.out


def test_warnings_alone_end_with_0(spoilt: Path, call: Callable[..., Done]) -> None:
    tamper(spoilt, "CREATE TABLE mine (x)")
    done = call("check", "--db", spoilt)
    assert done.code == 0
    assert "Sound, with 1 warning" in done.out
    assert "extra_table" in done.out


def test_json_has_everything_under_stable_keys(spoilt: Path, call: Callable[..., Done]) -> None:
    rewrite_log(spoilt, f"UPDATE {LOG} SET origin = 'x' WHERE seq = 4")
    done = call("check", "--deep", "--json", "--db", spoilt)
    assert done.code == 1
    document = json.loads(done.out)
    assert list(document) == [
        "path",
        "level",
        "schema_version",
        "rows",
        "ok",
        "errors",
        "warnings",
        "seconds",
        "findings",
        "further",
        "looked_at",
    ]
    assert (document["ok"], document["errors"], document["rows"]) == (False, 1, 300)
    [finding] = document["findings"]
    assert list(finding) == [
        "severity",
        "kind",
        "table",
        "row",
        "detail",
        "action",
        "repairable",
    ]
    assert finding["row"].startswith("seq 4, id ")
    assert list(document["looked_at"][0]) == ["what", "count", "unit", "seconds", "found"]


def test_a_repair_takes_a_copy_repairs_and_checks_again(
    spoilt: Path, call: Callable[..., Done]
) -> None:
    tamper(spoilt, f"DROP TRIGGER {LOG}_kept", "DELETE FROM rollup", "CREATE VIEW mine AS SELECT 7")
    before = content(spoilt, KEPT_FOR_EVER)
    done = call("check", "--repair", "--db", spoilt)
    assert done.code == 0, done.out + done.err
    assert "Repaired" in done.out
    assert "CREATE VIEW mine AS SELECT 7" in done.out
    assert done.out.rstrip().endswith("s.")
    assert "Sound: nothing was found" in done.out
    assert content(spoilt, KEPT_FOR_EVER) == before
    assert problems(spoilt) == []
    [copy] = [file for file in spoilt.parent.rglob("*.db") if file != spoilt]
    assert content(copy, ["rollup"]) == {"rollup": []}
    copy.unlink()
    again = call("check", "--repair", "--json", "--db", spoilt)
    assert again.code == 0
    assert "repair" not in json.loads(again.out)
    assert list(spoilt.parent.rglob("*-2*.db")) == []


def test_a_repair_in_json_tells_what_was_done_and_what_was_left(
    spoilt: Path, call: Callable[..., Done]
) -> None:
    tamper(spoilt, f"DROP TRIGGER {LOG}_kept")
    rewrite_log_with(spoilt, "UPDATE skill_invocation SET origin = 'x' WHERE seq = 4")
    done = call("check", "--repair", "--json", "--db", spoilt)
    assert done.code == 1
    document = json.loads(done.out)
    assert document["level"] == "deep"
    assert [f["kind"] for f in document["findings"]] == ["row_digest"]
    repair = document["repair"]
    assert list(repair) == ["copy", "done", "left", "before"]
    assert [one["table"] for one in repair["done"]] == [f"{LOG}_kept"]
    assert [one["kind"] for one in repair["left"]] == ["row_digest"]
    assert {f["kind"] for f in repair["before"]["findings"]} == {"missing_trigger", "row_digest"}
    Path(repair["copy"]).unlink()


def rewrite_log_with(path: Path, statement: str) -> None:
    """Change the log of a store one of whose triggers is gone already."""
    from damaging import schema_sql

    trigger = schema_sql(path, f"{LOG}_immutable")
    tamper(path, f"DROP TRIGGER {LOG}_immutable", statement, trigger)


@pytest.mark.parametrize(
    "options", [("--quick", "--deep"), ("--quick", "--repair"), ("--nonsense",)]
)
def test_options_that_contradict_each_other_are_refused(
    sound: Path, call: Callable[..., Done], options: tuple[str, ...]
) -> None:
    assert call("check", *options, "--db", sound).code == 2


def test_where_there_is_no_store_it_says_so(tmp_path: Path, call: Callable[..., Done]) -> None:
    done = call("check", "--db", tmp_path / "nothing.db")
    assert done.code == 3
    assert "There is no store here" in done.err
    assert call("check", "--db", tmp_path).code == 3
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_has_seen_more_is_found_by_itself(
    spoilt: Path, call: Callable[..., Done]
) -> None:
    with MetricsStore(spoilt, durability="normal") as store:
        made = store.back_up()
    rewrite_log(spoilt, f"DELETE FROM {LOG} WHERE seq > 290")
    done = call("check", "--quick", "--db", spoilt)
    assert done.code == 1
    assert made.path.name in done.out
    assert "10 rows or more are lost" in done.out
    assert call("check", "--accept-loss", "--quick", "--db", spoilt).code == 0
    assert call("check", "--quick", "--db", spoilt).code == 0
    made.path.unlink()


def test_a_lost_log_is_named_accepted_and_then_the_store_works_again(
    tmp_path: Path, call: Callable[..., Done]
) -> None:
    path = tmp_path / "m.db"
    code = (
        "import os, sys; from metrics_store import MetricsStore\n"
        "store = MetricsStore(sys.argv[1])\n"
        "for n in range(5): store.record_invocation('x')\n"
        "os.kill(os.getpid(), 9)"
    )
    environment = {**os.environ, "PYTHONPATH": python_path()}
    subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=False)
    os.truncate(f"{path}-wal", 5000)
    done = call("check", "--db", path)
    assert done.code == 1
    assert "log_truncated" in done.out
    assert "--accept-loss" in done.out
    assert call("skills", "list", "--db", path).code == 3
    accepted = call("check", "--accept-loss", "--db", path)
    assert "kept the log as" in accepted.err
    if accepted.code == 0:  # of a new store that was never folded nothing may be left
        assert call("check", "--deep", "--db", path).code == 0


def test_names_that_mean_harm_stay_inert(spoilt: Path, call: Callable[..., Done]) -> None:
    quoted = HARMFUL.replace('"', '""')
    literal = HARMFUL.replace("'", "''")
    tamper(
        spoilt,
        f'CREATE VIEW "{quoted}" AS SELECT 1',
        f'CREATE TABLE "{quoted}t" (x)',
        f"INSERT INTO rollup VALUES ('skill', '', '{literal}' || char(0), 'total', '', "
        "1, 1, 0, 0, 0, NULL, NULL, NULL, NULL)",
        f"INSERT INTO workflow_path (workflow_path, skill_name) VALUES ('{literal}', 'x')",
        f"UPDATE schema_migrations SET description = '{literal}' WHERE version = 3",
    )
    rewrite_log(spoilt, f"UPDATE {LOG} SET id = '{literal}' WHERE seq = 4")
    plain = call("check", "--deep", "--db", spoilt)
    assert plain.code == 1
    assert "[red]x[/red]" in plain.out
    assert not FORBIDDEN.search(plain.out)
    document = call("check", "--deep", "--json", "--db", spoilt).out
    assert not FORBIDDEN.search(document)
    assert HARMFUL in {f["table"] for f in json.loads(document)["findings"]}
    terminal = Terminal()
    show_check(Screen(terminal), check_file(spoilt, level="deep"))
    shown = re.sub("\x1b\\[[0-9;]*m", "", terminal.getvalue())
    assert "[red]x[/red]" in shown
    assert not FORBIDDEN.search(shown)


def test_a_narrow_terminal_cuts_nothing_that_matters(
    spoilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("NO_COLOR", "1")
    tamper(spoilt, f"DROP TRIGGER {LOG}_kept", "DELETE FROM rollup")
    terminal = Terminal()
    show_check(Screen(terminal), check_file(spoilt))
    lines = terminal.getvalue().splitlines()
    assert max(map(len, lines)) <= 60
    assert any("rollup_missing" in line for line in lines)
    assert any("and" in line and "more" in line for line in lines)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no limit of this kind")
def test_where_there_is_no_room_for_temporary_files_it_says_so(sound: Path, tmp_path: Path) -> None:
    # No file may grow past 8 KiB: what a full disk looks like from within.
    code = (
        "import resource, signal, sys; from metrics_store.integrity import check_file, scratch\n"
        "scratch.CACHE_KIB = 16\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))\n"
        "report = check_file(sys.argv[1])\n"
        "print(*{(f.kind, f.action) for f in report.findings}, report.rows)"
    )
    before = folder_state(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", code, str(sound)],
        env={**os.environ, "PYTHONPATH": python_path()},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("('not_examined', ")
    assert "TMPDIR" in done.stdout
    assert done.stdout.endswith(" 300\n")
    assert folder_state(tmp_path) == before
