"""Explaining compared reads that differed: looked at again, with evidence from both sides."""

from __future__ import annotations

from pathlib import Path

from metrics_store.legacy import verifying
from metrics_store.legacy.control import Control
from metrics_store.legacy.passes import printable
from metrics_store.phases.operator import Operator
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.trackers import outcome
from metrics_store.trackers.json_tracker import JsonMetricsTracker
from metrics_store.trackers.stored import numbers_of_all

_COUNTS = ("total_invocations", "completed_invocations", "abandoned_invocations")


def explain_reads(operator: Operator, there: Control) -> int:
    """Explain the open differences of reads whose cause has gone, or is known; gives how many.

    They are explained if both sides give the same numbers by now. They are, too, if the store has
    more and a full verify found that it lacks nothing: the JSON file has lost records, or its
    totals never counted them.

    Raises:
        LegacyFileError, ReadError: a side cannot be read.
    """
    store, since = operator.store(), there.epoch
    with store.database.read() as connection:
        open_ones = connection.execute(query("phases.open_reads"), (since,)).fetchone()[0]
    if not open_ones:
        return 0
    # While nobody writes: a call that is between its two sides would look like a difference.
    with operator.nobody_writes():
        because = _why(operator, there)
    if because is None:
        return 0
    values = (because, operator.now(), "compared again", since)

    def work(connection: Connection) -> int:
        return connection.execute(query("phases.explain_reads"), values).rowcount

    return store.database.write(work)


def _why(operator: Operator, there: Control) -> str | None:
    tracker = JsonMetricsTracker(
        Path(operator.json_file), on_error="raise", clock=operator.clock, zone=there.zone
    )
    found = tracker.get_all_metrics()
    # A skill without a name, or of half a character, is kept as text and has no numbers.
    named = {name: numbers for name, numbers in found.items() if name and printable(name) == name}
    in_json = outcome.plain("get_all_metrics", named)
    in_store = outcome.plain("get_all_metrics", numbers_of_all(operator.store(), there.zone))
    wrong, _ = outcome.difference("get_all_metrics", in_json, in_store, there.zone)
    if not wrong and len(named) < len(found):
        return "the JSON file has totals of a skill whose name cannot be kept as one"
    if not wrong:
        return f"resolved: both sides gave the same numbers at {operator.now()}"
    last = verifying.last(operator.store())
    if last is None or not last.clean or last.source != there.json_file:
        return None
    if not isinstance(in_json, dict) or not isinstance(in_store, dict):
        return None
    if not _has_more(in_json, in_store):
        return None
    lost = last.explained.get("only_in_store", 0)
    if lost:
        return (
            f"the JSON file has lost {lost:,} records that the store keeps (verify "
            f"{last.verify_id}); absence is not deletion"
        )
    return (
        "the JSON file's totals count less than its own records, and the store lacks none of "
        f"these (verify {last.verify_id})"
    )


def _has_more(in_json: dict[str, object], in_store: dict[str, object]) -> bool:
    for name, numbers in in_json.items():
        stored = in_store.get(name)
        if not isinstance(numbers, dict) or not isinstance(stored, dict):
            return False
        if any((stored[count] or 0) < (numbers[count] or 0) for count in _COUNTS):
            return False
    return True
