"""What the store should hold, kept in memory, and what can be recorded in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from metrics_store.clock import text

SKILLS = ["deploy", "test", "v1.2", "ünï😀"]
names = st.sampled_from(SKILLS)
labels = st.none() | st.sampled_from(["a/b", "c", "12", "it's"])
errors = st.none() | st.sampled_from(["OSError", "TimeoutError"])
actions = st.lists(st.sampled_from(["commit", "push", "retry"]), max_size=3)
seconds = st.none() | st.integers(0, 10_000_000).map(lambda us: us / 1e6)
moments = st.none() | st.integers(0, 20 * 24).map(
    lambda hours: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=hours)
)
records = st.fixed_dictionaries(
    {
        "skill_name": names,
        "completed": st.booleans(),
        "duration_seconds": seconds,
        "workflow_path": labels,
        "session_id": labels,
        "error_type": errors,
        "follow_up_actions": actions,
        "invoked_at": moments,
        "invocation_id": st.none() | st.integers(0, 40).map(lambda n: f"id{n}"),
    }
)
Record = dict[str, object]


@dataclass
class Ended:
    """What the model knows of an invocation that has ended."""

    skill: str
    outcome: str
    at: str
    us: int | None
    path: str | None
    session: str | None
    error: str | None
    actions: list[str]


@dataclass
class Flying:
    """What the model knows of one in flight."""

    skill: str
    path: str | None
    session: str | None
    at_us: int
    monotonic: int
    sign_us: int


@dataclass
class Model:
    log: dict[str, Ended] = field(default_factory=dict)
    flying: dict[str, Flying] = field(default_factory=dict)
    waiting: dict[str, Ended] = field(default_factory=dict)


def counted(labels_: list[str | None]) -> dict[str, int]:
    return {label: labels_.count(label) for label in labels_ if label is not None}


def ended_by(record: Record, now_us: int) -> Ended:
    took, moment = record["duration_seconds"], record["invoked_at"]
    us = None if took is None else round(took * 1e6)  # type: ignore[operator]
    if moment is None:
        at = text(now_us - (us or 0))
    elif isinstance(moment, str):
        at = moment.replace("Z", ".000000Z")
    else:
        at = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # type: ignore[attr-defined]
    return Ended(
        str(record["skill_name"]),
        "completed" if record["completed"] else "failed",
        at,
        us,
        record["workflow_path"],  # type: ignore[arg-type]
        record["session_id"],  # type: ignore[arg-type]
        record["error_type"],  # type: ignore[arg-type]
        list(record["follow_up_actions"]),  # type: ignore[call-overload]
    )
