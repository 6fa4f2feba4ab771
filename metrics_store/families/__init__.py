"""One file per family of telemetry: its row type and its declaration."""

from metrics_store.families.declaration import Dimension, Family, Histogram

__all__ = ["Dimension", "Family", "Histogram"]
