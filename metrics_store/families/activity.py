"""Activity: what became of tasks, and the commits that agents and people made."""

from __future__ import annotations

from metrics_store.families.declaration import Dimension, Family, Keep, Measures

_DAY = "substr(row.recorded_at, 1, 10)"
_COMMIT_DAY = "substr(row.commit_timestamp, 1, 10)"
_AUTHOR = "ifnull(row.agent_id, '')"

EVENT_TYPES = ("created", "updated", "completed", "blocked", "assigned")
#: What is summed of each commit: the kind of its daily rollup, and its column.
COMMIT_MEASURES = {
    "files": "files_changed",
    "added": "lines_added",
    "deleted": "lines_deleted",
}

TASKS = Family(
    name="task",
    table="task_events",
    moment="row.recorded_at",
    completed="row.event_type = 'completed'",
    failed="row.event_type = 'blocked'",
    measure="NULL",
    dimensions=(
        Dimension("type", subject="row.event_type", counts_only=True),
        Dimension("type", subject="row.event_type", period=_DAY, counts_only=True),
        Dimension(
            "assignee",
            subject="row.assigned_to",
            period=_DAY,
            label="row.event_type",
            when="row.assigned_to <> ''",
            counts_only=True,
        ),
    ),
    columns=(
        "id",
        "task_id",
        "recorded_at",
        "event_type",
        "previous_status",
        "new_status",
        "assigned_to",
        "changed_by",
        "details",
    ),
    keep=Keep(newest_of="row.task_id", remember=True),
)

#: A commit of nobody's agent has the subject ``''``.
COMMITS = Family(
    name="commit",
    table="git_commits",
    moment="row.commit_timestamp",
    completed="1",
    failed="0",
    measure="row.lines_added",
    dimensions=(
        Dimension("total", subject=_AUTHOR),
        Dimension("day", subject=_AUTHOR, period=_COMMIT_DAY, counts_only=True),
        Measures(
            tuple((kind, f"row.{column}") for kind, column in COMMIT_MEASURES.items()),
            _AUTHOR,
            (_COMMIT_DAY,),
        ),
    ),
    columns=(
        "commit_hash",
        "short_hash",
        "agent_id",
        "author",
        "message",
        "branch",
        "files_changed",
        "lines_added",
        "lines_deleted",
        "commit_timestamp",
        "recorded_at",
        "repository",
    ),
    keep=Keep(remember=True),
)
