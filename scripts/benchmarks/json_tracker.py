"""The legacy JSON tracker's way of writing, as its format demands it, and ours against it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Figure, Run, alternated, microseconds, ratios, timed
from sample import Sample, legacy_record

from metrics_store import MetricsStore
from metrics_store.settings import Durability


class JsonTracker:
    """Keeps everything in memory and rewrites the whole file whenever an invocation completes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._invocations: list[dict[str, Any]] = []
        self._skills: dict[str, dict[str, Any]] = {}
        self._last_updated: str | None = None

    def track(self, record: dict[str, Any]) -> dict[str, Any]:
        """Append an invocation that has not ended."""
        started = {**record, "completed": False, "duration_seconds": None}
        self._invocations.append(started)
        return started

    def complete(self, started: dict[str, Any], record: dict[str, Any]) -> None:
        """End it, add it to the totals, and save."""
        self.add(started, record)
        self.save()

    def add(self, started: dict[str, Any], record: dict[str, Any]) -> None:
        """End it and add it to the totals, without saving."""
        started.update(record)
        count_in(self._skills, record)
        self._last_updated = record["invoked_at"]

    def save(self) -> None:
        """Write the whole file."""
        data = {
            "invocations": self._invocations,
            "skills": self._skills,
            "last_updated": self._last_updated,
        }
        self._path.write_text(json.dumps(data, indent=2), encoding="utf-8")


def count_in(skills: dict[str, dict[str, Any]], record: dict[str, Any]) -> None:
    """Add an ended record to the totals of its skill, as the legacy tracker keeps them."""
    s = skills.get(record["skill_name"])
    if s is None:
        s = skills[record["skill_name"]] = {
            "skill_name": record["skill_name"],
            "total_invocations": 0,
            "completed_invocations": 0,
            "abandoned_invocations": 0,
            "total_duration_seconds": 0.0,
            "workflow_paths": {},
            "common_errors": {},
            "follow_up_actions": {},
            "first_invoked": record["invoked_at"],
            "last_invoked": record["invoked_at"],
            "completion_rate": 0.0,
            "avg_duration_seconds": 0.0,
        }
    s["total_invocations"] += 1
    if record["completed"]:
        s["completed_invocations"] += 1
        s["total_duration_seconds"] += record["duration_seconds"]
    else:
        s["abandoned_invocations"] += 1
    for counts, label in (
        ("workflow_paths", record["workflow_path"]),
        ("common_errors", record["error_type"]),
        *(("follow_up_actions", action) for action in record["follow_up_actions"]),
    ):
        if label is not None:
            s[counts][label] = s[counts].get(label, 0) + 1
    s["last_invoked"] = record["invoked_at"]
    s["completion_rate"] = 100.0 * s["completed_invocations"] / s["total_invocations"]
    s["avg_duration_seconds"] = s["total_duration_seconds"] / max(1, s["completed_invocations"])


def against_json(run: Run) -> Iterator[Figure]:
    """Start and complete one invocation, against the legacy tracker."""
    sample = Sample(run.seed)
    for full, goal in ((10_000, 1_000.0), (50_000, 5_000.0)):
        size = run.size(full, full // 10)
        tracker = JsonTracker(run.directory / f"legacy-{size}.json")
        for record in map(legacy_record, sample.records(size)):
            tracker.add(tracker.track(record), record)
        for durability in ("full", "normal"):
            yield _one(run, sample, tracker, durability, size, goal)


def _one(
    run: Run, sample: Sample, tracker: JsonTracker, durability: Durability, size: int, goal: float
) -> Figure:
    store = MetricsStore(run.directory / f"{durability}-{size}.db", durability=durability)
    for _ in range(size // 1_000):
        store.record_rows(list(sample.rows(1_000)))
    block = 100

    def theirs() -> float:
        [record] = map(legacy_record, sample.records(1))
        return timed(lambda: tracker.complete(tracker.track(record), record))

    def ours() -> float:
        fields: list[dict[str, Any]] = sample.fields(block)

        def work() -> None:
            for f in fields:
                started = store.track_invocation(
                    f["skill_name"], f["workflow_path"], f["session_id"], f["project_path"]
                )
                started.complete(
                    f["completed"], f["follow_up_actions"], f["error_type"], f["duration_seconds"]
                )

        return timed(work) / block

    legacy, mine = alternated(theirs, ours, run.size(15, 3))
    store.close()
    return Figure(
        f"legacy JSON tracker at {size:,} / track + complete, {durability.upper()}",
        ratios(legacy, mine),
        "x",
        at_least=goal,
        note=f"{microseconds(legacy, 1)} against {microseconds(mine, 1)}",
    )
