"""Reading the log of executions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from metrics_store import asked, clock
from metrics_store.connection import Database
from metrics_store.executions import money
from metrics_store.executions.results import LoggedExecution
from metrics_store.executions.vectors import numbers_of
from metrics_store.rows import moment_us
from metrics_store.sql import query
from metrics_store.sqlite import Value

_FIRST, _LAST = clock.text(clock.MIN_US), clock.text(clock.MAX_US)


def one(database: Database, task_id: str) -> LoggedExecution | None:
    """An execution by its id; None if there is none."""
    wanted = (asked.text("task_id", task_id),)
    with database.read() as connection:
        row = connection.execute(query("executions.one"), wanted).fetchone()
        return None if row is None else logged(row)


def embedding(database: Database, task_id: str) -> tuple[float, ...] | None:
    """The numbers of an execution's embedding; None if it has none."""
    wanted = (asked.text("task_id", task_id),)
    with database.read() as connection:
        row = connection.execute(query("executions.embedding"), wanted).fetchone()
        return None if row is None or row[0] is None else tuple(numbers_of(row[0]))


def page(
    database: Database,
    since: str | datetime | None,
    until: str | datetime | None,
    limit: int,
    success: bool | None,
    filters: dict[str, str | None],
) -> list[LoggedExecution]:
    """The newest executions that pass the filters.

    Raises:
        InvalidQuery: the limit is no number from 1 on.
    """
    values: dict[str, Value] = {
        **{name: asked.text_or_none(name, value) for name, value in filters.items()},
        "success": asked.flag("success", success),
        "since": _FIRST if since is None else clock.text(moment_us("since", since)),
        "until": _LAST if until is None else clock.text(moment_us("until", until)),
        "count": asked.count("limit", limit),
    }
    with database.read() as connection:
        return [logged(row) for row in connection.execute(query("executions.page"), values)]


def logged(row: Sequence[Value]) -> LoggedExecution:
    """An execution from a row of ``executions.one``."""
    (_, task_id, timestamp, *plain) = row
    (
        task_type, description, repo, file_count, tokens, tier, pool, topology, confidence,
        complexity, success, duration, quality, estimate, cost, error_type, error_message,
        accepted, rating, memory, cpu, summary, has_embedding, metadata,
    ) = plain  # fmt: skip
    return LoggedExecution(
        task_id,  # type: ignore[arg-type]
        timestamp,  # type: ignore[arg-type]
        task_type,  # type: ignore[arg-type]
        description,  # type: ignore[arg-type]
        repo,  # type: ignore[arg-type]
        file_count,  # type: ignore[arg-type]
        tokens,  # type: ignore[arg-type]
        tier,  # type: ignore[arg-type]
        pool,  # type: ignore[arg-type]
        topology,  # type: ignore[arg-type]
        confidence,  # type: ignore[arg-type]
        complexity,  # type: ignore[arg-type]
        bool(success),
        duration,  # type: ignore[arg-type]
        quality,  # type: ignore[arg-type]
        money.dollars(estimate),  # type: ignore[arg-type]
        money.dollars(cost),  # type: ignore[arg-type]
        error_type,  # type: ignore[arg-type]
        error_message,  # type: ignore[arg-type]
        None if accepted is None else bool(accepted),
        rating,  # type: ignore[arg-type]
        memory,  # type: ignore[arg-type]
        cpu,  # type: ignore[arg-type]
        summary,  # type: ignore[arg-type]
        bool(has_embedding),
        {} if metadata is None else json.loads(metadata),  # type: ignore[arg-type]
    )


def metadata(database: Database, key: str) -> str | None:
    """The value that was kept under a key; None if there is none."""
    wanted = (asked.text("the key", key),)
    with database.read() as connection:
        row = connection.execute(query("executions.metadata"), wanted).fetchone()
        return None if row is None else str(row[0])
