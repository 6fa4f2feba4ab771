"""What the tests of alerts have: services whose silence is set by the clock, and rules for it."""

from __future__ import annotations

from settable_clock import SettableClock

from metrics_store import MetricsStore
from metrics_store.alerts.rule_file import parse
from metrics_store.alerts.rules import RuleSet

#: Seconds for which a heartbeat of :func:`beat` vouches: 2.5 times a minute.
GRACE = 150


def silence(*, hold: int = 0, clear: int = 0, name: str = "silent", hooks: str = "") -> RuleSet:
    """A rule of three levels: seconds beyond the grace.

    Args:
        hold: seconds for which a level is to be passed; ``clear`` seconds for which it is not.
        hooks: further YAML.
    """
    return parse(
        f"""
rules:
  - name: {name}
    metric: services.silent_seconds
    warning: 60
    error: 300
    critical: 900
    for: {hold} s
    clear_for: {clear} s
{hooks}""".replace(": 0 s", ": 0")
    )


def beat(store: MetricsStore, name: str = "librarian") -> None:
    """Let a service say that it is up."""
    store.heartbeat(name, "healthy")


def silent_for(store: MetricsStore, clock: SettableClock, seconds: float) -> None:
    """Let a service be silent for so long beyond its grace, by letting time pass."""
    beat(store)
    clock.advance(GRACE + seconds)
