"""What lies beside each backup, and where backups lie: read, written, and found again."""

from metrics_store.manifest.document import (
    FORMAT,
    ORDINARY,
    REASONS,
    SAFETY,
    LogMark,
    Manifest,
    find,
    path_of,
    read,
    write,
)
from metrics_store.manifest.places import (
    Entry,
    directories,
    newest,
    of_directory,
    order,
    remembered,
    whole,
)
from metrics_store.manifest.store import (
    marks,
    property_of,
)

__all__ = [
    "FORMAT",
    "ORDINARY",
    "REASONS",
    "SAFETY",
    "Entry",
    "LogMark",
    "Manifest",
    "directories",
    "find",
    "marks",
    "newest",
    "of_directory",
    "order",
    "path_of",
    "property_of",
    "read",
    "remembered",
    "whole",
    "write",
]
