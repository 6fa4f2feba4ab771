"""What has to be so before the next phase may begin."""

from __future__ import annotations

import os
from dataclasses import dataclass

from metrics_store import clock
from metrics_store.errors import MetricsStoreError
from metrics_store.legacy import spill, verifying
from metrics_store.legacy.control import Control, Phase
from metrics_store.phases import doctor, fingerprints
from metrics_store.phases.operator import Operator
from metrics_store.results import Result
from metrics_store.sql import query
from metrics_store.trackers.outcome import ORDER_OF_ENDS


@dataclass(frozen=True, slots=True)
class Requirement(Result):
    """One thing that a gate asks for.

    Args:
        name: a short fixed word.
        met: whether it is so.
        detail: what there is, and what is asked for.
        todo: what to type or to do; empty if it is met.
    """

    name: str
    met: bool
    detail: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Reads(Result):
    """Compared reads of a phase.

    Args:
        matched, mismatched, ignored: how many.
        reasons: how many were ignored for which reason.
        json_ms, store_ms: mean time of each side's answer, milliseconds; None without any.
    """

    matched: int
    mismatched: int
    ignored: int
    reasons: dict[str, int]
    json_ms: float | None
    store_ms: float | None


def requirements(operator: Operator, there: Control) -> tuple[Requirement, ...]:
    """What the gate out of the present phase asks for."""
    match there.phase:
        case Phase.LEGACY:
            return _healthy(operator, there)
        case Phase.DUAL_WRITE:
            return (_no_spill(operator), _backfilled(operator, there))
        case Phase.SHADOW:
            return (_no_spill(operator), *_agreeing(operator, there))
        case Phase.DUAL_READ:
            return (
                _no_spill(operator),
                _verified(operator, there),
                _rehearsed(there),
                _no_open_reads(operator, there),
            )
        case Phase.DATABASE:
            return (_no_spill(operator), _no_zombies(there), _soaked(operator, there))
        case Phase.COMPLETE:
            return (_no_spill(operator), _no_zombies(there))


def reads(operator: Operator, epoch: int) -> Reads:
    """The compared reads of an epoch, added up."""
    with operator.store().database.read() as connection:
        rows = connection.execute(query("phases.reads"), (epoch,)).fetchall()
    counts = {"matched": 0, "mismatched": 0, "ignored": 0}
    reasons: dict[str, int] = {}
    json_us = store_us = 0
    for _, outcome, reason, n, in_json, _, in_store, _, _, _ in rows:
        counts[outcome] += n
        json_us, store_us = json_us + in_json, store_us + in_store
        if outcome == "ignored":
            reasons[reason] = reasons.get(reason, 0) + n
    n = sum(counts.values())
    return Reads(
        counts["matched"],
        counts["mismatched"],
        counts["ignored"],
        reasons,
        json_us / n / 1000 if n else None,
        store_us / n / 1000 if n else None,
    )


def _healthy(operator: Operator, there: Control) -> tuple[Requirement, ...]:
    diagnosis = doctor.examine(operator, there.zone)
    return tuple(
        Requirement(
            finding.name,
            finding.verdict != "error",
            finding.detail,
            "" if finding.verdict != "error" else finding.hint,
        )
        for finding in diagnosis.findings
    )


def _no_spill(operator: Operator) -> Requirement:
    try:
        waiting = spill.contents(operator.json_file)
    except MetricsStoreError as error:
        return Requirement("spill", False, str(error), error.hint)
    n = len(waiting)
    waits = "waits" if n == 1 else "wait"
    detail = (
        f"{counted(n, 'record')} {waits} for the store" if n else "no record waits for the store"
    )
    if waiting.damaged:
        detail += f", {counted(len(waiting.damaged), 'line')} of it cannot be read"
    todo = "metrics-store legacy reconcile --to db --execute"
    return Requirement("spill", not n, detail, todo if n else "")


def _backfilled(operator: Operator, there: Control) -> Requirement:
    todo = "metrics-store legacy backfill"
    done = [
        step
        for step in operator.steps(there)
        if (step.command, step.step, step.epoch) == ("backfill", "second_pass", there.epoch)
    ]
    if not done:
        return Requirement("backfill", False, "none since this phase began", todo)
    last = done[-1]
    found = last.detail
    detail = (
        f"{last.done_at}: {found['read']:,} read = {found['inserted']:,} inserted + "
        f"{found['matched']:,} matched + {found['upgraded']:,} upgraded + "
        f"{found['quarantined']:,} kept as text; a second pass inserted {found['second']:,}"
    )
    met = bool(found["conserved"] and found["second"] == 0 and found["clean"])
    if not found["clean"]:
        detail += "; its comparison found differences"
    return Requirement("backfill", met, detail, "" if met else todo)


def _agreeing(operator: Operator, there: Control) -> tuple[Requirement, ...]:
    found, wanted = reads(operator, there.epoch), there.gates.shadow_reads
    # A read that was ignored because the store was behind proves nothing.
    n = found.matched + found.reasons.get(ORDER_OF_ENDS, 0)
    with operator.store().database.read() as connection:
        n += connection.execute(query("phases.explained_reads"), (there.epoch,)).fetchone()[0]
    detail = (
        f"{n:,} of {wanted:,} compared reads without an unexplained difference "
        f"({found.matched:,} matched, {found.ignored:,} ignored, {found.mismatched:,} mismatched)"
    )
    todo = "Let runners read their numbers through open_tracker; each read counts."
    met = n >= wanted
    return (
        _no_open_reads(operator, there),
        Requirement("shadow reads", met, detail, "" if met else todo),
    )


def _no_open_reads(operator: Operator, there: Control) -> Requirement:
    since = there.epoch
    with operator.store().database.read() as connection:
        n = connection.execute(query("phases.open_reads"), (since,)).fetchone()[0]
    detail = f"{counted(n, 'difference')} of compared reads that nobody has explained"
    last = verifying.last(operator.store())
    verified = last is not None and (last.finished_at or "") >= there.entered_at
    # A verify is the evidence that most of them can be explained by, at the next advance.
    todo = f"metrics-store legacy {'diff explain --all' if verified else 'verify'}"
    return Requirement("mismatches", not n, detail, todo if n else "")


def _verified(operator: Operator, there: Control) -> Requirement:
    todo = "metrics-store legacy verify"
    last = verifying.last(operator.store())
    if last is None or last.finished_at is None:
        return Requirement("verify", False, "none was finished", todo)
    age = (operator.clock.now_us() - clock.parse(last.finished_at)) / clock.MICROSECONDS
    detail = (
        f"{last.finished_at}: {last.compared:,} compared, {last.equal:,} equal, "
        f"{sum(last.explained.values()):,} explained, "
        f"{sum(last.unexplained.values()):,} unexplained"
    )
    if last.source != there.json_file:
        return Requirement("verify", False, f"the last one was of {last.source}", todo)
    if not last.clean:
        return Requirement("verify", False, detail, "metrics-store legacy diff list --open")
    if not 0 <= age <= there.gates.max_verify_age:
        old = f"; that is older than {span(there.gates.max_verify_age)}"
        return Requirement("verify", False, detail + old, todo)
    return Requirement("verify", True, detail)


def _rehearsed(there: Control) -> Requirement:
    if there.rehearsed == there.epoch:
        return Requirement("rehearsal", True, "the way back was rehearsed in this phase")
    todo = "metrics-store legacy rollback --rehearse"
    return Requirement("rehearsal", False, "the way back was not rehearsed in this phase", todo)


def _soaked(operator: Operator, there: Control) -> Requirement:
    since = (operator.clock.now_us() - clock.parse(there.entered_at)) / clock.MICROSECONDS
    left = there.gates.soak - since
    if left <= 0:
        return Requirement("soak", True, f"{span(since)} in this phase")
    detail = f"{span(max(0.0, since))} in this phase, {span(there.gates.soak)} asked for"
    return Requirement("soak", False, detail, f"Wait another {span(left)}.")


def _no_zombies(there: Control) -> Requirement:
    path = there.json_file
    if not os.path.exists(path):
        return Requirement("zombies", True, "the JSON file is not there")
    if fingerprints.has_changed(path, there.json_seen):
        detail = "somebody wrote to the JSON file after the store took over"
        todo = "Find and stop that process, then: metrics-store legacy harvest"
        return Requirement("zombies", False, detail, todo)
    return Requirement("zombies", True, "nobody writes to the JSON file any more")


def counted(n: int, noun: str) -> str:
    """A number of things: ``1 record``, ``1,237 records``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def span(seconds: float) -> str:
    """A length of time for people: its two largest units."""
    left = round(seconds)
    parts: list[str] = []
    for name, length in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        n, left = divmod(left, length)
        if n or (name == "s" and not parts):
            parts.append(f"{n} {name}")
    return " ".join(parts[:2])
