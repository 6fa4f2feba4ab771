"""How the pages of a migration look: in a terminal, in a pipe, and while one watches."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from checking import python_path
from documents import MODULE, in_terminal
from migrating import Migration, legacy_file

from metrics_store.phases.operator import Operator
from metrics_store.phases.status import Running, status
from metrics_store.render.migration import show_status
from metrics_store.render.screen import Screen

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")
ENOUGH = {
    "PYTHONPATH": python_path(),
    "TERM": "xterm-256color",
    "PYTHONIOENCODING": "utf-8",
    "NO_COLOR": "1",
}


@pytest.fixture
def migration(call, tmp_path: Path) -> Migration:
    """A migration that has begun."""
    migration = Migration(call, legacy_file(tmp_path))
    migration.begin()
    return migration


class Seen:
    """A command in a terminal of its own, and what it has written so far."""

    def __init__(self, pid: int, handle: int) -> None:
        self.pid = pid
        self._handle = handle
        self.text = ""

    def until(self, pattern: str) -> None:
        """Read until something was written; until the end, if it never is."""
        while not re.search(pattern, self.text):
            try:
                chunk = os.read(self._handle, 65536)
            except OSError:
                return
            if not chunk:
                return
            self.text += chunk.decode()

    def end(self) -> int:
        """Read to the end; the exit code."""
        self.until(r"\Z.")
        _, how = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(how)


@contextmanager
def terminal(folder: Path, width: int, *arguments: str, **env: str) -> Iterator[Seen]:
    """Run a command in a terminal of a width."""
    import fcntl
    import pty
    import struct
    import termios

    pid, handle = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update({**ENOUGH, **env})
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        program = [sys.executable, "-m", "metrics_store.cli", "legacy", *arguments]
        # With the environment named: readline, where it is loaded, hides LINES in this one.
        os.execve(sys.executable, program, dict(os.environ))
    try:
        yield Seen(pid, handle)
    finally:
        os.close(handle)


@posix
def test_watching_redraws_on_the_other_screen_until_ctrl_c(
    migration: Migration, tmp_path: Path
) -> None:
    with terminal(tmp_path, 80, "status", "--watch", "--interval", "0.1") as seen:
        seen.until(r"(?s)legacy for .*legacy for ")
        assert seen.text.startswith("\x1b[?1049h")
        assert "every 0.1 s; Ctrl-C ends it" in seen.text
        os.kill(seen.pid, signal.SIGINT)
        assert seen.end() == 130
    assert "\x1b[?1049l" in seen.text
    assert seen.text.rstrip().endswith("interrupted")


@posix
def test_watching_ends_by_itself_when_the_migration_is_complete(
    migration: Migration, tmp_path: Path
) -> None:
    migration.until("database")
    with terminal(tmp_path, 80, "status", "--watch", "--interval", "0.1") as seen:
        seen.until("database for ")
        migration.until("complete")
        assert seen.end() == 0
    after = seen.text.rpartition("\x1b[?1049l")[2]
    assert "complete for " in after, "the last page stays"


@posix
@pytest.mark.parametrize("json_option", [(), ("--json",)])
def test_watching_in_a_pipe_writes_one_report_each_time(
    migration: Migration, tmp_path: Path, json_option
) -> None:
    command = [sys.executable, "-m", "metrics_store.cli", "legacy", "status", "--watch"]
    watching = subprocess.Popen(
        [*command, "--interval", "0.1", *json_option],
        cwd=tmp_path,
        env={**os.environ, **ENOUGH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    found: list[str] = []
    while sum("Leaving " in line or line.startswith("{") for line in found) < 3:
        found.append(watching.stdout.readline())
        assert found[-1], found
    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (130, "interrupted\n")
    assert "\x1b" not in "".join(found)
    if json_option:
        assert {json.loads(line)["phase"] for line in found} == {"legacy"}


def test_watching_what_is_complete_ends_at_once(migration: Migration) -> None:
    migration.until("complete")
    done = migration("status", "--watch")
    assert done.code == 0
    assert done.out.count("Leaving ") == 1


@posix
@pytest.mark.parametrize("width", [80, 120])
def test_every_page_fits_its_terminal(migration: Migration, tmp_path: Path, width: int) -> None:
    migration.until("dual_read")
    pages = [("doctor",), ("plan",), ("status",), ("verify",), ("diff", "list"), ("cutover",)]
    for page in [*pages, ("rollback",), ("rollback", "--rehearse"), ("status",)]:
        code, shown, _ = in_terminal([*MODULE, "legacy", *page], tmp_path, columns=width)
        assert code in (0, 2)
        assert shown
        for line in re.sub(r"\x1b\[[?\d;]*[a-zA-Z]", "", shown).splitlines():
            assert len(line.rstrip()) <= width, (page, line)


@posix
def test_a_terminal_gets_colours(migration: Migration, tmp_path: Path) -> None:
    with terminal(tmp_path, 80, "status", NO_COLOR="") as seen:
        assert seen.end() == 0
    assert re.search(r"\x1b\[1;36m◉", seen.text)
    assert re.search(r"\x1b\[32m *✓", seen.text)


def test_a_poor_encoding_gets_plain_signs(migration: Migration, run) -> None:
    migration.until("dual_write")
    for page in (("status",), ("plan",), ("doctor",), ("advance",), ("rollback",)):
        done = run("legacy", *page, PYTHONIOENCODING="ascii")
        assert done.code in (0, 2)
        assert "\\u" not in done.out + done.err, page
    way = run("legacy", "status", PYTHONIOENCODING="ascii").out.splitlines()[2]
    assert way == "  *" + "=" * 11 + "@" + ("-" * 11 + "o") * 4


def test_a_pass_that_is_under_way_is_shown_with_the_time_left(
    migration: Migration, tmp_path: Path
) -> None:
    migration.until("dual_write")
    with Operator(migration.json_file) as operator:
        found = status(operator)
    stream = StringIO()
    running = Running("streaming", 30_000, 120_000, 95.0)
    show_status(Screen(stream), replace(found, running=running), str)
    lines = stream.getvalue().splitlines()
    at = lines.index("A pass over the JSON file is under way  streaming")
    assert (
        lines[at + 1]
        == f"  {'█' * 6}{'·' * 18}  25.0 %, 30,000 of about 120,000 records, 1m 35s left"
    )


def test_a_store_that_cannot_be_asked_is_said_and_the_way_back_is_named(
    migration: Migration, tmp_path: Path, damaged
) -> None:
    migration.until("dual_write")
    path = tmp_path / ".session-buddy" / "skill_metrics.db"
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    path.write_bytes(b"not a store at all" * 1000)
    damaged(path)
    done = migration("status")
    assert done.code == 1
    assert "The store cannot be asked." in done.out
    assert done.out.endswith("  metrics-store legacy rollback --execute\n")
    assert migration.told("status", code=1)["store_error"]
    assert migration("rollback", "--execute").code == 0
    assert migration.phase == "legacy"


def test_the_commands_of_doctor_and_plan_can_be_typed_as_they_are(call, tmp_path: Path) -> None:
    path = legacy_file(tmp_path).rename(tmp_path / "other.json")
    options = ("--json-file", path.name, "--db", "m.db", "--zone", "UTC")
    named = "--json-file other.json --db m.db --zone UTC"
    assert f"  metrics-store legacy start {named}\n" in call("legacy", "doctor", *options).out
    plan = call("legacy", "plan", *options).out
    assert f"  metrics-store legacy start {named} --execute\n" in plan
    assert call("legacy", "start", *options, "--execute").code == 0
    begun = call("legacy", "plan", "--json-file", path.name).out
    assert "legacy start" not in begun
    assert "  metrics-store legacy advance --json-file other.json --execute\n" in begun
