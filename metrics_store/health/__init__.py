"""How a store is: measured without changing it, and judged by thresholds."""

from __future__ import annotations

from metrics_store.health.measuring import measure
from metrics_store.health.report import Finding, HealthReport

__all__ = ["Finding", "HealthReport", "measure"]
