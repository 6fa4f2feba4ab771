"""Executions are recorded exactly, once, and as they were given, or refused in words."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.errors import DuplicateRecord, InvalidQuery, InvalidValue
from metrics_store.executions import money

HOSTILE = [
    "it's",
    'a "quote"',
    "two\nlines",
    "\x1b[31mred",
    "\u202eright to left",
    "\0",
    "x" * 16_384,
]
EVERYTHING: dict[str, Any] = {
    "timestamp": "2026-03-10T11:00:00+01:00",
    "task_type": "fix",
    "task_description": "Make it work",
    "repo": "api",
    "file_count": 3,
    "estimated_tokens": 12_000,
    "model_tier": "small",
    "pool_type": "local",
    "swarm_topology": "mesh",
    "routing_confidence": 0.875,
    "complexity_score": 4.5,
    "success": False,
    "duration_seconds": 12.345678,
    "quality_score": 87.5,
    "cost_estimate": Decimal("0.123456789"),
    "actual_cost": "0.1",
    "error_type": "TimeoutError",
    "error_message": "after 30 s",
    "user_accepted": True,
    "user_rating": 4,
    "peak_memory_mb": 512.25,
    "cpu_time_seconds": timedelta(seconds=3, microseconds=5),
    "solution_summary": "retry with backoff",
    "embedding": [n / 384 for n in range(384)],
    "metadata": {"branch": "main", "tries": [1, 2]},
}


def test_everything_comes_back_as_it_was_given(store: MetricsStore) -> None:
    assert store.record_execution("t1", **EVERYTHING) == "t1"
    found = store.get_execution("t1")
    assert found is not None
    wanted = {**EVERYTHING, "task_id": "t1", "has_embedding": True}
    wanted |= {"timestamp": "2026-03-10T10:00:00.000000Z", "actual_cost": Decimal("0.1")}
    wanted |= {"cpu_time_seconds": 3.000005}
    embedding = wanted.pop("embedding")
    assert {name: found[name] for name in found.keys()} == wanted  # noqa: SIM118
    assert store.get_embedding("t1") == struct.unpack("384f", struct.pack("384f", *embedding))
    [row] = store.query("SELECT * FROM executions")
    users = {name: row[name] for name in (*EVERYTHING, "task_id")}
    assert (users["cost_estimate"], users["actual_cost"]) == (0.123456789, 0.1)
    assert users["embedding"] == struct.pack("<384f", *embedding)
    assert (users["success"], users["duration_seconds"], users["task_id"]) == (0, 12.345678, "t1")


def test_the_same_twice_is_once_and_another_under_its_id_is_refused(store: MetricsStore) -> None:
    for _ in range(2):
        assert store.record_execution("t1", **EVERYTHING) == "t1"
    with pytest.raises(DuplicateRecord):
        store.record_execution("t1", **{**EVERYTHING, "user_rating": 5})
    assert store.database_status().executions.total == 1
    batch = [{**EVERYTHING, "task_id": name} for name in ("t1", "t2", "t2")]
    result = store.record_executions(batch)
    assert (result.inserted, result.already_there, result.ids) == (1, 2, ("t1", "t2", "t2"))


def test_noughts_with_a_minus_and_numbers_of_numpy_are_kept(store: MetricsStore) -> None:
    # The check after the test holds every row against its digest.
    noughts = dict.fromkeys(
        ("routing_confidence", "duration_seconds", "quality_score", "actual_cost"), -0.0
    )
    store.record_execution("t1", success=True, **noughts)  # type: ignore[arg-type]
    store.record_execution("t1", success=True, **dict.fromkeys(noughts, 0))  # type: ignore[arg-type]
    numpy = pytest.importorskip("numpy", reason="numpy is not installed")
    vector = numpy.arange(384) / 384
    store.record_execution("t2", success=True, embedding=vector, quality_score=vector[96])
    assert store.find_similar_solutions(vector)[0].similarity == pytest.approx(1.0)


def test_without_an_id_or_a_moment_it_gets_a_new_one_and_now(store: MetricsStore) -> None:
    one, other = (store.record_execution(success=True) for _ in range(2))
    assert one != other
    found = store.get_execution(one)
    assert found is not None
    assert found.timestamp == "2026-03-10T12:00:00.000000Z"


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_is_text(store: MetricsStore, text: str) -> None:
    names = ("task_type", "repo", "model_tier", "pool_type", "error_type", "solution_summary")
    store.record_execution(text, success=False, error_message=text, **dict.fromkeys(names, text))  # type: ignore[arg-type]
    assert [one.task_id for one in store.list_executions(repo=text, error_type=text)] == [text]
    statistics = store.execution_statistics("1h")
    assert [tier.model_tier for tier in statistics.by_model_tier] == [text]
    assert [repo.repo for repo in statistics.top_repositories] == [text]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"success": None}, "success"),
    ({"success": 1}, "success"),
    ({"colour": "red"}, "'colour'"),
    ({"timestamp": "yesterday"}, "timestamp"),
    ({"timestamp": "2026-03-10T12:00:00"}, "timestamp"),
    ({"duration_seconds": -1}, "duration_seconds"),
    ({"duration_seconds": math.nan}, "duration_seconds"),
    ({"cpu_time_seconds": math.inf}, "cpu_time_seconds"),
    ({"quality_score": 100.1}, "quality_score"),
    ({"quality_score": math.nan}, "quality_score"),
    ({"quality_score": True}, "quality_score"),
    ({"user_rating": 0}, "user_rating"),
    ({"user_rating": 4.5}, "user_rating"),
    ({"user_accepted": "yes"}, "user_accepted"),
    ({"file_count": -1}, "file_count"),
    ({"routing_confidence": math.inf}, "routing_confidence"),
    ({"complexity_score": -1}, "complexity_score"),
    ({"peak_memory_mb": "many"}, "peak_memory_mb"),
    ({"actual_cost": "0.0000000001"}, "actual_cost"),
    ({"actual_cost": Decimal("1e-10")}, "actual_cost"),
    ({"actual_cost": -1}, "actual_cost"),
    ({"actual_cost": 1_000_001}, "actual_cost"),
    ({"actual_cost": "a lot"}, "actual_cost"),
    ({"cost_estimate": math.nan}, "cost_estimate"),
    ({"cost_estimate": True}, "cost_estimate"),
    ({"embedding": [0.0] * 383}, "embedding"),
    ({"embedding": [math.nan] * 384}, "embedding"),
    ({"embedding": [1e39] * 384}, "embedding"),
    ({"embedding": ["x"] * 384}, "embedding"),
    ({"embedding": b"1" * 1535}, "embedding"),
    ({"metadata": [1]}, "metadata"),
    ({"metadata": {"a": math.nan}}, "metadata"),
    ({"repo": "half \ud800"}, "repo"),
    ({"error_message": "x" * 1_048_577}, "error_message"),
    ({"error_message": "x" * 20_000 + "\udfff"}, "error_message"),
]


@pytest.mark.parametrize(("fields", "named"), REFUSED)
def test_what_cannot_be_recorded_is_refused_by_name(
    store: MetricsStore, fields: dict[str, Any], named: str
) -> None:
    with pytest.raises(InvalidValue, match=named):
        store.record_execution("t1", **{"success": True, **fields})
    assert store.get_execution("t1") is None


def test_a_batch_with_one_that_cannot_be_recorded_is_left_out_whole(store: MetricsStore) -> None:
    with pytest.raises(InvalidValue):
        store.record_executions([{"task_id": "a", "success": True}, {"task_id": "b"}])
    assert store.list_executions() == []
    with pytest.raises(InvalidValue, match="list"):
        store.record_executions([["a"]])  # type: ignore[list-item]


@given(st.decimals(0, 1_000_000, places=9))
def test_money_comes_back_to_the_last_decimal(amount: Decimal) -> None:
    for said in (amount, str(amount)):
        nano = money.nano("cost", said)
        assert nano == amount * money.NANO
        assert money.dollars(nano) == amount


@given(st.floats(0, 1_000_000))
def test_a_float_is_its_shortest_text_rounded_half_to_even(amount: float) -> None:
    exact = Decimal(repr(amount)).quantize(Decimal("1e-9"), rounding="ROUND_HALF_EVEN")
    assert money.dollars(money.nano("cost", amount)) == exact


def test_a_float_of_a_tenth_is_a_tenth_and_half_a_unit_goes_to_even() -> None:
    assert money.nano("cost", 0.1 + 0.2) == 300_000_000
    assert [money.nano("cost", float(f"{n}.5e-9")) for n in range(4)] == [0, 2, 2, 4]
    assert [str(money.dollars(n)) for n in (0, 1, 10**9, 10**11, -(10**8))] == [
        "0", "1E-9", "1", "100", "-0.1",
    ]  # fmt: skip
    assert money.average(1, 3) == 0
    assert money.average(2_000_000_000, 3) == Decimal("0.666666667")


def test_lists_are_newest_first_and_filtered(store: MetricsStore) -> None:
    for n in range(6):
        store.record_execution(
            f"t{n}",
            success=n % 2 == 0,
            timestamp=datetime(2026, 3, 10, n, tzinfo=UTC),
            repo=f"r{n % 3}",
            model_tier="small",
        )

    def ids(**filters: Any) -> list[str]:
        return [one.task_id for one in store.list_executions(**filters)]

    assert ids() == ["t5", "t4", "t3", "t2", "t1", "t0"]
    assert ids(limit=2) == ["t5", "t4"]
    assert ids(success=True) == ["t4", "t2", "t0"]
    assert ids(repo="r1", success=False) == ["t1"]
    assert ids(since="2026-03-10T01:00:00Z", until="2026-03-10T02:00:00Z") == ["t2", "t1"]
    assert ids(model_tier="large") == ids(repo="half \ud800") == []
    for limit in (0, -1, True, "1"):
        with pytest.raises(InvalidQuery):
            ids(limit=limit)
    assert store.get_execution("half \ud800") is store.get_embedding("t1") is None


def test_metadata_is_kept_by_key(store: MetricsStore, clock: Any) -> None:
    assert store.get_metadata("cursor") is None
    store.set_metadata("cursor", "17")
    clock.advance(60)
    store.set_metadata("cursor", "18")
    assert store.get_metadata("cursor") == "18"
    assert store.query("SELECT * FROM metadata") == [
        {"key": "cursor", "value": "18", "updated_at": "2026-03-10T12:01:00.000000Z"}
    ]
    for key, value in (("", "x"), ("k", 3), ("k", None)):
        with pytest.raises(InvalidValue):
            store.set_metadata(key, value)  # type: ignore[arg-type]


def test_what_another_process_recorded_is_there(
    store: MetricsStore, python: Callable[..., Any]
) -> None:
    code = (
        "import sys; from metrics_store import MetricsStore\n"
        "MetricsStore(sys.argv[1]).record_execution('theirs', success=True, repo='r')"
    )
    python(code, store.path)
    found = store.get_execution("theirs")
    assert found is not None
    assert found.repo == "r"
