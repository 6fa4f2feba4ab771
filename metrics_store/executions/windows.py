"""The windows that are asked for: whole days in the midst, and the two days that they cut."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from metrics_store import clock
from metrics_store.errors import InvalidQuery

TimeRange = Literal["1h", "24h", "7d", "30d", "90d"]
_HOURS: dict[str, int] = {"1h": 1, "24h": 24, "7d": 168, "30d": 720, "90d": 2160}
_HOUR_US = 3600 * clock.MICROSECONDS


@dataclass(frozen=True, slots=True)
class Window:
    """A window that ends now; its moments are UTC text, both within it.

    Args:
        morning: the end of the day that its beginning cuts, or its end if that is the same day.
        today: the beginning of the day that its end cuts; after its end if that is the same day.
        days: the whole days between, of which the rollups know.
    """

    name: TimeRange
    since: str
    until: str
    morning: str
    today: str
    days: tuple[str, ...]

    @property
    def cuts(self) -> dict[str, str]:
        """The parameters of queries of the days that it cuts."""
        return {
            "since": self.since,
            "morning": self.morning,
            "today": self.today,
            "until": self.until,
        }

    @property
    def whole(self) -> dict[str, str]:
        """The parameters of queries of its whole days."""
        return {
            "first": self.days[0] if self.days else self.today[:10],
            "after": self.today[:10] if self.days else self.since[:10],
        }


def window(name: object, now_us: int) -> Window:
    """The window of a name such as ``24h``.

    Args:
        now_us: its end, microseconds since 1970.

    Raises:
        InvalidQuery: there is none of that name.
    """
    if not isinstance(name, str) or name not in _HOURS:
        raise InvalidQuery(f"time_range {name!r:.40}", hint=f"It is {', '.join(_HOURS)}.")
    since = clock.text(max(clock.MIN_US, now_us - _HOURS[name] * _HOUR_US))
    until = clock.text(now_us)
    first, last = date.fromisoformat(since[:10]), date.fromisoformat(until[:10])
    past = "~"  # after every moment
    if first == last:
        return Window(name, since, until, f"{until}{past}", past, ())  # type: ignore[arg-type]
    days = tuple((first + timedelta(n)).isoformat() for n in range(1, (last - first).days))
    morning = (first + timedelta(1)).isoformat()
    return Window(name, since, until, morning, last.isoformat(), days)  # type: ignore[arg-type]
