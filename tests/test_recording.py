"""Recording what has ended: one, or a batch, and never twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from settable_clock import SettableClock

from metrics_store import MetricsStore, sqlite
from metrics_store.errors import DiskFull, DuplicateRecord, InvalidValue
from metrics_store.records import row_of_mapping

Open = Callable[..., MetricsStore]


def test_a_record_with_everything(store: MetricsStore) -> None:
    name = store.record_invocation(
        "deploy",
        False,
        invoked_at="2026-01-31T12:00:00+01:00",
        duration_seconds=1.5,
        workflow_path="a/b",
        session_id="s",
        project_path="/p",
        follow_up_actions=["x"],
        error_type="OSError",
        attributes={"n": [1, {"m": None}]},
        invocation_id="mine",
        origin="ci",
    )
    back = store.get_invocation(name)
    assert back is not None
    assert back.as_dict() == {
        "seq": 1,
        "id": "mine",
        "skill_name": "deploy",
        "invoked_at": "2026-01-31T11:00:00.000000Z",
        "ended_at": "2026-01-31T11:00:01.500000Z",
        "workflow_path": "a/b",
        "session_id": "s",
        "project_path": "/p",
        "outcome": "failed",
        "completed": False,
        "duration_seconds": 1.5,
        "error_type": "OSError",
        "follow_up_actions": ["x"],
        "origin": "ci",
        "attributes": {"n": [1, {"m": None}]},
    }


@pytest.mark.parametrize("outcome", ["completed", "failed", "abandoned"])
def test_an_outcome_can_be_said_outright(store: MetricsStore, outcome: str) -> None:
    store.record_invocation("deploy", outcome=outcome)  # type: ignore[arg-type]
    assert store.invocations().invocations[0].outcome == outcome


def test_the_same_under_the_same_id_is_counted_once(
    store: MetricsStore, clock: SettableClock
) -> None:
    fields = {"invocation_id": "a", "invoked_at": "2026-01-31T12:00:00Z", "duration_seconds": 1}
    store.record_invocation("deploy", **fields)  # type: ignore[arg-type]
    clock.advance(60)
    assert store.record_invocation("deploy", **fields) == "a"  # type: ignore[arg-type]
    assert store.get_summary().total_invocations == 1


def test_another_record_under_the_same_id_is_an_error(store: MetricsStore) -> None:
    fields = {"invocation_id": "a", "invoked_at": "2026-01-31T12:00:00Z"}
    store.record_invocation("deploy", **fields)  # type: ignore[arg-type]
    for other in ({"duration_seconds": 0}, {"workflow_path": ""}, {"session_id": "s"}):
        with pytest.raises(DuplicateRecord):
            store.record_invocation("deploy", **fields, **other)  # type: ignore[arg-type]
    with pytest.raises(DuplicateRecord):
        store.record_invocation("test", **fields)  # type: ignore[arg-type]
    assert store.get_summary().total_invocations == 1


def test_a_record_ends_what_is_in_flight_under_its_id(store: MetricsStore) -> None:
    started = store.track_invocation("deploy")
    store.record_invocations([{"skill_name": "deploy", "invocation_id": started.invocation_id}])
    assert store.in_flight() == []


def test_a_batch_says_what_was_new(store: MetricsStore) -> None:
    batch = [{"skill_name": "deploy", "invocation_id": f"i{n % 7}"} for n in range(10)]
    result = store.record_invocations(batch)
    assert (result.inserted, result.already_there) == (7, 3)
    assert result.ids == tuple(record["invocation_id"] for record in batch)
    again = store.record_invocations(batch)
    assert (again.inserted, again.already_there) == (0, 10)
    assert store.get_summary().total_invocations == 7
    assert store.record_invocations([]).ids == ()


def test_a_batch_is_all_or_nothing(store: MetricsStore) -> None:
    batch = [{"skill_name": "deploy"}] * 5 + [{"skill_name": ""}]
    with pytest.raises(InvalidValue):
        store.record_invocations(batch)
    assert store.get_summary().total_invocations == 0
    with pytest.raises(InvalidValue):
        store.record_invocations(batch, batch_size=2)
    assert store.get_summary().total_invocations == 4


def test_an_iterator_that_fails_keeps_the_batches_before(store: MetricsStore) -> None:
    def records() -> Iterator[dict[str, object]]:
        yield from ({"skill_name": "deploy"} for _ in range(25))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.record_invocations(records(), batch_size=10)
    assert store.get_summary().total_invocations == 20
    store.record_invocation("deploy")


def test_the_store_can_be_used_while_a_batch_is_being_gathered(store: MetricsStore) -> None:
    def records() -> Iterator[dict[str, object]]:
        for n in range(4):
            store.record_invocation("other")
            yield {"skill_name": "deploy", "invocation_id": str(n)}

    store.record_invocations(records(), batch_size=2)
    assert store.get_summary().skills_by_usage == (("deploy", 4), ("other", 4))


def test_batch_sizes_below_one_are_refused(store: MetricsStore) -> None:
    with pytest.raises(InvalidValue):
        store.record_invocations([], batch_size=0)


def test_what_belongs_to_the_rows_shares_their_transaction(store: MetricsStore) -> None:
    rows = [row_of_mapping(0, {"skill_name": "deploy"})]

    def also(connection: sqlite.Connection) -> None:
        connection.execute("INSERT INTO store_property VALUES ('position', '1')")

    assert store.record_rows(rows, also) == 1
    with pytest.raises(Exception, match="UNIQUE"):
        store.record_rows([row_of_mapping(0, {"skill_name": "deploy"})], also)
    assert store.get_summary().total_invocations == 1
    assert store.record_rows([]) == 0


def test_a_full_disk_is_told_and_keeps_what_was_acknowledged(store: MetricsStore) -> None:
    started = store.track_invocation("deploy")
    pages = store.query("PRAGMA page_count")[0]["page_count"]
    store.database.write(lambda c: c.execute(f"PRAGMA max_page_count = {pages}"))
    acknowledged: list[str] = []

    def fill() -> None:
        for _ in range(200):
            acknowledged.append(store.record_invocation("deploy", attributes={"x": "y" * 500}))  # noqa: PERF401

    with pytest.raises(DiskFull) as caught:
        fill()
    assert caught.value.hint
    with pytest.raises(DiskFull):
        store.record_invocations({"skill_name": f"s{n}"} for n in range(2000))
    assert store.get_summary().total_invocations == len(acknowledged)
    store.database.write(lambda c: c.execute("PRAGMA max_page_count = 100000"))
    started.complete()
    assert store.get_summary().total_invocations == len(acknowledged) + 1


def test_a_file_that_cannot_grow_loses_nothing_that_was_acknowledged(
    open_store: Open, python: Callable[..., object]
) -> None:
    path = open_store().path
    python(
        """
import resource, signal, sys
from metrics_store import MetricsStore
from metrics_store.errors import WriteError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = MetricsStore(sys.argv[1])
store.record_invocation("deploy", invocation_id="first")
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
acknowledged, refused = ["first"], []
text = {"note": "x" * 3000}  # a log that cannot grow begins anew, as long as the store itself can
for n in range(120):
    try:
        done = store.record_invocation("deploy", invocation_id=str(n), attributes=text)
        acknowledged.append(done)
    except WriteError as error:
        refused.append(error)
        assert error.hint, error
assert refused and len(acknowledged) > 10, (refused, acknowledged)
assert store.get_invocation("first")  # reading goes on
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
store.record_invocation("deploy", invocation_id="last")
for name in (*acknowledged, "last"):
    assert store.get_invocation(name), name
assert store.get_summary().total_invocations == len(acknowledged) + 1
""",
        path,
    )
