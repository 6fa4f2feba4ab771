"""The live state: what each key holds, kept up to date, the same as read anew from the store."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from settable_clock import SettableClock

from metrics_store import LiveState, MetricsStore
from metrics_store.errors import InvalidQuery, InvalidValue, StoreClosed
from metrics_store.live import agents, tasks
from metrics_store.live.bounds import Bounds
from metrics_store.live.picture import Picture
from metrics_store.results import plain

Open = Callable[..., MetricsStore]
Watch = Callable[..., LiveState]
Until = Callable[[Callable[[], object]], None]

EMPTY = {
    "git:activity:feed": (),
    "rag:metrics:current": None,
    "system:alerts:active": (),
    "system:health:current": None,
    "tasks:current": (),
}


def commit(store: MetricsStore, number: int, at: str, **more: object) -> None:
    """Record a commit with a hash of its own."""
    store.record_commit(
        f"{number:040x}", author="jane", message=f"change {number}", commit_timestamp=at, **more
    )


def test_an_empty_store_has_the_keys_that_stand_for_one_thing(watch: Watch) -> None:
    live = watch()
    assert dict(live.snapshot()) == EMPTY
    assert live.keys() == tuple(sorted(EMPTY))
    assert live.get("agents:nobody:status", "none") == "none"
    assert live.get("tasks:nothing:history", "none") == "none"


def test_every_key_holds_what_it_should(
    store: MetricsStore, watch: Watch, until: Until, clock: SettableClock
) -> None:
    live = watch()
    store.record_agent_sample("a:b*", "active", current_task="one")
    store.record_task_event("t1", "created", new_status="open", details={"title": "First"})
    store.record_task_event("t1", "assigned", assigned_to="a:b*", changed_by="jane")
    store.record_task_event("t2", "completed")
    commit(store, 1, "2026-03-10T11:00:00Z", agent_id="a:b*")
    store.record_system_health("degraded", cpu=50.0)
    store.record_rag_metrics(total_patterns=7)
    store.raise_alert("system", "error", "bad", source="x")
    store.heartbeat("librarian", "healthy", "reads")
    until(lambda: live.get("services:librarian:status"))
    assert live.get("agents:a:b*:status") == store.agent_status("a:b*")[0]
    activity = live.get("agents:a:b*:activity")
    assert [(entry.kind, entry.what, entry.about) for entry in activity] == [
        ("task", "assigned", "t1"), ("status", "active", "one"), ("commit", "0000000", "change 1"),
    ]  # fmt: skip
    [current] = live.get("tasks:current")
    assert (current.task_id, current.status, current.assigned_to) == ("t1", "open", "a:b*")
    assert current.title == "First"
    assert live.get("tasks:t1:history") == tuple(store.task_history("t1"))
    assert live.get("git:activity:feed") == tuple(store.commit_feed(50))
    assert live.get("system:health:current").overall_status == "degraded"
    assert live.get("rag:metrics:current").total_patterns == 7
    assert live.get("system:alerts:active") == store.alerts()
    said = live.get("services:librarian:status")
    assert (said.state, said.current_task) == ("up", "reads")
    clock.advance(1000)
    until(lambda: live.get("services:librarian:status").state == "silent")
    assert live.keys("agents:*:status") == ("agents:a:b*:status",)
    assert plain(live.get("tasks:current"))[0]["task_id"] == "t1"


# Whatever comes, in whichever order --------------------------------------------------------------

moments = st.integers(0, 30).map(lambda n: f"2026-03-10T11:{n:02d}:00Z")
names = st.sampled_from(["a", "b", "c d", "ü:*"])
samples = st.tuples(
    st.just("sample"), names, moments, st.sampled_from(["active", "idle", "error"]),
    st.sampled_from([None, "x", "y"]),
)  # fmt: skip
events = st.tuples(
    st.just("event"), st.sampled_from(["t1", "t2", "t3", "t4"]), moments,
    st.sampled_from(["created", "updated", "completed", "blocked", "assigned"]),
    st.sampled_from([None, "", "a", "b"]), st.sampled_from([None, "a", "c d"]),
    st.sampled_from([None, "open", "done"]),
)  # fmt: skip
commits = st.tuples(st.just("commit"), st.integers(0, 99), moments, st.none() | names)
others = st.tuples(st.sampled_from(["health", "rag", "alert", "beat"]), moments)
batches = st.lists(st.lists(samples | events | commits | others, max_size=6), max_size=6)


def write(store: MetricsStore, one: tuple[object, ...]) -> None:
    match one:
        case "sample", str(agent), str(at), str(status), task:
            store.record_agent_sample(agent, status, current_task=task, at=at)
        case "event", str(task), str(at), str(kind), assigned_to, changed_by, status:
            store.record_task_event(
                task, kind, assigned_to=assigned_to, changed_by=changed_by, new_status=status,
                at=at,
            )  # fmt: skip
        case "commit", int(number), str(at), agent:
            if not store.query(
                "SELECT 1 FROM git_commits WHERE commit_hash = ?", [f"{number:040x}"]
            ):
                commit(store, number, at, agent_id=agent)
        case "health", str(at):
            store.record_system_health("healthy", cpu=float(at[14:16]), at=at)
        case "rag", str(at):
            store.record_rag_metrics(total_patterns=int(at[14:16]), at=at)
        case "alert", str(at):
            store.raise_alert("task", "info", at, source="x")
        case "beat", str(at):
            store.heartbeat("s", "healthy", at, at=at)


@settings(max_examples=40)
@given(batches)
def test_what_was_followed_is_what_is_read_anew(
    tmp_path: Path, new_file: Path, batches: list[list[tuple[object, ...]]]
) -> None:
    """Late rows too: none of them moves a current value back, and none is missed."""
    path = tmp_path / "model.db"
    shutil.copyfile(new_file, path)
    clock = SettableClock()
    bounds = Bounds(activity=5, history=4, feed=3)
    with MetricsStore(path, durability="normal", clock=clock) as store:
        followed, kept = Picture(bounds, clock), dict[str, object]()
        for batch in [*batches, []]:
            for one in batch:
                write(store, one)
            with store.database.read() as connection:
                update, _ = followed.look(connection)
                kept.update(update.values)
                assert update.gone == set()
                anew, everything = Picture(bounds, clock).look(connection)
            assert everything
            assert kept == anew.values
            for agent in store.agent_status():
                assert kept[f"agents:{agent.agent_id}:status"] == agent
            done = {key: value for key, value in kept.items() if key.endswith(":history")}
            assert done == {
                f"tasks:{task.task_id}:history": tuple(store.task_history(task.task_id)[-4:])
                for task in store.tasks()
            }
            stands = {task.task_id: task for task in store.tasks()}
            current = kept["tasks:current"]
            assert isinstance(current, tuple)
            assert all(task == stands[task.task_id] for task in current)
            assert kept["git:activity:feed"] == tuple(store.commit_feed(3))
    path.unlink()


def test_what_is_too_much_to_be_followed_is_read_anew(
    store: MetricsStore, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agents, "BEHIND", 3)
    monkeypatch.setattr(tasks, "_ONE_BY_ONE", 3)
    picture, kept = Picture(Bounds(), clock), dict[str, object]()
    seen = []
    for write_one in (
        lambda n: store.record_agent_sample(f"a{n}", "idle"),
        lambda n: store.record_task_event(f"t{n}", "created", changed_by="a1"),
        lambda n: commit(store, n, "2026-03-10T11:00:00Z", agent_id="a2"),
    ):
        for count in (3, 4):
            for n in range(count):
                write_one(n + 10 * len(seen))
            with store.database.read() as connection:
                update, anew = picture.look(connection)
                seen.append(anew)
                kept.update(update.values)
                assert kept == Picture(Bounds(), clock).look(connection)[0].values
    assert seen == [True, True, False, True, False, True]


def test_a_heartbeat_of_a_clock_that_was_ahead_does_not_hide_the_others(
    store: MetricsStore, watch: Watch, clock: SettableClock, until: Until
) -> None:
    clock.advance(86_400)
    store.heartbeat("a", "healthy", "tomorrow")
    clock.advance(-86_400)
    live = watch()
    assert live.get("services:a:status").state == "silent"
    store.heartbeat("a", "healthy", "today")
    until(lambda: live.get("services:a:status").current_task == "today")
    assert live.get("services:a:status").state == "up"


# Bounds ------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(batches)
def test_no_bound_is_passed_and_what_is_latest_stays(
    tmp_path: Path, new_file: Path, batches: list[list[tuple[object, ...]]]
) -> None:
    path = tmp_path / "bounded.db"
    shutil.copyfile(new_file, path)
    clock, bounds = SettableClock(), Bounds(agents=2, tasks=2, feed=2)
    with MetricsStore(path, durability="normal", clock=clock) as store:
        followed, kept = Picture(bounds, clock), dict[str, object]()
        for batch in batches:
            for one in batch:
                write(store, one)
            with store.database.read() as connection:
                update, anew = followed.look(connection)
            kept = {} if anew else {k: v for k, v in kept.items() if k not in update.gone}
            kept.update(update.values)
            assert sum(key.endswith(":history") for key in kept) <= 2
            assert sum(key.endswith(":activity") for key in kept) <= 2
            there = store.tasks()
            assert {key for key in kept if key.endswith(":history")} == {
                f"tasks:{name}:history"
                for _, name in sorted(((t.last_at, t.task_id) for t in there), reverse=True)[:2]
            }
            with store.database.read() as connection:
                read_anew, _ = Picture(bounds, clock).look(connection)
            assert kept["tasks:current"] == read_anew.values["tasks:current"]
            assert len(read_anew.values["tasks:current"]) <= 2  # type: ignore[arg-type]
    path.unlink()


def test_the_history_of_a_task_beyond_the_bound_is_read_from_the_store(
    store: MetricsStore, watch: Watch
) -> None:
    for number in range(5):
        store.record_task_event(f"t{number}", "created", at=f"2026-03-10T11:0{number}:00Z")
    live = watch(tasks=2)
    assert live.keys("tasks:*:history") == ("tasks:t3:history", "tasks:t4:history")
    assert live.get("tasks:t0:history") == tuple(store.task_history("t0"))
    assert live.get("tasks:none:history") is None
    live.close()
    assert live.get("tasks:t0:history") is None
    assert live.get("tasks:t4:history") == tuple(store.task_history("t4"))


def test_long_texts_are_cut(store: MetricsStore, watch: Watch) -> None:
    store.record_task_event("t", "updated", details={"title": "x" * 10_000, "more": "y" * 100_000})
    store.record_agent_sample("a", "active", current_task="x" * 10_000)
    live = watch()
    [event] = live.get("tasks:t:history")
    assert event.details == {}
    assert len(live.get("tasks:current")[0].title) == 2000
    assert len(live.get("agents:a:status").current_task) == 2000


# Closing and errors ------------------------------------------------------------------------------


def test_closing_ends_the_thread_and_the_subscriptions(store: MetricsStore, watch: Watch) -> None:
    live = watch()
    changes = live.subscribe()
    live.close()
    live.close()
    assert list(changes) == []
    assert changes.closed
    assert not live._thread.is_alive()
    assert live.get("tasks:current") == ()
    with pytest.raises(StoreClosed):
        live.subscribe()


def test_a_store_that_is_closed_leaves_the_last_picture_and_says_so(
    open_store: Open, watch: Watch, until: Until
) -> None:
    store = open_store("other.db")
    store.record_agent_sample("a", "active")
    live = watch(store)
    store.close()
    until(lambda: live.stale_since)
    assert isinstance(live.error, StoreClosed)
    assert live.get("agents:a:status").status == "active"
    with pytest.raises(StoreClosed):
        live.get("tasks:other:history")


def test_arguments_that_make_no_sense_are_refused(store: MetricsStore, watch: Watch) -> None:
    for every in (0, -1, 1000, float("nan")):
        with pytest.raises(InvalidValue):
            LiveState(store, every=every)
    live = watch()
    for limit in (0, "1", None, 1.5):
        with pytest.raises(InvalidQuery):
            live.subscribe(limit=limit)  # type: ignore[arg-type]
    for text in (1, b"*", ["*"], {"a": 1}):
        for ask in (live.get, live.keys, live.subscribe):
            with pytest.raises(InvalidQuery, match="not text"):
                ask(text)  # type: ignore[operator]
    assert live.get("tasks:half \ud800:history", "nothing") == "nothing"
