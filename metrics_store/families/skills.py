"""Skills: one row per invocation that has ended."""

from __future__ import annotations

from metrics_store.families.declaration import Dimension, Family, Histogram, Keep

_DAY = "substr(row.invoked_at, 1, 10)"

SKILLS = Family(
    name="skill",
    table="skill_invocation",
    moment="row.invoked_at",
    completed="row.completed",
    failed="row.failed",
    measure="row.completed_us",
    dimensions=(
        Dimension("total", subject="row.skill_name"),
        Dimension(
            "hour",
            subject="row.skill_name",
            period=_DAY,
            label="substr(row.invoked_at, 12, 2)",
            span=False,
        ),
        Dimension(
            "path",
            subject="row.skill_name",
            label="row.workflow_path",
            when="row.workflow_path IS NOT NULL",
        ),
        Dimension(
            "skill",
            scope="session",
            subject="row.session_id",
            label="row.skill_name",
            when="row.session_id IS NOT NULL",
        ),
        Dimension(
            "error",
            subject="row.skill_name",
            label="row.error_type",
            when="row.error_type IS NOT NULL",
        ),
        Dimension(
            "action",
            subject="row.skill_name",
            label="item.value",
            each="follow_up_actions",
            when="row.follow_up_actions <> '[]'",
            counts_only=True,
        ),
    ),
    histogram=Histogram(subject="row.skill_name", day=_DAY),
    columns=(
        "id",
        "skill_name",
        "invoked_at",
        "ended_at",
        "workflow_path",
        "session_id",
        "project_path",
        "outcome",
        "duration_us",
        "error_type",
        "follow_up_actions",
        "origin",
        "attributes",
        "legacy",
        "schema_version",
    ),
    keep=Keep(remember=True),
    fold_trigger=True,
)
