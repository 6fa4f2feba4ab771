"""Workflow paths are found by their words, and no text whatever is an accident."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metrics_store import MetricsStore
from metrics_store.errors import InvalidQuery

any_text = st.text(st.characters()) | st.text("\"*^:(){}+-ANDORNEAT \0'", max_size=12)


@pytest.fixture
def paths(store: MetricsStore) -> MetricsStore:
    recorded = {
        "quick check": 3,
        "quick security scan": 2,
        "full security review": 1,
        "déjà vu": 1,
        "src/app.py::main": 1,
        "100% C++": 1,
        'say "hello"': 1,
        "nul\0inside": 1,
        "😀": 1,
        "日本語": 1,
    }
    for path, times in recorded.items():
        for _ in range(times):
            store.record_invocation("deploy", workflow_path=path, duration_seconds=2)
    store.record_invocation("test", False, workflow_path="quick check", duration_seconds=4)
    return store


def _found(store: MetricsStore, text: str, **options: object) -> list[str]:
    found = store.search_workflow_paths(text, **options)  # type: ignore[arg-type]
    return [path.workflow_path for path in found if path.skill_name == "deploy"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("quick", ["quick check", "quick security scan"]),
        ("QUICK", ["quick check", "quick security scan"]),
        ("secur", ["quick security scan", "full security review"]),
        ("security quick", ["quick security scan"]),
        ("curity", ["quick security scan", "full security review"]),  # literally
        ("deja", ["déjà vu"]),
        ("app.py", ["src/app.py::main"]),
        ("::", ["src/app.py::main"]),
        ("c++", ["quick check", "100% C++"]),
        ("%", ["100% C++"]),
        ('"', ['say "hello"']),
        ('"hello"', ['say "hello"']),
        ("inside", ["nul\0inside"]),
        ("\0", ["nul\0inside"]),
        ("😀", ["😀"]),
        ("日本", ["日本語"]),
        ("", []),
        ("   ", []),
        ("AND", []),
        ("*", []),
        ("nothing such", []),
    ],
)
def test_words_find_paths_the_most_used_first(
    paths: MetricsStore, text: str, wanted: list[str]
) -> None:
    assert _found(paths, text) == wanted


def test_a_path_says_its_numbers(paths: MetricsStore) -> None:
    deploy, test = paths.search_workflow_paths("quick check")
    assert deploy.as_dict() == {
        "skill_name": "deploy",
        "workflow_path": "quick check",
        "invocation_count": 3,
        "completed": 3,
        "failed": 0,
        "avg_duration_seconds": 2.0,
        "last_invoked": "2026-03-10T11:59:58.000000Z",
    }
    assert (test.skill_name, test.failed, test["avg_duration"]) == ("test", 1, None)
    assert len(paths.search_workflow_paths("quick", limit=1)) == 1


@given(any_text)
@example("\ud800")
@example("half \udcff of it")
@example('"' * 99)
@example("a " * 5000)
@example(" ".join(f"w{n}" for n in range(3000)))
@example("x" * 100_000)
def test_any_text_is_safe(paths: MetricsStore, text: str) -> None:
    for path in paths.search_workflow_paths(text):
        assert path.workflow_path


@given(any_text)
@example("*")
@example("*a")
@example("\ud800")
@example("col:a")
@example("rank:5")
@example("-")
@example("a AND")
@example("NEAR(quick check, 99999999999999999999)")
@example("(" * 5000)
@example("a OR " * 5000 + "a")
@example("NOT a")
def test_any_full_text_query_is_found_or_refused(paths: MetricsStore, text: str) -> None:
    with suppress(InvalidQuery):
        paths.search_workflow_paths(text, fts=True)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("quick OR full", ["quick check", "quick security scan", "full security review"]),
        ("security NOT quick", ["full security review"]),
        ('"quick check"', ["quick check"]),
        ("NEAR(quick scan, 5)", ["quick security scan"]),
        ("sec*", ["quick security scan", "full security review"]),
    ],
)
def test_full_text_syntax_is_there_on_request(
    paths: MetricsStore, text: str, wanted: list[str]
) -> None:
    assert _found(paths, text, fts=True) == wanted


@given(st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=4, unique=True))
def test_every_path_is_found_by_itself(store: MetricsStore, texts: list[str]) -> None:
    for text in texts:
        store.record_invocation("deploy", workflow_path=text)
        if not text.isspace():
            found = store.search_workflow_paths(text, limit=10_000)
            assert text in {path.workflow_path for path in found}
