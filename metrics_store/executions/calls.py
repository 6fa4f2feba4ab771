"""The calls of executions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Unpack

from metrics_store.connection import Database

if TYPE_CHECKING:
    from datetime import datetime

    from metrics_store.executions.record import Execution, Vector
    from metrics_store.executions.results import (
        DatabaseStatus,
        ExecutionStatistics,
        Imported,
        LoggedExecution,
        PerformanceMetrics,
        Similar,
    )
    from metrics_store.executions.similar import Embeddings
    from metrics_store.executions.windows import TimeRange
    from metrics_store.records import BatchResult


class Executions:
    """Tasks that models ran; each call is a command too."""

    # What they need is imported when it is called: a runner of skills never needs it.

    _database: Database
    _embeddings: Embeddings | None = None

    def record_execution(self, task_id: str | None = None, **fields: Unpack[Execution]) -> str:
        """Record a task that a model ran to its end.

        Args:
            task_id: its id; None for a new one.
            fields: see :class:`metrics_store.executions.record.Execution`; ``success`` is needed.

        Returns:
            Its id. Recording the same again under the same id changes nothing.

        Raises:
            InvalidValue: a value cannot be recorded.
            DuplicateRecord: the id belongs to another execution.
            WriteError: it was not written.
        """
        from metrics_store.executions import recording

        return recording.record(self._database, task_id, fields)

    def record_executions(
        self, executions: Iterable[Mapping[str, object]], *, batch_size: int | None = None
    ) -> BatchResult:
        """Record many executions.

        Args:
            executions: mappings with ``task_id``, ``success`` and the other arguments of
                :meth:`record_execution`. One whose id the log has already is passed over.
            batch_size: executions per transaction, each batch all or nothing; None makes all of
                them one batch.

        Raises:
            InvalidValue: one cannot be recorded; nothing of its batch was kept.
            WriteError: nothing of this batch was kept.
        """
        from metrics_store.executions import recording

        return recording.record_batch(self._database, executions, batch_size)

    def import_executions(
        self,
        source: str | os.PathLike[str],
        *,
        zone: str | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Imported:
        """Take in executions from a DuckDB file or from lines of JSON; a second time adds nothing.

        Args:
            source: a DuckDB file with a table ``executions``, else text with an object a line.
            zone: whose times those without an offset are, such as ``Europe/Berlin``; UTC if None.
            progress: called with the number of rows read so far.

        Raises:
            SourceError: the file cannot be read, or has no executions.
            MissingExtra: it is a DuckDB file, and the package ``duckdb`` is not installed.
            WriteError: what was written so far is kept; the next import goes on.
        """
        from metrics_store.executions import importing

        return importing.take_in(self._database, source, zone, progress)

    def get_execution(self, task_id: str) -> LoggedExecution | None:
        """An execution by its id; None if there is none.

        Args:
            task_id: as it was recorded.

        Raises:
            InvalidQuery: it is no text.
        """
        from metrics_store.executions import reading

        return reading.one(self._database, task_id)

    def get_embedding(self, task_id: str) -> tuple[float, ...] | None:
        """The 384 numbers of an execution's embedding; None if it has none.

        Args:
            task_id: as it was recorded.

        Raises:
            InvalidQuery: it is no text.
        """
        from metrics_store.executions import reading

        return reading.embedding(self._database, task_id)

    def list_executions(
        self,
        *,
        since: str | datetime | None = None,
        until: str | datetime | None = None,
        repo: str | None = None,
        task_type: str | None = None,
        model_tier: str | None = None,
        pool_type: str | None = None,
        error_type: str | None = None,
        success: bool | None = None,
        limit: int = 100,
    ) -> list[LoggedExecution]:
        """The newest executions, the latest first.

        Args:
            since, until: moments, both within; an aware datetime or ISO 8601 text with an offset.
            repo, task_type, model_tier, pool_type, error_type, success: only those of this value.
            limit: so many at most.

        Raises:
            InvalidQuery: the limit is not 1 or more.
            InvalidValue: a moment is none.
        """
        from metrics_store.executions import reading

        filters = {
            "repo": repo,
            "task_type": task_type,
            "model_tier": model_tier,
            "pool_type": pool_type,
            "error_type": error_type,
        }
        return reading.page(self._database, since, until, limit, success, filters)

    def execution_statistics(self, time_range: TimeRange = "24h") -> ExecutionStatistics:
        """The executions of a window up to now: over time, by tier, pool, repository and task.

        Args:
            time_range: ``1h``, ``24h``, ``7d``, ``30d`` or ``90d``.

        Raises:
            InvalidQuery: it is something else.
        """
        from metrics_store.executions import statistics

        return statistics.statistics(self._database, time_range)

    def performance_metrics(self, time_range: TimeRange = "24h") -> PerformanceMetrics:
        """How long the executions of a window up to now took, what they cost and needed.

        Args:
            time_range: ``1h``, ``24h``, ``7d``, ``30d`` or ``90d``.

        Raises:
            InvalidQuery: it is something else.
        """
        from metrics_store.executions import performance

        return performance.performance(self._database, time_range)

    def database_status(self) -> DatabaseStatus:
        """How the store and its executions are, at a glance."""
        from metrics_store.executions import status

        return status.status(self._database)

    def find_similar_solutions(
        self, embedding: Vector | Sequence[float], k: int = 5, *, repo: str | None = None
    ) -> list[Similar]:
        """The executions whose embeddings are nearest to a vector by cosine, the nearest first.

        The first search of a process reads every embedding; those after it only what is new.
        ``numpy`` is used if it is installed.

        Args:
            embedding: 384 numbers, or their 1,536 bytes.
            k: how many, 1 to 1,000.
            repo: only those of this repository.

        Raises:
            InvalidQuery: it is no such vector, or no such number.
        """
        from metrics_store.executions.similar import Embeddings

        if self._embeddings is None:
            self._embeddings = Embeddings()
        return self._embeddings.nearest(self._database, embedding, k, repo)

    def set_metadata(self, key: str, value: str) -> None:
        """Keep a value under a key of your own, in the table ``metadata``.

        Args:
            key: not empty.
            value: takes the place of what was there.

        Raises:
            InvalidValue: one of them is no text, or the key is empty.
        """
        from metrics_store.executions import recording

        recording.set_metadata(self._database, key, value)

    def get_metadata(self, key: str) -> str | None:
        """The value that was kept under a key; None if there is none.

        Args:
            key: as it was set.

        Raises:
            InvalidQuery: it is no text.
        """
        from metrics_store.executions import reading

        return reading.metadata(self._database, key)
