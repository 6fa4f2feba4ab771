"""Which file takes the last restore back: the copy of what was there before it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

from metrics_store import manifest, sqlite
from metrics_store.backup import restoring_live as lives
from metrics_store.backup.restoring_safety import REASON
from metrics_store.errors import NothingToUndo
from metrics_store.integrity import access
from metrics_store.settings import Settings

#: The property in which a restored store says what was done to it.
PROPERTY = "restored"


def property_text(
    file: Path, at: str, made_at: str | None, safety: Path | None, aside: Sequence[str]
) -> str:
    """What a store is told of its restore.

    Args:
        file: what was restored.
        at: the moment of it, UTC text.
        made_at: when the file was made, UTC text.
        safety: the copy of what was there.
        aside: where what was there lies, if it could not be opened.
    """
    return json.dumps(
        {
            "from": str(file),
            "at": at,
            "made_at": made_at,
            "safety": None if safety is None else str(safety),
            "moved_aside": list(aside),
        }
    )


def file_of(settings: Settings) -> Path:
    """The copy of what was there before the last restore.

    Raises:
        NothingToUndo: there was none, or that copy is gone.
    """
    database = os.path.realpath(settings.database)
    restored, directories = _known_to(database, settings)
    if restored is None:
        return _newest(database, directories)
    safety = restored.get("safety")
    if not isinstance(safety, str):
        aside = restored.get("moved_aside")
        left = ", ".join(map(str, aside)) if isinstance(aside, list) and aside else ""
        raise NothingToUndo(
            f"{database}: what was there could not be opened",
            hint=f"It lies aside: {left}" if left else "There was nothing there.",
        )
    named = Path(safety)
    for directory in (named.parent, *directories):
        if os.path.lexists(directory / named.name):
            return directory / named.name
    raise NothingToUndo(
        f"the copy of what was there, {named}, is gone",
        hint="See which backups there are: `metrics-store backup list`.",
    )


def _known_to(database: str, settings: Settings) -> tuple[dict[str, object] | None, list[Path]]:
    """What the store says of its last restore, and where backups of it may lie."""
    try:
        connection = lives.connect(database, access.look(database).how)
        try:
            text = manifest.property_of(connection, PROPERTY)
            directories = manifest.directories(settings, connection)
        finally:
            connection.close()
        found = None if text is None else json.loads(text)
    except (sqlite.Error, OSError, ValueError):
        # It cannot be read, or was edited by hand: then the copies themselves tell.
        return None, [*manifest.directories(settings)]
    return (found if isinstance(found, dict) else None), [*directories]


def _newest(database: str, directories: Sequence[Path]) -> Path:
    found = [
        (entry.manifest.made_at, entry.path)
        for directory in directories
        if directory.is_dir()
        for entry in manifest.of_directory(directory)
        if entry.manifest is not None
        and entry.manifest.reason == REASON
        and entry.manifest.source == database
    ]
    if not found:
        raise NothingToUndo(database, hint="Nothing was restored into it.")
    return max(found)[1]
