"""Writes skill_metrics.json beside this file: ten made-up weeks of a small team, as the legacy
tracker would have left them. Every run writes the same bytes.

What there is to find in it:

- test-runner takes three times as long at the end as at the beginning;
- every dependency-upgrade from 21 to 23 October failed: the registry was down;
- work happens between 8 and 19 h, dips at noon, and hardly at all at weekends;
- code-review and session-start have totals from before the log was trimmed;
- three invocations never finished, two keys (skill, moment, path) occur twice;
- one record has a key that legacy does not know, and one, added by hand, a duration in words.
"""

from __future__ import annotations

import json
import random
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

FIRST_DAY = date(2026, 9, 7)
DAYS = 70
OUTAGE = range((date(2026, 10, 21) - FIRST_DAY).days, (date(2026, 10, 23) - FIRST_DAY).days + 1)
PER_WEEKDAY, PER_WEEKEND_DAY = 24, 2
HOURS = {8: 3, 9: 9, 10: 12, 11: 9, 12: 3, 13: 5, 14: 9, 15: 11, 16: 8, 17: 5, 18: 2, 19: 1}
ACTIONS = ["run tests", "git commit", "git push", "open PR", "edit file", "ask user"]

Record = dict[str, Any]
Totals = dict[str, Any]


class Skill(NamedTuple):
    weight: int
    seconds: float
    failing: float
    paths: list[str | None]
    errors: list[str | None]


SKILLS = {
    "session-start": Skill(20, 4, 0.01, [None], ["TimeoutError"]),
    "session-end": Skill(10, 8, 0.01, [None], [None]),
    "code-review": Skill(17, 240, 0.08, ["quick", "security", "full"], ["TimeoutError", None]),
    "test-runner": Skill(18, 42, 0.07, ["unit", "integration"], ["AssertionError"]),
    "git-commit-helper": Skill(14, 12, 0.03, [None, "amend"], ["CalledProcessError"]),
    "docs-writer": Skill(8, 180, 0.05, ["api", "guide"], ["ValueError", None]),
    "refactor-module": Skill(6, 520, 0.25, ["extract", "rename"], ["AssertionError", None]),
    "dependency-upgrade": Skill(9, 300, 0.10, ["minor", "major"], ["ResolutionError"]),
    "release-notes": Skill(4, 60, 0.02, [None, "draft"], ["KeyError"]),
}


def invocation(chance: random.Random, name: str, at: datetime, day: int) -> Record:
    """One finished invocation on the given day (0 is the first) of the sample."""
    skill = SKILLS[name]
    down = name == "dependency-upgrade" and day in OUTAGE
    failed = down or chance.random() < skill.failing
    typical = skill.seconds
    if name == "test-runner":
        typical *= 1 + 2 * day / DAYS
    if down:
        typical = 31
    # Two factors make a skewed spread around the typical duration, as real ones have.
    seconds = typical * (0.6 + 0.8 * chance.random()) * (0.8 + 0.6 * chance.random() ** 3)
    actions = [action for action in ACTIONS if chance.random() < 0.15]
    error = "ConnectionError" if down else chance.choice(skill.errors)
    return {
        "skill_name": name,
        "invoked_at": at.isoformat(),
        "workflow_path": chance.choice(skill.paths),
        "completed": not failed,
        "duration_seconds": round(seconds, 6),
        "follow_up_actions": [] if failed else actions,
        "error_type": error if failed else None,
    }


def moment(chance: random.Random, day: int) -> datetime:
    hour = chance.choices(list(HOURS), list(HOURS.values()))[0]
    midnight = datetime.combine(FIRST_DAY + timedelta(days=day), datetime.min.time())
    return midnight + timedelta(hours=hour, microseconds=chance.randrange(3_600_000_000))


def ten_weeks(chance: random.Random) -> list[Record]:
    records = []
    names, weights = list(SKILLS), [skill.weight for skill in SKILLS.values()]
    for day in range(DAYS):
        weekend = day % 7 >= 5
        usual = PER_WEEKEND_DAY if weekend else PER_WEEKDAY
        count = max(1, usual + chance.randrange(-usual // 4, usual // 4 + 1))
        for at in sorted(moment(chance, day) for _ in range(count)):
            # An outage is retried: more of the same skill than on other days.
            again = day in OUTAGE and chance.random() < 0.2
            name = "dependency-upgrade" if again else chance.choices(names, weights)[0]
            records.append(invocation(chance, name, at, day))
    return records


def add_oddities(records: list[Record]) -> None:
    """What real files have besides: unfinished ones, twins, and a key nobody planned."""
    for index in (412, 798, len(records) - 1):
        records[index] |= {"completed": False, "duration_seconds": None}
        records[index] |= {"follow_up_actions": [], "error_type": None}
    for index in (905, 233):
        records.insert(index + 1, dict(records[index]))
    records[906]["duration_seconds"] += 1.5
    records[640]["model"] = "local-test"


def mistaken(records: list[Record]) -> Record:
    """Typed in by hand, so it is in no total."""
    at = (datetime.fromisoformat(records[-1]["invoked_at"]) + timedelta(minutes=5)).isoformat()
    return records[0] | {"invoked_at": at, "duration_seconds": "about a minute"}


def count(totals: Totals, key: str, value: str | None) -> None:
    if value:
        totals[key][value] = totals[key].get(value, 0) + 1


def empty_totals(name: str) -> Totals:
    return {
        "skill_name": name,
        "total_invocations": 0,
        "completed_invocations": 0,
        "abandoned_invocations": 0,
        "total_duration_seconds": 0.0,
        "workflow_paths": {},
        "common_errors": {},
        "follow_up_actions": {},
        "first_invoked": None,
        "last_invoked": None,
    }


def add_to(totals: Totals, record: Record) -> None:
    """The legacy rules: only the completed ones bring a duration."""
    totals["total_invocations"] += 1
    if record["completed"]:
        totals["completed_invocations"] += 1
        totals["total_duration_seconds"] += record["duration_seconds"]
    else:
        totals["abandoned_invocations"] += 1
    count(totals, "workflow_paths", record["workflow_path"])
    count(totals, "common_errors", record["error_type"])
    for action in record["follow_up_actions"]:
        count(totals, "follow_up_actions", action)
    totals["first_invoked"] = totals["first_invoked"] or record["invoked_at"]
    totals["last_invoked"] = record["invoked_at"]


def pruned_past(chance: random.Random) -> list[Record]:
    """What two skills did in the five weeks before: in the totals, no longer in the log."""
    past: list[Record] = []
    for name, often in (("code-review", 90), ("session-start", 60)):
        moments = sorted(moment(chance, -1 - chance.randrange(35)) for _ in range(often))
        past.extend(invocation(chance, name, at, 0) for at in moments)
    return past


def skill_totals(records: list[Record]) -> dict[str, Totals]:
    skills: dict[str, Totals] = {}
    for record in records:
        if record["duration_seconds"] is not None:
            name = record["skill_name"]
            add_to(skills.setdefault(name, empty_totals(name)), record)
    for totals in skills.values():
        completed, total = totals["completed_invocations"], totals["total_invocations"]
        totals["completion_rate"] = completed / total * 100
        totals["avg_duration_seconds"] = (
            totals["total_duration_seconds"] / completed if completed else 0.0
        )
    return skills


def sample() -> dict[str, Any]:
    chance = random.Random(20261115)
    records = ten_weeks(chance)
    add_oddities(records)
    skills = skill_totals(pruned_past(chance) + records)
    last = datetime.fromisoformat(records[-1]["invoked_at"]) + timedelta(seconds=40)
    return {
        "invocations": [*records, mistaken(records)],
        "skills": skills,
        "last_updated": last.isoformat(),
    }


if __name__ == "__main__":
    beside = Path(__file__).with_name("skill_metrics.json")
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else beside
    target.write_text(json.dumps(sample(), indent=2), encoding="utf-8")
