"""The store's calls that tell what agents did."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metrics_store.connection import Database

if TYPE_CHECKING:
    from metrics_store.agents.reading import Window
    from metrics_store.agents.results import (
        AgentDay,
        AgentHour,
        AgentSample,
        Commit,
        CommitDay,
        RagDay,
        RagMetrics,
        SystemHealth,
        SystemPeriod,
        TaskEvent,
        TaskState,
        TaskVelocity,
    )
    from metrics_store.rows import Moment


class AgentReaders:
    """Reading what agents did.

    Everything here raises ``InvalidQuery`` for what cannot be asked, and ``ReadError`` or
    ``CorruptStore`` if the store cannot be read.
    """

    # What they need is imported when it is called: a runner that records never needs it.

    _database: Database

    def agent_status(self, agent_id: str | None = None) -> list[AgentSample]:
        """The newest sample of every agent, or of one; a late one changes nothing."""
        from metrics_store.agents import reading

        return reading.status(self._database, agent_id)

    def agent_history(
        self,
        agent_id: str,
        window: Window | None = "24 hours",
        *,
        now: Moment = None,
        limit: int | None = None,
    ) -> list[AgentSample]:
        """The samples of an agent, oldest first.

        Args:
            window: how far back, such as ``"7 days"`` or seconds; None for all.
            now: the end; by default the present, and what bears a later moment.
            limit: give at most so many, the newest.
        """
        from metrics_store.agents import reading

        return reading.history(self._database, agent_id, window, now, limit)

    def agent_daily(
        self, agent_id: str | None = None, days: int = 14, *, now: Moment = None
    ) -> list[AgentDay]:
        """Each agent, or one, on each of the last UTC days that has samples, oldest first."""
        from metrics_store.agents import aggregates

        return aggregates.agent_days(self._database, agent_id, days, now)

    def agent_hourly(
        self, agent_id: str | None = None, window: Window = "24 hours", *, now: Moment = None
    ) -> list[AgentHour]:
        """Each agent, or one, in each UTC hour of a window that has samples, oldest first.

        It is added up from the samples, as far back as retention left them.
        """
        from metrics_store.agents import hours

        return hours.agent_hours(self._database, agent_id, window, now)

    def tasks(
        self, status: str | None = None, assigned_to: str | None = None, limit: int | None = 1000
    ) -> list[TaskState]:
        """Where tasks stand, the last changed first.

        Args:
            status, assigned_to: only those.
            limit: at most so many; None for all.
        """
        from metrics_store.agents import reading

        return reading.tasks(self._database, status, assigned_to, limit)

    def task_history(self, task_id: str) -> list[TaskEvent]:
        """What happened to a task, oldest first."""
        from metrics_store.agents import reading

        return reading.task_history(self._database, task_id)

    def task_velocity(self, days: int = 7, *, now: Moment = None) -> TaskVelocity:
        """How fast tasks are done, over the last UTC days."""
        from metrics_store.agents import aggregates

        return aggregates.velocity(self._database, days, now)

    def commit_feed(self, n: int = 50, agent_id: str | None = None) -> list[Commit]:
        """The newest commits first, of all or of one agent."""
        from metrics_store.agents import reading

        return reading.commits(self._database, n, agent_id)

    def commit_daily(
        self, agent_id: str | None = None, days: int = 14, *, now: Moment = None
    ) -> list[CommitDay]:
        """The commits of each agent on each of the last UTC days that has any, oldest first.

        Args:
            agent_id: only this one's; ``""`` those of no agent.
        """
        from metrics_store.agents import aggregates

        return aggregates.commit_days(self._database, agent_id, days, now)

    def system_health(self) -> SystemHealth | None:
        """The newest record of system health; None if there is none."""
        from metrics_store.agents import reading

        return next(iter(reading.system_history(self._database, None, None, 1)), None)

    def system_history(
        self,
        window: Window | None = "24 hours",
        *,
        now: Moment = None,
        limit: int | None = None,
    ) -> list[SystemHealth]:
        """Records of system health, oldest first; see :meth:`agent_history`."""
        from metrics_store.agents import reading

        return reading.system_history(self._database, window, now, limit)

    def system_hourly(
        self, window: Window = "24 hours", *, now: Moment = None
    ) -> list[SystemPeriod]:
        """System health over each UTC hour of a window that has records, oldest first."""
        from metrics_store.agents import aggregates

        hours = aggregates.hours_until(self._database, window, now)
        return aggregates.system_periods(self._database, hours, "hour_")

    def system_daily(self, days: int = 14, *, now: Moment = None) -> list[SystemPeriod]:
        """System health on each of the last UTC days that has records, oldest first."""
        from metrics_store.agents import aggregates

        wanted = aggregates.days_until(self._database, days, now)
        return aggregates.system_periods(self._database, wanted, "")

    def rag_metrics(self) -> RagMetrics | None:
        """The newest record of retrieval; None if there is none."""
        from metrics_store.agents import reading

        return next(iter(reading.rag_history(self._database, None, None, 1)), None)

    def rag_history(
        self,
        window: Window | None = "24 hours",
        *,
        now: Moment = None,
        limit: int | None = None,
    ) -> list[RagMetrics]:
        """Records of retrieval, oldest first; see :meth:`agent_history`."""
        from metrics_store.agents import reading

        return reading.rag_history(self._database, window, now, limit)

    def rag_daily(self, days: int = 14, *, now: Moment = None) -> list[RagDay]:
        """Retrieval on each of the last UTC days that has records, oldest first."""
        from metrics_store.agents import aggregates

        return aggregates.rag_days(self._database, days, now)
