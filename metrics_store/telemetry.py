"""The calls of the sibling families, each of which is a package of its own."""

from __future__ import annotations

from metrics_store.agents import Agents
from metrics_store.alerts import Alerts
from metrics_store.executions import Executions
from metrics_store.retention import Retention
from metrics_store.services import Services
from metrics_store.snapshots import Snapshots


class Telemetry(Alerts, Retention, Agents, Executions, Services, Snapshots):
    """Services, snapshots, executions, agents, alerts and retention."""
