"""Services: their heartbeats, what each said last, when it was up, whether it is getting slower."""

from metrics_store.services.calls import Services

__all__ = ["Services"]
