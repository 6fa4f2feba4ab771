"""From what a restore has seen and done to what is told of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metrics_store import clock as moments
from metrics_store import schema
from metrics_store.backup.candidate import Copied
from metrics_store.backup.copying import Progress
from metrics_store.backup.restoring_fitting import Verified, named
from metrics_store.backup.restoring_live import Live
from metrics_store.backup.restoring_report import LogChange, Restored, Side
from metrics_store.backup.restoring_undoing import PROPERTY, property_text
from metrics_store.clock import MICROSECONDS, Clock
from metrics_store.errors import MetricsStoreError
from metrics_store.settings import Settings
from metrics_store.write_ahead_log import State


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants.

    Args:
        file: what is to be restored.
        execute: do it; else only tell what it would change.
        other_store: the backup of another store is accepted.
        undo: the file is what was there before a restore, and accepted as it is.
    """

    file: Path
    settings: Settings
    clock: Clock
    execute: bool = False
    other_store: bool = False
    undo: bool = False
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is, once the private copy has been taken and verified.

    Args:
        same: whether it is of the same store; None if one of them does not tell.
    """

    order: Order
    live: Live
    copied: Copied
    found: Verified
    same: bool | None

    @property
    def made_at(self) -> str | None:
        """When the file was made, if its manifest tells."""
        return None if self.copied.manifest is None else self.copied.manifest.made_at

    def properties(
        self, at_us: int, generation: str, safety: Path | None, aside: Sequence[str] = ()
    ) -> dict[str, str]:
        """What the store is told once it is restored."""
        at = moments.text(at_us)
        restored = property_text(self.copied.source, at, self.made_at, safety, aside)
        properties = {PROPERTY: restored, "generation": generation}
        if self.found.side.store_id is None and self.live.side.store_id:
            # Its schema had no ids yet; the one that it got since is nobody's.
            properties["store_id"] = self.live.side.store_id
        return properties

    def checked(self) -> tuple[str, ...]:
        """What a check of the restored store finds."""
        from metrics_store.integrity.checking import check_file

        order = self.order
        try:
            report = check_file(
                self.live.path,
                # Others write, and what this process has just put into the log is whole.
                log_state=State("unknown"),
                now_us=order.clock.now_us(),
                progress=order.progress,
            )
        except MetricsStoreError as error:
            return (f"the restored store could not be checked: {error}",)
        return tuple(named(finding) for finding in report.errors)


def told(
    seen: Seen,
    before: Side,
    logs: tuple[LogChange, ...],
    *,
    generation: str | None = None,
    safety: str | None = None,
    safety_findings: int | None = None,
    moved_aside: tuple[str, ...] = (),
    locked_seconds: float = 0.0,
    problems: tuple[str, ...] = (),
) -> Restored:
    """What a restore came to, or would; the arguments are those of :class:`Restored`."""
    order, live, copied = seen.order, seen.live, seen.copied
    state = live.state
    if state == "unreadable":
        # Of what cannot be read nothing is said, least of all that it had no rows.
        logs = tuple(
            replace(log, before=None, lost=None, gained=None, gained_first_at=None,
                    gained_last_at=None)
            for log in logs
        )  # fmt: skip
    elif state == "store" and any(log.before is None or log.lost is None for log in logs):
        state = "damaged"
    made_us = copied.written_us if seen.made_at is None else moments.parse(seen.made_at)
    return Restored(
        executed=order.execute,
        undo=order.undo,
        file=str(copied.source),
        database=live.path,
        state=state,
        way="in_place" if live.can_be_opened else "new_file",
        size=copied.size,
        sha256=copied.sha256,
        reason=None if copied.manifest is None else copied.manifest.reason,
        made_at=seen.made_at,
        age_seconds=(order.clock.now_us() - made_us) / MICROSECONDS,
        here=before,
        there=seen.found.side,
        schema_version=schema.latest(schema.migrations_directory()),
        same_store=seen.same,
        logs=logs,
        resume_needed=before.staged != seen.found.side.staged,
        findings=seen.found.findings,
        generation=generation,
        safety=safety,
        safety_findings=safety_findings,
        moved_aside=moved_aside,
        locked_seconds=locked_seconds,
        problems=problems,
    )
