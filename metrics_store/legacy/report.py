"""What taking in a legacy file came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from metrics_store.results import Result


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a pass is.

    Args:
        stage: ``copying``, ``streaming``, ``settling`` or ``comparing``.
        done, total: bytes of the file.
        records: records read so far.
    """

    stage: str
    done: int
    total: int
    records: int


@dataclass(frozen=True, slots=True)
class Quarantined(Result):
    """A piece of the file that cannot be a row.

    Args:
        position: which element of ``invocations``, from 0 on; -1 for something else.
        reason: a short fixed word, such as ``bad_duration``.
        detail: a sentence for the person.
        excerpt: the beginning of its text, at most 200 characters; the store keeps all of it.
    """

    position: int
    reason: str
    detail: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class Flagged(Result):
    """A record that was taken in, with something noteworthy about it.

    Args:
        flag: a short fixed word, such as ``repeated_hour``.
    """

    position: int
    invocation_id: str
    flag: str
    detail: str


@dataclass(frozen=True, slots=True)
class BaselineLine(Result):
    """Totals of one skill that its records do not explain; negative is an anomaly."""

    skill_name: str
    total_invocations: int
    completed_invocations: int
    total_duration_seconds: float


@dataclass(frozen=True, slots=True)
class Mismatch(Result):
    """A difference between the file and the store.

    Args:
        kind: ``only_in_file``, ``only_in_store``, ``store_ahead``, ``different``.
        explained: whether it is no fault, and ``explanation`` says why.
        in_file, in_store: the legacy record on each side as JSON text, None where it is missing.
    """

    kind: str
    explained: bool
    explanation: str
    skill_name: str
    in_file: str | None
    in_store: str | None


@dataclass(frozen=True, slots=True)
class Comparison(Result):
    """The multiset comparison of every record with the store.

    Args:
        compared: records of the file that were compared.
        equal: those whose like is in the store.
        explained, unexplained: mismatches by kind.
        examples: at most twenty of them, the unexplained first.
    """

    compared: int
    equal: int
    explained: Mapping[str, int]
    unexplained: Mapping[str, int]
    examples: tuple[Mismatch, ...]

    @property
    def clean(self) -> bool:
        """Whether nothing is unexplained."""
        return not self.unexplained


@dataclass(frozen=True, slots=True)
class ImportReport(Result):
    """What one pass over a legacy file came to: read = inserted + matched + upgraded + quarantined.

    Args:
        source: the file, with symlinks resolved.
        database: the store's file.
        dry_run: everything was done on a copy of the store and thrown away.
        zone: the zone of the file's naive moments.
        shape: ``tracker`` (with totals) or ``session`` (with session ids).
        size: bytes of the file.
        sha256: its hash.
        read: elements of ``invocations``.
        inserted: new in the store.
        matched: there before, or there twice in this file and in the store.
        upgraded: in flight before, ended now.
        quarantined: kept apart with their text and a reason.
        pending: of inserted and matched, those that never ended: they are in flight in the store.
        resumed_at: records that an interrupted pass had done already; 0 for a pass of its own.
        quarantine_reasons, flags: how many of each.
        quarantine, flagged: at most a hundred of each.
        baseline: totals of the file that no record explains.
        anomalies: contradictions of the file with itself, a sentence each.
        torn: where the file ends too early; None if it is whole.
        skills: how many skills the file has records or totals of.
        seconds: how long it took, by stage.
    """

    source: str
    database: str
    dry_run: bool
    zone: str
    shape: str
    size: int
    sha256: str
    read: int
    inserted: int
    matched: int
    upgraded: int
    quarantined: int
    pending: int
    resumed_at: int
    quarantine_reasons: Mapping[str, int]
    flags: Mapping[str, int]
    quarantine: tuple[Quarantined, ...]
    flagged: tuple[Flagged, ...]
    baseline: tuple[BaselineLine, ...]
    anomalies: tuple[str, ...]
    torn: str | None
    comparison: Comparison
    skills: int
    seconds: Mapping[str, float]

    @property
    def conserved(self) -> bool:
        """Whether every element read is accounted for."""
        return self.read == self.inserted + self.matched + self.upgraded + self.quarantined

    @property
    def fine(self) -> bool:
        """Whether nothing needs a person's eyes: conserved, whole, and nothing unexplained."""
        return self.conserved and self.comparison.clean and self.torn is None
