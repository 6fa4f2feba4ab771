"""How things look: figures, tables, terminals, and text that means harm."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from checking import python_path
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.render import figures
from metrics_store.render.screen import Screen
from metrics_store.render.table import Cell, Column, Table, plain_lines
from metrics_store.render.text import json_text, visible

FILES = Path(__file__).parents[1] / "legacy" / "files"
HARMFUL = [
    "[red]x[/red]",
    "[/]",
    ":boom:",
    "a\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "c1\x9b31m",
    "turned \u202eround\u2066",
    "line\nbreak\r\ttab",
    "null\0",
    "=cmd|' /C calc'!A0",
    "-rf",
    "\u2028\ufeff\u200b",
    "del\x7f\x08\x08",
]
FORBIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


@given(st.text(st.characters()))
def test_nothing_that_a_terminal_obeys_is_visible(text: str) -> None:
    shown = visible(text)
    assert not FORBIDDEN.search(shown)
    assert "\n" not in shown
    shown.encode()
    assert all(unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in shown)


@pytest.mark.parametrize(
    "text", ["plain", "Größe 12 µs", "日本語", "👩‍👩‍👧", "می‌خواهم", "a\u3000b"]
)
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert visible(text) == text


def test_what_is_not_shown_becomes_an_escape_one_can_read() -> None:
    assert visible("a\n\r\t\x1b\x9b\u202e\ud800\U000e0041") == (
        r"a\n\r\t\x1b\x9b\u202e\ud800\U000e0041"
    )


@given(st.dictionaries(st.text(st.characters()), st.text(st.characters())))
def test_json_is_safe_to_show_and_says_the_same(value: dict[str, str]) -> None:
    text = json_text(value)
    assert not FORBIDDEN.search(text)
    text.encode()
    assert json.loads(text) == value
    assert "\n" not in json_text(value, indent=None)


@pytest.mark.parametrize(
    ("seconds", "wanted"),
    [
        (None, "–"),
        (0, "0 s"),
        (0.000001, "1 µs"),
        (0.00099949, "999 µs"),
        (0.0009995, "1.00 ms"),
        (0.0123, "12.3 ms"),
        (0.842, "842 ms"),
        (0.9994, "999 ms"),
        (0.9995, "1.00 s"),
        (4.213, "4.21 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.95, "1m 00s"),
        (192, "3m 12s"),
        (3599.4, "59m 59s"),
        (3599.5, "1h 00m"),
        (7500, "2h 05m"),
        (86_369, "23h 59m"),
        (86_370, "1d 00h"),
        (1e9, "11,574d 02h"),
        (-192, "-3m 12s"),
    ],
)
def test_durations_are_humane(seconds: float | None, wanted: str) -> None:
    assert figures.duration(seconds) == wanted


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_durations_never_show_sixty_seconds_or_a_thousand(one: float, other: float) -> None:
    for shown in (figures.duration(one), figures.duration(other)):
        assert not re.search(r"\b(60s|60m|24h|1000 |60\.0 s)", shown)


@pytest.mark.parametrize(
    ("rate", "wanted"),
    [
        (None, "–"),
        (0, "0 %"),
        (100, "100 %"),
        (99.99, "99.9 %"),
        (0.01, "0.1 %"),
        (92.55, "92.5 %"),
    ],
)
def test_a_share_is_whole_only_if_it_is(rate: float | None, wanted: str) -> None:
    assert figures.percent(rate) == wanted


def test_sparklines_and_bars_show_whatever_is_there() -> None:
    assert figures.sparkline([0, 1, 4, 8, 1000]) == "·▁▁▁█"
    assert figures.sparkline([1, 2, 3, 4, 5, 6, 7, 8]) == "▂▃▄▅▆▇██"
    assert figures.sparkline([]) == ""
    assert figures.sparkline([0, -1]) == "··"
    assert figures.bar(1, 1000, 10) == "▏"
    assert figures.bar(1000, 1000, 10) == "█" * 10
    assert figures.bar(0, 0, 10) == ""


def test_sizes_are_humane() -> None:
    assert [figures.size(n) for n in (1, 999, 1000, 340_422, 14_200_000, 2 * 10**9)] == [
        "1 byte", "999 bytes", "1 kB", "340 kB", "14.2 MB", "2.00 GB",
    ]  # fmt: skip


def test_plain_tables_align_by_what_a_terminal_shows() -> None:
    table = Table([Column("name"), Column("n", "right")], indent=1)
    table.add("日本", "1")
    table.add("a\nb", "1,000")
    assert list(plain_lines(table)) == [" name      n", " 日本      1", " a\\nb  1,000"]
    with pytest.raises(ValueError, match="3 cells"):
        table.add("1", "2", "3")


class _Terminal(StringIO):
    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


def _shown(table: Table, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    stream = _Terminal()
    Screen(stream).table(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def test_a_terminal_table_shortens_then_drops_then_cuts(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table(
        [
            Column("name", elastic=True),
            Column("completed", short="done"),
            Column("x", optional=True),
        ]
    )
    table.add("a long name", Cell("2026-11-21 09:16", short="11-21"), "extra")
    assert _shown(table, 40, monkeypatch)[1] == "a long name  2026-11-21 09:16  extra"
    assert _shown(table, 30, monkeypatch) == ["name         done   x", "a long name  11-21  extra"]
    assert _shown(table, 20, monkeypatch) == ["name         done", "a long name  11-21"]
    assert _shown(table, 14, monkeypatch) == ["name     done", "a long…  11-21"]


@pytest.mark.parametrize("text", HARMFUL)
def test_no_command_hands_harmful_text_to_the_terminal(
    call, open_store: Callable[..., MetricsStore], monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    store = open_store()
    store.record_invocation(
        text,
        completed=False,
        workflow_path=text,
        session_id=text,
        error_type=text,
        project_path=text,
        follow_up_actions=[text],
        attributes={text: text},
        invocation_id=text,
        invoked_at="2026-03-09T12:00:00Z",
    )
    store.track_invocation(text, text, text)
    arguments = [] if "\0" in text else ["--", text]
    commands: list[list[str]] = [
        ["skills", "list"],
        ["skills", "sessions"],
        ["skills", "summary"],
        ["skills", "show", *arguments],
        ["skills", "show", "--", text + "?"],
        ["skills", "timeline", *arguments],
        ["skills", "search", *arguments],
        ["skills", "sessions", *arguments],
        ["invocations"],
        ["invocations", "--in-flight"],
        ["invocations", "--limit", "1", "--after", text],
        ["record", "--db", "odd.db", *arguments],
        ["skills", "timeline", "x", "--zone", text],
        ["legacy", "import", "--db", "odd.db", *arguments],
        [text],
        ["skills", "list", f"--{text}"],
        ["skills", "list", "--sort", text],
    ]
    for terminal in (False, True):
        if terminal:
            monkeypatch.setenv("NO_COLOR", "1")
            monkeypatch.setattr("metrics_store.render.screen.is_terminal", lambda _: True)
        for command in commands:
            for json_option in ([], ["--json"]):
                done = call(*command[:2], "--db", store.path, *json_option, *command[2:])
                assert not FORBIDDEN.search(done.out + done.err), command
                assert "Traceback" not in done.err
                assert "this is a bug" not in done.err, (command, done.err)


def test_an_import_full_of_harmful_text_is_shown_safely(call) -> None:
    done = call("legacy", "import", FILES / "hand_edited.json", "--report", "--db", "m.db")
    assert not FORBIDDEN.search(done.out + done.err)


def _in_a_terminal(arguments: list[str], width: int, folder: Path, **env: str) -> tuple[int, str]:
    import fcntl
    import pty
    import struct
    import termios

    child, handle = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.environ.update({"PYTHONPATH": python_path(), "TERM": "xterm-256color", **env})
        for name in ("COLUMNS", "LINES"):
            os.environ.pop(name, None)
        # What holds until the command looks: the size is set before it starts.
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
        # With the environment named: readline, where it is loaded, hides LINES in this one.
        program = [sys.executable, "-m", "metrics_store.cli", *arguments]
        os.execve(sys.executable, program, dict(os.environ))
    chunks = []
    while True:
        try:
            chunk = os.read(handle, 65536)
        except OSError:
            break
        if not chunk:
            break
        chunks.append(chunk)
    os.close(handle)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), b"".join(chunks).decode()


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_colours_and_its_width_is_kept(filled: Path, tmp_path: Path) -> None:
    with MetricsStore(filled) as store:
        store.record_invocation("a-rather-long-name-" * 5)
    arguments = ["skills", "list", "--db", str(filled)]
    code, out = _in_a_terminal(arguments, 70, tmp_path, NO_COLOR="")
    assert code == 0
    assert "\x1b[" in out
    assert "…" in out
    code, out = _in_a_terminal(arguments, 70, tmp_path, NO_COLOR="1")
    assert code == 0
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 70


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize("width", [80, 100, 120])
def test_the_report_fits_its_terminal(tmp_path: Path, width: int) -> None:
    arguments = ["legacy", "import", str(FILES / "typical.json"), "--zone", "UTC", "--report"]
    code, out = _in_a_terminal([*arguments, "--db", "m.db"], width, tmp_path, NO_COLOR="1")
    assert code == 0
    assert "records, " in out, "progress, with its rate"
    report = out[out.index("Took in") :]
    tables = report[report.index("What is in") : report.index("Next")]
    assert max(map(len, tables.splitlines())) <= width
    assert "…" not in tables
