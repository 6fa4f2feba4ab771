"""One file per family of telemetry: its row type and its declaration."""

from metrics_store.families.activity import COMMITS, TASKS
from metrics_store.families.agents import AGENTS, RAG, SYSTEM
from metrics_store.families.alerts import ALERTS
from metrics_store.families.declaration import (
    Aged,
    Derived,
    Dimension,
    Family,
    Histogram,
    Keep,
    Measures,
)
from metrics_store.families.executions import EXECUTIONS
from metrics_store.families.services import SERVICES
from metrics_store.families.skills import SKILLS
from metrics_store.families.snapshots import SNAPSHOTS

#: Every family, for what goes over all of them.
FAMILIES: tuple[Family, ...] = (
    SKILLS,
    EXECUTIONS,
    SNAPSHOTS,
    SERVICES,
    AGENTS,
    TASKS,
    COMMITS,
    SYSTEM,
    RAG,
    ALERTS,
)

__all__ = [
    "FAMILIES",
    "Aged",
    "Derived",
    "Dimension",
    "Family",
    "Histogram",
    "Keep",
    "Measures",
]
