"""Whether the legacy tracker would load a file, by its own rules."""

from __future__ import annotations

from collections.abc import Mapping

from metrics_store.legacy_format.members import MEMBERS

_REQUIRED = frozenset(("skill_name", "invoked_at"))
_MEMBERS = frozenset(MEMBERS)
_TOTALS = frozenset(
    (
        "skill_name",
        "total_invocations",
        "completed_invocations",
        "abandoned_invocations",
        "total_duration_seconds",
        "workflow_paths",
        "common_errors",
        "follow_up_actions",
        "first_invoked",
        "last_invoked",
    )
)
#: Written by the tracker, and taken out again by its loader.
_DERIVED = frozenset(("completion_rate", "avg_duration_seconds"))


def refusal_of_record(value: object) -> str:
    """Why the legacy loader would drop the whole history over a record; empty if it would not.

    It calls a dataclass with the record's members: one it does not know, or a missing one of the
    two that have no default, is a TypeError.
    """
    if not isinstance(value, Mapping):
        return "it is no object"
    if unknown := set(value) - _MEMBERS:
        return f"it does not know {', '.join(sorted(map(repr, unknown)))}"
    if missing := _REQUIRED - set(value):
        return f"it lacks {', '.join(sorted(missing))}"
    return ""


def refusal_of_totals(value: object) -> str:
    """The same for the totals of one skill."""
    if not isinstance(value, Mapping):
        return "it is no object"
    if unknown := set(value) - _TOTALS - _DERIVED:
        return f"it does not know {', '.join(sorted(map(repr, unknown)))}"
    return "" if "skill_name" in value else "it lacks skill_name"
