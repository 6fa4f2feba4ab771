"""The live screen of health: in a terminal, in a pipe, as lines of JSON."""

from __future__ import annotations

import codecs
import json
import os
import re
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from examining import COMMAND, environment
from rich.cells import cell_len

from metrics_store import MetricsStore
from metrics_store.clock import Clock
from metrics_store.health.metrics import Metrics
from metrics_store.health.report import HealthReport
from metrics_store.render.screen import Screen
from metrics_store.render.watching import History, Page, show_watch

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and terminals")
_ESCAPES = re.compile(r"\x1b(\[[?\d;]*[a-zA-Z]|\][^\x07]*\x07)")


class Seen:
    """A command in a terminal of its own, and what it has written so far."""

    def __init__(self, pid: int, handle: int) -> None:
        self.pid = pid
        self.handle = handle
        self.text = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def until(self, pattern: str) -> None:
        """Read until something was written; fail if it ends before."""
        deadline = time.monotonic() + 90
        while not re.search(pattern, _ESCAPES.sub("", self.text)):
            assert time.monotonic() < deadline, f"never {pattern!r}:\n{self.text}"
            assert self._read(), f"it ended without {pattern!r}:\n{self.text}"

    def until_page(self, condition: Callable[[str], bool]) -> str:
        """Read until a whole page was drawn that meets a condition; the page."""
        deadline = time.monotonic() + 90
        while True:
            pages = _pages(self.text)[1:-1]  # the last one is still being drawn
            if pages and condition(pages[-1]):
                return pages[-1]
            assert time.monotonic() < deadline, f"no such page:\n{self.text}"
            assert self._read(), f"it ended without such a page:\n{self.text}"

    def _read(self) -> bool:
        """Read what is there, within a minute; False at the end."""
        ready, _, _ = select.select([self.handle], [], [], 60)
        assert ready, f"nothing more came:\n{self.text}"
        try:
            chunk = os.read(self.handle, 65536)
        except OSError:  # Linux says so at the end
            return False
        self.text += self._decoder.decode(chunk)
        return bool(chunk)

    def resize(self, width: int, height: int = 40) -> None:
        """Give the terminal another size."""
        import fcntl
        import termios

        fcntl.ioctl(self.handle, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def interrupted(self) -> int:
        """Press Ctrl-C, read to the end; the exit code."""
        os.write(self.handle, b"\x03")
        return self.end()

    def end(self) -> int:
        """Read to the end; the exit code."""
        while self._read():
            pass
        _, how = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(how)


def _pages(text: str) -> list[str]:
    """What was drawn, page by page, without escapes."""
    return [_ESCAPES.sub("", page) for page in text.split("\x1b[H")]


@contextmanager
def terminal(folder: Path, width: int, *arguments: str, **env: str) -> Iterator[Seen]:
    """Run health in a terminal of a width."""
    import pty

    pid, handle = pty.fork()
    if pid == 0:
        os.chdir(folder)
        program = [*COMMAND, "health", *arguments]
        # Not before the terminal has its size: the other end says so.
        os.read(0, 1)
        # With the environment named: readline, where it is loaded, hides a COLUMNS in this one.
        os.execve(sys.executable, program, environment(TERM="xterm-256color", **env))
    seen = Seen(pid, handle)
    try:
        seen.resize(width)
        os.write(handle, b"\n")
        yield seen
    finally:
        os.close(handle)


@pytest.fixture
def live(open_store) -> MetricsStore:
    """A store on the real clock."""
    opened: MetricsStore = open_store(clock=Clock())
    return opened


@posix
@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_screen_fits_shows_what_happens_and_ends_by_ctrl_c(
    live: MetricsStore, tmp_path: Path, width: int
) -> None:
    with terminal(tmp_path, width, "--db", "m.db", "--watch", "--interval", "0.2") as seen:
        seen.until(r"(?s)recorded.*recorded")
        live.record_invocation("a")
        seen.until(r"1 in an hour")
        assert seen.interrupted() == 130
    before, _, rest = seen.text.partition("\x1b[?1049h")
    drawn, _, after = rest.partition("\x1b[?1049l")
    assert "every 0.2 s; Ctrl-C ends it" in drawn
    assert "recorded" not in before
    assert after.strip().endswith("interrupted")
    # The terminal itself shows the key that was pressed.
    lines = [line for page in _pages(drawn.replace("^C", "")) for line in page.splitlines()]
    for line in lines:
        assert cell_len(line.rstrip()) <= width, line


@posix
def test_the_screen_follows_the_terminals_width(live: MetricsStore, tmp_path: Path) -> None:
    live.record_invocation("a")
    wide = "1 in an hour, 1 in a day, 1 in a week, 1 in all"
    with terminal(tmp_path, 120, "--db", "m.db", "--watch", "--interval", "0.2") as seen:
        seen.until(wide)
        seen.resize(50)
        seen.until(r"(?m)1 in a week, *\r?\n *1 in all|1 in a *\r?\n *week")
        assert seen.interrupted() == 130


@posix
def test_a_low_screen_keeps_the_status_and_the_way_out(live: MetricsStore, tmp_path: Path) -> None:
    with terminal(tmp_path, 80, "--db", "m.db", "--watch", "--interval", "0.2") as seen:
        seen.until("durability full")
        seen.resize(80, 12)
        low = seen.until_page(lambda page: "recorded" in page and len(page.splitlines()) <= 12)
        assert seen.interrupted() == 130
    assert "recorded" in low
    assert "Ctrl-C ends it" in low
    assert "durability full" not in low


@posix
def test_the_screen_has_colours_unless_they_are_not_wanted(
    store: MetricsStore, tmp_path: Path
) -> None:
    for no_color, wanted in (("", True), ("1", False)):
        arguments = ("--db", "m.db", "--watch", "--interval", "0.2")
        with terminal(tmp_path, 80, *arguments, NO_COLOR=no_color) as seen:
            seen.until("recorded")
            seen.until("Ctrl-C ends it")
            assert seen.interrupted() == 130
        assert bool(re.search(r"\x1b\[[\d;]*3[2-6]m", seen.text)) is wanted


@posix
def test_a_store_that_goes_is_critical_and_comes_back(store: MetricsStore, tmp_path: Path) -> None:
    store.close()
    path = tmp_path / "m.db"
    with terminal(tmp_path, 80, "--db", "m.db", "--watch", "--interval", "0.2") as seen:
        seen.until(r"recorded")
        path.rename(tmp_path / "away.db")
        seen.until("CRITICAL")
        seen.until("There is no store here")
        (tmp_path / "away.db").rename(path)
        seen.until(r"(?s)There is no store here.*SQLite +3")
        assert seen.interrupted() == 130
    assert "Traceback" not in seen.text


@posix
def test_a_store_that_is_not_there_is_no_screen(tmp_path: Path) -> None:
    with terminal(tmp_path, 80, "--db", "none.db", "--watch") as seen:
        assert seen.end() == 3
    assert "hint:" in seen.text
    assert "\x1b[?1049h" not in seen.text


@posix
@pytest.mark.parametrize("option", [(), ("--json",), ("--metric", "invocations_total")])
def test_in_a_pipe_each_tick_is_written_by_itself(
    store: MetricsStore, tmp_path: Path, option: tuple[str, ...]
) -> None:
    command = [*COMMAND, "health", "--db", "m.db", "--watch", "--interval", "0.2", *option]
    watching = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    lines: list[str] = []

    def ticks() -> int:
        return sum(bool(option) or line == "m.db\n" for line in lines)

    while ticks() < 3:
        lines.append(watching.stdout.readline())
        assert lines[-1], lines
        if ticks() == 1:
            store.record_invocation("a")
    watching.send_signal(signal.SIGINT)
    rest, err = watching.communicate(timeout=60)
    assert (watching.returncode, err) == (130, "interrupted\n")
    written = "".join(lines) + rest
    assert "\x1b" not in written
    if option == ("--json",):
        documents = [json.loads(line) for line in lines]
        assert {document["database"] for document in documents} == {store.path}
        assert documents[0]["metrics"]["invocations_total"] < 3
    elif option:
        assert [int(line) for line in lines] == sorted(int(line) for line in lines)


@posix
def test_a_reader_of_the_lines_that_goes_ends_it(store: MetricsStore, tmp_path: Path) -> None:
    command = [*COMMAND, "health", "--db", "m.db", "--watch", "--interval", "0.2", "--json"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as watching:
        assert watching.stdout is not None
        assert watching.stderr is not None
        watching.stdout.readline()
        watching.stdout.close()
        assert watching.wait(60) == 141
        assert watching.stderr.read() == b""


def report(**values: object) -> HealthReport:
    """A report of some numbers."""
    metrics = Metrics(**values)  # type: ignore[arg-type]
    return HealthReport("m.db", "2026-03-10T12:00:00.000000Z", "OK", (), metrics)


def page(history: History, encoding: str = "utf-8") -> list[str]:
    stream = StringIO()
    screen = Screen(stream if encoding == "utf-8" else Page(encoding))
    show_watch(screen, history, str)
    text = screen.stream.getvalue()  # type: ignore[attr-defined]
    return _ESCAPES.sub("", text).splitlines()


def test_the_lines_tell_how_much_was_recorded_at_each_tick() -> None:
    history = History()
    for tick, total in enumerate([100, 100, 140, 120, 200]):
        history.add(10 + 2.0 * tick, report(invocations_total=total, wal_unfolded_frames=total))
    assert history.recorded() == [0, 40, 0, 80]  # retention never makes it negative
    assert history.rate() == 40.0
    lines = page(history)
    [recorded] = [line for line in lines if line.startswith("  recorded")]
    assert recorded.split() == ["recorded", "·▅·█", "40/s"]
    [log] = [line for line in lines if line.startswith("  log")]
    assert log.split()[1:4] == ["▅▅▆▅█", "200", "pages,"]


def test_what_is_not_known_is_drawn_as_nothing() -> None:
    history = History()
    assert history.rate() is None
    history.add(1.0, report())
    history.add(1.0, report())
    assert history.rate() is None
    lines = page(history)
    assert "  views       ··" in "\n".join(lines)
    assert not [line for line in lines if "None" in line]


def test_a_poor_encoding_gets_plain_signs() -> None:
    history = History()
    for total in (1, 3, 9):
        history.add(float(total), report(invocations_total=total, readers=total))
    text = "\n".join(page(history, "ascii"))
    assert text.isascii()


def test_a_long_watch_remembers_a_screen_of_ticks() -> None:
    history = History()
    for total in range(1000):
        history.add(float(total), report(invocations_total=total))
    assert len(history.reports) == len(history.moments) <= 200
    assert history.recorded()[-1] == 1
