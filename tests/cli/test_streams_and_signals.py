"""Pipes that close, full disks, Ctrl-C and poor terminals: how commands end then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checking import python_path

Run = Callable[..., "object"]


def _start(*arguments: object, **streams: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "metrics_store.cli", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": python_path()},
        **streams,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")
def test_a_pipe_that_closes_early_ends_the_command_quietly(filled: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = _start("invocations", "--jsonl", "--db", filled, stdout=writing, stderr=-1)
    os.close(writing)
    _, err = command.communicate(timeout=60)
    assert err == b""
    assert command.returncode == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_to_a_full_disk_is_an_error(filled: Path) -> None:
    with open("/dev/full", "wb") as full:
        command = _start("skills", "list", "--db", filled, stdout=full.fileno(), stderr=-1)
        _, err = command.communicate(timeout=60)
    assert command.returncode == 3
    assert err.decode() == "error: No space left on device\n"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")
def test_ctrl_c_ends_the_command_with_130_and_nothing_recorded(run, filled: Path) -> None:
    command = _start("record", "--stdin", "--db", filled, stdin=-1, stdout=-1, stderr=-1)
    assert command.stdin is not None
    command.stdin.write(b'{"skill_name": "x"}\n')
    command.stdin.flush()
    wal = Path(f"{filled}-wal")
    deadline = time.monotonic() + 30
    while not wal.exists() and time.monotonic() < deadline:
        time.sleep(0.01)  # until it has opened the store
    time.sleep(0.3)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=60)
    assert command.returncode == 130
    assert out == b""
    assert err == b"interrupted\n"
    assert run("skills", "show", "x", "--db", filled).code == 1


def test_closed_standard_streams_are_no_trouble(filled: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("POSIX shell")
    shell = '"$0" -m metrics_store.cli skills list --db "$1" >&- 2>&-'
    done = subprocess.run(
        ["sh", "-c", shell, sys.executable, str(filled)],
        env={**os.environ, "PYTHONPATH": python_path()},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0


def test_a_poor_encoding_gets_plain_signs_and_never_an_error(run, filled: Path) -> None:
    run("record", "naïve-Ω", "--db", filled)
    done = run("skills", "list", "--db", filled, PYTHONIOENCODING="ascii")
    assert done.code == 0
    assert "na\\xefve-\\u03a9" in done.out
    assert "\\u25" not in done.out


def test_listing_skills_loads_neither_yoyo_nor_the_import(python, filled: Path) -> None:
    script = (
        "import sys\nfrom metrics_store.cli import main\n"
        "assert main(['skills', 'list', '--db', sys.argv[1]]) == 0\n"
        "for name in ('yoyo', 'sqlite_utils', 'metrics_store.legacy.importing', 'rich.console'):\n"
        "    assert name not in sys.modules, name\n"
    )
    python(script, filled)
