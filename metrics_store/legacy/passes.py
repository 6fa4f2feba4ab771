"""Passes over legacy files as the store keeps them: begun, resumed, and whose history they are."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from metrics_store import clock
from metrics_store.errors import ZoneMismatch
from metrics_store.legacy.private_copy import PrivateCopy
from metrics_store.legacy_format.moments import ZoneReader, local_zone
from metrics_store.sql import query
from metrics_store.sqlite import Connection
from metrics_store.store import MetricsStore


@dataclass(slots=True)
class Counts:
    """What a pass has done so far; kept with its checkpoint."""

    read: int = 0
    inserted: int = 0
    matched: int = 0
    upgraded: int = 0
    quarantined: int = 0
    pending: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    flags: dict[str, int] = field(default_factory=dict)
    sources: list[int] = field(default_factory=list)
    #: The newest row of the log before the pass; None if an older version began it.
    since_seq: int | None = None

    def as_json(self) -> str:
        """For the checkpoint."""
        return json.dumps(asdict(self))

    @classmethod
    def of_json(cls, text: str) -> Counts:
        """From the checkpoint."""
        return cls(**json.loads(text))


@dataclass(slots=True)
class Pass:
    """A pass over one file, and where it is."""

    pass_id: int
    source_id: int
    counts: Counts
    position: int = 0
    stage: str = "streaming"
    settled_key: str = ""


def now_text(store: MetricsStore) -> str:
    """The present moment."""
    return clock.text(store.database.clock.now_us())


def printable(text: str) -> str:
    """A text as SQLite can keep it: half characters written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def begin(store: MetricsStore, copy: PrivateCopy, wanted_zone: str | None) -> tuple[Pass, str]:
    """Begin a pass over a file, or go on with one over the same content that was cut short.

    Returns:
        The pass, and the zone of the file's naive moments.

    Raises:
        ZoneMismatch: the file was taken in before with another zone.
    """
    source, now = printable(str(copy.source)), now_text(store)

    def work(connection: Connection) -> tuple[Pass, str]:
        run = connection.execute
        row = run(query("legacy.source_of_path"), (source,)).fetchone()
        if row is None:
            zone = ZoneReader(wanted_zone or local_zone()).zone
            values = (source, zone, "tracker", now)
            source_id = run(query("legacy.add_source"), values).fetchone()[0]
        else:
            source_id, _, zone, _, _ = row
            if (
                wanted_zone is not None
                and wanted_zone != zone
                and not _has_begun(connection, source_id)
            ):
                # Nothing of it was taken in yet: whoever named the zone then may have erred.
                zone = ZoneReader(wanted_zone).zone
                run(query("legacy.change_zone"), (zone, source_id))
            elif wanted_zone is not None and wanted_zone != zone:
                raise ZoneMismatch(
                    f"{source} was taken in as {zone}, not {wanted_zone}",
                    hint=f"Leave --zone out or say --zone {zone}; a new store can use another.",
                )
        unfinished = run(query("legacy.unfinished_pass"), (source_id, copy.sha256)).fetchone()
        if unfinished is not None:
            pass_id, position, stage, settled_key, done = unfinished
            this = Pass(pass_id, source_id, Counts.of_json(done), position, stage, settled_key)
        else:
            counts = Counts(since_seq=int(run(query("legacy.last_seq")).fetchone()[0]))
            new = (
                source_id,
                copy.sha256,
                copy.size,
                printable(str(copy.path)),
                now,
                counts.as_json(),
            )
            pass_id = run(query("legacy.begin_pass"), new).fetchone()[0]
            this = Pass(pass_id, source_id, counts)
        run(query("legacy.abandon_passes"), (now, source_id, this.pass_id))
        return this, zone

    return store.database.write(work)


def _has_begun(connection: Connection, source_id: int) -> bool:
    return bool(connection.execute(query("legacy.has_begun"), (source_id,)).fetchone()[0])


def lineage(store: MetricsStore, this: Pass) -> int:
    """The history a file belongs to: that of the records it shares, else its own."""

    def work(connection: Connection) -> int:
        connection.execute(query("legacy.begin_lineage"), (this.source_id,))
        sources = json.dumps([this.source_id, *this.counts.sources])
        lineages = sorted(
            row[0] for row in connection.execute(query("legacy.lineages_of"), (sources,)).fetchall()
        )
        for other in lineages[1:]:
            connection.execute(query("legacy.drop_baseline"), (other,))
            connection.execute(query("legacy.join_lineage"), (lineages[0], other))
        return int(lineages[0])

    return store.database.write(work)
