"""JSON trackers to put under the dual ones: ours, the plain legacy one, and strangers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from json_tracking import naive
from legacy_tracker import LegacyTracker
from settable_clock import SettableClock

from metrics_store import JsonMetricsTracker


class Stranger:
    """Has the classic methods and a ``metrics_file``, as text, and shows nothing else."""

    def __init__(self, within: LegacyTracker) -> None:
        self.metrics_file = str(within.metrics_file)
        held = [within]  # nobody looks into a list
        self._within = lambda: held[0]

    def track_invocation(
        self, skill_name: str, workflow_path: str | None = None
    ) -> Callable[..., None]:
        held = [self._within().track_invocation(skill_name, workflow_path)]
        return lambda **ending: held[0](**ending)

    def get_skill_metrics(self, skill_name: str) -> object:
        return self._within().get_skill_metrics(skill_name)

    def get_all_metrics(self) -> Mapping[str, object]:
        return self._within().get_all_metrics()

    def get_summary(self) -> Mapping[str, object]:
        return self._within().get_summary()


class Late(LegacyTracker):
    """Writes its file when it is told to, and shows its records to nobody."""

    def _save(self) -> None:
        pass

    def flush(self) -> None:
        super()._save()

    def track_invocation(
        self, skill_name: str, workflow_path: str | None = None
    ) -> Callable[..., None]:
        held = [super().track_invocation(skill_name, workflow_path)]
        return lambda **ending: held[0](**ending)


def ours(path: Path, clock: SettableClock) -> JsonMetricsTracker:
    return JsonMetricsTracker(path, clock=clock, zone="UTC")


def plain(path: Path, clock: SettableClock) -> LegacyTracker:
    return LegacyTracker(path, naive(clock))


def stranger(path: Path, clock: SettableClock) -> Stranger:
    return Stranger(plain(path, clock))


KINDS = {"ours": ours, "plain": plain, "stranger": stranger}
Kind = Callable[[Path, SettableClock], object]
