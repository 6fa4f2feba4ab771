"""What the calls of snapshots give: frozen values."""

from __future__ import annotations

from dataclasses import dataclass

from metrics_store.results import Result


@dataclass(frozen=True, slots=True)
class Project(Result):
    """The numbers of one project; None where the tool did not say."""

    name: str
    file_count: int | None
    files_indexed: int | None
    chunk_count: int | None
    vectorized_chunks: int | None


@dataclass(frozen=True, slots=True)
class Snapshot(Result):
    """A status at one moment. What the tool did not say is None, and so is all of a worker that
    could not be reached.

    Args:
        seq: its number in this store.
        recorded_at: UTC text.
        projects: in the tool's order; None if it said nothing of projects.
        origin: ``live`` or ``import``.
        payload_json: what the tool said, as it came.
    """

    seq: int
    id: str
    recorded_at: str
    files_total: int | None
    files_indexed: int | None
    files_indexed_percent: float | None
    files_chunked_percent: float | None
    chunks_total: int | None
    chunks_vectorized: int | None
    chunks_vectorization_percent: float | None
    db_size_mb: float | None
    files_updated_24h: int | None
    chunks_updated_24h: int | None
    file_watcher_pid: int | None
    file_watcher_operation: str | None
    file_watcher_progress_percent: float | None
    vectorization_pid: int | None
    vectorization_operation: str | None
    vectorization_progress_percent: float | None
    indexing_pid: int | None
    indexing_operation: str | None
    indexing_progress_percent: float | None
    indexing_current_file: str | None
    projects: tuple[Project, ...] | None
    origin: str
    payload_json: str


@dataclass(frozen=True, slots=True)
class Recorded(Result):
    """What became of a payload.

    Args:
        recorded: False if another snapshot is less than the interval away.
        id: of the snapshot; None if it was skipped.
        recorded_at: its moment, UTC text; that it would have had, if it was skipped.
        because_of: the id of the snapshot for which it was skipped.
        because_of_at: that snapshot's moment.
        seconds_away: from it, in either direction.
    """

    recorded: bool
    id: str | None
    recorded_at: str
    because_of: str | None = None
    because_of_at: str | None = None
    seconds_away: float | None = None


@dataclass(frozen=True, slots=True)
class Found(Result):
    """The snapshot that was asked for.

    Args:
        asked_for: the moment, UTC text; None if it was named otherwise.
        seconds_away: how far the snapshot is from that moment, negative if it is before it; None
            if it was named otherwise.
    """

    snapshot: Snapshot
    asked_for: str | None = None
    seconds_away: float | None = None


@dataclass(frozen=True, slots=True)
class Change(Result):
    """What became of one value between two snapshots.

    Args:
        field: the column, or the project's count.
        before, after: what it was and is; None where it was not said.
        change: of a number: after less before; None if one of them is not known.
        dropped: the number is less than before.
    """

    field: str
    before: int | float | str | None
    after: int | float | str | None
    change: int | float | None
    dropped: bool

    @property
    def is_change(self) -> bool:
        """Whether it is otherwise than before."""
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class ProjectDiff(Result):
    """What became of a project.

    Args:
        kind: ``added``, ``removed`` or ``both``: in both snapshots.
    """

    name: str
    kind: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class SnapshotDiff(Result):
    """What became of every value between two snapshots.

    Args:
        before, after: the snapshots, as they were found.
        seconds: from one to the other.
        changes: every field, in the order of the columns; also those that did not change.
        projects: in the order of the later one, then those that are gone.
    """

    before: Found
    after: Found
    seconds: float
    changes: tuple[Change, ...]
    projects: tuple[ProjectDiff, ...]

    @property
    def drops(self) -> int:
        """How many numbers are less than before."""
        changes = [*self.changes, *(c for project in self.projects for c in project.changes)]
        return sum(change.dropped for change in changes)


@dataclass(frozen=True, slots=True)
class TrendPoint(Result):
    """A day or hour of one number.

    Args:
        bucket: where it begins, UTC: ``2026-02-06`` or ``2026-02-06T11``.
        snapshots: how many of its snapshots bear the number.
        minimum, average, maximum: over these; None without any.
        last: of the newest of them; None if it is no longer in the log.
    """

    bucket: str
    snapshots: int
    minimum: int | float | None
    average: float | None
    maximum: int | float | None
    last: int | float | None


@dataclass(frozen=True, slots=True)
class Trend(Result):
    """The course of one number, oldest bucket first; buckets without a snapshot are there too.

    Args:
        field: the column, or the project's count.
        per: ``day`` or ``hour``.
        project: whose number it is; None for that of all.
    """

    field: str
    per: str
    project: str | None
    points: tuple[TrendPoint, ...]


@dataclass(frozen=True, slots=True)
class Sunk(Result):
    """A line that was appended to a sink.

    Args:
        id, recorded_at: of the snapshot, as an import will have it.
        path: the file it is in.
        rotated_to: where the lines before it were moved; None if they were not.
        not_compressed: why rotated files could not be compressed; empty if all is well. The next
            append tries again.
    """

    id: str
    recorded_at: str
    path: str
    rotated_to: str | None = None
    not_compressed: str = ""


@dataclass(frozen=True, slots=True)
class BadLine(Result):
    """A line that could not be a snapshot.

    Args:
        line: its number in the file, from 1.
        new: False if an earlier import has met it.
    """

    file: str
    line: int
    reason: str
    new: bool


@dataclass(frozen=True, slots=True)
class ImportedFile(Result):
    """What became of the lines of one file: they are inserted, already_there, retired, bad and
    torn together.

    Args:
        lines: that are not empty.
        inserted: new snapshots.
        already_there: in the store before.
        retired: deleted by retention before.
        bad: put in quarantine, now or before.
        new_bad: those of now.
        torn: a last line that is not whole; it is left for the next time.
    """

    file: str
    lines: int = 0
    inserted: int = 0
    already_there: int = 0
    retired: int = 0
    bad: int = 0
    new_bad: int = 0
    torn: int = 0


@dataclass(frozen=True, slots=True)
class Imported(Result):
    """What became of files of JSON lines.

    Args:
        zone: the zone in which moments without an offset were read; None if there were none.
        bad_lines: the first ones; the quarantine has all.
    """

    files: tuple[ImportedFile, ...]
    zone: str | None
    bad_lines: tuple[BadLine, ...]

    def total(self, name: str) -> int:
        """One of the counts, over all files."""
        return sum(int(getattr(file, name)) for file in self.files)


@dataclass(frozen=True, slots=True)
class Quarantined(Result):
    """A line in quarantine.

    Args:
        text: what it is, bytes that are no UTF-8 as escapes; the beginning, if it is endless.
        length: in bytes.
    """

    id: str
    file: str
    line: int
    reason: str
    text: str
    length: int
    quarantined_at: str
