"""docs/live.md: its snippets print what it says, and its tables are those of the code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from documents import Document

from metrics_store import LiveState, MetricsStore
from metrics_store.live import agents
from metrics_store.live.bounds import BEHIND, DOINGS, SAMPLES, Bounds

GUIDE = Document("docs/live.md")


def snippets() -> list[tuple[str, str]]:
    """Each program, with what it is to print."""
    blocks = GUIDE.blocks
    return [
        (program, printed)
        for (kind, program), (_, printed) in zip(blocks[::2], blocks[1::2], strict=True)
        if kind == "python"
    ]


@pytest.mark.parametrize(("program", "printed"), snippets())
def test_a_snippet_prints_what_it_says(
    program: str, printed: str, python: Callable[..., CompletedProcess[str]], tmp_path: Path
) -> None:
    assert python(program, METRICS_STORE_DB=str(tmp_path / "m.db")).stdout == printed


def test_every_key_is_in_its_table(store: MetricsStore) -> None:
    shown = {row[0].strip("`") for row in GUIDE.rows("Keys")}
    store.record_agent_sample("a", "active")
    store.record_task_event("t", "created")
    store.heartbeat("s", "healthy")
    with LiveState(store, every=60) as live:
        found = live.keys()
    names = {"a": "{id}", "t": "{id}", "s": "{name}"}
    keys = {":".join(names.get(part, part) for part in key.split(":")) for key in found}
    assert keys == shown


def test_every_bound_is_in_its_table() -> None:
    shown = {
        row[0].strip("`"): int(row[1].replace(",", "")) for row in GUIDE.rows("How much it holds")
    }
    assert shown == {bound.name: bound.default for bound in fields(Bounds)}
    text = GUIDE.section("How much it holds")
    assert f"last {SAMPLES:,}\nsamples" in text
    assert f"last {DOINGS:,} task events" in text
    assert BEHIND == 5000
    assert agents.SAMPLES == SAMPLES


def test_what_is_named_is_there() -> None:
    assert GUIDE.astray() == []
