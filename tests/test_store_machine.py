"""The store against a simple model in memory, whatever is done in whatever order."""

from __future__ import annotations

import multiprocessing
import shutil
import tempfile
from fractions import Fraction
from math import ceil
from pathlib import Path

import pytest
from checking import problems
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    precondition,
    rule,
)
from settable_clock import SettableClock
from store_model import (
    SKILLS,
    Ended,
    Flying,
    Model,
    Record,
    actions,
    counted,
    ended_by,
    errors,
    labels,
    names,
    records,
    seconds,
)

from metrics_store import MetricsStore, OpenInvocation
from metrics_store.buffer import Buffer
from metrics_store.clock import text
from metrics_store.errors import AlreadyEnded, MetricsStoreError, StoreClosed


class StoreMachine(RuleBasedStateMachine):
    """Everything a caller can do, and everything a reader can see."""

    started: Bundle[OpenInvocation] = Bundle("started")
    template: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.path = self.folder / "m.db"
        shutil.copyfile(_template(), self.path)
        self.clock = SettableClock()
        self.model = Model()
        self.open()

    def open(self) -> None:
        self.store = MetricsStore(self.path, durability="normal", clock=self.clock)
        self.here: set[str] = set()
        self.buffer: Buffer = self.store.buffered(max_delay=3600)

    def teardown(self) -> None:
        self.flush()
        self.everything_is_as_the_model_says()
        self.store.close()
        assert problems(self.path) == []
        shutil.rmtree(self.folder)

    # What a caller does

    @rule(target=started, skill=names, path=labels, session=labels)
    def start(self, skill: str, path: str | None, session: str | None) -> OpenInvocation:
        started = self.store.track_invocation(skill, path, session)
        self.here.add(started.invocation_id)
        now = self.clock.us
        self.model.flying[started.invocation_id] = Flying(
            skill, path, session, now, self.clock.monotonic, now
        )
        return started

    @rule(started=consumes(started), good=st.booleans(), error=errors, follow=actions, took=seconds)
    def end(
        self,
        started: OpenInvocation,
        good: bool,
        error: str | None,
        follow: list[str],
        took: float | None,
    ) -> None:
        expected = self._refusal(started)
        if expected is not None:
            with pytest.raises(expected):
                started.complete(good, follow, error, took)
            return
        started.complete(good, follow, error, took)
        flying = self.model.flying.pop(started.invocation_id)
        us = self.clock.monotonic - flying.monotonic if took is None else round(took * 1e6)
        self.model.log[started.invocation_id] = Ended(
            flying.skill,
            "completed" if good else "failed",
            text(flying.at_us),
            us,
            flying.path,
            flying.session,
            error,
            follow,
        )

    @rule(started=started)
    def beat(self, started: OpenInvocation) -> None:
        expected = self._refusal(started)
        if expected is not None:
            with pytest.raises(expected):
                started.heartbeat()
            return
        started.heartbeat()
        self.model.flying[started.invocation_id].sign_us = self.clock.us

    def _refusal(self, started: OpenInvocation) -> type[MetricsStoreError] | None:
        if started.invocation_id not in self.here:
            return StoreClosed  # it was started before the store was closed and opened again
        return None if started.invocation_id in self.model.flying else AlreadyEnded

    @rule(record=records)
    def record(self, record: Record) -> None:
        if record["invocation_id"] not in self.model.log:
            name = self.store.record_invocation(**record)  # type: ignore[arg-type]
            self.model.log[name] = ended_by(record, self.clock.us)

    @rule(batch=st.lists(records, max_size=12))
    def record_batch(self, batch: list[Record]) -> None:
        result = self.store.record_invocations(batch)
        new = 0
        for name, record in zip(result.ids, batch, strict=True):
            if name not in self.model.log:
                self.model.log[name] = ended_by(record, self.clock.us)
                new += 1
        assert (result.inserted, result.already_there) == (new, len(batch) - new)

    @rule(record=records)
    def record_buffered(self, record: Record) -> None:
        name = self.buffer.record_invocation(**record)  # type: ignore[arg-type]
        self.model.waiting.setdefault(name, ended_by(record, self.clock.us))

    @rule()
    def flush(self) -> None:
        self.buffer.flush()
        for name, ended in self.model.waiting.items():
            self.model.log.setdefault(name, ended)
        self.model.waiting.clear()

    @rule(minutes=st.integers(1, 90))
    def reap(self, minutes: int) -> None:
        limit_us = minutes * 60_000_000
        old = {n for n, f in self.model.flying.items() if self.clock.us - f.sign_us > limit_us}
        assert {reaped.invocation_id for reaped in self.store.reap(f"{minutes} min")} == old
        for name in old:
            flying = self.model.flying.pop(name)
            self.model.log[name] = Ended(
                flying.skill,
                "abandoned",
                text(flying.at_us),
                None,
                flying.path,
                flying.session,
                None,
                [],
            )

    @rule(passed=st.integers(1, 7200))
    def time_passes(self, passed: int) -> None:
        self.clock.advance(passed)

    @rule(target=started)
    def reopen(self) -> object:
        self.flush()
        self.store.close()
        self.open()
        return multiple()

    @precondition(lambda self: len(self.model.log) % 10 == 9)
    @rule(record=records)
    def another_process_records(self, record: Record) -> None:
        name = f"other{len(self.model.log)}"
        record = {**record, "invocation_id": name, "invoked_at": "2026-03-09T00:00:00Z"}
        child = multiprocessing.get_context("fork").Process(
            target=_record_elsewhere, args=(self.store, record)
        )
        child.start()
        child.join()
        assert child.exitcode == 0
        self.model.log[name] = ended_by(record, self.clock.us)

    # What a reader sees

    @invariant()
    def the_totals_are_right(self) -> None:
        summary = self.store.get_summary()
        assert summary.total_invocations == len(self.model.log)
        assert summary.in_flight == len(self.model.flying)

    @rule()
    def everything_is_as_the_model_says(self) -> None:
        every = self.store.get_all_metrics()
        assert set(every) == {ended.skill for ended in self.model.log.values()}
        for skill in SKILLS:
            self._skill_is_right(skill)
        self._sessions_are_right()
        rows = self.store.invocations(limit=10_000).invocations
        assert {row.id: (row.skill_name, row.outcome, row.invoked_at) for row in rows} == {
            name: (ended.skill, ended.outcome, ended.at) for name, ended in self.model.log.items()
        }
        assert {flying.id for flying in self.store.in_flight()} == set(self.model.flying)

    def _skill_is_right(self, skill: str) -> None:
        log = [ended for ended in self.model.log.values() if ended.skill == skill]
        flying = sum(flying.skill == skill for flying in self.model.flying.values())
        metrics = self.store.get_skill_metrics(skill)
        if metrics is None:
            assert not log
            assert not flying
            return
        done = [ended for ended in log if ended.outcome == "completed"]
        times = sorted(ended.us for ended in done if ended.us is not None)
        assert metrics.in_flight == flying
        assert metrics.total_invocations == len(log)
        assert metrics.completed_invocations == len(done)
        assert metrics.failed_invocations == sum(ended.outcome == "failed" for ended in log)
        assert metrics.total_duration_seconds == sum(times) / 1e6
        assert metrics.min_duration_seconds == (times[0] / 1e6 if times else None)
        assert metrics.max_duration_seconds == (times[-1] / 1e6 if times else None)
        for percent in (50, 95, 99):
            found = metrics[f"p{percent}_duration_seconds"]
            if times:
                exact = times[ceil(Fraction(percent * len(times), 100)) - 1] / 1e6
                assert abs(found - exact) <= exact * 0.01 + 1e-9  # type: ignore[operator]
            else:
                assert found is None
        assert metrics.first_invoked == min((ended.at for ended in log), default=None)
        assert metrics.last_invoked == max((ended.at for ended in log), default=None)
        assert metrics.workflow_paths == counted([ended.path for ended in log])
        assert metrics.common_errors == counted([ended.error for ended in log])
        assert metrics.follow_up_actions == counted([a for ended in log for a in ended.actions])
        self._timeline_is_right(skill, log)

    def _timeline_is_right(self, skill: str, log: list[Ended]) -> None:
        points = self.store.get_skill_timeline(skill, "60 days", "day", now="2026-04-10T00:00:00Z")
        assert {
            point.time_bucket[:10]: (point.invocations, point.completed)
            for point in points
            if point.invocations
        } == {
            day: (
                sum(ended.at[:10] == day for ended in log),
                sum(ended.at[:10] == day and ended.outcome == "completed" for ended in log),
            )
            for day in {ended.at[:10] for ended in log}
        }

    def _sessions_are_right(self) -> None:
        sessions = {ended.session for ended in self.model.log.values()} - {None}
        assert {session.session_id for session in self.store.get_sessions()} == sessions
        for session in sessions:
            log = [ended for ended in self.model.log.values() if ended.session == session]
            skills = self.store.get_session_skills(session)  # type: ignore[arg-type]
            assert {s.skill_name: (s.invocation_count, s.failed) for s in skills} == {
                skill: (
                    sum(ended.skill == skill for ended in log),
                    sum(ended.skill == skill and ended.outcome == "failed" for ended in log),
                )
                for skill in {ended.skill for ended in log}
            }


def _record_elsewhere(store: MetricsStore, record: Record) -> None:
    store.record_invocation(**record)  # type: ignore[arg-type]


def _template() -> Path:
    if StoreMachine.template is None:
        StoreMachine.template = Path(tempfile.mkdtemp()) / "new.db"
        MetricsStore(StoreMachine.template).close()
    return StoreMachine.template


TestStoreMachine = StoreMachine.TestCase
TestStoreMachine.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, report_multiple_bugs=False
)
