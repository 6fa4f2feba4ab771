"""Under which names a status tool may say what a snapshot keeps."""

from __future__ import annotations

from typing import Literal, NamedTuple

from metrics_store.families.snapshots import PROJECT_COUNTS, WORKERS

Kind = Literal["count", "percent", "size", "pid", "text"]


class Field(NamedTuple):
    """A number or word of a snapshot.

    Args:
        name: the column.
        kind: what it may hold.
        names: under which it is looked for, in this order; a dot leads into an object.
    """

    name: str
    kind: Kind
    names: tuple[str, ...]


#: When the snapshot was taken.
MOMENT = ("recorded_at", "timestamp", "ts")

#: The names are written out, so that they can be searched for.
WORKER_FIELDS = {
    "file_watcher": (
        Field(
            "file_watcher_pid", "pid", ("file_watcher_pid", "workers.file_watcher.pid", "fw_pid")
        ),
        Field(
            "file_watcher_operation",
            "text",
            (
                "file_watcher_operation",
                "workers.file_watcher.operation",
                "workers.file_watcher.op",
                "fw_op",
            ),
        ),
        Field(
            "file_watcher_progress_percent",
            "percent",
            (
                "file_watcher_progress_percent",
                "workers.file_watcher.progress_percent",
                "workers.file_watcher.progress",
                "fw_progress",
                "fw_pct",
            ),
        ),
    ),
    "vectorization": (
        Field(
            "vectorization_pid",
            "pid",
            ("vectorization_pid", "workers.vectorization.pid", "vec_pid"),
        ),
        Field(
            "vectorization_operation",
            "text",
            (
                "vectorization_operation",
                "workers.vectorization.operation",
                "workers.vectorization.op",
                "vec_op",
            ),
        ),
        Field(
            "vectorization_progress_percent",
            "percent",
            (
                "vectorization_progress_percent",
                "workers.vectorization.progress_percent",
                "workers.vectorization.progress",
                "vec_progress",
                "vec_pct",
            ),
        ),
    ),
    "indexing": (
        Field("indexing_pid", "pid", ("indexing_pid", "workers.indexing.pid", "idx_pid")),
        Field(
            "indexing_operation",
            "text",
            ("indexing_operation", "workers.indexing.operation", "workers.indexing.op", "idx_op"),
        ),
        Field(
            "indexing_progress_percent",
            "percent",
            (
                "indexing_progress_percent",
                "workers.indexing.progress_percent",
                "workers.indexing.progress",
                "idx_progress",
                "idx_pct",
            ),
        ),
        Field(
            "indexing_current_file",
            "text",
            ("indexing_current_file", "workers.indexing.current_file", "idx_file"),
        ),
    ),
}
STATUS = (
    Field("files_total", "count", ("files_total", "files.total")),
    Field("files_indexed", "count", ("files_indexed", "files.indexed")),
    Field("files_indexed_percent", "percent", ("files_indexed_percent", "files.indexed_percent")),
    Field("files_chunked_percent", "percent", ("files_chunked_percent", "files.chunked_percent")),
    Field("chunks_total", "count", ("chunks_total", "chunks.total")),
    Field("chunks_vectorized", "count", ("chunks_vectorized", "chunks.vectorized")),
    Field(
        "chunks_vectorization_percent",
        "percent",
        (
            "chunks_vectorization_percent",
            "chunks.vectorization_percent",
            "chunks.vectorized_percent",
        ),
    ),
    Field("db_size_mb", "size", ("db_size_mb", "database.size_mb", "db.size_mb")),
    Field("files_updated_24h", "count", ("files_updated_24h", "files.updated_24h")),
    Field("chunks_updated_24h", "count", ("chunks_updated_24h", "chunks.updated_24h")),
)
#: Every field, in the order of the columns.
FIELDS = (*STATUS, *(field for worker in WORKERS for field in WORKER_FIELDS[worker]))

#: What a percentage follows from where the tool does not give it: the part, and the whole.
SHARES = {
    "files_indexed_percent": ("files_indexed", "files_total"),
    "files_chunked_percent": ("files_chunked", "files_total"),
    "chunks_vectorization_percent": ("chunks_vectorized", "chunks_total"),
}
#: Not kept in a column of its own.
FILES_CHUNKED = Field("files_chunked", "count", ("files_chunked", "files.chunked"))

PROJECTS = "projects"
#: The counts of a project.
PROJECT_FIELDS = tuple(Field(name, "count", (name,)) for name in PROJECT_COUNTS)
