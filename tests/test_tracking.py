"""An invocation in flight: it ends once, whichever way, and what ended it is in the log."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore, SkillMetricsStore, track_skill
from metrics_store.errors import AlreadyEnded, InvalidValue, InvocationNotFound, StoreClosed
from metrics_store.results import LoggedInvocation


def _only(store: MetricsStore) -> LoggedInvocation:
    (row,) = store.invocations().invocations
    assert store.in_flight() == []
    return row


def test_from_start_to_end(store: MetricsStore, clock: SettableClock) -> None:
    started = store.track_invocation("deploy", "fast/path", "s1", "/project", {"model": "x"})
    (flying,) = store.in_flight()
    assert flying.id == started.invocation_id
    assert (flying.skill_name, flying.workflow_path, flying.session_id, flying.project_path) == (
        "deploy",
        "fast/path",
        "s1",
        "/project",
    )
    assert flying.attributes == {"model": "x"}
    assert store.get_skill_metrics("deploy").total_invocations == 0  # type: ignore[union-attr]
    assert store.get_skill_metrics("deploy").in_flight == 1  # type: ignore[union-attr]
    clock.advance(2.5)
    started.complete(follow_up_actions=["commit", "push"])
    row = _only(store)
    assert row.id == started.invocation_id
    assert (row.invoked_at, row.ended_at, row.duration_seconds) == (
        "2026-03-10T12:00:00.000000Z",
        "2026-03-10T12:00:02.500000Z",
        2.5,
    )
    assert (row.outcome, row.completed, row.error_type) == ("completed", True, None)
    assert (row.workflow_path, row.session_id, row.project_path) == ("fast/path", "s1", "/project")
    assert row.follow_up_actions == ("commit", "push")
    assert row.attributes == {"model": "x"}
    assert row.origin == "live"


def test_a_duration_that_is_given_wins_over_the_measured_one(
    store: MetricsStore, clock: SettableClock
) -> None:
    started = store.track_invocation("deploy")
    clock.advance(100)
    started.complete(duration_seconds=0.25)
    row = _only(store)
    assert row.duration_seconds == 0.25
    assert row.ended_at == "2026-03-10T12:00:00.250000Z"


def test_the_wall_clock_may_be_set_back_meanwhile(
    store: MetricsStore, clock: SettableClock
) -> None:
    started = store.track_invocation("deploy")
    clock.advance(3)
    clock.set("2020-01-01T00:00:00Z")
    started.complete()
    assert _only(store).duration_seconds == 3


def test_a_failure_says_of_what(store: MetricsStore) -> None:
    store.track_invocation("deploy").complete(completed=False, error_type="TimeoutError")
    row = _only(store)
    assert (row.outcome, row.error_type) == ("failed", "TimeoutError")
    metrics = store.get_skill_metrics("deploy")
    assert metrics is not None
    assert (metrics.failed_invocations, metrics.abandoned_invocations) == (1, 1)
    assert metrics.min_duration_seconds is None


def test_ending_twice_is_an_error_that_changes_nothing(store: MetricsStore) -> None:
    started = store.track_invocation("deploy")
    assert not started.ended
    started.complete(error_type="first", completed=False)
    assert started.ended
    before = _only(store)
    for again in (started.complete, started.completer, started.heartbeat):
        with pytest.raises(AlreadyEnded) as caught:
            again()
        assert started.invocation_id in str(caught.value)
    assert _only(store) == before


def test_of_many_threads_that_end_it_one_does(store: MetricsStore) -> None:
    started = store.track_invocation("deploy")
    outcomes: list[str] = []

    def end() -> None:
        try:
            started.complete()
            outcomes.append("ended")
        except AlreadyEnded:
            outcomes.append("already")

    threads = [threading.Thread(target=end) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["already"] * 7 + ["ended"]
    assert store.get_summary().total_invocations == 1


def test_a_wrong_ending_leaves_it_in_flight(store: MetricsStore) -> None:
    started = store.track_invocation("deploy")
    for wrong in ({"duration_seconds": -1}, {"follow_up_actions": "x"}, {"error_type": 5}):
        with pytest.raises(InvalidValue):
            started.complete(**wrong)  # type: ignore[arg-type]
    assert not started.ended
    started.heartbeat()
    started.complete()
    assert _only(store).completed


@pytest.mark.parametrize(
    "wrong", [("",), ("a" * 16_385,), ("a", 5), ("a", None, b"x"), ("a", None, None, None, [])]
)
def test_a_wrong_start_starts_nothing(store: MetricsStore, wrong: tuple[object, ...]) -> None:
    with pytest.raises(InvalidValue):
        store.track_invocation(*wrong)  # type: ignore[arg-type]
    assert store.in_flight() == []


def test_a_block_ends_it(store: MetricsStore) -> None:
    with store.track_invocation("deploy") as started:
        assert not started.ended
    assert _only(store).completed


def test_a_block_may_end_it_by_itself(store: MetricsStore) -> None:
    with store.track_invocation("deploy") as started:
        started.completer(completed=False, error_type="mine")
    assert _only(store).error_type == "mine"


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_block_that_raises_has_failed_and_raises_on(
    store: MetricsStore, kind: type[BaseException]
) -> None:
    error = kind("mine")
    with pytest.raises(kind) as caught, store.track_invocation("deploy"):
        raise error
    assert caught.value is error
    row = _only(store)
    assert (row.outcome, row.error_type) == ("failed", kind.__name__)


def test_the_callers_error_is_not_hidden_by_ours(store: MetricsStore) -> None:
    def run() -> None:
        with store.track_invocation("deploy"):
            store.close()
            raise ValueError("mine")

    with pytest.raises(ValueError, match="mine") as caught:
        run()
    assert any("could not record" in note for note in caught.value.__notes__)


def test_an_async_block_ends_it(store: MetricsStore) -> None:
    async def run(fail: bool) -> None:
        async with store.track_invocation("deploy"):
            await asyncio.sleep(0)
            if fail:
                raise TimeoutError

    asyncio.run(run(False))
    with pytest.raises(TimeoutError):
        asyncio.run(run(True))
    assert [row.error_type for row in store.invocations().invocations] == ["TimeoutError", None]


def test_a_cancelled_task_is_recorded(store: MetricsStore) -> None:
    async def run() -> None:
        begun = asyncio.Event()

        async def work() -> None:
            async with store.track_invocation("deploy"):
                begun.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert (_only(store).outcome, _only(store).error_type) == ("failed", "CancelledError")


def test_functions_of_every_kind_can_be_decorated(store: MetricsStore) -> None:
    @store.tracked("plain", workflow_path="p")
    def plain(x: int) -> int:
        """Say it."""
        return 1 // x

    @store.tracked("coroutine")
    async def coroutine(x: int) -> int:
        await asyncio.sleep(0)
        return 1 // x

    @store.tracked("generator")
    def generator(x: int) -> Iterator[int]:
        yield 1 // x

    @store.tracked("stream")
    async def stream(x: int) -> AsyncIterator[int]:
        yield 1 // x

    async def consumed(x: int) -> list[int]:
        return [item async for item in stream(x)]

    assert (plain.__name__, plain.__doc__) == ("plain", "Say it.")
    calls: list[Callable[[int], object]] = [
        plain,
        lambda x: asyncio.run(coroutine(x)),
        lambda x: list(generator(x)),
        lambda x: asyncio.run(consumed(x)),
    ]
    for call in calls:
        assert call(1) in (1, [1])
        with pytest.raises(ZeroDivisionError):
            call(0)
    for name, metrics in store.get_all_metrics().items():
        assert (metrics.completed_invocations, metrics.failed_invocations) == (1, 1), name
        assert metrics.common_errors == {"ZeroDivisionError": 1}
    assert sorted(store.get_all_metrics()) == ["coroutine", "generator", "plain", "stream"]


def test_the_classic_names_are_the_same(store: MetricsStore) -> None:
    assert SkillMetricsStore is MetricsStore
    store.track_invocation_concurrent("deploy", workflow_path="p").completer(completed=True)
    assert _only(store).workflow_path == "p"


def test_track_skill_uses_the_store_of_the_process(
    tmp_path: os.PathLike[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS_STORE_DB", os.path.join(tmp_path, "m.db"))
    with track_skill("deploy", "p", "s", "/x", {"a": 1}):
        pass
    track_skill("deploy").complete()
    assert MetricsStore().get_summary().total_invocations == 2


def test_a_heartbeat_is_noted(store: MetricsStore, clock: SettableClock) -> None:
    started = store.track_invocation("deploy")
    assert store.in_flight()[0].heartbeat_at is None
    clock.advance(60)
    started.heartbeat()
    assert store.in_flight()[0].heartbeat_at == "2026-03-10T12:01:00.000000Z"


def test_a_heartbeat_after_the_end_elsewhere_is_an_error(store: MetricsStore) -> None:
    started = store.track_invocation("deploy")
    store.record_invocation("deploy", invocation_id=started.invocation_id)
    with pytest.raises(AlreadyEnded):
        started.heartbeat()
    lost = store.track_invocation("deploy")
    store.database.write(lambda connection: connection.execute("DELETE FROM skill_inflight"))
    with pytest.raises(InvocationNotFound):
        lost.heartbeat()
    lost.complete()  # the log's row does not need it
    assert store.get_summary().total_invocations == 2


def test_an_end_after_the_store_was_closed_is_an_error(store: MetricsStore) -> None:
    started = store.track_invocation("deploy")
    store.close()
    with pytest.raises(StoreClosed):
        started.complete()
    assert not started.ended


def test_any_thread_may_end_it(store: MetricsStore) -> None:
    started = store.track_invocation("deploy")
    thread = threading.Thread(target=started.complete)
    thread.start()
    thread.join()
    assert _only(store).completed
