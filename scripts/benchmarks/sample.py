"""Random data with the shape of real use, the same for the same seed.

Skills are unequally popular and a session keeps to a few of them; durations are log-normal; a run
in ten fails; each skill has a few workflow paths; up to three things are done next.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import accumulate

from metrics_store import clock, rows
from metrics_store.rows import Row

_WORDS = ("session", "crackerjack", "code", "test", "docs", "data", "deploy", "review")
_VERBS = ("start", "run", "checkpoint", "search", "repair")
_PATHS = ("quick", "comprehensive", "daily", "full", "fallback/retry", "plan/apply")
_ACTIONS = (
    "git commit", "git push", "open PR", "run tests", "edit file", "ask user", "continue",
    'write "notes"',
)  # fmt: skip
_ERRORS = ("TimeoutError", "ValueError", "ConnectionError", "KeyError: 'a.b'", "CalledProcessError")
#: 2025-01-01T00:00:00Z
START_US = 1_735_689_600_000_000
_PER_SESSION = 50
_PER_SESSION_SKILLS = 8


class Sample:
    """An endless stream of invocations, in the order of their time.

    Args:
        seed: of the random numbers.
        skills: how many there are.
        step_us: mean microseconds from one to the next.
        start_us: the first one's moment, microseconds since 1970.
    """

    def __init__(
        self, seed: int, skills: int = 20, step_us: int = 90_000_000, start_us: int = START_US
    ) -> None:
        self._random = random.Random(seed)
        self.skills = skill_names(skills)
        self._popularity = list(accumulate((n + 1) ** -0.7 for n in range(skills)))
        self._medians = [self._random.uniform(0.0, 5.0) for _ in range(skills)]
        self._paths = [
            [None, *self._random.sample(_PATHS, self._random.randint(1, 5))] for _ in range(skills)
        ]
        self._step_us = step_us
        self.now_us = start_us
        self._in_session = 0
        self._session = ""
        self._project = ""
        self._of_session: Sequence[int] = ()

    def records(self, count: int) -> list[dict[str, object]]:
        """The next ones, as ``record_invocations`` takes them."""
        return [self._next(moment=True) for _ in range(count)]

    def fields(self, count: int) -> list[dict[str, object]]:
        """The next ones without a moment: the arguments of ``record_invocation`` for just now."""
        return [self._next(moment=False) for _ in range(count)]

    def rows(self, count: int) -> Iterator[Row]:
        """The next ones, as the log has them."""
        for _ in range(count):
            yield row(self._next(moment=False), self.now_us)

    def _next(self, *, moment: bool) -> dict[str, object]:
        source = self._random
        if self._in_session == 0:
            self._begin_session()
        self._in_session -= 1
        self.now_us += round(source.expovariate(1.0) * self._step_us) + 1
        skill = source.choice(self._of_session)
        failed = source.random() < 0.1
        duration = math.exp(source.gauss(self._medians[skill], 0.8))
        record: dict[str, object] = {
            "skill_name": self.skills[skill],
            "completed": not failed,
            "duration_seconds": round(duration, 6),
            "workflow_path": source.choice(self._paths[skill]),
            "session_id": self._session,
            "project_path": self._project,
            "follow_up_actions": source.sample(_ACTIONS, source.randrange(4)),
            "error_type": source.choice(_ERRORS) if failed else None,
        }
        if moment:
            record["invoked_at"] = clock.to_datetime(self.now_us)
        return record

    def _begin_session(self) -> None:
        source = self._random
        self._in_session = 1 + round(source.expovariate(1 / _PER_SESSION))
        self._session = f"session-{source.getrandbits(48):012x}"
        self._project = f"/home/someone/projects/{source.choice(_WORDS)}-{source.randrange(10)}"
        everything = range(len(self.skills))
        self._of_session = source.choices(
            everything, cum_weights=self._popularity, k=_PER_SESSION_SKILLS
        )


def skill_names(count: int) -> list[str]:
    """Names such as ``code-review`` and ``code-review-3``."""
    plain = [f"{word}-{verb}" for verb in _VERBS for word in _WORDS]
    turns, left = divmod(count, len(plain))
    names = [name if turn == 0 else f"{name}-{turn}" for turn in range(turns) for name in plain]
    return names + [name if turns == 0 else f"{name}-{turns}" for name in plain[:left]]


def row(fields: dict[str, object], invoked_us: int) -> Row:
    """The log row of such a record at a moment."""
    lasted = rows.duration_us(fields["duration_seconds"])  # type: ignore[arg-type]
    return rows.row(
        clock.new_id(invoked_us),
        str(fields["skill_name"]),
        invoked_us,
        invoked_us + (lasted or 0),
        fields["workflow_path"],  # type: ignore[arg-type]
        fields["session_id"],  # type: ignore[arg-type]
        fields["project_path"],  # type: ignore[arg-type]
        "completed" if fields["completed"] else "failed",
        lasted,
        fields["error_type"],  # type: ignore[arg-type]
        rows.actions_text(fields["follow_up_actions"]),
        "live",
        None,
    )


def legacy_record(record: dict[str, object]) -> dict[str, object]:
    """The same as the legacy tracker would write it, with naive moments."""
    moment = record["invoked_at"]
    return {
        "skill_name": record["skill_name"],
        "invoked_at": str(moment.replace(tzinfo=None).isoformat()),  # type: ignore[attr-defined]
        "workflow_path": record["workflow_path"],
        "completed": record["completed"],
        "duration_seconds": record["duration_seconds"],
        "follow_up_actions": record["follow_up_actions"],
        "error_type": record["error_type"],
    }


def span(count: int) -> int:
    """The step that spreads so many over 365 days."""
    return max(1, timedelta(days=365) // timedelta(microseconds=1) // count)
