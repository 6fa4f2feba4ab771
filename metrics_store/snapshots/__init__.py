"""Snapshots: the course of a status tool's numbers, its JSON lines, and a sink for them."""

from metrics_store.snapshots.calls import Snapshots

__all__ = ["Snapshots"]
