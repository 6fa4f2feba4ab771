"""Calls, backfills, replays, crashes and erasures in any order, against what really happened."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

from checking import problems
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.clock import parse
from metrics_store.legacy import calls, importing
from metrics_store.legacy.calls import Call, Home

RAW = "2026-03-10T12:00:00"
#: Workflow paths: of one skill and moment, so that every record has twins.
paths = st.sampled_from((None, "p"))
#: Durations: few, so that twins often say the same.
lengths = st.sampled_from((1.0, 2.0))
Record = dict[str, object]


def pending(path: str | None) -> Record:
    return {
        "skill_name": "x",
        "invoked_at": RAW,
        "workflow_path": path,
        "completed": False,
        "duration_seconds": None,
        "follow_up_actions": [],
        "error_type": None,
    }


@dataclass(eq=False)
class Event:
    """Something that really happened: one call of a legacy tracker, or one of ours."""

    path: str | None
    record: Record
    call: Call | None = None
    taken: bool = False


@dataclass
class World:
    """The truth, and what the JSON file shows of it."""

    events: list[Event] = field(default_factory=list)
    file: list[Event] = field(default_factory=list)
    waiting: list[Event] = field(default_factory=list)
    erased: set[str | None] = field(default_factory=set)

    def happened(self, path: str | None) -> int:
        return sum(event.path == path for event in self.events)


class CallsMachine(RuleBasedStateMachine):
    """Everything that may bring a record in, in whatever order."""

    template: Path | None = None

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.json_file = self.folder / "m.json"
        shutil.copyfile(_template(), self.folder / "m.db")
        self.store = MetricsStore(self.folder / "m.db", durability="normal", clock=SettableClock())
        self.home = Home(str(self.json_file), "UTC")
        self.world = World()
        self.number = 0
        self.backfilled: Counter[str | None] = Counter()

    def teardown(self) -> None:
        self.replay()
        self.backfill()
        self.rows_are_neither_lost_nor_doubled()
        for path in (None, "p"):
            if path not in self.world.erased:
                assert len(self.rows(path)) == self.world.happened(path)
        self.store.close()
        assert problems(self.folder / "m.db") == []
        shutil.rmtree(self.folder)

    # What a plain legacy tracker does

    @rule(path=paths)
    def a_legacy_call_begins(self, path: str | None) -> None:
        event = Event(path, pending(path))
        self.world.events.append(event)
        self.world.file.append(event)

    @rule(data=st.data(), seconds=lengths)
    def a_legacy_call_ends(self, data: st.DataObject, seconds: float) -> None:
        open_ones = [
            event
            for event in self.world.events
            if event.call is None and event.record["duration_seconds"] is None
        ]
        if open_ones:
            event = data.draw(st.sampled_from(open_ones))
            event.record = {**event.record, "completed": True, "duration_seconds": seconds}
            if event not in self.world.file:
                self.world.file.append(event)  # it writes its whole memory

    # What our trackers do

    @rule(path=paths, seen=st.booleans())
    def one_of_our_calls_begins(self, path: str | None, seen: bool) -> None:
        self.number += 1
        session = "session" if self.number % 2 else None
        call = Call(
            f"call-{self.number}", "x", path, RAW, parse(f"{RAW}Z"), True, None, (), None, session
        )
        event = Event(path, pending(path), call)
        self.world.events.append(event)
        self.world.file.append(event)  # its tracker shows what is pending at its next save
        if seen:
            self.backfill()

    @rule(data=st.data(), seconds=lengths, seen=st.booleans(), spilled=st.booleans())
    def one_of_our_calls_ends(
        self, data: st.DataObject, seconds: float, seen: bool, spilled: bool
    ) -> None:
        open_ones = [e for e in self.world.events if e.call and not e.call.duration_seconds]
        if not open_ones:
            return
        event = data.draw(st.sampled_from(open_ones))
        assert event.call is not None
        event.call = replace(event.call, duration_seconds=seconds)
        event.record = event.call.record()
        if event not in self.world.file:
            self.world.file.append(event)  # its tracker puts back what somebody erased
        if seen:
            self.backfill()  # it was faster
        if spilled:
            self.world.waiting.append(event)
        else:
            self.take(event)

    @rule()
    def replay(self) -> None:
        while self.world.waiting:
            self.take(self.world.waiting.pop(0))

    @rule(data=st.data())
    @precondition(lambda self: any(event.taken for event in self.world.events))
    def a_replay_of_what_was_taken(self, data: st.DataObject) -> None:
        before = self.everything()
        self.take(data.draw(st.sampled_from([e for e in self.world.events if e.taken])))
        assert self.everything() == before

    def take(self, event: Event) -> None:
        assert event.call is not None
        calls.take(self.store, event.call, self.home, in_json=True)
        event.taken = True

    # What happens to the file

    @rule(data=st.data())
    @precondition(lambda self: self.world.file)
    def somebody_erases_a_record(self, data: st.DataObject) -> None:
        event = self.world.file.pop(data.draw(st.integers(0, len(self.world.file) - 1)))
        self.world.erased.add(event.path)

    @rule()
    def backfill(self) -> None:
        self.json_file.write_text(
            json.dumps({"invocations": [e.record for e in self.world.file], "skills": {}})
        )
        first = importing.take_in(self.store, self.json_file, zone="UTC")
        assert first.conserved
        self.backfilled |= Counter(event.path for event in self.world.file)
        before = self.everything()
        second = importing.take_in(self.store, self.json_file, zone="UTC")
        assert (second.inserted, second.upgraded) == (0, 0)
        assert self.everything() == before

    # What has to be so

    @invariant()
    def rows_are_neither_lost_nor_doubled(self) -> None:
        for path in (None, "p"):
            n = len(self.rows(path))
            taken = [event for event in self.world.events if event.path == path and event.taken]
            assert max(len(taken), self.backfilled[path]) <= n <= self.world.happened(path)

    @invariant()
    def every_call_has_a_row_of_its_own_that_says_what_it_said(self) -> None:
        taken = [event.call for event in self.world.events if event.taken and event.call]
        rows = {row["id"]: row for row in self.everything()}
        claims = self.store.query("SELECT id, invocation_id FROM legacy_call")
        claimed = {row["id"]: row["invocation_id"] for row in claims}
        ids = [claimed.get(call.id, call.id) for call in taken]
        assert len(set(ids)) == len(ids)
        for call, row_id in zip(taken, ids, strict=True):
            row = rows[row_id]
            assert (row["workflow_path"], row["duration_us"]) == (
                call.workflow_path,
                round(1e6 * (call.duration_seconds or 0)),
            )

    def everything(self) -> list[dict[str, object]]:
        columns = "id, workflow_path, duration_us"
        return self.store.query(  # type: ignore[return-value]
            f"SELECT {columns} FROM skill_invocation "
            "UNION ALL SELECT id, workflow_path, NULL FROM skill_inflight ORDER BY id"
        )

    def rows(self, path: str | None) -> list[dict[str, object]]:
        return [row for row in self.everything() if row["workflow_path"] == path]


def _template() -> Path:
    """An empty store's file, made once."""
    if CallsMachine.template is None:
        CallsMachine.template = Path(tempfile.mkdtemp()) / "new.db"
        MetricsStore(CallsMachine.template).close()
    return CallsMachine.template


CallsMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=12)
TestCalls = CallsMachine.TestCase
