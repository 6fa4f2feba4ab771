"""The current picture in memory, for pages that show it and update by themselves."""

from __future__ import annotations

from metrics_store.live.bounds import Bounds
from metrics_store.live.state import LiveState
from metrics_store.live.subscriptions import Change, Subscription

__all__ = ["Bounds", "Change", "LiveState", "Subscription"]
