"""The store's calls that record what agents do, or take it in from elsewhere."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from metrics_store import location
from metrics_store.connection import Database

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metrics_store.agents.commits import AgentMap, CommitsTaken
    from metrics_store.agents.fields import (
        CommitFields,
        EventFields,
        RagFields,
        SampleFields,
        SystemFields,
    )
    from metrics_store.agents.importing import AgentsImported
    from metrics_store.agents.watching import BoardTaken
    from metrics_store.rows import Moment


class AgentRecorders:
    """Recording what agents do.

    Everything here raises ``InvalidValue`` for what cannot be recorded, and ``WriteError`` if it
    was not written.
    """

    # What they need is imported when it is called: a runner that records never needs it all.

    _database: Database

    # Recording

    def record_agent_sample(
        self, agent_id: str, status: str = "active", **fields: Unpack[SampleFields]
    ) -> str:
        """Record how an agent is, and give the record's id.

        Args:
            agent_id: whose sample it is.
            status: ``active``, ``idle``, ``blocked``, ``error`` or ``offline``.
            fields: see :class:`metrics_store.agents.fields.SampleFields`.
        """
        from metrics_store.agents import recording
        from metrics_store.families.agents import AGENTS

        now = self._database.clock.now_us()
        content = recording.sample(now, agent_id, status, fields)
        return recording.write_one(self._database, AGENTS, content)

    def record_task_event(
        self, task_id: str, event_type: str = "updated", **fields: Unpack[EventFields]
    ) -> str:
        """Record what happened to a task, and give the record's id.

        Args:
            task_id: which task.
            event_type: ``created``, ``updated``, ``completed``, ``blocked`` or ``assigned``.
            fields: see :class:`metrics_store.agents.fields.EventFields`.
        """
        from metrics_store.agents import recording
        from metrics_store.families.activity import TASKS

        now = self._database.clock.now_us()
        content = recording.event(now, task_id, event_type, fields)
        return recording.write_one(self._database, TASKS, content)

    def record_commit(self, commit_hash: str, **fields: Unpack[CommitFields]) -> bool:
        """Record a commit; one that is there already is passed over.

        Args:
            commit_hash: its full hash.
            fields: see :class:`metrics_store.agents.fields.CommitFields`.

        Returns:
            Whether it was new.
        """
        return self.record_commits([{"commit_hash": commit_hash, **fields}]) == 1

    def record_commits(self, commits: Iterable[Mapping[str, object]]) -> int:
        """Record commits in one transaction, and give how many were new.

        Args:
            commits: mappings with ``commit_hash`` and the arguments of :meth:`record_commit`.
        """
        from metrics_store import logs
        from metrics_store.agents import recording
        from metrics_store.families.activity import COMMITS

        now = self._database.clock.now_us()
        contents = [recording.commit_of(now, one) for one in logs.several("commits", commits)]
        return recording.write_all(self._database, COMMITS, contents)

    def record_system_health(
        self, overall_status: str = "healthy", **fields: Unpack[SystemFields]
    ) -> str:
        """Record how the system is, and give the record's id.

        Args:
            overall_status: ``healthy``, ``degraded`` or ``unhealthy``.
            fields: see :class:`metrics_store.agents.fields.SystemFields`.
        """
        from metrics_store.agents import recording
        from metrics_store.families.agents import SYSTEM

        content = recording.system(self._database.clock.now_us(), overall_status, fields)
        return recording.write_one(self._database, SYSTEM, content)

    def record_rag_metrics(self, **fields: Unpack[RagFields]) -> str:
        """Record how retrieval is, and give the record's id.

        Args:
            fields: see :class:`metrics_store.agents.fields.RagFields`.
        """
        from metrics_store.agents import recording
        from metrics_store.families.agents import RAG

        content = recording.rag(self._database.clock.now_us(), fields)
        return recording.write_one(self._database, RAG, content)

    # Collecting

    def take_commits(
        self,
        repository: str | os.PathLike[str],
        *,
        since: Moment = None,
        branch: str | None = None,
        agents: AgentMap | Mapping[str, str] | None = None,
        timeout: float = 600.0,
    ) -> CommitsTaken:
        """Take in the commits of a git repository; those that are there are passed over.

        Args:
            repository: it, or a directory in it; bare and shallow ones too.
            since: only those committed since then.
            branch: those of one branch; by default of all, and of what is checked out.
            agents: patterns of authors' names and addresses, with the agent's id.
            timeout: seconds it may take.

        Raises:
            InvalidValue, InvalidQuery: an argument makes no sense.
            SourceError: it is no repository, or git may not read it.
            CommandFailed: git is not there, failed, or took longer.
        """
        from metrics_store import rows, windows
        from metrics_store.agents import commits

        whose = agents if isinstance(agents, commits.AgentMap) else commits.AgentMap(agents)
        since_us = None if since is None else rows.moment_us("since", since)
        return commits.take_in(
            self._database,
            Path(location.named(repository)),
            since_us=since_us,
            branch=branch,
            agents=whose,
            seconds=windows.seconds(timeout),
        )

    def take_board(self, path: str | os.PathLike[str]) -> BoardTaken:
        """Take in a task board as it is now: what changed since the last time becomes events.

        Args:
            path: the board, or the directory with its ``task-board.json``.

        Raises:
            SourceError: it is not there, stays torn, or is no board; nothing was taken in.
        """
        from metrics_store.agents import watching

        return watching.take_in(
            self._database, Path(location.named(path)), self._database.clock.sleep
        )

    def import_agents(
        self, source: str | os.PathLike[str], *, table: str | None = None, zone: str | None = None
    ) -> AgentsImported:
        """Take in a SQLite file with the five tables, or lines of JSON; twice changes nothing.

        Args:
            source: the file; it is only read.
            table: what the lines are of, where they do not tell.
            zone: the zone of moments without one; UTC by default.

        Raises:
            SourceError: it cannot be read.
        """
        from metrics_store.agents import importing

        return importing.take_in(
            self._database, Path(location.named(source)), table=table, zone=zone
        )
