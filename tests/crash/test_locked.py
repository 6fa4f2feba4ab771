"""Another process holds the lock for long: a call waits until its limit, then says so, no later."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from locked import COPYING, GRACE, READS, WRITES, Scene, held, timed

from metrics_store import MetricsStore, Settings, schema
from metrics_store.cli import main
from metrics_store.clock import Clock
from metrics_store.connection import Database
from metrics_store.errors import StoreBusy

_LIMIT = 0.3
#: A busy machine may take its time once, but not always.
_ATTEMPTS = 4


@pytest.fixture
def scene(tmp_path: Path, new_file: Path) -> Scene:
    """A store whose calls wait for 0.3 s."""
    path = tmp_path / "m.db"
    shutil.copyfile(new_file, path)
    return Scene.make(path, _LIMIT)


def _in_time(call: Callable[[], object], grace: float = GRACE) -> None:
    for _ in range(_ATTEMPTS):
        took, said = timed(call)
        assert said == "StoreBusy"
        assert took >= _LIMIT
        if took <= _LIMIT + grace:
            return
    pytest.fail(f"{took:.2f} s at the last attempt")


@pytest.mark.parametrize("name", WRITES)
def test_a_write_waits_until_its_limit_and_not_beyond(scene: Scene, name: str) -> None:
    scene.prepare(name)
    with held(Path(scene.store.path)):
        _in_time(lambda: WRITES[name](scene), COPYING.get(name, GRACE))
    total = scene.store.get_summary().total_invocations
    WRITES[name](scene)
    if name in ("record", "batch", "end", "import"):
        assert scene.store.get_summary().total_invocations == total + 1


def test_readers_and_opening_do_not_wait(scene: Scene) -> None:
    # Longer than anything takes, so that whoever waits would be seen.
    store = MetricsStore(scene.store.path, busy_timeout=300)
    patient = Scene(store, scene.started, scene.folder, 300)
    with held(Path(store.path)):
        for name, call in READS.items():
            took, said = timed(lambda call=call: call(patient))
            assert said == "", name
            assert took < 100, name


def test_opening_for_a_schema_change_waits_until_its_limit(tmp_path: Path, new_file: Path) -> None:
    path = tmp_path / "m.db"
    shutil.copyfile(new_file, path)
    database = Database(Settings(path), Clock())
    newest = schema.version(database)
    schema.roll_back(database, newest - 1)
    database.close()
    with held(path):
        _in_time(lambda: MetricsStore(path, busy_timeout=_LIMIT))
    with MetricsStore(path) as store:
        assert schema.version(store.database) == newest


@pytest.mark.parametrize("name", ["record", "start", "skills", "summary", "query", "open"])
def test_a_file_that_is_locked_altogether_is_waited_for_too(
    tmp_path: Path, new_file: Path, name: str
) -> None:
    path = tmp_path / "m.db"
    shutil.copyfile(new_file, path)
    scene = Scene.make(path, _LIMIT)
    scene.store.close()  # who locks a file altogether has it alone
    call = {**WRITES, **READS}[name]

    def opened() -> None:
        with MetricsStore(path, busy_timeout=_LIMIT) as store:
            call(Scene(store, scene.started, scene.folder, _LIMIT))

    with held(path, "everything"):
        _in_time(opened)
    opened()


def test_a_thread_of_the_same_process_is_waited_for_no_longer(scene: Scene) -> None:
    inside, leave = threading.Event(), threading.Event()

    def work(_: object) -> None:
        inside.set()
        leave.wait()

    holder = threading.Thread(target=lambda: scene.store.record_rows([], work))
    holder.start()
    inside.wait()
    try:
        _in_time(lambda: scene.store.record_invocation("deploy"))
    finally:
        leave.set()
        holder.join()


def test_who_waits_gets_the_lock_as_soon_as_it_is_free(scene: Scene) -> None:
    store = MetricsStore(scene.store.path, busy_timeout=300)
    took: list[float] = []
    free: list[float] = []

    def write() -> None:
        store.record_invocation("deploy")
        took.append(time.monotonic())

    for _ in range(_ATTEMPTS):
        writer = threading.Thread(target=write)
        with _freed(held(Path(store.path)), free):
            writer.start()
            writer.join(0.05)
            assert writer.is_alive(), "it did not wait"
        writer.join()
        if took[-1] - free[-1] < 0.1:
            return
    pytest.fail(f"{took[-1] - free[-1]:.2f} s after it was free")


class _freed:
    def __init__(self, inner: object, free: list[float]) -> None:
        self._inner, self._free = inner, free

    def __enter__(self) -> None:
        self._inner.__enter__()  # type: ignore[attr-defined]

    def __exit__(self, *how: object) -> None:
        self._inner.__exit__(*how)  # type: ignore[attr-defined]
        self._free.append(time.monotonic())


def test_a_command_says_who_may_hold_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("METRICS_STORE_BUSY_TIMEOUT", str(_LIMIT))
    with held(Path(scene.store.path)):
        for words in (["record", "x"], ["reap"], ["checkpoint"], ["analyze"]):
            assert main([*words, "--db", scene.store.path]) == StoreBusy.exit_code
            out, err = capsys.readouterr()
            assert out == ""
            assert "lock" in err
            assert "hint: " in err
        assert main(["skills", "list", "--db", scene.store.path]) == 0


def test_a_tracker_in_a_runner_costs_its_limit_and_no_more(scene: Scene) -> None:
    with held(Path(scene.store.path)):

        def call() -> None:
            with scene.store.track_invocation("deploy"):
                raise AssertionError("it could not start")

        _in_time(call)
        with pytest.raises(ZeroDivisionError) as caught, scene.started:
            raise ZeroDivisionError
    # The caller's own error is raised, and says that it was not recorded.
    assert any("could not record" in note for note in caught.value.__notes__)
