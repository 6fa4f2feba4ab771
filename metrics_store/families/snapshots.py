"""Snapshots: what a status tool said of files, chunks and workers at one moment."""

from __future__ import annotations

from metrics_store.families.declaration import Dimension, Family, Keep, Measures

WORKERS = ("file_watcher", "vectorization", "indexing")

COUNTS = (
    "files_total", "files_indexed", "chunks_total", "chunks_vectorized",
    "files_updated_24h", "chunks_updated_24h",
)  # fmt: skip
#: Kept as they came; in rollups in whole thousandths, so that their sums are exact.
REALS = (
    "files_indexed_percent",
    "files_chunked_percent",
    "chunks_vectorization_percent",
    "db_size_mb",
    *(f"{worker}_progress_percent" for worker in WORKERS),
)
PROJECT_COUNTS = ("file_count", "files_indexed", "chunk_count", "vectorized_chunks")
#: Thousandths of a unit in a rollup of a real number.
SCALE = 1000

#: The log's row, or an element of its projects, as the integer that the rollups sum.
MEASURES = {
    **{name: f"row.{name}" for name in COUNTS},
    **{name: f"CAST(round(row.{name} * {SCALE}) AS INTEGER)" for name in REALS},
}
PROJECT_MEASURES = {name: f"json_extract(item.value, '$.{name}')" for name in PROJECT_COUNTS}
PROJECT_NAME = "json_extract(item.value, '$.name')"
#: The kind of the rollups of a project's number.
PROJECT_KIND = "project_{}"

_DAY = "substr(row.recorded_at, 1, 10)"

SNAPSHOTS = Family(
    name="snapshot",
    table="status_snapshots",
    moment="row.recorded_at",
    completed="0",
    failed="0",
    measure="NULL",
    dimensions=(
        Dimension("total", subject="''"),
        Dimension("total", subject="''", period=_DAY, span=False),
        Measures(tuple(MEASURES.items()), subject="''", periods=("''", _DAY)),
        Measures(
            tuple((PROJECT_KIND.format(name), sql) for name, sql in PROJECT_MEASURES.items()),
            subject=PROJECT_NAME,
            periods=("''", _DAY),
            each="projects",
        ),
    ),
    columns=(
        "id",
        "recorded_at",
        "files_total",
        "files_indexed",
        "files_indexed_percent",
        "files_chunked_percent",
        "chunks_total",
        "chunks_vectorized",
        "chunks_vectorization_percent",
        "db_size_mb",
        "files_updated_24h",
        "chunks_updated_24h",
        "file_watcher_pid",
        "file_watcher_operation",
        "file_watcher_progress_percent",
        "vectorization_pid",
        "vectorization_operation",
        "vectorization_progress_percent",
        "indexing_pid",
        "indexing_operation",
        "indexing_progress_percent",
        "indexing_current_file",
        "projects",
        "origin",
        "payload_json",
    ),
    keep=Keep(remember=True),
)
