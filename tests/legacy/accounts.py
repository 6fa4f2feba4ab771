"""The reckoning after a campaign: what was acknowledged, what was read, and what the store has.

What has to be so:

- A call is in the store once or, if nobody was told that it was recorded, not at all; never twice,
  never as another, and nothing is in the store that nobody called.
- Acknowledged means that the completer returned. Through ``open_tracker`` such a call is in the
  store. There is one exception: a call that ended in the phase ``legacy`` is in the JSON file alone
  and, as long as there are plain legacy trackers, these may erase it before anything of ours reads
  it. For the same reason a call through JsonMetricsTracker, which knows no phases, has to be there
  only where there are no legacy trackers. What was erased so is counted.
- Whatever a pass of the store has read is in the store: every record of every copy of the JSON file
  that a finished pass was over (by its hash), that a cutover looked at while nobody wrote, or that
  was put by before the file was replaced or archived. A record that ended is there with the same
  content; of one that was pending, there is a row that may have gone on to end. Per key and per
  content there are at least as many rows as in any one copy; and of the first file's records, which
  nobody makes more of, not one more.
- What cannot be a row is kept as text.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

from checking import problems
from operating import Place

from metrics_store import sqlite
from metrics_store.legacy import control, spill
from metrics_store.legacy.control import Phase

Json = Mapping[str, object]
_MICROSECOND = timedelta(microseconds=1)


class Said(NamedTuple):
    """What a record or a row says, by which the two are compared."""

    skill: str
    invoked_us: int
    path: str | None
    completed: bool
    duration_us: int | None
    error: str | None
    actions: tuple[str, ...]

    @property
    def key(self) -> tuple[str, int, str | None]:
        """What tells records apart."""
        return self.skill, self.invoked_us, self.path

    @property
    def is_pending(self) -> bool:
        """Whether it says nothing of an end."""
        return not (self.completed or self.duration_us is not None or self.error or self.actions)


@dataclass
class Accounts:
    """What the reckoning came to.

    Args:
        wrong: everything that is not as it has to be.
        acknowledged: calls by kind of runner.
        erased: acknowledged calls that a legacy tracker erased before they were read.
        rows, inflight: of the store.
        copies: that were compared.
        records: different records in them.
    """

    wrong: list[str] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    erased: int = 0
    rows: int = 0
    inflight: int = 0
    copies: int = 0
    records: int = 0
    changes: int = 0
    harvested: int = 0
    spilled: int = 0


class Books:
    """The store's rows, read once, after everybody has gone."""

    def __init__(self, place: Place) -> None:
        db = sqlite.connect(str(place.db), read_only=True)
        try:
            self.log = [_of_row(row) for row in db.execute(_ROWS)]
            self.inflight = [
                _of_row(row)
                for row in db.execute(
                    "SELECT skill_name, invoked_at, workflow_path, NULL, NULL, NULL, '[]' "
                    "FROM skill_inflight"
                )
            ]
            self.texts = [raw for (raw,) in db.execute("SELECT raw FROM legacy_quarantine")]
            self.passes = [
                sha
                for (sha,) in db.execute(
                    # Parts of a file are in the copy that a cutover looked at.
                    "SELECT sha256 FROM legacy_pass WHERE finished_at IS NOT NULL "
                    "AND copy_path NOT LIKE '%/part.json'"
                )
            ]
            steps = db.execute("SELECT command, step, detail FROM legacy_step").fetchall()
        finally:
            db.close()
        self.steps = [(command, step, json.loads(detail)) for command, step, detail in steps]


_ROWS = (
    "SELECT skill_name, invoked_at, workflow_path, outcome, duration_us, error_type, "
    "follow_up_actions FROM skill_invocation"
)


def audit(
    place: Place, notes: list[dict[str, object]], first: Path, *, with_legacy: bool, phase: Phase
) -> Accounts:
    """Reckon up a migration that has come to rest.

    Args:
        notes: of the runners.
        first: the legacy file as it was in the beginning.
        with_legacy: whether plain legacy trackers were at work.
        phase: in which it has to be.
    """
    found, books = Accounts(), Books(place)
    found.rows, found.inflight = len(books.log), len(books.inflight)
    found.wrong += problems(place.db)
    found.wrong += _control(place, phase, found)
    found.wrong += _runners(notes, with_legacy)
    found.wrong += _calls(books, notes, first, with_legacy, found)
    found.wrong += _copies(place, books, first, found)
    for _, step, detail in books.steps:
        found.spilled += int(detail.get("taken") or 0) if step == "spill" else 0
        if "alarm" in detail:
            found.harvested += detail["inserted"] + detail["upgraded"] + detail["quarantined"]
    return found


def _control(place: Place, phase: Phase, found: Accounts) -> Iterator[str]:
    there = control.read(place.json_file)
    if there is None:
        yield "the control file is gone"
        return
    found.changes = len(there.changes)
    if there.phase is not phase or there.intent is not None:
        yield f"it is in {there.phase}, with {there.intent}, and has to be in {phase}"
    left = spill.contents(place.json_file)
    if len(left):
        yield f"the spill holds {left}"[:1000]


def _runners(notes: list[dict[str, object]], with_legacy: bool) -> Iterator[str]:
    for note in notes:
        if note["event"] == "failed":
            yield f"{note['file']}: {note['text']}"
        elif note["event"] in ("refused", "unread") and not with_legacy:
            yield f"{note['file']}, {note['event']}: {note['error']}"


# Calls -------------------------------------------------------------------------------------------


def _calls(
    books: Books,
    notes: list[dict[str, object]],
    first: Path,
    with_legacy: bool,
    found: Accounts,
) -> Iterator[str]:
    begun = {note["token"]: note for note in notes if note["event"] == "begun"}
    ended = Counter(said.path for said in books.log)
    in_all = ended + Counter(said.path for said in books.inflight)
    old = {record.get("workflow_path") for record in _records(first)}
    for path, n in in_all.items():
        if path in old:
            continue
        if path not in begun:
            yield f"nobody called {path!r}"
        elif n > 1:
            yield f"{path} is there {n} times"
    for said in books.log:
        if (note := begun.get(said.path)) is not None:
            yield from _differs(said, note)
    for note in notes:
        if note["event"] != "ended":
            continue
        token, kind = note["token"], str(note["kind"])
        found.acknowledged[kind] += 1
        if not ended[token]:  # type: ignore[index]
            phases = note["phases"]
            if with_legacy and (kind in ("json", "plain") or "legacy" in str(phases)):
                found.erased += 1
            else:
                yield f"{token} of {kind} was acknowledged in {phases} and is not in the log"


def _differs(said: Said, note: Json) -> Iterator[str]:
    seconds, actions = note.get("duration_seconds"), note["follow_up_actions"]
    done = tuple(actions) if isinstance(actions, list) else ()
    called = (note["skill"], note["completed"], note["error_type"], done)
    if (said.skill, said.completed, said.error, said.actions) != called:
        yield f"{note['token']} ended as {called}, and the store has {said}"
    if seconds is not None and said.duration_us != round(float(str(seconds)) * 1e6):
        yield f"{note['token']} lasted {seconds}, and the store has {said.duration_us}"


# Copies ------------------------------------------------------------------------------------------


def read_copies(place: Place, books: Books) -> dict[str, list[Json]]:
    """The records of every copy that the store has to have, by the copy's name."""
    wanted = {f"{sha}.json" for sha in books.passes}
    for command, step, detail in books.steps:
        if (command, step) in (("cutover", "sync_rest"), ("cutover", "commit")):
            wanted.add(f"{detail['sha256']}.json")
    files = [place.copies / name for name in sorted(wanted)]
    backups = Path(f"{place.db}.legacy") / "backups"
    files += [*backups.glob("before-r*.json"), *place.folder.glob("*.archived-*")]
    return {file.name: _records(file) for file in files}


def _copies(place: Place, books: Books, first: Path, found: Accounts) -> Iterator[str]:
    log, inflight = Counter(books.log), Counter(books.inflight)
    keys = Counter(said.key for said in (log + inflight).elements())
    texts = Counter(_canonical(text) for text in books.texts)
    seen: set[object] = set()
    copies = read_copies(place, books)
    for name, records in copies.items():
        told, odd = _told(records, place.zone)
        seen |= set(told)
        for said, n in told.items():
            if not said.is_pending and log[said] < n:
                yield f"{name} has {said} {n} times, the store {log[said]} times"
        for key, n in Counter(said.key for said in told.elements()).items():
            if keys[key] < n:
                yield f"{name} has {key} {n} times, the store {keys[key]} times"
        for text, n in odd.items():
            if texts[text] < n:
                yield f"{name} has {text}, which is not kept"
    found.copies, found.records = len(copies), len(seen)
    told, _ = _told(_records(first), place.zone)
    for said, n in told.items():
        if (log + inflight)[said] > n:
            yield f"of {said}, {n} times in the first file, there are {(log + inflight)[said]}"


def _told(records: Iterable[Json], zone: str) -> tuple[Counter[Said], Counter[str]]:
    """What records say; and the texts of those that cannot be a row."""
    told: Counter[Said] = Counter()
    odd: Counter[str] = Counter()
    for record in records:
        if record["skill_name"]:
            told[_of_record(record, zone)] += 1
        else:
            odd[_canonical(json.dumps(record))] += 1
    return told, odd


def _records(file: Path) -> list[Json]:
    """The records of a legacy file; none if it is torn, for a plain tracker may leave it so."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return []
    return list(found.get("invocations", []))


def _of_record(record: Json, zone: str) -> Said:
    moment = datetime.fromisoformat(str(record["invoked_at"]))
    moment = moment.replace(tzinfo=moment.tzinfo or ZoneInfo(zone))
    seconds, path = record["duration_seconds"], record["workflow_path"]
    return Said(
        str(record["skill_name"]),
        _us(moment),
        None if path is None else str(path),
        bool(record["completed"]),
        None if seconds is None else round(float(str(seconds)) * 1e6),
        None if record["error_type"] is None else str(record["error_type"]),
        tuple(record["follow_up_actions"] or ()),  # type: ignore[arg-type]
    )


def _of_row(row: tuple[object, ...]) -> Said:
    skill, at, path, outcome, duration_us, error, actions = row
    moment = datetime.fromisoformat(str(at).replace("Z", "+00:00"))
    return Said(
        str(skill),
        _us(moment),
        None if path is None else str(path),
        outcome == "completed",
        None if duration_us is None else int(str(duration_us)),
        None if error is None else str(error),
        tuple(json.loads(str(actions))),
    )


def _us(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND


def _canonical(text: str) -> str:
    try:
        return json.dumps(json.loads(text), sort_keys=True)
    except ValueError:
        return text  # the end of a torn copy, kept as it was
