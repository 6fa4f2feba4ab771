"""A family more is one declaration and one migration: all that goes over families goes over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from checking import problems
from settable_clock import SettableClock

from metrics_store import MetricsStore, clock, families, logs, schema
from metrics_store.families import (
    Aged,
    Derived,
    Dimension,
    Family,
    Histogram,
    Keep,
    Measures,
)
from metrics_store.integrity import expected
from metrics_store.sqlite import Connection

Open = Callable[..., MetricsStore]
_DAY = "substr(row.read_at, 1, 10)"

_NEWEST = "SELECT sensor, max(read_at) AS read_at, id FROM sensor_reading GROUP BY sensor"

SENSORS = Family(
    name="sensor",
    table="sensor_reading",
    moment="row.read_at",
    completed="row.ok",
    failed="1 - row.ok",
    measure="row.micro",
    dimensions=(
        Dimension("total", subject="row.sensor"),
        Dimension("day", subject="row.sensor", period=_DAY, span=False),
        Dimension("tag", subject="row.sensor", label="item.value", each="tags", counts_only=True),
        Dimension(
            "quiet", subject="row.sensor", when="row.noise IS NOT NULL", measure="100 - row.noise"
        ),
        Measures(
            kinds=(("noise", "row.noise"), ("double", "2 * row.micro")),
            subject="row.sensor",
            periods=("''", "substr(row.read_at, 1, 7)"),
        ),
        Measures(
            kinds=(
                ("length", "length(item.value)"),
                ("of_x", "CASE item.value WHEN 'x' THEN 1 END"),
            ),
            subject="item.value",
            periods=(_DAY,),
            each="tags",
        ),
    ),
    histogram=Histogram(subject="row.sensor", day=_DAY),
    histograms=(Histogram(subject="'all'", day=_DAY, kind="noise_", measure="row.noise"),),
    columns=("id", "sensor", "read_at", "ok", "micro", "noise", "tags"),
    derived=(
        Derived(
            "sensor_now",
            kept="SELECT sensor, read_at, id FROM sensor_now",
            due=_NEWEST,
            rebuild=("DELETE FROM sensor_now", f"INSERT INTO sensor_now {_NEWEST}"),
        ),
    ),
    fold_trigger=False,
    keep=Keep(days=30, newest_of="row.sensor", remember=True, aged=(Aged(("day",), 90),)),
)

MIGRATION = f"""
CREATE TABLE sensor_reading (
    seq     INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    sensor  TEXT NOT NULL,
    read_at TEXT NOT NULL,
    ok      INTEGER NOT NULL,
    micro   INTEGER,
    noise   INTEGER,
    tags    TEXT NOT NULL CHECK (json_valid(tags)),
    digest  TEXT NOT NULL
) STRICT;

CREATE INDEX sensor_reading_by_time ON sensor_reading (read_at, sensor);

CREATE TABLE sensor_now (
    sensor TEXT PRIMARY KEY, read_at TEXT NOT NULL, id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TRIGGER sensor_reading_now AFTER INSERT ON sensor_reading
BEGIN
    INSERT INTO sensor_now VALUES (NEW.sensor, NEW.read_at, NEW.id)
    ON CONFLICT (sensor) DO UPDATE SET read_at = excluded.read_at, id = excluded.id
    WHERE excluded.read_at > read_at;
END;

{SENSORS.guards()}
{SENSORS.triggers()}
"""


@pytest.fixture(autouse=True)
def _a_sixth_family(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The project with one declaration and one migration more."""
    folder = tmp_path / "migrations"
    shutil.copytree(schema.migrations_directory(), folder)
    number = len(list(folder.glob("*.rollback.sql"))) + 1
    (folder / f"{number:04d}_sensors.sql").write_text(MIGRATION, encoding="utf-8")
    (folder / f"{number:04d}_sensors.rollback.sql").write_text(
        "DROP TABLE sensor_now; DROP TABLE sensor_reading;"
        "DELETE FROM rollup WHERE scope = 'sensor'; "
        "DELETE FROM rollup_retired WHERE scope = 'sensor';",
        encoding="utf-8",
    )
    monkeypatch.setattr(schema, "migrations_directory", lambda: folder)
    monkeypatch.setattr(families, "FAMILIES", (*families.FAMILIES, SENSORS))
    expected.objects.cache_clear()
    yield
    expected.objects.cache_clear()


def reading(number: int, days_ago: float, sensor: str = "door") -> tuple[str | int | None, ...]:
    us = clock.parse("2026-03-10T12:00:00Z") - round(days_ago * 86_400e6)
    noise = None if number % 3 == 0 else number
    return (f"r{number}", sensor, clock.text(us), number % 2, number * 10, noise, '["x","y"]')


def put(store: MetricsStore, *contents: tuple[str | int | None, ...]) -> int:
    return store.database.write(
        lambda connection: logs.append(connection, SENSORS, contents), rows=len(contents)
    )


def totals(store: MetricsStore) -> list[dict[str, object]]:
    return store.query(
        "SELECT subject, kind, label, n, completed, total, minimum, maximum FROM rollup "
        "WHERE scope = 'sensor' AND length(period) < 10 ORDER BY subject, kind, label"
    )


def test_it_is_written_one_by_one_and_in_batches_and_comes_to_the_same(open_store: Open) -> None:
    contents = [reading(n, n / 7, f"s{n % 3}") for n in range(60)]
    one, many = open_store("one.db"), open_store("many.db")
    assert [put(one, content) for content in contents] == [1] * 60
    assert put(many, *reversed(contents)) == 60
    assert put(many, *contents) == 0
    assert totals(one) == totals(many)
    [noise] = one.query(
        "SELECT n, total FROM rollup "
        "WHERE scope = 'sensor' AND period = '' AND subject = 's1' AND kind = 'noise'"
    )
    expected_noise = [n for n in range(60) if n % 3 == 1]
    assert noise == {"n": len(expected_noise), "total": sum(expected_noise)}
    for store in (one, many):
        assert store.check("deep").findings == ()
        assert problems(store.path) == []


def test_it_is_checked_and_mended(open_store: Open, damaged: Callable[[str], None]) -> None:
    store = open_store()
    put(store, *(reading(n, n) for n in range(12)))
    damaged(store.path)

    def spoil(connection: Connection) -> None:
        connection.execute("DROP TRIGGER sensor_reading_immutable")
        connection.execute("UPDATE rollup SET n = 7 WHERE scope = 'sensor' AND kind = 'total'")
        connection.execute("UPDATE sensor_now SET read_at = '1999'")

    store.database.write(spoil)
    kinds = set(store.check("deep").kinds)
    assert kinds == {"missing_trigger", "rollup_differs", "derived_extra", "derived_missing"}
    store.repair()
    for copy in Path(f"{store.path}.backups").glob("*.db"):
        damaged(str(copy))
    assert store.check("deep").findings == ()
    store.database.write(
        lambda connection: connection.execute("DROP TRIGGER sensor_reading_immutable")
    )
    store.database.write(
        lambda connection: connection.execute("UPDATE sensor_reading SET micro = 1 WHERE seq = 3")
    )
    assert "row_digest" in store.check("deep").kinds
    assert {log.table for log in store.info().logs} >= {"skill_invocation", "sensor_reading"}


def test_it_is_backed_up(open_store: Open, tmp_path: Path) -> None:
    store = open_store()
    put(store, *(reading(n, n) for n in range(12)))
    made = store.back_up(tmp_path / "backups")
    [mark] = [m for m in made.manifest.logs if m.table == "sensor_reading"]
    assert (mark.rows, mark.last_seq, mark.last_id) == (12, 12, "r11")


def test_its_retention_spares_numbers_the_newest_and_what_is_due_later(
    open_store: Open, clock: SettableClock
) -> None:
    store = open_store()
    put(store, *(reading(n, 200 - n, "old") for n in range(10)))
    put(store, *(reading(100 + n, 100 - n, "door") for n in range(100)))
    put(store, reading(900, 0, "last"))
    before = totals(store)
    [due] = [found for found in store.retention_plan().families if found.family == "sensor"]
    # 9 of the old one's, whose newest stays, and 70 of the door's.
    assert (due.rows, due.due) == (111, 79)
    # Days of more than 90 days ago, but for that of the row that stays.
    assert due.rollups_due == 9 + 10
    done = store.retain()
    [sensor] = [found for found in done.families if found.family == "sensor"]
    assert (sensor.rows, sensor.rollups) == (79, 19)
    assert totals(store) == before
    days = store.query(
        "SELECT subject, count(*) AS n FROM rollup WHERE scope = 'sensor' AND kind = 'day' "
        "GROUP BY subject ORDER BY subject"
    )
    assert days == [
        {"subject": "door", "n": 90},
        {"subject": "last", "n": 1},
        {"subject": "old", "n": 1},
    ]
    assert store.check("deep").findings == ()
    assert put(store, reading(903, 197, "old"), reading(950, 0.5, "door")) == 2
    clock.advance(86_400)
    store.retain()
    assert store.check("deep").findings == ()


def test_it_can_be_taken_back(open_store: Open) -> None:
    store = open_store()
    put(store, *(reading(n, n) for n in range(3)))
    version = store.database.schema_version
    schema.roll_back(store.database, to=version - 1)
    assert schema.version(store.database) == version - 1
    store.close()
    with open_store() as again:
        assert again.database.schema_version == version
        assert totals(again) == []
