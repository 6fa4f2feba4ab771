"""Alerts: rules that are evaluated, the alerts they open, and the hooks that are told of them.

Start with :meth:`metrics_store.MetricsStore.evaluate_alerts`.
"""

from __future__ import annotations

from metrics_store.alerts.calls import Alerts

__all__ = ["Alerts"]
