"""Whatever the history: a restore gives exactly what the backup has, an undo what was there."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from contents import contents, settings_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.backup import restoring
from metrics_store.integrity import check_file

names = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
)
records = st.fixed_dictionaries(
    {"skill_name": names},
    optional={
        "workflow_path": st.none() | names,
        "completed": st.booleans(),
        "error_type": st.none() | names,
        "duration_seconds": st.none() | st.floats(0, 1e6),
        "session_id": st.none() | names,
        "follow_up_actions": st.lists(names, max_size=3),
        "attributes": st.dictionaries(names, names, max_size=3),
    },
)
steps = st.one_of(
    st.tuples(st.just("record"), st.lists(records, min_size=1, max_size=8)),
    st.tuples(st.just("start"), names),
    st.tuples(st.just("wait"), st.integers(1, 10**6)),
    st.tuples(st.just("back up"), st.none()),
    st.tuples(st.just("restore"), st.integers(0, 9)),
    st.tuples(st.just("undo"), st.none()),
)


class History:
    """A store, its backups, and the contents that each of them has."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = SettableClock()
        self.store = MetricsStore(path, durability="normal", clock=self.clock)
        self.settings = settings_of(path)
        self.backups: list[Path] = []
        self.before: list[object] = []

    def do(self, step: str, value: object) -> None:
        match step, value:
            case "record", list():
                self.store.record_invocations(value)
            case "start", str():
                self.store.track_invocation(value)
            case "wait", int():
                self.clock.advance(value)
            case "back up", _:
                self.backups.append(self.store.back_up().path)
            case "restore", int() if self.backups:
                self._restored(self.backups[value % len(self.backups)])
            case "undo", _ if self.before:
                self._undone()

    def _restored(self, backup: Path) -> None:
        before, told = contents(self.path), restoring.plan(backup, self.settings, self.clock)
        done = restoring.restore(backup, self.settings, self.clock)
        assert contents(self.path) == contents(backup)
        assert done.safety is not None
        assert contents(done.safety) == before
        assert (done.logs, done.problems) == (told.logs, ())
        self.before = [before]

    def _undone(self) -> None:
        now = contents(self.path)
        restoring.undo(self.settings, self.clock, execute=True)
        assert contents(self.path) == self.before.pop()
        self.before = [now]


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(steps, max_size=12))
def test_a_restore_is_exactly_the_backup_whatever_came_before(
    new_file: Path, history: list[tuple[str, object]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.db"
        shutil.copyfile(new_file, path)
        there = History(path)
        try:
            for step, value in [*history, ("back up", None), ("restore", 0), ("undo", None)]:
                there.do(step, value)
            assert check_file(path, level="deep").errors == ()
        finally:
            there.store.close()


def test_the_same_twice_loses_and_gains_nothing(
    tmp_path: Path, open_store: Callable[..., MetricsStore], clock: SettableClock
) -> None:
    store = open_store()
    store.record_invocation("s")
    backup = store.back_up().path
    for _ in range(2):
        done = restoring.restore(backup, settings_of(tmp_path / "m.db"), clock)
        assert (done.lost, done.gained) == (0, 0)
