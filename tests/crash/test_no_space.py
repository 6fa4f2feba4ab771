"""A disk that is full: a clear error, reading goes on, nothing is lost, and with space it works."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
from checking import python_path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it limits files as POSIX does")
_PROGRAM = Path(__file__).with_name("full_disk.py")
#: Of the small file system: large enough for a store, a backup and a legacy file of the test.
_SIZE = "8m"
CASES = (
    "record",
    "batch",
    "buffered",
    "opening",
    "applying",
    "importing",
    "backing up",
    "commands",
)


@cache
def _namespace() -> tuple[str, ...]:
    """A command that starts another where it can mount what nobody else sees; empty if none."""
    unshare = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        unshare += ["--user", "--map-root-user"]
    if shutil.which("unshare") is None:
        return ()
    tried = subprocess.run(
        [*unshare, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"],
        capture_output=True,
        check=False,
    )
    return tuple(unshare) if tried.returncode == 0 else ()


def _run(command: list[str]) -> list[str]:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path(), "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "Traceback" not in done.stderr
    assert "bug in metrics-store" not in done.stderr
    return done.stdout.split("\n")


@pytest.mark.parametrize("case", CASES)
def test_files_that_may_not_grow(tmp_path: Path, case: str) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    said = _run([sys.executable, str(_PROGRAM), "limit", str(folder), case])
    assert case == "commands" or said


@pytest.mark.parametrize("case", CASES)
def test_a_small_disk(tmp_path: Path, case: str) -> None:
    if not _namespace():
        pytest.skip("this user may not mount a file system in a namespace of its own")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size={_SIZE} tmpfs {shlex.quote(str(folder))}"
    program = shlex.join([sys.executable, str(_PROGRAM), "tmpfs", str(folder), case])
    said = _run([*_namespace(), "sh", "-c", f"{mount} && exec {program}"])
    # That the disk is full is said in so many words.
    assert case == "commands" or {"DiskFull", "NoSpace"} & set(said), said
    assert list(folder.iterdir()) == [], "it was mounted for that process alone"
