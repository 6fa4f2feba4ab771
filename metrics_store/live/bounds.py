"""How much the picture holds at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is held in memory; what is beyond is read from the store where it is asked for.

    Args:
        agents: those whose latest sample, task event or commit is the newest.
        activity: entries of one agent.
        tasks: those whose newest event is the latest; of as many the history is held, and as many
            are current.
        history: events of one task.
        feed: commits.
        services: those that spoke last.
        alerts: open ones.
    """

    agents: int = 1000
    activity: int = 100
    tasks: int = 1000
    history: int = 100
    feed: int = 50
    services: int = 1000
    alerts: int = 1000


#: Samples of an agent that are looked through for changes of its status when it is taken in.
SAMPLES = 500
#: Task events and commits that are looked through for what agents did, at the start.
DOINGS = 5000
#: Rows that may have come between two looks; if there are more, everything is read anew.
BEHIND = 5000
