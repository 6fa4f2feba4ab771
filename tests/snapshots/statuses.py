"""Statuses as tools print them, and the lines of a sink's files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path

#: To the letter what a tool wrote that has users.
SHORT = (
    '{"ts":"2026-02-06T11:00:00","files_total":12822,"files_indexed":3124,"chunks_total":167,'
    '"chunks_vectorized":90,"fw_pid":1248916,"fw_op":"scanning","vec_pid":1248906,'
    '"vec_op":"polling","idx_pid":1248900,"idx_op":"indexing",'
    '"idx_file":"vast_srv/test_ftp_commands.py"}'
)

#: The long form, with everything in it, and something that nobody knows.
LONG: dict[str, object] = {
    "timestamp": "2026-02-06T11:00:00+01:00",
    "files": {
        "total": 200, "indexed": 50, "indexed_percent": 25.1, "chunked": 40, "updated_24h": 7,
    },
    "chunks": {"total": 80, "vectorized": 20, "vectorization_percent": 25, "updated_24h": 3},
    "database": {"size_mb": 41.25},
    "workers": {
        "file_watcher": {"pid": 11, "operation": "scanning", "progress_percent": 12.5},
        "vectorization": None,
        "indexing": {"pid": 13, "op": "indexing", "progress": 99, "current_file": "a/b.py"},
    },
    "projects": [
        {"name": "docs", "file_count": 150, "files_indexed": 40, "chunk_count": 60,
         "vectorized_chunks": 15, "language": "en"},
        {"name": "src", "file_count": 50},
    ],
    "mood": {"of the day": "fine"},
}  # fmt: skip

#: Names that somebody may really give a file, an operation or a project.
HOSTILE = (
    "a'b\"c", "line\nbreak\r\n", "\x1b[31mred\x1b[0m", "\u202egnp.exe", "=1+1",
    "+cmd|' /C calc'!A0", "DROP TABLE status_snapshots;--", "$.name", "null",
    "ünï😀", "x" * 16_000, "\u2028", "{}", "-1",
)  # fmt: skip


def written(files: Iterable[str]) -> list[dict[str, object]]:
    """Every whole line of a sink's files, in their order; none of them is torn or bad."""
    return [json.loads(line) for file in files for line in raw(file).split(b"\n") if line]


def raw(file: str) -> bytes:
    """What a file says, compressed or not."""
    content = Path(file).read_bytes()
    return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
