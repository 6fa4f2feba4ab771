"""The keys of agents: where each stands, and what it did."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from metrics_store.agents.results import AgentSample
from metrics_store.live.bounds import BEHIND, DOINGS, SAMPLES, Bounds
from metrics_store.live.sections import Behind, Tops, Update
from metrics_store.live.values import Activity
from metrics_store.sql import query
from metrics_store.sqlite import Connection, Value

_Row = tuple[Value, ...]


@dataclass(slots=True)
class _Agent:
    """What is held of one agent.

    Args:
        at: moment and seq of its newest sample.
        changes: of its status, and ``doings``: its task events and commits; newest first.
    """

    at: tuple[str, int] = ("", 0)
    sample: AgentSample | None = None
    changes: list[Activity] = field(default_factory=list)
    doings: list[Activity] = field(default_factory=list)

    def last_at(self) -> str:
        return max(
            [self.at[0], *(entries[0].at for entries in (self.changes, self.doings) if entries)]
        )


class Agents:
    """What is held of all agents."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._held: dict[str, _Agent] = {}

    def load(self, connection: Connection) -> Update:
        """Read everything anew."""
        self._held = {}
        names = connection.execute(query("live.agents"), (self._bounds.agents,)).fetchall()
        for (name,) in names:
            self._read_samples(connection, name)
        # Oldest first, so that each is put before those that are there.
        events = connection.execute(query("live.latest_events"), (DOINGS,)).fetchall()
        commits = connection.execute(query("live.latest_commits"), (DOINGS,)).fetchall()
        self._add([*_of_events(reversed(events)), *_of_commits(reversed(commits))])
        self._forget()
        return Update(self._values(self._held), set())

    def follow(self, connection: Connection, before: Tops, after: Tops) -> Update:
        """Read what came since.

        Raises:
            Behind: it is too much to be read row by row.
        """
        touched: set[str] = set()
        if after.samples > before.samples:
            touched |= self._follow_samples(connection, before.samples)
        doings: list[Activity] = []
        if after.events > before.events:
            doings += _of_events(_some(connection, "live.events_after", before.events))
        if after.commits > before.commits:
            doings += _of_commits(_some(connection, "live.commits_after", before.commits))
        touched |= self._add(doings)
        gone = self._forget()
        return Update(self._values(touched - gone), {key for name in gone for key in _keys(name)})

    def _follow_samples(self, connection: Connection, after: int) -> set[str]:
        touched, anew = set(), set()
        for row in _some(connection, "live.samples_after", after):
            seq, sample = _sample(row)
            agent = self._held.get(sample.agent_id)
            touched.add(sample.agent_id)
            at = (sample.recorded_at, seq)
            if agent is None or agent.sample is None or at <= agent.at:
                # Unknown until now, or late: what follows it may be a change, or none any more.
                anew.add(sample.agent_id)
                continue
            if _differs(sample, agent.sample):
                agent.changes = [_change(sample), *agent.changes][: self._bounds.activity]
            agent.at, agent.sample = at, sample
        for name in anew:
            self._read_samples(connection, name)
        return touched

    def _read_samples(self, connection: Connection, name: str) -> None:
        """Read an agent's newest samples; more of the log cannot matter to what is held."""
        found = connection.execute(query("live.samples_of"), (name, SAMPLES + 1)).fetchall()
        samples = [_sample(row) for row in found]
        if not samples:
            return
        agent = self._held.setdefault(name, _Agent())
        agent.at, agent.sample = (samples[0][1].recorded_at, samples[0][0]), samples[0][1]
        pairs = list(zip([s for _, s in samples], [s for _, s in samples[1:]], strict=False))
        changes = [_change(sample) for sample, older in pairs if _differs(sample, older)]
        if len(samples) <= SAMPLES:
            changes.append(_change(samples[-1][1]))  # the first that it ever said
        agent.changes = changes[: self._bounds.activity]

    def _add(self, doings: Iterable[Activity]) -> set[str]:
        touched = set()
        for doing in doings:
            agent = self._held.setdefault(doing.agent_id, _Agent())
            agent.doings.append(doing)
            touched.add(doing.agent_id)
        for name in touched:
            agent = self._held[name]
            agent.doings.sort(key=_newest_last, reverse=True)
            del agent.doings[self._bounds.activity :]
        return touched

    def _forget(self) -> set[str]:
        """Let go of those agents of whom nothing was heard for longest, past the bound."""
        over = len(self._held) - self._bounds.agents
        if over <= 0:
            return set()
        by_age = sorted(self._held, key=lambda name: (self._held[name].last_at(), name))
        for name in by_age[:over]:
            del self._held[name]
        return set(by_age[:over])

    def _values(self, names: Iterable[str]) -> dict[str, object]:
        values: dict[str, object] = {}
        for name in names:
            agent = self._held[name]
            status, activity = _keys(name)
            if agent.sample is not None:
                values[status] = agent.sample
            entries = sorted([*agent.changes, *agent.doings], key=_newest_last, reverse=True)
            values[activity] = tuple(entries[: self._bounds.activity])
        return values


def _keys(name: str) -> tuple[str, str]:
    return f"agents:{name}:status", f"agents:{name}:activity"


def _some(connection: Connection, name: str, after: int) -> list[_Row]:
    found = connection.execute(query(name), (after, BEHIND + 1)).fetchall()
    if len(found) > BEHIND:
        raise Behind
    return found


def _newest_last(entry: Activity) -> tuple[str, str, str]:
    return entry.at, entry.id, entry.kind


def _sample(row: _Row) -> tuple[int, AgentSample]:
    seq, *values = row
    return int(seq or 0), AgentSample(*values)  # type: ignore[arg-type]


def _differs(sample: AgentSample, older: AgentSample) -> bool:
    return (sample.status, sample.current_task) != (older.status, older.current_task)


def _change(sample: AgentSample) -> Activity:
    return Activity(
        sample.recorded_at,
        sample.agent_id,
        "status",
        sample.status,
        sample.current_task,
        sample.id,
    )


def _of_events(rows: Iterable[_Row]) -> list[Activity]:
    """An entry for whoever changed a task, and one for whoever has it."""
    return [
        Activity(str(at), name, "task", str(event), str(task), str(id))
        for id, at, event, task, assigned_to, changed_by in rows
        for name in dict.fromkeys(str(who) for who in (changed_by, assigned_to) if who)
    ]


def _of_commits(rows: Iterable[_Row]) -> list[Activity]:
    return [
        Activity(str(at), str(agent), "commit", str(short), str(message), str(id))
        for id, at, short, message, agent in rows
    ]
