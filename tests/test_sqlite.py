"""The one binding, and what its errors are called here."""

from __future__ import annotations

from pathlib import Path

import pytest

from metrics_store import errors, sqlite


def test_the_binding_has_the_fix_wherever_pysqlite3_is_installed() -> None:
    try:
        import pysqlite3  # noqa: F401
    except ImportError:
        assert sqlite.binding.__name__ == "sqlite3"
    else:
        assert sqlite.binding.__name__.startswith("pysqlite3")
        assert sqlite.has_wal_reset_fix
    assert sqlite.version == ".".join(map(str, sqlite.version_info))


def test_everything_of_ours_uses_the_one_binding() -> None:
    from sqlite_utils.utils import sqlite3 as of_sqlite_utils

    from metrics_store.yoyo_backend import Backend

    assert of_sqlite_utils.sqlite_version == sqlite.version
    connection = sqlite.connect(":memory:")
    assert Backend(connection).driver is sqlite.binding
    connection.close()


@pytest.mark.parametrize(
    "name", ["a b.db", "a'b.db", 'a"b.db', "a\nb.db", "a?b#c%41.db", "😀.db", "&mode=ro.db", "-"]
)
def test_any_name_is_the_name_of_its_file(tmp_path: Path, name: str) -> None:
    connection = sqlite.connect(str(tmp_path / name))
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert [file.name for file in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(
    ("code", "writing", "kind"),
    [
        (5, True, errors.StoreBusy),
        (261, False, errors.StoreBusy),
        (517, True, errors.StoreBusy),
        (6, True, errors.StoreBusy),
        (13, True, errors.DiskFull),
        (10, True, errors.OutcomeUnknown),
        (778, True, errors.OutcomeUnknown),
        (266, False, errors.ReadError),
        (11, False, errors.CorruptStore),
        (267, True, errors.CorruptStore),
        (26, False, errors.ForeignDatabase),
        (8, True, errors.StoreNotWritable),
        (14, True, errors.StoreNotWritable),
        (14, False, errors.ReadError),
        (19, True, errors.WriteError),
        (1, True, errors.WriteError),
        (1, False, errors.ReadError),
        (None, False, errors.ReadError),
    ],
)
def test_every_code_has_its_error(code: int | None, writing: bool, kind: type[Exception]) -> None:
    raised = sqlite.OperationalError("of SQLite")
    if code is not None:
        raised.sqlite_errorcode = code  # type: ignore[attr-defined]
    translated = sqlite.translated(raised, writing=writing, where="m.db", waited=1.5)
    assert type(translated) is kind
    assert "m.db" in str(translated)


def test_an_id_that_is_there_twice_has_an_error_of_its_own() -> None:
    connection = sqlite.connect(":memory:")
    connection.execute("CREATE TABLE skill_invocation (id TEXT UNIQUE)")
    connection.execute("INSERT INTO skill_invocation VALUES ('a')")
    with pytest.raises(sqlite.IntegrityError) as caught:
        connection.execute("INSERT INTO skill_invocation VALUES ('a')")
    translated = sqlite.translated(caught.value, writing=True, where="m.db")
    assert isinstance(translated, errors.DuplicateRecord)
    connection.close()
