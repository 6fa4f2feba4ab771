"""One file per family of telemetry: its row type and its declaration."""

from metrics_store.families.declaration import Dimension, Family, Histogram
from metrics_store.families.skills import SKILLS

#: Every family, for what goes over all of them.
FAMILIES: tuple[Family, ...] = (SKILLS,)

__all__ = ["FAMILIES", "Dimension", "Family", "Histogram"]
