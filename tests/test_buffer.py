"""The buffered writer: cheap for the caller, and nothing is lost by a flush or a clean exit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import pytest

from metrics_store import MetricsStore
from metrics_store.buffer import Buffer
from metrics_store.clock import Clock
from metrics_store.errors import InvalidValue, MetricsStoreError, StoreBusy, StoreClosed, WriteError
from metrics_store.rows import Row

Open = Callable[..., MetricsStore]
Hold = Callable[[object], Callable[[], None]]


def _within(seconds: float, work: Callable[[], object]) -> None:
    """Run what may hang in a thread of its own, and fail if it does."""
    failed: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "it hangs"
    if failed:
        raise failed[0]


def test_a_flush_commits_everything_before_it(store: MetricsStore) -> None:
    buffer = store.buffered(max_delay=3600)
    ids = [buffer.record_invocation("deploy", n % 2 == 0, workflow_path="p") for n in range(2500)]
    buffer.flush()
    metrics = store.get_skill_metrics("deploy")
    assert metrics is not None
    assert (metrics.total_invocations, metrics.failed_invocations) == (2500, 1250)
    assert store.get_invocation(ids[-1]) is not None
    buffer.flush()


def test_leaving_the_block_commits_everything(store: MetricsStore) -> None:
    with store.buffered(max_delay=3600) as buffer:
        buffer.record_invocation("deploy")
    assert store.get_summary().total_invocations == 1
    buffer.close()
    with pytest.raises(StoreClosed):
        buffer.record_invocation("deploy")


def test_closing_the_store_commits_everything(open_store: Open) -> None:
    store = open_store()
    store.buffered(max_delay=3600).record_invocation("deploy")
    store.close()
    assert open_store().get_summary().total_invocations == 1


def test_without_a_flush_it_is_written_after_a_while(store: MetricsStore) -> None:
    store.buffered(max_delay=0.01).record_invocation("deploy")
    limit = time.monotonic() + 30
    while store.get_summary().total_invocations == 0:
        assert time.monotonic() < limit


def test_a_wrong_record_is_refused_at_once(store: MetricsStore) -> None:
    with store.buffered() as buffer:
        with pytest.raises(InvalidValue):
            buffer.record_invocation("deploy", duration_seconds=-1)
        buffer.record_invocation("deploy")
    assert store.get_summary().total_invocations == 1


@pytest.mark.parametrize("wrong", [{"max_delay": 0}, {"max_delay": 3601}, {"max_pending": 0}])
def test_wrong_limits_are_refused(store: MetricsStore, wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidValue):
        store.buffered(**wrong)  # type: ignore[arg-type]


def test_repeated_ids_are_counted_once(store: MetricsStore) -> None:
    with store.buffered() as buffer:
        for n in range(100):
            buffer.record_invocation("deploy", invocation_id=f"i{n % 10}")
    assert store.get_summary().total_invocations == 10


def test_many_threads_can_share_one(store: MetricsStore) -> None:
    with store.buffered(max_pending=50) as buffer:
        threads = [
            threading.Thread(
                target=lambda: [buffer.record_invocation("deploy") for _ in range(500)]
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert store.get_summary().total_invocations == 4000


def test_a_failing_commit_is_raised_by_flush_and_keeps_its_records(
    open_store: Open, hold_lock: Hold
) -> None:
    store = MetricsStore(open_store().path, busy_timeout=0.2)
    buffer = store.buffered(max_delay=0.05)
    let_go = hold_lock(store.path)
    for _ in range(5):
        buffer.record_invocation("deploy")
    with pytest.raises(StoreBusy):
        buffer.flush()
    let_go()
    buffer.flush()
    assert store.get_summary().total_invocations == 5
    buffer.close()


def test_closing_while_the_store_fails_is_an_error_and_no_hang(
    open_store: Open, hold_lock: Hold
) -> None:
    store = MetricsStore(open_store().path, busy_timeout=0.2)
    buffer = store.buffered(max_delay=3600)
    hold_lock(store.path)
    buffer.record_invocation("deploy")

    def close() -> None:
        with pytest.raises(WriteError):
            buffer.close()

    _within(30, close)


def test_a_full_buffer_over_a_failing_store_tells_its_caller(
    open_store: Open, hold_lock: Hold
) -> None:
    store = MetricsStore(open_store().path, busy_timeout=0.2)
    buffer = store.buffered(max_pending=10)
    let_go = hold_lock(store.path)
    taken: list[str] = []

    def record() -> None:
        for _ in range(1000):
            taken.append(buffer.record_invocation("deploy"))  # noqa: PERF401

    with pytest.raises(WriteError):
        _within(30, record)
    assert len(taken) <= 2 * 10
    let_go()
    buffer.close()
    assert store.get_summary().total_invocations == len(taken)


def test_an_error_nobody_thought_of_does_not_hang_it() -> None:
    written: list[Row] = []

    def commit(rows: Sequence[Row]) -> int:
        if not written and len(broken) < 3:
            broken.append(len(rows))
            raise ZeroDivisionError("unthought of")
        written.extend(rows)
        return len(rows)

    broken: list[int] = []
    buffer = Buffer(commit, Clock(), 3600, 100)
    buffer.record_invocation("deploy")

    def flush() -> None:
        with pytest.raises((ZeroDivisionError, MetricsStoreError)):
            buffer.flush()

    _within(30, flush)
    while broken and not written:
        try:
            _within(30, buffer.flush)
        except (ZeroDivisionError, MetricsStoreError):
            continue
    assert [row.skill_name for row in written] == ["deploy"]
    _within(30, buffer.close)


def test_a_process_that_ends_normally_loses_nothing(
    open_store: Open, python: Callable[..., object]
) -> None:
    store = open_store()
    for ending in ("", "sys.exit(0)", "raise SystemExit"):
        python(
            "import sys\nfrom metrics_store import MetricsStore\n"
            "buffer = MetricsStore(sys.argv[1]).buffered(max_delay=3600)\n"
            f"[buffer.record_invocation('deploy') for _ in range(100)]\n{ending}",
            store.path,
        )
    assert store.get_summary().total_invocations == 300
