"""The nearest embeddings are exactly those that plain Python finds, whichever way is scanned."""

from __future__ import annotations

import itertools
import math
import random
import threading
from array import array
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.errors import InvalidQuery
from metrics_store.executions.similar import Embeddings

Open = Callable[..., MetricsStore]
_files = itertools.count()
WAYS = [
    pytest.param(False, id="nothing but Python"),
    pytest.param(
        True,
        id="numpy",
        marks=pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed"),
    ),
]


def vector(source: random.Random, near: Sequence[float] | None = None) -> list[float]:
    """A random vector of float32 numbers, or one close to another."""
    noise = [source.gauss(0, 1) for _ in range(384)]
    if near is not None:
        noise = [a + 0.01 * b for a, b in zip(near, noise, strict=True)]
    return array("f", noise).tolist()


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    norms = math.sqrt(math.fsum(x * x for x in one) * math.fsum(x * x for x in other))
    return math.fsum(x * y for x, y in zip(one, other, strict=True)) / norms if norms else 0.0


def brute_force(
    store: MetricsStore, ids: Sequence[str], wanted: Sequence[float]
) -> list[tuple[float, str]]:
    """All of them with their cosines, the nearest first."""
    cosines = [(cosine(wanted, store.get_embedding(name) or ()), name) for name in ids]
    return sorted(cosines, key=lambda pair: (-pair[0], int(pair[1])))


@pytest.mark.parametrize("with_numpy", WAYS)
@settings(max_examples=15)
@given(
    seed=st.integers(0, 1 << 32), clustered=st.booleans(), scale=st.sampled_from([1e-30, 1, 1e30])
)
def test_the_nearest_are_those_of_plain_python(
    open_store: Open, *, with_numpy: bool, seed: int, clustered: bool, scale: float
) -> None:
    store, source = open_store(f"{next(_files)}.db"), random.Random(seed)
    centre = vector(source) if clustered else None
    embeddings = Embeddings(with_numpy=with_numpy)
    wanted = vector(source, centre)
    ids: list[str] = []
    for _ in range(3):  # it grows between searches
        new = [str(len(ids) + n) for n in range(source.randrange(40))]
        store.record_executions(
            {
                "task_id": name,
                "success": True,
                "embedding": [scale * x for x in vector(source, centre)],
                "repo": f"r{int(name) % 3}",
            }
            for name in new
        )
        ids += new
        exact = brute_force(store, ids, wanted)
        for k in (1, 5, 1000):
            found = embeddings.nearest(store.database, wanted, k, None)
            assert [s.similarity for s in found] == pytest.approx(
                [near for near, _ in exact[:k]], abs=1e-12
            )
            assert len({s.execution.task_id for s in found}) == len(found)
        of_repo = [pair for pair in exact if int(pair[1]) % 3 == 1]
        found = embeddings.nearest(store.database, wanted, 4, "r1")
        assert [s.similarity for s in found] == pytest.approx(
            [n for n, _ in of_repo[:4]], abs=1e-12
        )
    store.close()


@pytest.mark.parametrize("with_numpy", WAYS)
def test_null_vectors_and_the_same_one_many_times(store: MetricsStore, *, with_numpy: bool) -> None:
    one = [1.0] + [0.0] * 383
    for n in range(20):
        store.record_execution(str(n), success=True, embedding=[0.0] * 384 if n % 2 else one)
    embeddings = Embeddings(with_numpy=with_numpy)
    found = embeddings.nearest(store.database, one, 12, None)
    assert [s.similarity for s in found] == [1.0] * 10 + [0.0] * 2
    assert [s.execution.task_id for s in found[:10]] == [str(n) for n in range(0, 20, 2)]
    assert {s.similarity for s in embeddings.nearest(store.database, [0.0] * 384, 20, None)} == {
        0.0
    }
    opposite = embeddings.nearest(store.database, [-x for x in one], 20, None)
    assert opposite[-1].similarity == -1.0


@pytest.mark.parametrize("with_numpy", WAYS)
def test_what_retention_deletes_or_a_restore_replaces_is_not_found(
    store: MetricsStore, *, with_numpy: bool
) -> None:
    source = random.Random(1)
    wanted = vector(source)
    for n in range(30):
        store.record_execution(
            str(n),
            success=True,
            timestamp=f"2026-03-{1 + n % 9:02d}T00:00:00Z",
            embedding=vector(source),
        )
    embeddings = Embeddings(with_numpy=with_numpy)
    assert len(embeddings.nearest(store.database, wanted, 100, None)) == 30
    store.retain({"execution": "5 days"}, trust_clock=True)
    left = [one.task_id for one in store.list_executions()]
    assert 0 < len(left) < 30
    found = embeddings.nearest(store.database, wanted, 100, None)
    assert [s.execution.task_id for s in found] == [
        name for _, name in brute_force(store, left, wanted)
    ]


def test_a_process_that_was_forked_and_threads_search_too(store: MetricsStore) -> None:
    source = random.Random(2)
    for n in range(50):
        store.record_execution(str(n), success=True, embedding=vector(source))
    wanted, results = vector(source), []

    def search() -> None:
        found = store.find_similar_solutions(wanted, 3)
        results.append([s.execution.task_id for s in found])

    threads = [threading.Thread(target=search) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    exact = [name for _, name in brute_force(store, [str(n) for n in range(50)], wanted)[:3]]
    assert results == [exact] * 6


@pytest.mark.parametrize(
    ("embedding", "k"),
    [([0.0] * 383, 1), ("x" * 384, 1), (None, 1), ([math.inf] * 384, 1), ([1.0] * 384, 0),
     ([1.0] * 384, 1001), ([1.0] * 384, True), ([1.0] * 384, "5")],
)  # fmt: skip
def test_what_is_no_vector_or_no_number_is_refused(
    store: MetricsStore, embedding: Any, k: Any
) -> None:
    with pytest.raises(InvalidQuery):
        store.find_similar_solutions(embedding, k)


def test_without_any_embedding_nothing_is_near(store: MetricsStore) -> None:
    store.record_execution("t1", success=True)
    assert store.find_similar_solutions([1.0] * 384) == []
