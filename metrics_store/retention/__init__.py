"""Retention: deleting old rows from the logs in small batches; the numbers they added to stay."""

from metrics_store.retention.calls import Retention

__all__ = ["Retention"]
