"""Heartbeats by brute force: what the definition says, moment by moment."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

Interval = tuple[int, int, str]


@dataclass(frozen=True)
class ModelBeat:
    """A heartbeat; moments and spans of time in any unit."""

    at: int
    down: bool
    grace: int
    status: str


def deciding(beats: list[ModelBeat]) -> list[ModelBeat]:
    """One heartbeat for each moment: of several the bad one, the longest grace, the last name."""
    ordered = sorted(beats, key=lambda beat: (beat.at, beat.down, beat.grace, beat.status))
    return [list(same)[-1] for _, same in groupby(ordered, key=lambda beat: beat.at)]


def state_at(beats: list[ModelBeat], at: int) -> str:
    """Up, down or silent during the unit of time that begins at a moment."""
    before = [beat for beat in deciding(beats) if beat.at <= at]
    if not before or at >= before[-1].at + before[-1].grace:
        return "silent"
    return "down" if before[-1].down else "up"


def states(beats: list[ModelBeat], start: int, end: int) -> list[str]:
    """The state in each unit of time from a start to an end."""
    return [state_at(beats, at) for at in range(start, end)]


def outages(beats: list[ModelBeat], start: int, end: int, now: int) -> list[dict[str, object]]:
    """Every time without a break of not being up that a window has some of, whole."""
    first = min((beat.at for beat in beats), default=now)
    found: list[dict[str, object]] = []
    at = first
    for state, units in groupby(states(beats, first, now), key=lambda s: s == "up"):
        length = len(list(units))
        begin, at = at, at + length
        if state or begin >= end or at <= start:
            continue
        within = states(beats, begin, at)
        # What lasts has what is being said just now, too.
        last = at if at == now else at - 1
        names = [beat.status for beat in deciding(beats) if beat.down and begin <= beat.at <= last]
        found.append(
            {
                "start": begin,
                "end": None if at == now and state_at(beats, now) != "up" else at,
                "cause": "said" if within[0] == "down" else "silent",
                "status": names[0] if names else None,
                "down": within.count("down"),
                "silent": within.count("silent"),
            }
        )
    return found


def spans(beats: list[ModelBeat]) -> list[tuple[int, int, int, bool]]:
    """Runs of heartbeats that say the same, each within the grace of the one before: the first
    one's moment, the last one's, until when that vouches, down."""
    runs: list[list[ModelBeat]] = []
    for beat in deciding(beats):
        last = runs[-1][-1] if runs else None
        if last and last.down == beat.down and beat.at <= last.at + last.grace:
            runs[-1].append(beat)
        else:
            runs.append([beat])
    return [(run[0].at, run[-1].at, run[-1].at + run[-1].grace, run[0].down) for run in runs]
