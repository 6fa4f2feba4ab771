"""Executions: tasks that models ran, what they took, cost and came to."""

from metrics_store.executions.calls import Executions

__all__ = ["Executions"]
