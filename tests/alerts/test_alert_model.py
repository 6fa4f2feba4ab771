"""Alerts held against a model, in which each level of each service is a switch of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from checking import problems
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from settable_clock import SettableClock
from watched import GRACE, beat, silence

from metrics_store import MetricsStore

Open = Callable[..., MetricsStore]
LEVELS = (("warning", 60), ("error", 300), ("critical", 900))
RANK = {"info": 1, "warning": 2, "error": 3, "critical": 4}


@dataclass
class Watched:
    """A service and its alert, as they should be."""

    beat_at: int | None = None
    on: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(dict(LEVELS), False))
    since: dict[str, int] = field(default_factory=dict)
    acknowledged: bool = False
    events: list[str] = field(default_factory=list)

    @property
    def severity(self) -> str | None:
        on = [level for level, is_on in self.on.items() if is_on]
        return on[-1] if on else None

    def wait(self, level: str, hold: int, clear: int) -> int:
        return (clear if self.on[level] else hold) * 10**6

    def see(self, now: int, hold: int, clear: int) -> None:
        before = self.severity
        assert self.beat_at is not None
        late = max(0, now - self.beat_at - GRACE * 10**6) / 1e6
        for level, limit in LEVELS:
            if (late > limit) == self.on[level]:
                self.since.pop(level, None)
            elif (
                now - self.since.setdefault(level, now)
                >= (clear if self.on[level] else hold) * 10**6
            ):
                self.on[level] = not self.on[level]
                del self.since[level]
        after = self.severity
        if after == before:
            return
        if before is None:
            self.events, self.acknowledged = ["opened"], False
        elif after is None:
            self.events.append("resolved")
        else:
            up = RANK[after] > RANK[before]
            self.events.append("escalated" if up else "deescalated")


class Alerting(RuleBasedStateMachine):
    """Time passes, services speak or do not, and somebody evaluates, acknowledges and resolves."""

    open_store: Open
    clock: SettableClock
    count = 0

    @initialize(hold=st.sampled_from([0, 60, 200]), clear=st.sampled_from([0, 90]))
    def begin(self, hold: int, clear: int) -> None:
        type(self).count += 1
        self.hold, self.clear = hold, clear
        self.rules = silence(hold=hold, clear=clear)
        self.store = self.open_store(f"{self.count}.db")
        self.model = {name: Watched() for name in ("a", "b")}

    @rule(name=st.sampled_from("ab"))
    def speak(self, name: str) -> None:
        beat(self.store, name)
        self.model[name].beat_at = self.clock.us

    @rule(seconds=st.sampled_from([1, 30, 60, 90, 150, 200, 400, 1000]))
    def wait(self, seconds: int) -> None:
        self.clock.advance(seconds)

    @rule(times=st.integers(1, 3))
    def evaluate(self, times: int) -> None:
        for _ in range(times):
            done = self.store.evaluate_alerts(self.rules)
            for watched in self.model.values():
                if watched.beat_at is not None:
                    watched.see(self.clock.us, self.hold, self.clear)
            kept = {alert.subject: alert for alert in done.open}
            due = {name: w for name, w in self.model.items() if w.severity is not None}
            assert set(kept) == set(due)
            for name, watched in due.items():
                alert = kept[name]
                assert (alert.severity, alert.acknowledged) == (
                    watched.severity, watched.acknowledged,
                )  # fmt: skip
                events = [event.event for event in self.store.alert(alert.alert_id).events]
                assert events == watched.events
            assert {p.subject for p in done.pending} == {
                name for name, w in self.model.items() if w.since
            }

    @rule(name=st.sampled_from("ab"), resolve=st.booleans())
    def answer(self, name: str, resolve: bool) -> None:
        watched = self.model[name]
        for alert in self.store.alerts():
            if alert.subject != name:
                continue
            if resolve:
                self.store.resolve_alert(alert.alert_id)
                watched.on, watched.since = dict.fromkeys(watched.on, False), {}
            else:
                self.store.acknowledge_alert(alert.alert_id)
                if not watched.acknowledged:
                    watched.events.append("acknowledged")
                watched.acknowledged = True

    def teardown(self) -> None:
        if hasattr(self, "store"):
            path = self.store.path
            self.store.close()
            assert problems(path) == []
            for left in Path(path).parent.glob(f"{Path(path).name}*"):
                left.unlink()


def test_alerts_follow_the_model(open_store: Open, clock: SettableClock) -> None:
    machine = type("Machine", (Alerting,), {"open_store": staticmethod(open_store), "clock": clock})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=20))
