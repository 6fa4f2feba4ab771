"""The control file beside a legacy JSON file: the one authority for the phase of its migration.

It is outside the database, because the first phases must survive a broken one. It is replaced
whole, by one operator at a time; runners look at it before every write.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path

from metrics_store import location
from metrics_store.errors import (
    ControlForeign,
    ControlNewer,
    ControlUnreadable,
    LegacyNotWritable,
)
from metrics_store.replacing import replace_text

FORMAT = 1


class Phase(StrEnum):
    """Where reads come from and writes go to."""

    LEGACY = "legacy"
    DUAL_WRITE = "dual_write"
    SHADOW = "shadow"
    DUAL_READ = "dual_read"
    DATABASE = "database"
    COMPLETE = "complete"

    @property
    def in_json(self) -> bool:
        """Whether records are written to the JSON file."""
        return self not in (Phase.DATABASE, Phase.COMPLETE)

    @property
    def in_store(self) -> bool:
        """Whether records are written to the store."""
        return self is not Phase.LEGACY


#: In the order of the way.
PHASES = tuple(Phase)


@dataclass(frozen=True, slots=True)
class Gates:
    """How much each gate asks for.

    Args:
        shadow_reads: compared reads without an unexplained difference.
        max_verify_age: seconds that a full verify stays fresh.
        soak: seconds in the database phase before it can be completed.
        sample_rate: share of reads that are compared, 0 to 1.
    """

    shadow_reads: int = 100
    max_verify_age: float = 86_400.0
    soak: float = 7 * 86_400.0
    sample_rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Intent:
    """A cutover or rollback that was begun.

    Args:
        command: ``cutover`` or ``rollback``.
        committed: the control file bears its phase already; what is left is to go on.
    """

    command: str
    begun_at: str
    by: str
    committed: bool = False
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the JSON file was when it was last read and found in order."""

    size: int
    mtime_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change of phase.

    Args:
        forced: why a gate that was not met was passed; None if it was met.
    """

    epoch: int
    from_phase: str
    to_phase: str
    at: str
    by: str
    forced: str | None = None


@dataclass(frozen=True, slots=True)
class Control:
    """What the control file says.

    Args:
        migration_id: given at the start; the database bears it too.
        epoch: one more with every change of phase.
        json_file, database: absolute, symlinks resolved.
        zone: of the naive moments of the JSON file, an IANA name.
        entered_at: when this phase began, UTC text.
        json_seen: the JSON file after the cutover or the last harvest; None before.
        rehearsed: epoch in which the way back was last rehearsed with success; None if never.
        archived: where ``complete`` put the JSON file.
    """

    migration_id: str
    epoch: int
    phase: Phase
    json_file: str
    database: str
    zone: str
    gates: Gates
    started_at: str
    entered_at: str
    intent: Intent | None = None
    json_seen: Fingerprint | None = None
    rehearsed: int | None = None
    archived: str | None = None
    changes: tuple[Change, ...] = ()

    def entering(self, phase: Phase, at: str, by: str, forced: str | None = None) -> Control:
        """The same migration in another phase."""
        change = Change(self.epoch + 1, self.phase, phase, at, by, forced)
        return replace(
            self,
            epoch=self.epoch + 1,
            phase=phase,
            entered_at=at,
            changes=(*self.changes, change),
        )


def resolved(json_file: str | os.PathLike[str]) -> str:
    """The legacy file itself; symlinks are followed."""
    return os.path.realpath(location.named(json_file))


def control_path(json_file: str | os.PathLike[str]) -> str:
    """Where the control file of a legacy file lies."""
    return f"{resolved(json_file)}.control.json"


def read(json_file: str | os.PathLike[str]) -> Control | None:
    """Read the control file; None if there is none.

    Raises:
        ControlUnreadable: it is there and cannot be read; never guess a phase then.
        ControlNewer: a newer version wrote it.
        ControlForeign: it is of another legacy file.
    """
    path = control_path(json_file)
    try:
        # Opening a pipe would wait for somebody to write to it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, encoding="utf-8") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ControlUnreadable(f"{path} is not a regular file")
            text = file.read()
    except FileNotFoundError:
        refuse_a_lost_one(path)
        return None
    except (OSError, UnicodeDecodeError) as error:
        detail = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ControlUnreadable(f"{path}: {detail}") from error
    control = _parsed(path, text)
    if control.json_file != resolved(json_file):
        raise ControlForeign(f"{path} is of {control.json_file}")
    return control


def refuse_a_lost_one(path: str) -> None:
    """Refuse to take a control file that is gone for one that never was.

    Raises:
        ControlUnreadable: its previous copy is there.
    """
    if os.path.islink(path):
        raise ControlUnreadable(f"{path} is a link to what is not there")
    if os.path.exists(f"{path}.previous"):
        raise ControlUnreadable(
            f"{path} is gone, and {path}.previous is there",
            hint="Put the copy in its place, then: metrics-store legacy resume --execute, which "
            "asks the store for the phase.",
        )


def write(control: Control) -> None:
    """Put a new control file in the place of the old one, which is kept as ``.previous``.

    The caller holds the operator's lock.

    Raises:
        LegacyNotWritable: it cannot be written; the old one stands.
    """
    path = control_path(control.json_file)
    text = json.dumps({"format": FORMAT, **asdict(control)}, indent=2) + "\n"
    try:
        # Runners of other users read it.
        if os.path.exists(path):
            previous = Path(path).read_text(encoding="utf-8")
            replace_text(f"{path}.previous", previous, mode=0o644)
        replace_text(path, text, mode=0o644)
    except OSError as error:
        raise LegacyNotWritable(f"{path}: {error.strerror}") from error


class ControlReader:
    """The control file as a runner follows it: read again when it has changed.

    Args:
        json_file: the legacy file.
    """

    def __init__(self, json_file: str | os.PathLike[str]) -> None:
        self._json_file = resolved(json_file)
        self._path = control_path(json_file)
        self._known: tuple[tuple[int, int, int], Control] | None = None

    def current(self) -> Control | None:
        """What it says now; None if no migration was begun.

        Raises:
            ControlError: as :func:`read`; also if it was there before and is gone.
        """
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            if self._known is not None:
                raise ControlUnreadable(f"{self._path} was there and is gone") from None
            refuse_a_lost_one(self._path)
            return None
        except OSError as error:
            raise ControlUnreadable(f"{self._path}: {error.strerror}") from error
        state = (there.st_ino, there.st_mtime_ns, there.st_size)
        known = self._known
        if known is not None and known[0] == state:
            return known[1]
        control = read(self._json_file)
        if control is None:
            raise ControlUnreadable(f"{self._path} was there and is gone")
        self._known = (state, control)
        return control


def _parsed(path: str, text: str) -> Control:
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise TypeError("it is no object")
        version = values.pop("format", None)
        if isinstance(version, int) and version > FORMAT:
            raise ControlNewer(f"{path} has format {version}, this version knows {FORMAT}")
        if version != FORMAT:
            raise ValueError(f"its format is {version!r}")
        return _control(values)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ControlUnreadable(f"{path}: {error}"[:300]) from error


def _control(values: dict[str, object]) -> Control:
    for name in ("migration_id", "json_file", "database", "zone", "started_at", "entered_at"):
        if not isinstance(values[name], str):
            raise TypeError(f"{name} is {values[name]!r}")
    if type(values["epoch"]) is not int:
        raise TypeError(f"epoch is {values['epoch']!r}")
    values["phase"] = Phase(str(values["phase"]))
    gates = _object(values["gates"])
    for name, number in gates.items():
        if type(number) not in (int, float):
            raise TypeError(f"{name} is {number!r}"[:100])
    values["gates"] = Gates(**gates)  # type: ignore[arg-type]
    if values.get("intent") is not None:
        values["intent"] = Intent(**_object(values["intent"]))  # type: ignore[arg-type]
    if values.get("json_seen") is not None:
        values["json_seen"] = Fingerprint(**_object(values["json_seen"]))  # type: ignore[arg-type]
    changes = values.get("changes", [])
    if not isinstance(changes, list):
        raise TypeError("changes is no list")
    values["changes"] = tuple(Change(**_object(change)) for change in changes)  # type: ignore[arg-type]
    return Control(**values)  # type: ignore[arg-type]


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise TypeError(f"{value!r} is no object"[:100])
    return value
