"""apsw in the dress of pysqlite3 passes what the product's own binding passes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from checking import python_path

pytest.importorskip("apsw", reason="apsw is missing; the test extra installs it")

_TESTS = Path(__file__).parent.parent
#: Run as a file, for the binding has to be taken before pytest finds a conftest that imports ours.
_RUN = """
import sys
sys.path.insert(0, sys.argv[1])
import apsw_binding
apsw_binding.put_on()
import pytest
from metrics_store import sqlite
assert sqlite.binding is apsw_binding
sys.exit(pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:xdist", *sys.argv[2:]]))
"""


_NAMES = ("test_recording.py", "test_sqlite.py", "test_query.py", "test_tracking.py")


def test_a_part_of_the_suite_passes_with_apsw(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-c", _RUN, str(Path(__file__).parent),
            "--rootdir", str(_TESTS.parent), "--basetemp", str(tmp_path / "there"),
            *(str(_TESTS / name) for name in _NAMES),
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path(), "PYTEST_ADDOPTS": ""},
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_it_is_put_on_before_anything_is_imported() -> None:
    import apsw_binding

    with pytest.raises(RuntimeError, match="taken already"):
        apsw_binding.put_on()


def test_several_statements_at_once_are_refused() -> None:
    import apsw_binding

    connection = apsw_binding.connect(":memory:")
    with pytest.raises(apsw_binding.ProgrammingError, match="one statement"):
        connection.execute("SELECT 1; SELECT 2")
    assert connection.execute("SELECT 1; -- and no more\n").fetchall() == [(1,)]
    connection.close()
    with pytest.raises(apsw_binding.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


def test_errors_have_their_extended_codes() -> None:
    import apsw_binding

    connection = apsw_binding.connect(":memory:")
    connection.execute("CREATE TABLE t (x TEXT UNIQUE)")
    connection.execute("INSERT INTO t VALUES ('a')")
    with pytest.raises(apsw_binding.IntegrityError, match=r"t\.x") as caught:
        connection.execute("INSERT INTO t VALUES ('a')")
    assert caught.value.sqlite_errorcode == 2067
    assert caught.value.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE"
    with pytest.raises(apsw_binding.OperationalError, match="no such table"):
        connection.execute("SELECT * FROM nowhere")


def test_what_changed_is_counted_as_pysqlite3_does() -> None:
    import apsw_binding

    connection = apsw_binding.connect(":memory:")
    assert connection.execute("CREATE TABLE t (x)").rowcount == -1
    inserted = connection.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(3)])
    assert (inserted.rowcount, connection.total_changes) == (3, 3)
    assert connection.execute("-- all\nUPDATE t SET x = 1").rowcount == 3
    assert connection.execute("DELETE FROM t WHERE x = 2").rowcount == 0
    chosen = connection.execute("SELECT x AS y FROM t")
    assert (chosen.rowcount, chosen.description) == (-1, (("y", *(None,) * 6),))
    assert connection.execute("SELECT x FROM t WHERE 0").description is not None
