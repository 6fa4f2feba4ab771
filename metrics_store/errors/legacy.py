"""The errors of leaving a legacy file: taking it in, and the staged migration."""

from __future__ import annotations

from metrics_store.errors.general import MetricsStoreError, WriteError

# When a legacy file is taken in ---------------------------------------------------------------


class LegacyFileError(MetricsStoreError):
    """The legacy file cannot be taken in."""

    exit_code = 2


class LegacyFileNotFound(LegacyFileError):
    """There is no such legacy file."""


class NotLegacyFile(LegacyFileError):
    """The file is not a legacy metrics file."""


class TornFile(LegacyFileError):
    """The legacy file is not whole JSON."""

    default_hint = "If its tracker is still writing, try again; else see what can be saved of it."

    def __init__(
        self,
        detail: str = "",
        *,
        hint: str = "",
        line: int = 0,
        offset: int = 0,
        records: int = 0,
        begins: int = 0,
    ) -> None:
        """Say where: line and byte of the tear, whole records before it, and the byte at which
        what is not whole begins."""
        super().__init__(detail, hint=hint)
        self.line = line
        self.offset = offset
        self.records = records
        self.begins = begins


class FileChanging(LegacyFileError):
    """The legacy file changed all the while it was being copied."""

    default_hint = "Try again when its tracker is less busy."


class NoSpace(LegacyFileError):
    """There is not enough space for the work."""


class ZoneMismatch(LegacyFileError):
    """The file was taken in before under another time zone."""


# When a runner or an operator is on the way off a legacy file ------------------------------------


class LegacyLocked(LegacyFileError):
    """Somebody else held the legacy file's lock until the time limit."""

    exit_code = 3
    default_hint = "See who holds it (fuser FILE.lock); a lock ends with its process."


class LegacyNotWritable(LegacyFileError):
    """The legacy file or what lies beside it cannot be written."""

    exit_code = 3
    default_hint = "Look at the owner and mode of the file and of its directory, and at the disk."


class LegacyNotOverwritten(LegacyFileError):
    """The legacy file cannot be parsed, and was left as it is."""

    exit_code = 3
    default_hint = "Move it aside; metrics-store legacy import saves what is whole of it."


class ControlError(MetricsStoreError):
    """The control file of the migration is not usable."""

    exit_code = 2


class ControlUnreadable(ControlError):
    """The control file of the migration cannot be read."""

    exit_code = 3
    default_hint = "Do not delete it. Mend its permissions, or restore it from its .previous copy."


class ControlNewer(ControlError):
    """The control file was written by a newer version of metrics_store."""

    default_hint = "Upgrade the package: pip install -U metrics-store."


class ControlForeign(ControlError):
    """The control file is not of this legacy file."""

    default_hint = "It was copied or moved here; see which file it names, and use that one."


class NoMigration(ControlError):
    """No migration of this legacy file was begun."""

    default_hint = "Begin with: metrics-store legacy doctor, then metrics-store legacy plan."


class MigrationExists(ControlError):
    """A migration of this legacy file was begun before."""

    default_hint = "See how far it is: metrics-store legacy status."


class OtherMigration(ControlError):
    """The database belongs to the migration of another legacy file."""

    default_hint = "Name another database with --db; one store takes one migration."


class WrongPhase(ControlError):
    """The phase does not allow this."""

    default_hint = "See what comes next: metrics-store legacy status."


class GateNotMet(ControlError):
    """The gate to the next phase is not met."""

    default_hint = "Do what it asks, or pass it with --force --reason TEXT; that is recorded."


class Unfinished(ControlError):
    """A cutover or rollback was begun and not ended."""

    default_hint = "Finish it with metrics-store legacy resume, or undo it with legacy cancel."


class OperatorBusy(ControlError):
    """Another operator is at work on this migration."""

    default_hint = "Wait until that command has ended; its lock ends with its process."


class RehearsalFailed(MetricsStoreError):
    """The rehearsal found that the way back would not give the same records."""

    default_hint = "Nothing was changed. See the differences: metrics-store legacy diff list."


class StaleEpoch(WriteError):
    """The phase of the migration has changed meanwhile."""

    default_hint = (
        "If an older control file was put back, the store knows the phase: "
        "metrics-store legacy resume --execute takes its word."
    )
